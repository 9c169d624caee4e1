"""Rejections and limits of MCP."""

import gc
from typing import Any

import anyio
import anyio.abc
import orjson
import psutil
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from project_manager.domain.actors import Actor
from tests.e2e.mcp_listener import (
    ACCEPT,
    HANDSHAKE,
    MODERN,
    MODES,
    TIMEOUT,
    Settings,
    Wire,
    Work,
    call,
    error_of,
    listening,
    modern,
    tool_server,
    wire,
)


@pytest.mark.parametrize("mode", MODES)
async def test_a_body_over_one_mebibyte_is_refused(mode: str) -> None:
    async with listening(tool_server(Work())) as listener, wire(listener) as bare:
        if mode == "legacy":
            await bare.initialize()
        large = call("echo", words="x" * (1024 * 1024))
        answer = await (bare.post(large) if mode == "legacy" else bare.post_modern(large))
        assert answer.status_code == 413
        assert error_of(answer)["message"].startswith("BODY_TOO_LARGE:")


async def test_a_large_body_without_a_content_length_is_refused() -> None:
    async def chunks() -> Any:
        for _ in range(1100):
            yield b" " * 1024

    async with listening(tool_server(Work())) as listener, wire(listener) as bare:
        assert (await bare.http.post("/mcp", content=chunks())).status_code == 413


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'"x"', b'{"jsonrpc":"2.0","id":true,"method":"ping"}', b"\xff", b"[" * 100_000]
)
@pytest.mark.parametrize("protocol", [HANDSHAKE, MODERN])
async def test_a_body_that_is_no_json_rpc_message_is_refused(protocol: str, body: bytes) -> None:
    async with listening(tool_server(Work())) as listener, wire(listener) as bare:
        await bare.initialize()
        headers = {"mcp-protocol-version": protocol, "mcp-session-id": bare.session}
        answer = await bare.http.post("/mcp", content=body, headers=headers)
        assert answer.status_code == 400
        assert "error" in answer.json()


async def test_a_form_post_is_refused_because_a_web_page_could_send_it() -> None:
    async with listening(tool_server(Work())) as listener, wire(listener) as bare:
        answer = await bare.http.post("/mcp", content=b"{}", headers={"content-type": "text/plain"})
        assert answer.status_code == 415


async def test_trailing_spaces_in_routing_headers_are_ignored() -> None:
    async with listening(tool_server(Work())) as listener:
        message, headers = modern(call("echo"))
        body = orjson.dumps(message)
        lines = ["POST /mcp HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", "Connection: close"]
        lines += [f"Accept: {ACCEPT}", "Content-Type: application/json"]
        lines += [f"{name}: {value}   " for name, value in headers.items()]
        async with await anyio.connect_tcp("127.0.0.1", listener.port) as stream:
            await stream.send("\r\n".join([*lines, "", ""]).encode() + body)
            with anyio.fail_after(TIMEOUT):
                received = b"".join([chunk async for chunk in stream])
        assert received.startswith(b"HTTP/1.1 200")


async def test_routing_headers_that_contradict_the_body_are_refused() -> None:
    async with listening(tool_server(Work())) as listener, wire(listener) as bare:
        answer = await bare.post_modern(call("echo"), {"mcp-name": "hold"})
        assert (answer.status_code, error_of(answer)["code"]) == (400, -32020)


async def test_an_unknown_protocol_version_is_refused_with_its_own_error_code() -> None:
    async with listening(tool_server(Work())) as listener, wire(listener) as bare:
        message = call("echo")
        message["params"]["_meta"] = {"io.modelcontextprotocol/protocolVersion": "2031-01-01"}
        answer = await bare.post_modern(message, {"mcp-protocol-version": "2031-01-01"})
        assert (answer.status_code, error_of(answer)["code"]) == (400, -32022)


async def test_a_call_without_its_session_is_refused_as_session_missing() -> None:
    async with listening(tool_server(Work())) as listener, wire(listener) as bare:
        answer = await bare.post(call("echo"))
        assert answer.status_code == 400
        assert error_of(answer)["message"].startswith("SESSION_MISSING:")


@pytest.mark.parametrize("path", ["/mcp", "/mcp/", "/sse", "/sse/"])
async def test_a_trailing_slash_and_the_sse_path_are_accepted(path: str) -> None:
    async with listening(tool_server(Work())) as listener, wire(listener) as bare:
        await bare.initialize()
        assert (await bare.post(call("echo"), path=path)).status_code == 200


