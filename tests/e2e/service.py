"""The service as its users run it: a process with both ports on a database file."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any, Protocol

import httpx

CHECKOUT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "project_manager"]
TIMEOUT = 20.0
START_SECONDS = 20.0
POLL_INTERVAL = 0.01
BELOW_EPHEMERAL = range(20_000, 32_000)
"""Ports that the kernel never gives to an outgoing connection, so that a free port stays free."""


def _own_ports() -> Iterator[int]:
    """Iterate over the ports of this worker. Each worker has others, and takes all of them before it repeats one."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    own = BELOW_EPHEMERAL[worker :: int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))]
    first = random.randrange(len(own))  # two runs of the suite on one machine seldom meet
    return cycle([*own[first:], *own[:first]])


_ports = _own_ports()


def free_port() -> int:
    """Return a port that stays free until this worker uses it."""
    while True:
        port = next(_ports)
        with socket.socket() as candidate:
            try:
                candidate.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def sample(page: str, name: str) -> float:
    """Return the value of a metric. `name` includes the labels, as on the metrics page."""
    return next((float(line.rpartition(" ")[2]) for line in page.splitlines() if line.startswith(f"{name} ")), 0.0)


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a service process, without variables of the test run except the path to the code."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "PYTHONPATH": str(CHECKOUT), **more}


class Process(Protocol):
    """The part of a server process that the tests use."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...


class Service:
    """One server process. A restart uses the same database and ports."""

    def __init__(self, folder: Path, *, output: Path | None = None, **settings: object) -> None:
        self.folder = folder
        self.port = free_port()
        self.mcp_port = free_port()
        self.database = folder / "pm.db"
        self.settings = {
            "DATABASE_PATH": str(self.database),
            "DEFAULT_PORT": str(self.port),
            "MCP_PORT": str(self.mcp_port),
            **{name: str(value) for name, value in settings.items()},
        }
        self.output = (folder if output is None else output) / f"output-{self.port}"
        self.launcher: list[str] = []
        self._process: Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def mcp_url(self) -> str:
        return f"http://127.0.0.1:{self.mcp_port}"

    @property
    def websocket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws/updates"

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def process(self) -> Process:
        assert self._process is not None, "it was never started"
        return self._process

    @property
    def log(self) -> str:
        return self.output.read_text()

    def lines(self, action: str) -> list[dict[str, Any]]:
        """Return the log records with this action."""
        parsed = [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]
        return [line for line in parsed if line.get("action") == action]

    def start(self, **more: str) -> "Service":
        """Start the process and return when it is healthy. `more` is added to its environment."""
        self.spawn(**more)
        self.wait_until(self.is_healthy, START_SECONDS)
        return self

    def spawn(self, **more: str) -> None:
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                [*self.launcher, *COMMAND, "serve"],
                env=environment(**self.settings, **more),
                cwd=self.folder,
                stdout=output,
                stderr=output,
            )

    def http(self, **headers: str) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers=headers, timeout=TIMEOUT, trust_env=False, verify=False)

    def client(self, timeout: float = TIMEOUT) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, timeout=timeout, trust_env=False, verify=False)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self) -> int:
        """Send SIGTERM and return the exit status. The process must end within the promised five seconds."""
        self.signal(signal.SIGTERM)
        return self.process.wait(TIMEOUT)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.process.wait(TIMEOUT)

    def end(self) -> None:
        """End the process in any state."""
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def wait_until(self, condition: Callable[[], object], seconds: float = TIMEOUT) -> None:
        """Poll the condition until it is true. Fail when the process ends first or the time is over."""
        for _ in range(int(seconds / POLL_INTERVAL)):
            if condition():
                return
            try:
                status = self.process.wait(POLL_INTERVAL)
            except subprocess.TimeoutExpired:
                continue
            raise AssertionError(f"the service ended with {status}:\n{self.log}")
        raise AssertionError(f"not within {seconds} s:\n{self.log[-4000:]}")

    def is_healthy(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", timeout=TIMEOUT, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False
