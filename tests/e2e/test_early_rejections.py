"""Rejections that are sent before the request is read, to clients that send the whole request before they read."""

import http.client
import socket
import subprocess
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.e2e.conftest import Start
from tests.e2e.service import TIMEOUT, Service

MEBIBYTE = 1024 * 1024
BODY = b"x" * (4 * MEBIBYTE)
SEVERAL = 5
ELSEWHERE = {"Host": "evil.example"}

Request = tuple[str, str, str, dict[str, str], int]

WITH_TOKENS: list[Request] = [
    ("api", "POST", "/api/tasks", {}, 401),
    ("api", "POST", "/api/session", {}, 413),
    ("api", "POST", "/api/nothing", {}, 401),
    ("api", "POST", "/api/import", {}, 401),
    ("api", "POST", "/healthz", {}, 405),
    ("api", "PUT", "/", {}, 405),
    ("api", "OPTIONS", "/api/tasks", {}, 405),
    ("api", "POST", "/static/x/main.js", {}, 405),
    ("api", "POST", "/api/tasks", ELSEWHERE, 403),
    ("api", "POST", "/mcp", {}, 401),
    ("mcp", "POST", "/mcp", {}, 401),
    ("mcp", "POST", "/mcp", ELSEWHERE, 403),
    ("mcp", "POST", "/messages/", {}, 401),
    ("mcp", "POST", "/nothing", {}, 401),
    ("mcp", "OPTIONS", "/mcp", {}, 405),
]
WITHOUT_TOKENS: list[Request] = [
    ("api", "POST", "/api/tasks", {}, 413),
    ("api", "POST", "/api/nothing", {}, 404),
    ("api", "PUT", "/api/tasks", {}, 405),
    ("mcp", "POST", "/mcp", {}, 413),
    ("mcp", "POST", "/mcp", {"Content-Type": "text/plain"}, 415),
    ("mcp", "PUT", "/mcp", {}, 405),
    ("mcp", "POST", "/messages/", {}, 413),
    ("mcp", "POST", "/nothing", {}, 404),
]
CASES = [*(("true", *request) for request in WITH_TOKENS), *(("false", *request) for request in WITHOUT_TOKENS)]


@pytest.fixture(scope="module")
def services(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Service]]:
    """Start one service that requires a token and one that does not."""
    made = {needed: Service(tmp_path_factory.mktemp("early"), AUTH_REQUIRED=needed) for needed in ("true", "false")}
    try:
        yield {needed: service.start() for needed, service in made.items()}
    finally:
        for service in made.values():
            service.end()


def by_urllib(port: int, method: str, path: str, headers: dict[str, str]) -> int:
    """Send a request that asks for the connection to be closed."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", BODY, headers, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with pytest.raises(urllib.error.HTTPError) as refused:
        opener.open(request, timeout=TIMEOUT)
    with refused.value as answer:
        answer.read()
    return refused.value.code


def by_http_client(port: int, method: str, path: str, headers: dict[str, str]) -> int:
    """Send a request that keeps the connection open."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    connection.request(method, path, BODY, headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


def by_chunks(port: int, method: str, path: str, headers: dict[str, str]) -> int:
    """Send a body of unknown length to a server that closes the connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    pieces = (BODY[start : start + 65536] for start in range(0, len(BODY), 65536))
    connection.request(method, path, pieces, {**headers, "Connection": "close"}, encode_chunked=True)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


@pytest.mark.promise("request:early")
@pytest.mark.parametrize("ask", [by_urllib, by_http_client, by_chunks], ids=lambda ask: ask.__name__)
@pytest.mark.parametrize(("asks", "port", "method", "path", "headers", "status"), CASES)
def test_a_rejection_before_the_body_is_read_reaches_the_client(
    services: dict[str, Service],
    asks: str,
    port: str,
    method: str,
    path: str,
    headers: dict[str, str],
    status: int,
    ask: Callable[[int, str, str, dict[str, str]], int],
) -> None:
    service = services[asks]
    number = service.port if port == "api" else service.mcp_port
    given = {"Content-Type": "application/json", **headers}
    assert Counter(ask(number, method, path, given) for _ in range(SEVERAL)) == {status: SEVERAL}


@pytest.mark.promise("request:early")
@pytest.mark.parametrize("more", [[], ["--http1.0"], ["--header", "Connection: close"]])
def test_curl_gets_a_rejection_without_expect_100_continue(
    services: dict[str, Service], tmp_path: Path, more: list[str]
) -> None:
    body = tmp_path / "body"
    body.write_bytes(BODY)
    address = f"{services['true'].url}/api/tasks"
    command = ["curl", "--silent", "--show-error", "--header", "Expect:", *more, "--data-binary", f"@{body}", address]
    for _ in range(SEVERAL):
        run = subprocess.run(command, capture_output=True, timeout=TIMEOUT, check=True)
        assert b'"code":"unauthorized"' in run.stdout


@pytest.mark.promise("request:early")
def test_a_request_that_is_not_http_gets_a_readable_rejection(services: dict[str, Service]) -> None:
    service = services["true"]
    for _ in range(SEVERAL):
        with socket.create_connection(("127.0.0.1", service.port), timeout=TIMEOUT) as raw:
            raw.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: many\r\n\r\n" + BODY)
            assert raw.recv(65536).startswith(b"HTTP/1.1 400 ")


@pytest.mark.promise("request:early")
def test_a_connection_is_reused_after_the_rejected_body_has_been_sent(services: dict[str, Service]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", services["true"].port, timeout=TIMEOUT)
    connection.connect()
    own = connection.sock.getsockname()
    for _ in range(SEVERAL):
        connection.request("POST", "/api/tasks", BODY)
        answer = connection.getresponse()
        answer.read()
        connection.request("GET", "/livez")
        alive = connection.getresponse()
        alive.read()
        assert (answer.status, alive.status, connection.sock.getsockname()) == (401, 200, own)
    connection.close()


@pytest.mark.promise("request:early")
def test_data_sent_after_a_rejection_is_not_kept_in_memory(start_service: Start) -> None:
    service = start_service(AUTH_REQUIRED="true")
    process = psutil.Process(service.pid)
    before = process.memory_info().rss
    head = b"POST /api/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n%s\r\n" % (100 * MEBIBYTE, b"%s")
    for header in (b"", b"Connection: close\r\n"):
        with socket.create_connection(("127.0.0.1", service.port), timeout=TIMEOUT) as raw:
            raw.sendall(head % header)
            for _ in range(25):
                raw.sendall(BODY)
                assert process.memory_info().rss - before < 32 * MEBIBYTE
            assert raw.recv(65536).startswith(b"HTTP/1.1 401 ")
    assert service.stop() == 0


@pytest.mark.promise("request:early")
def test_shutdown_does_not_wait_for_a_rejected_body(start_service: Start) -> None:
    service = start_service(AUTH_REQUIRED="true")
    with socket.create_connection(("127.0.0.1", service.port), timeout=TIMEOUT) as raw:
        raw.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\nConnection: close\r\n\r\n1")
        assert raw.recv(65536).startswith(b"HTTP/1.1 405 ")
        assert service.stop() == 0