async def test_without_the_sse_transport_only_mcp_is_served() -> None:
    settings = Settings(mcp_transport="http")
    async with listening(tool_server(Work()), settings=settings) as listener, wire(listener) as bare:
        assert (await bare.http.get("/sse")).status_code == 404
        assert (await bare.post_modern(call("echo"))).status_code == 200


def as_named(app: ASGIApp) -> ASGIApp:
    """Replace authentication: every caller is the agent that its header names."""

    async def named(scope: Scope, receive: Receive, send: Send) -> None:
        name = dict(scope["headers"]).get(b"x-name", b"ann").decode()
        scope.setdefault("state", {})["actor"] = Actor(name, "agent")
        await app(scope, receive, send)

    return named


@pytest.mark.parametrize("message", [call("echo"), call("hold"), {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}])
async def test_another_caller_cannot_use_a_session(message: dict[str, Any]) -> None:
    async with listening(tool_server(Work()), guard=as_named) as listener, wire(listener) as bare:
        await bare.initialize()
        refused = await bare.post(message, {"x-name": "bob"})
        assert refused.status_code == 404
        assert error_of(refused)["message"].startswith("SESSION_NOT_FOUND:")
        assert (await bare.http.delete("/mcp", headers={**bare.headers, "x-name": "bob"})).status_code == 404
        assert (await bare.post(call("echo"))).status_code == 200


@pytest.mark.parametrize("session_id", ["with blank", "ünïcode", "x" * 129])
async def test_an_invalid_session_id_is_refused(session_id: str) -> None:
    async with listening(tool_server(Work())) as listener, wire(listener) as bare:
        answer = await bare.post(call("echo"), {b"mcp-session-id": session_id.encode()})  # type: ignore[dict-item]
        assert answer.status_code == 404


async def test_a_new_session_replaces_an_idle_one() -> None:
    settings = Settings(mcp_max_connections=2)
    async with listening(tool_server(Work()), settings=settings) as listener, wire(listener) as bare:
        sessions = []
        for _ in range(3):
            bare.session = ""
            await bare.initialize()
            sessions.append(bare.session)
        assert listener.metrics.gauges["mcp_sessions"]() == 2
        for bare.session in sessions:
            assert (await bare.post(call("echo"))).status_code == 200


async def test_a_new_session_is_refused_while_all_sessions_are_in_use() -> None:
    settings = Settings(mcp_max_connections=1)
    async with listening(tool_server(Work()), settings=settings) as listener, wire(listener) as bare:
        await bare.initialize()
        async with bare.http.stream("GET", "/mcp", headers=bare.headers) as stream:
            assert stream.status_code == 200
            bare.session = ""
            refused = await bare.initialize()
            assert refused.status_code == 503
            assert refused.headers["retry-after"]
            assert error_of(refused)["message"].startswith("CONNECTION_LIMIT:")
            assert (await bare.post_modern(call("echo"))).status_code == 200


@pytest.mark.parametrize("path", ["/sse", "/mcp"])
async def test_the_number_of_open_streams_is_limited_by_the_setting(path: str) -> None:
    settings = Settings(mcp_max_connections=1)
    async with listening(tool_server(Work()), settings=settings) as listener, wire(listener) as bare:
        bare.session = "abc" if path == "/mcp" else ""
        async with bare.http.stream("GET", path, headers=bare.headers) as stream:
            assert stream.status_code == 200
            assert (await bare.http.get("/sse", headers={"accept": "text/event-stream"})).status_code == 503


async def test_two_thousand_sessions_do_not_increase_memory() -> None:
    work = Work()
    work.finish.set()
    async with listening(tool_server(work)) as listener, wire(listener) as bare:
        await _open_and_drop(bare, 500)
        before = _resident()
        await _open_and_drop(bare, 1500)
        assert listener.metrics.gauges["mcp_sessions"]() == 0
        assert listener.metrics.opened == listener.metrics.closed == 2000
        assert _resident() - before < 8_000_000


def _resident() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)


async def _open_and_drop(bare: Wire, count: int) -> None:
    """Open sessions and drop them. Every fifth makes a call that needs a stream, which uses all parts of a session."""
    for number in range(count):
        bare.session = ""
        await bare.initialize()
        if number % 5 == 0:
            await bare.post(call("hold"))
        await bare.http.delete("/mcp", headers=bare.headers)
