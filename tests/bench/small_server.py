"""Serve one of the comparison applications: python -m tests.bench.small_server trivial|thread_pool PORT."""

import asyncio
import gc
import importlib
import socket
import sys

import uvicorn
import uvloop


def main() -> None:
    module, port = sys.argv[1:3]
    application = importlib.import_module(f"tests.bench.{module}").application
    # With a named protocol, asyncio sets TCP_NODELAY on accepted connections, as the product does.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", int(port)))
        listening.listen(2048)
        listening.setblocking(False)
        configuration = uvicorn.Config(
            application, lifespan="off", log_level="warning", access_log=False, http="httptools", server_header=False
        )
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(uvicorn.Server(configuration).serve(sockets=[listening]))


if __name__ == "__main__":
    main()
