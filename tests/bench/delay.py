"""A TCP proxy that adds a round trip to a server on a Unix socket: python -m tests.bench.delay SOCKET SECONDS.

It prints its port, and ends with its standard input. It delays the requests, and passes the replies on at once.
"""

import socket
import sys
import threading
import time
from contextlib import suppress
from queue import SimpleQueue

PIECE = 1 << 16

Due = tuple[float, bytes]
"""The instant at which to send a piece, and the piece. The last one is empty."""


def main() -> None:
    target, delay = sys.argv[1], float(sys.argv[2])
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    threading.Thread(target=_accept, args=(listener, target, delay), daemon=True).start()
    sys.stdin.read()


def _accept(listener: socket.socket, target: str, delay: float) -> None:
    while True:
        client, _ = listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server = socket.socket(socket.AF_UNIX)
        server.connect(target)
        pieces: SimpleQueue[Due] = SimpleQueue()
        for run in (
            lambda client=client, pieces=pieces: _receive(client, pieces, delay),
            lambda server=server, pieces=pieces: _send(server, pieces),
            lambda server=server, client=client: _reply(server, client),
        ):
            threading.Thread(target=run, daemon=True).start()


def _receive(client: socket.socket, pieces: SimpleQueue[Due], delay: float) -> None:
    piece = b"-"
    while piece:
        try:
            piece = client.recv(PIECE)
        except OSError:
            piece = b""
        pieces.put((time.perf_counter() + delay, piece))


def _send(server: socket.socket, pieces: SimpleQueue[Due]) -> None:
    with suppress(OSError):
        while (due := pieces.get())[1]:
            time.sleep(max(0.0, due[0] - time.perf_counter()))
            server.sendall(due[1])
        server.shutdown(socket.SHUT_RDWR)


def _reply(server: socket.socket, client: socket.socket) -> None:
    with suppress(OSError):
        while piece := server.recv(PIECE):
            client.sendall(piece)
    client.close()
    server.close()


if __name__ == "__main__":
    main()
