"""Clients that send or keep more than a service can store, and measurements of other clients meanwhile."""

import contextlib
import resource
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.e2e.service import Service

MEBIBYTE = 1024 * 1024
BLOCKED_SECONDS = 0.5
"""Seconds without progress after which a flood ends."""
PROBE_SECONDS = 20.0
"""Bound on each wait of another client. The flood uses the same processors."""
RESTS_SECONDS = 0.3
"""Seconds for which all connections of the flood stay open after it, during the probes."""
PROBES: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("GET", "/livez", {}),
    ("POST", "/api/tasks", {"agent_id": "probe", "name": "T", "project_name": "probe"}),
    ("POST", "/api/tasks/claim", {"agent_id": "probe", "project_name": "probe"}),
)


@dataclass(frozen=True)
class Flood:
    """Bytes that each connection sends: `begin` once, then `repeat` until all connections have sent `total` bytes.

    Nothing is read. A connection that the service closes is opened again, unless `total` is 0.
    """

    begin: bytes
    repeat: bytes = b""
    connections: int = 20
    total: int = 0
    seconds: float = 20.0
    receive_buffer: int = 0


@dataclass
class OtherClients:
    """Responses to other clients during a flood."""

    alive: int = 0
    claims: int = 0
    slowest: float = 0.0
    failures: list[str] = field(default_factory=list)
    peak_mb: float = 0.0
    after_mb: float = 0.0
    sent_mb: float = 0.0


class _Client:
    """One connection of a flood."""

    def __init__(self, port: int, flood: Flood) -> None:
        self._pending = memoryview(flood.begin)
        self._repeat = memoryview(flood.repeat)
        self.socket = socket.socket()
        if flood.receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, flood.receive_buffer)
        self.socket.setblocking(False)
        self.socket.connect_ex(("127.0.0.1", port))

    def send(self) -> int:
        """Return how many bytes went out; 0 when there is nothing left to send. Raises OSError."""
        self._pending = self._pending or self._repeat
        sent = self.socket.send(self._pending) if self._pending else 0
        self._pending = self._pending[sent:]
        return sent


class _Pouring:
    """The connections of a flood."""

    def __init__(self, port: int, flood: Flood, selector: selectors.BaseSelector) -> None:
        self.sent = 0
        self._port = port
        self._flood = flood
        self._selector = selector
        self._sockets: set[socket.socket] = set()

    def open(self) -> None:
        client = _Client(self._port, self._flood)
        self._sockets.add(client.socket)
        self._selector.register(client.socket, selectors.EVENT_WRITE, client)

    def advance(self, client: _Client) -> bool:
        """Send on one connection. Return whether the service accepted any bytes."""
        try:
            taken = client.send()
        except BlockingIOError:
            return False
        except OSError:
            self._selector.unregister(client.socket)
            self._sockets.discard(client.socket)
            client.socket.close()
            if self.sent < self._flood.total:
                self.open()
            return False
        self.sent += taken
        if not taken or (self._flood.total and self.sent >= self._flood.total):
            self._selector.unregister(client.socket)
        return True

    def close(self) -> None:
        for opened in self._sockets:
            opened.close()


@contextlib.contextmanager
def poured(port: int, flood: Flood) -> Iterator[int]:
    """Send a flood, and yield the number of accepted bytes while the connections are still open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, flood.connections + 512)), hard))
    with selectors.DefaultSelector() as selector, contextlib.closing(_Pouring(port, flood, selector)) as pouring:
        for _ in range(flood.connections):
            pouring.open()
        now = progress = time.monotonic()
        until = now + flood.seconds
        while selector.get_map() and now < until and now - progress < BLOCKED_SECONDS:
            for key, _ in selector.select(0.05):
                if pouring.advance(key.data):
                    progress = now
            now = time.monotonic()
        yield pouring.sent


def run_flood(service: Service, flood: Flood, secret: str) -> OtherClients:
    """Send a flood to a service. Return the responses to other clients and the memory of the service."""
    found = OtherClients()
    Path(f"/proc/{service.pid}/clear_refs").write_text("5")  # start the peak at the current size
    over = threading.Event()
    prober = threading.Thread(target=_probe, args=(service, secret, found, over))
    prober.start()
    try:
        with poured(service.port, flood) as sent:
            found.sent_mb = sent / MEBIBYTE
            over.wait(RESTS_SECONDS)
    finally:
        over.set()
        prober.join()
    found.peak_mb = _status_mb(service.pid, "VmHWM")
    found.after_mb = _status_mb(service.pid, "VmRSS")
    return found


def _probe(service: Service, secret: str, found: OtherClients, over: threading.Event) -> None:
    """Send requests on new connections until the flood is over, at least one of each. No claim lacks a task."""
    headers = {"Authorization": f"Bearer {secret}"}
    with httpx.Client(base_url=service.url, headers=headers, timeout=PROBE_SECONDS, trust_env=False) as http:
        while True:
            for method, path, body in PROBES:
                began = time.monotonic()
                try:
                    answer = http.request(method, path, headers={"Connection": "close"}, json=body)
                    served = answer.is_success and answer.json().get("task", True)
                    ending = "" if served else answer.text[:200]
                except httpx.HTTPError as error:
                    ending = repr(error)
                found.slowest = max(found.slowest, time.monotonic() - began)
                if ending:
                    found.failures.append(f"{path}: {ending}")
                found.alive += path == "/livez" and not ending
                found.claims += path == "/api/tasks/claim" and not ending
            if over.is_set():
                return


def _status_mb(pid: int, name: str) -> float:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024
