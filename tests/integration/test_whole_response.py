"""A response with a complete body: one message and one write, with the bytes that uvicorn's own protocol sends."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import orjson
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from project_manager.mcp.server import build_server
from project_manager.mcp.transport.http import McpHttpTransport
from project_manager.mcp.transport.paths import endpoint_paths
from project_manager.runtime.dispatch import Runtime
from project_manager.server import _configuration
from project_manager.web.application import api_application
from project_manager.web.connections import Connections
from project_manager.web.draining import CoalescingTransport
from project_manager.web.http_protocol import CoalescingHttpProtocol
from project_manager.web.websocket import EventsWebSocket
from project_manager.web.whole_response import EXTENSION, send_whole
from tests.operations_client import TIMEOUT, OperationsClient

pytestmark = pytest.mark.slow

MODERN = "2026-07-28"
CALL = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {
        "name": "get_task_details",
        "arguments": {"task_id": 1},
        "_meta": {"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}},
    },
}
MCP = (
    "content-type: application/json\r\naccept: application/json, text/event-stream\r\n"
    f"mcp-protocol-version: {MODERN}\r\nmcp-method: tools/call\r\nmcp-name: get_task_details\r\n"
)


def request(line: str, body: bytes = b"", headers: str = "") -> bytes:
    length = f"content-length: {len(body)}\r\n" if body else ""
    return f"{line} HTTP/1.1\r\nhost: localhost\r\nx-request-id: same\r\n{headers}{length}\r\n".encode() + body


REQUESTS = {
    "a task": request("GET /api/tasks/1"),
    "a task without its body": request("HEAD /api/tasks/1"),
    "a list that is not joined to its head": request("GET /api/tasks?limit=50"),
    "an unknown task": request("GET /api/tasks/77"),
    "a method that is not allowed": request("PUT /api/tasks/1", b"{}"),
    "invalid input": request("POST /api/tasks", b"{}"),
    "invalid JSON": request("POST /api/tasks", b"{"),
    "an announced body": request("POST /api/tasks", b"{", "expect: 100-continue\r\n"),
    "a replay": request("POST /api/tasks", b'{"name": "once"}', "idempotency-key: k\r\n"),
    "a request of another site": request("GET /api/tasks/1", headers="origin: https://a.example\r\n"),
    "the last request": request("GET /api/tasks/1", headers="connection: close\r\n"),
    "a request of HTTP/1.0": request("GET /api/tasks/1").replace(b"HTTP/1.1", b"HTTP/1.0"),
    "a call of a tool": request("POST /mcp", orjson.dumps(CALL), MCP),
}
LAST = request("GET /livez", headers="connection: close\r\n")


@asynccontextmanager
async def listening(create: Callable[[], asyncio.Protocol]) -> AsyncIterator[int]:
    server = await asyncio.get_running_loop().create_server(create, "127.0.0.1", 0, family=socket.AF_INET)
    async with server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def application(runtime: Runtime) -> AsyncIterator[ASGIApp]:
    transport = McpHttpTransport(build_server(runtime), runtime.metrics, limit=10, legacy_sse=False)
    async with transport.run():
        yield api_application(runtime, EventsWebSocket(runtime), transport, endpoint_paths(legacy_sse=False))


def protocol(runtime: Runtime, app: ASGIApp, *, stock: bool) -> Callable[[], asyncio.Protocol]:
    """Return a function that creates a protocol of this project, or the one of uvicorn."""
    configuration = _configuration(runtime.settings, app)
    configuration.load()
    state, limits = ServerState(), Connections(100, runtime.metrics)
    if stock:
        return lambda: HttpToolsProtocol(configuration, state, {})
    return lambda: CoalescingHttpProtocol(
        config=configuration, server_state=state, app_state={}, limits=limits, listener="api"
    )


async def answers(port: int, sent: bytes) -> bytes:
    """Send a request and a last one. Return all bytes that come back, without the parts that differ each time."""
    with anyio.fail_after(TIMEOUT):
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(sent + LAST)
            received = b""
            try:
                while True:
                    received += await stream.receive()
            except anyio.EndOfStream:
                return re.sub(rb"date: [^\r]*\r\n|\"uptime[a-z_]*\":[0-9.]+", b"", received)


@pytest.mark.parametrize("settings", [{"CORS_ORIGINS": "https://a.example"}])
async def test_every_kind_of_response_has_the_bytes_of_uvicorns_protocol(
    runtime: Runtime, api: OperationsClient
) -> None:
    for number in range(60):
        await api.create_task(f"task {number}", description="d" * 500)
    async with application(runtime) as app, listening(protocol(runtime, app, stock=True)) as plain:
        await answers(plain, REQUESTS["a replay"])
        async with listening(protocol(runtime, app, stock=False)) as whole:
            for name, sent in REQUESTS.items():
                expected = await answers(plain, sent)
                assert expected.startswith(b"HTTP/1.1 "), name
                assert await answers(whole, sent) == expected, name


@pytest.mark.parametrize("name", ["a task", "invalid input", "a replay", "a call of a tool"])
async def test_a_small_response_leaves_as_one_write(
    runtime: Runtime, api: OperationsClient, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await api.create_task()
    written: list[tuple[str, bytes]] = []
    write, write_response = CoalescingTransport.write, CoalescingTransport.write_response

    def count_write(transport: CoalescingTransport, data: bytes) -> None:
        written.append(("part", data))
        write(transport, data)

    def count_response(transport: CoalescingTransport, head: bytes, body: bytes) -> None:
        written.append(("whole", head + body))
        write_response(transport, head, body)

    monkeypatch.setattr(CoalescingTransport, "write", count_write)
    monkeypatch.setattr(CoalescingTransport, "write_response", count_response)
    async with application(runtime) as app, listening(protocol(runtime, app, stock=False)) as port:
        received = await answers(port, REQUESTS[name])
    assert written[0][0] == "whole"
    assert received.startswith(written[0][1])


async def test_a_header_with_a_line_break_is_not_sent(runtime: Runtime, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert EXTENSION in scope["extensions"]
        await send_whole(scope, send, 200, [(b"content-length", b"0"), (b"x-a", b"b\r\nset-cookie: c")], b"")

    async with listening(protocol(runtime, app, stock=False)) as port:
        received = await answers(port, REQUESTS["a task"])
    assert received.startswith(b"HTTP/1.1 500 ")
    assert b"set-cookie" not in received
    assert [record.name for record in caplog.records] == ["uvicorn.error"]


async def test_a_server_without_the_extension_gets_two_messages() -> None:
    sent = []

    async def send(message: object) -> None:
        sent.append(message)

    await send_whole({"type": "http"}, send, 200, [(b"content-length", b"1")], b"a")
    assert sent == [
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]},
        {"type": "http.response.body", "body": b"a"},
    ]
