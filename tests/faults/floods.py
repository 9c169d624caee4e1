"""The floods for the tests, and a service with tasks to claim."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from tests.e2e.service import Service
from tests.faults.flooding import MEBIBYTE, Flood

SECRET = b"$SECRET"
"""Placeholder for the secret of an agent in a flood."""
TASKS = 1000
SMALL = 4096


def get(path: bytes, secret: bytes = b"") -> bytes:
    authorization = b"Authorization: Bearer %s\r\n" % secret if secret else b""
    return b"GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n" % (path, authorization)


POST = b"POST /api/session HTTP/1.1\r\nHost: localhost\r\n"
CHUNKS = POST + b"Transfer-Encoding: chunked\r\n\r\n"
LINES = b"x: y\r\n" * 10_000
LETTERS = b"a" * 65_536
WEBSOCKET = (
    b"GET /ws/updates HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nAuthorization: Bearer "
    + SECRET
    + b"\r\n\r\n"
)
PING = b"\x89\xfd" + bytes(4 + 125)
FRAGMENT, MORE = b"\x01\x80" + bytes(4), b"\x00\x80" + bytes(4)

FLOODS = {
    "pipelined requests": Flood(b"", get(b"/livez") * 1000, total=100 * MEBIBYTE),
    "pipelined large answers": Flood(b"", get(b"/openapi.json") * 1000, total=100 * MEBIBYTE),
    "header lines without end": Flood(b"GET / HTTP/1.1\r\n", LINES, total=300 * MEBIBYTE),
    "a header without end": Flood(b"GET / HTTP/1.1\r\nx: ", LETTERS, total=300 * MEBIBYTE),
    "a request target without end": Flood(b"GET /", LETTERS, total=300 * MEBIBYTE),
    "blank lines without end": Flood(b"", b"\r\n" * 30_000, total=300 * MEBIBYTE),
    "trailers without end": Flood(CHUNKS + b"0\r\n", LINES, total=300 * MEBIBYTE),
    "a chunk extension without end": Flood(CHUNKS + b"1;", LETTERS, total=300 * MEBIBYTE),
    "chunks of one byte": Flood(CHUNKS, b"1\r\nx\r\n" * 10_000, total=100 * MEBIBYTE),
    "silent connections": Flood(b"", connections=5000),
    "heads that stop at 60 kB": Flood(b"GET / HTTP/1.1\r\nx: " + LETTERS[:60_000], connections=2000),
    "bodies that stop before 1 MiB": Flood(
        POST + b"Content-Length: 1048576\r\n\r\n" + b"a" * (MEBIBYTE - 1), connections=600
    ),
    "refused bodies that go on": Flood(POST + b"Content-Length: 100000000\r\n\r\n", LETTERS, 100, 1000 * MEBIBYTE),
    "answers that are not read": Flood(get(b"/openapi.json") * 50, connections=400, receive_buffer=SMALL),
    "pages of 1 MiB that are not read": Flood(
        get(b"/api/tasks?limit=500", SECRET) * 8, connections=200, receive_buffer=SMALL
    ),
    "WebSocket pings without a reader of the answers": Flood(
        WEBSOCKET, PING * 1000, 40, 200 * MEBIBYTE, receive_buffer=SMALL
    ),
    "WebSocket messages of empty fragments": Flood(WEBSOCKET + FRAGMENT, MORE * 10_000, 40, 100 * MEBIBYTE),
}


def sized(flood: Flood, factor: float) -> Flood:
    """Return a smaller flood: fewer bytes, or fewer connections when each sends only its beginning."""
    if flood.total:
        return replace(flood, total=int(flood.total * factor))
    return replace(flood, connections=int(flood.connections * factor))


@dataclass(frozen=True)
class Flooded:
    """A running service that requires tokens, with the secrets of two agents: one floods, one works."""

    service: Service
    floods: str
    works: str

    def flood(self, flood: Flood) -> Flood:
        """Return the flood with an agent's secret in it."""
        return replace(flood, begin=flood.begin.replace(SECRET, self.floods.encode()))


@contextmanager
def flooded_service(service: Service) -> Iterator[Flooded]:
    """Start a service with tasks to claim, and stop it at the end."""
    try:
        service.start()
        with service.http() as http:
            operator = _token(service, "operator", "operator")
            http.headers["Authorization"] = f"Bearer {operator}"
            task = {"name": "T", "description": "d" * 2500}
            for _ in range(TASKS // 250):
                assert http.post("/api/tasks/bulk", json={"tasks": [task] * 250}).status_code == 201
        yield Flooded(service, *(_token(service, name, "agent", operator) for name in ("floods", "works")))
    finally:
        service.end()


def _token(service: Service, name: str, role: str, operator: str = "") -> str:
    with service.http() as http:
        headers = {"Authorization": f"Bearer {operator}"} if operator else {}
        answer = http.post("/api/tokens", json={"name": name, "role": role}, headers=headers)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["secret"])
