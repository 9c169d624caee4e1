"""Server processes under measurement: start, observe, stop."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

CHECKOUT = Path(__file__).parents[2]
TIMEOUT = 30.0
START_TIMEOUT = 120.0
CPUCLOCK_SCHED = 2  # on Linux a clock id encodes the process and one of its clocks
SERVE = (sys.executable, "-m", "project_manager", "serve", "--no-browser")


class NotServing(Exception):
    """A server did not start. The message contains the end of its log."""


def free_ports(count: int) -> list[int]:
    """Return ports that are free at present."""
    held = [socket.socket() for _ in range(count)]
    for probe in held:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in held]
    for probe in held:
        probe.close()
    return ports


class Server:
    """One process that serves HTTP on `port`."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        port: int,
        folder: Path,
        environment: Mapping[str, str],
        ready: str,
        timeout: float = TIMEOUT,
    ) -> None:
        self.name = name
        self.mcp_port = 0
        self.port = port
        self.log = folder / f"{name}-{port}.log"
        self._ready = ready
        self._timeout = timeout
        inherited = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "LANG", "TMPDIR")}
        with self.log.open("wb") as log:
            self.started_at = time.perf_counter()
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env={**inherited, "PYTHONPATH": str(CHECKOUT), **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.cpu_until_healthy = self._wait()

    @property
    def pid(self) -> int:
        return self._process.pid

    def _wait(self) -> float:
        """Wait for the first healthy response. Return the CPU seconds of the process until then."""
        while time.perf_counter() - self.started_at < self._timeout:
            if self._process.poll() is not None:
                break
            if self._healthy():
                return self.cpu_seconds()
            time.sleep(0.005)
        self.stop()
        raise NotServing(f"{self.name} did not come up:\n{self.log.read_text()[-2000:]}")

    def _healthy(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
                request = f"GET {self._ready} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n"
                connection.sendall(request.encode())
                return b" 200 " in connection.recv(4096)[:20]
        except OSError:
            return False

    def cpu_seconds(self) -> float:
        """Return the CPU time of all threads, ended ones included, from the scheduler's clock of the process."""
        return time.clock_gettime((~self.pid << 3) | CPUCLOCK_SCHED)

    def rss_mb(self) -> float:
        """Return the resident memory in MB of 2^20 bytes."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise NotServing(f"{self.name} has ended")

    def stop(self) -> None:
        if self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> "Server":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def product(folder: Path, database: str = "tasks.db", **settings: str) -> Server:
    """Start the service as a user does, with its default settings except `settings`.

    `database` is a name in `folder`, or an absolute path.
    """
    port, mcp_port = free_ports(2)
    environment = {
        "DATABASE_PATH": str(folder / database),
        "DEFAULT_PORT": str(port),
        "MCP_PORT": str(mcp_port),
        "WEBSOCKET_MAX_CONNECTIONS": "2000",
        "RATE_LIMIT_PER_SECOND": "0",
        **settings,
    }
    server = Server("product", SERVE, port, folder, environment, "/healthz", timeout=START_TIMEOUT)
    server.mcp_port = mcp_port
    return server


def baseline(module: str, folder: Path, **settings: str) -> Server:
    """Start one of the small applications of this folder, under the same HTTP server as the product."""
    (port,) = free_ports(1)
    command = (sys.executable, "-m", "tests.bench.small_server", module, str(port))
    return Server(module, command, port, folder, {"BENCH_DATABASE": str(folder / f"{module}.db"), **settings}, "/")
