"""Clients on bare sockets: many keep-alive connections in one epoll loop.

They use little CPU, so that the server is the bottleneck.
"""

import select
import socket
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from itertools import cycle

import orjson

TIMEOUT = 30.0


@dataclass(slots=True)
class Response:
    """A response; `head` is the status line and the headers."""

    status: int
    head: bytes
    body: bytes

    def json(self) -> dict[str, object]:
        found: dict[str, object] = orjson.loads(self.body)
        return found

    def header(self, name: bytes) -> str:
        for line in self.head.split(b"\r\n"):
            key, _, value = line.partition(b":")
            if key.lower() == name:
                return value.strip().decode()
        return ""


Script = Generator[bytes, Response, None]
"""An agent: a generator that yields requests and receives responses."""


@dataclass
class Load:
    """The result of a slice of load. Latencies are in seconds."""

    answers: int = 0
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)


def request(method: str, path: str, body: object = None, headers: Sequence[str] = ()) -> bytes:
    """Return the bytes of an HTTP request."""
    content = b"" if body is None else orjson.dumps(body)
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", *headers]
    if body is not None:
        lines += ["content-type: application/json", f"content-length: {len(content)}"]
    return "\r\n".join([*lines, "", ""]).encode() + content


class Connection:
    """One keep-alive connection that runs one script."""

    def __init__(self, port: int, script: Script) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._script = script
        self._pending = bytearray()
        self._wanted = 0
        self._sent_at = 0.0
        self._request = next(script)

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self) -> None:
        self._sent_at = time.perf_counter()
        self._socket.sendall(self._request)

    def receive(self, load: Load) -> bool:
        """Read available data. Return True when the response is complete. Raises StopIteration when the script has
        ended.
        """
        chunk = self._socket.recv(262_144)
        if not chunk:
            raise ConnectionError("the server closed a connection")
        self._pending += chunk
        answer = self._parsed()
        if answer is None:
            return False
        load.latencies.append(time.perf_counter() - self._sent_at)
        load.answers += 1
        load.statuses[answer.status] = load.statuses.get(answer.status, 0) + 1
        self._request = self._script.send(answer)
        return True

    def close(self) -> None:
        self._socket.close()

    def _parsed(self) -> Response | None:
        if len(self._pending) < self._wanted:
            return None
        end = self._pending.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = bytes(self._pending[:end])
        start = head.lower().find(b"content-length:")
        length = 0 if start < 0 else int(head[start + 15 :].split(b"\r\n", 1)[0])
        self._wanted = end + 4 + length
        if len(self._pending) < self._wanted:
            return None
        body = bytes(self._pending[end + 4 : self._wanted])
        del self._pending[: self._wanted]
        self._wanted = 0
        return Response(int(head[9:12]), head, body)


def drive(port: int | Sequence[int], scripts: Sequence[Script], seconds: float) -> Load:
    """Run all scripts at once for this number of seconds, each on its own connection. Wait for pending responses.

    Several ports get the same number of connections each.
    """
    ports = cycle([port] if isinstance(port, int) else port)
    load = Load()
    poll = select.epoll()
    connections = {}
    for script in scripts:
        connection = Connection(next(ports), script)
        connections[connection.fileno()] = connection
        poll.register(connection.fileno(), select.EPOLLIN)
    began = time.perf_counter()
    until = began + seconds
    busy = len(connections)
    for connection in connections.values():
        connection.send()
    while busy:
        ready = poll.poll(TIMEOUT)
        if not ready:
            raise TimeoutError(f"no answer for {TIMEOUT} s")
        for number, _ in ready:
            try:
                if not connections[number].receive(load):
                    continue
            except StopIteration:
                busy -= 1
                continue
            if time.perf_counter() < until:
                connections[number].send()
            else:
                busy -= 1
    load.seconds = time.perf_counter() - began
    for connection in connections.values():
        connection.close()
    poll.close()
    return load


def ask(port: int, *requests: bytes) -> list[Response]:
    """Send these requests one after another on one connection and return their responses."""
    answers: list[Response] = []

    def script() -> Script:
        for each in requests:
            answer = yield each
            answers.append(answer)

    drive(port, [script()], TIMEOUT)
    return answers
