"""Limits on reading the rest of a request after its response."""

import socket
from contextlib import suppress

import anyio
import psutil
import pytest

from project_manager.web import draining
from tests.http_service import HttpService
from tests.operations_client import TIMEOUT

HEAD = b"POST /docs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n"
each_end = pytest.mark.parametrize("more", [b"", b"Connection: close\r\n"], ids=["kept", "closed"])


def refused(port: int, more: bytes) -> socket.socket:
    """Return a connection with a refused request and an unsent body."""
    raw = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
    raw.sendall(HEAD + more + b"\r\n")
    answer = raw.recv(65536)
    assert answer.startswith(b"HTTP/1.1 405 "), answer
    return raw


def served_connections(port: int) -> int:
    """Return how many connections the server has open."""
    found = psutil.Process().net_connections("tcp")
    return sum(one.laddr.port == port and one.status != psutil.CONN_LISTEN for one in found)


async def until_ended(port: int) -> None:
    with anyio.fail_after(TIMEOUT):
        while served_connections(port):  # noqa: ASYNC110 the kernel sends no notification
            await anyio.sleep(0.001)


def send_all(raw: socket.socket) -> None:
    with suppress(ConnectionResetError, BrokenPipeError):
        for _ in range(99):
            raw.sendall(b"x" * 10_000)


@pytest.mark.promise("request:early")
@each_end
async def test_a_connection_ends_when_more_is_sent_than_is_discarded(
    service: HttpService, monkeypatch: pytest.MonkeyPatch, more: bytes
) -> None:
    monkeypatch.setattr(draining, "DISCARDED_BYTES", 10_000)
    with await anyio.to_thread.run_sync(refused, service.port, more) as raw:
        assert served_connections(service.port) == 1
        await anyio.to_thread.run_sync(send_all, raw)
        await until_ended(service.port)


@pytest.mark.promise("request:early")
@each_end
async def test_a_connection_stays_while_the_rest_of_a_body_comes(
    service: HttpService, monkeypatch: pytest.MonkeyPatch, more: bytes
) -> None:
    monkeypatch.setattr(draining, "DISCARD_IDLE_SECONDS", 60.0)
    with await anyio.to_thread.run_sync(refused, service.port, more) as raw:
        await anyio.to_thread.run_sync(send_all, raw)
        assert served_connections(service.port) == 1


@pytest.mark.promise("request:early")
@each_end
async def test_a_connection_ends_when_the_rest_of_a_body_does_not_come(
    service: HttpService, monkeypatch: pytest.MonkeyPatch, more: bytes
) -> None:
    monkeypatch.setattr(draining, "DISCARD_IDLE_SECONDS", 0.01)
    with await anyio.to_thread.run_sync(refused, service.port, more):
        await until_ended(service.port)


@pytest.mark.promise("request:early")
@each_end
async def test_a_connection_ends_when_the_rest_of_a_body_takes_too_long(
    service: HttpService, monkeypatch: pytest.MonkeyPatch, more: bytes
) -> None:
    monkeypatch.setattr(draining, "DISCARD_IDLE_SECONDS", 0.01)
    monkeypatch.setattr(draining, "DISCARD_SECONDS", 0.0)
    with await anyio.to_thread.run_sync(refused, service.port, more) as raw:
        await anyio.to_thread.run_sync(send_all, raw)
        await until_ended(service.port)
