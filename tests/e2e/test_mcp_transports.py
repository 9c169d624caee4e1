"""The MCP door on a real socket: eras, transports, healing, cancellation, limits and the stop."""

import gc
import logging
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
import anyio.abc
import httpx
import orjson
import psutil
import pytest
from mcp import Client, MCPError
from mcp.client.sse import sse_client
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from project_manager.mcp import live
from tests.e2e.mcp_listener import (
    ACCEPT,
    HANDSHAKE,
    MODERN,
    PATIENCE,
    Listener,
    Settings,
    Wire,
    Work,
    as_operator,
    call,
    free_socket,
    listening,
    modern,
    tool_server,
    wire,
)

TRANSPORTS = ("/mcp", "/sse", "legacy /sse")
MODES = {"auto": MODERN, "legacy": HANDSHAKE}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def client_of(listener: Listener, transport: str, mode: Any) -> AbstractAsyncContextManager[Client]:
    if transport == "legacy /sse":
        return Client(sse_client(f"{listener.url}/sse"), mode=mode)
    return Client(listener.url + transport, mode=mode)


def error_of(answer: httpx.Response) -> dict[str, Any]:
    error: dict[str, Any] = answer.json()["error"]
    return error


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_both_eras_are_served_on_every_transport(transport: str, mode: str) -> None:
    async with listening(tool_server(Work())) as listener, client_of(listener, transport, mode) as client:
        assert client.protocol_version == MODES[mode]
        assert [tool.name for tool in (await client.list_tools()).tools][:2] == ["echo", "hold"]
        result = await client.call_tool("echo", {"words": "hello"})
        assert [block.model_dump()["text"] for block in result.content] == ["hello"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_progress_reaches_a_client_that_asked_for_it(transport: str, mode: str) -> None:
    work = Work()
    seen = anyio.Event()

    async def progressed(progress: float, total: float | None, message: str | None) -> None:
        if (progress, total, message) == (0, 1, "holding"):
            seen.set()
            work.finish.set()

    async with listening(tool_server(work)) as listener, client_of(listener, transport, mode) as client:
        with anyio.fail_after(PATIENCE):
            await client.call_tool("hold", {}, progress_callback=progressed)
        assert seen.is_set()


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_one_connection_may_mix_the_eras(transport: str) -> None:
    async with listening(tool_server(Work())) as listener, wire(listener) as bare:
        assert (await bare.post_modern(call("echo"))).json()["result"]["content"][0]["text"] == "echo"
        await bare.initialize()
        assert (await bare.post(call("echo"))).json()["result"]["content"][0]["text"] == "echo"


@pytest.mark.parametrize("mode", MODES)
async def test_a_call_that_never_notifies_is_answered_as_plain_json(mode: str) -> None:
    async with listening(tool_server(Work())) as listener, wire(listener) as bare:
        if mode == "legacy":
            await bare.initialize()
        answer = await (bare.post(call("echo")) if mode == "legacy" else bare.post_modern(call("echo")))
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["result"]["content"] == [{"type": "text", "text": "echo"}]


@pytest.mark.parametrize("tool", ["crash", "loud_crash"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_what_a_fault_says_inside_stays_inside(
    transport: str, mode: str, tool: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(tool_server(Work())) as listener, client_of(listener, transport, mode) as client:
        if tool == "crash":
            with pytest.raises(MCPError) as raised:
                await client.call_tool(tool, {})
            assert "secret" not in str(raised.value)
            assert "a secret of the inside" in caplog.text
        else:
            await client.call_tool(tool, {})


# Going on after a restart


@pytest.mark.parametrize("tool", ["echo", "hold"])
async def test_a_session_from_before_a_restart_goes_on(tool: str) -> None:
    work = Work()
    work.finish.set()
    async with listening(tool_server(work)) as listener, wire(listener) as bare:
        await bare.initialize()
        port, session = listener.port, bare.session
    async with listening(tool_server(work), port=port) as listener, wire(listener) as bare:
        bare.session = session
        answer = await bare.post(call(tool))
        assert answer.status_code == 200
        assert f'"text":"{tool}"' in answer.text.replace(" ", "")


async def test_the_official_client_goes_on_after_a_restart_without_doing_anything() -> None:
    with free_socket() as bound:
        port = bound.getsockname()[1]
    async with anyio.create_task_group() as tasks:
        stop = await tasks.start(_serve_until_told, port)
        async with Client(f"http://127.0.0.1:{port}/mcp", mode="legacy") as client:
            await client.call_tool("echo", {})
            await stop()
            stop = await tasks.start(_serve_until_told, port)
            with anyio.fail_after(PATIENCE):
                assert (await client.call_tool("echo", {"words": "again"})).content
        await stop()


async def _serve_until_told(port: int, *, task_status: anyio.abc.TaskStatus[Any]) -> None:
    told, stopped = anyio.Event(), anyio.Event()

    async def stop() -> None:
        told.set()
        await _soon(stopped)

    async with listening(tool_server(Work()), port=port):
        task_status.started(stop)
        await told.wait()
    stopped.set()


async def test_any_instance_answers_for_a_session_that_another_one_opened() -> None:
    async with (
        listening(tool_server(Work())) as one,
        listening(tool_server(Work())) as two,
        wire(one) as at_one,
        wire(two) as at_two,
    ):
        await at_one.initialize()
        at_two.session = at_one.session
        assert (await at_two.post(call("echo"))).status_code == 200
        assert (await at_one.post(call("echo"))).status_code == 200


async def test_a_session_goes_on_after_it_was_reaped_for_being_idle() -> None:
    async with listening(tool_server(Work()), idle_seconds=0.05) as listener, wire(listener) as bare:
        await bare.initialize()
        await _soon(listener.metrics.first_closed)
        assert (await bare.post(call("echo"))).status_code == 200


async def test_a_notification_stream_opens_again_after_a_restart() -> None:
    async with listening(tool_server(Work())) as listener, wire(listener) as bare:
        bare.session = "0123456789abcdef"
        async with bare.http.stream("GET", "/mcp", headers=bare.headers) as stream:
            assert stream.status_code == 200
            assert stream.headers["content-type"].startswith("text/event-stream")


async def test_a_stream_that_asks_for_a_replay_gets_what_comes_from_now_on() -> None:
    async with listening(tool_server(Work())) as listener, wire(listener) as bare:
        await bare.initialize()
        headers = {**bare.headers, "last-event-id": "41"}
        async with bare.http.stream("GET", "/mcp", headers=headers) as stream:
            assert stream.status_code == 200


async def test_an_event_source_that_reconnects_needs_no_second_greeting() -> None:
    async with (
        listening(tool_server(Work())) as listener,
        wire(listener) as bare,
        bare.http.stream("GET", "/sse") as stream,
    ):
        lines = stream.aiter_lines()
        endpoint = await _data(lines)
        await bare.http.post(endpoint, content=orjson.dumps(call("echo", 7)))
        assert orjson.loads(await _data(lines))["result"]["content"][0]["text"] == "echo"


async def _data(lines: Any) -> str:
    with anyio.fail_after(PATIENCE):
        async for line in lines:
            if line.startswith("data: "):
                return str(line[6:])
    raise AssertionError("the stream ended")


async def test_a_session_that_its_client_ended_is_refused() -> None:
    async with listening(tool_server(Work())) as listener, wire(listener) as bare:
        await bare.initialize()
        assert (await bare.http.delete("/mcp", headers=bare.headers)).status_code == 200
        answer = await bare.post(call("echo"))
        assert answer.status_code == 404
        assert error_of(answer)["message"].startswith("SESSION_NOT_FOUND:")


async def test_nobody_is_let_in_whom_the_gate_did_not_name() -> None:
    async with listening(tool_server(Work()), guard=lambda app: app) as listener, wire(listener) as bare:
        answers = [
            await bare.post(call("echo")),
            await bare.post_modern(call("echo")),
            await bare.http.get("/mcp"),
            await bare.http.get("/sse"),
            await bare.http.delete("/mcp"),
        ]
        for answer in answers:
            assert answer.status_code == 401
            assert error_of(answer)["message"].startswith("UNAUTHORIZED:")


class EndsAtAnswer:
    """Ends the session of a request at the moment in which that is answered, once `armed`."""

    armed = False

    def guard(self, app: ASGIApp) -> ASGIApp:
        async def ending(scope: Scope, receive: Receive, send: Send) -> None:
            async def nobody(message: Message) -> None: ...

            async def send_and_end(message: Message) -> None:
                await send(message)
                if self.armed and message["type"] == "http.response.start":
                    self.armed = False
                    await app({**scope, "method": "DELETE"}, receive, nobody)

            await app(scope, receive, send_and_end)

        return as_operator(ending)


async def test_a_note_that_meets_the_end_of_its_session_is_answered_once_and_no_fault(
    caplog: pytest.LogCaptureFixture,
) -> None:
    work, ends = Work(), EndsAtAnswer()
    async with (
        listening(tool_server(work), guard=ends.guard) as listener,
        wire(listener) as bare,
        anyio.create_task_group() as tasks,
    ):
        await bare.initialize()
        tasks.start_soon(bare.post, call("hold"))
        await _soon(work.started)
        ends.armed = True
        note = {"jsonrpc": "2.0", "method": "notifications/roots/list_changed"}
        assert (await bare.post(note)).status_code == 202
        assert not ends.armed
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_a_session_that_fails_ends_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_arguments: object, **_more: object) -> None:
        raise ZeroDivisionError

    async with listening(tool_server(Work())) as listener, wire(listener) as bare:
        await bare.initialize()
        with monkeypatch.context() as patched:
            patched.setattr(live, "serve_duplex", fail)
            assert (await bare.post(call("loud_crash"))).status_code == 404
        assert (await bare.post(call("echo"))).json()["result"]["content"][0]["text"] == "echo"
    assert "a session ended by a fault" in caplog.messages


# Cancellation


@pytest.mark.parametrize("tool", ["hold", "quiet_hold"])
async def test_a_2025_call_is_cancelled_by_its_notification(tool: str) -> None:
    work = Work()
    async with (
        listening(tool_server(work)) as listener,
        wire(listener) as bare,
        anyio.create_task_group() as tasks,
    ):
        await bare.initialize()
        tasks.start_soon(bare.post, call(tool, 41))
        await _soon(work.started)
        note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 41}}
        assert (await bare.post(note)).status_code == 202
        await _soon(work.cancelled)


@pytest.mark.parametrize("mode", MODES)
async def test_a_client_that_leaves_cancels_its_waiting_call(mode: str) -> None:
    work = Work()
    async with (
        listening(tool_server(work)) as listener,
        wire(listener) as bare,
        anyio.create_task_group() as tasks,
    ):
        if mode == "legacy":
            await bare.initialize()
        tasks.start_soon(bare.post if mode == "legacy" else bare.post_modern, call("hold"))
        await _soon(work.started)
        tasks.cancel_scope.cancel()
    assert work.cancelled.is_set()


async def test_closing_an_sse_connection_cancels_its_calls() -> None:
    work = Work()
    async with listening(tool_server(work)) as listener, wire(listener) as bare:
        async with bare.http.stream("GET", "/sse") as stream:
            endpoint = await _data(stream.aiter_lines())
            await bare.http.post(endpoint, content=orjson.dumps(call("hold")))
            await _soon(work.started)
        await _soon(work.cancelled)


async def _soon(event: anyio.Event) -> None:
    with anyio.fail_after(PATIENCE):
        await event.wait()


# Limits and refusals


@pytest.mark.parametrize("mode", MODES)
async def test_a_body_over_one_mebibyte_is_refused(mode: str) -> None:
    async with listening(tool_server(Work())) as listener, wire(listener) as bare:
        if mode == "legacy":
            await bare.initialize()
        large = call("echo", words="x" * (1024 * 1024))
        answer = await (bare.post(large) if mode == "legacy" else bare.post_modern(large))
        assert answer.status_code == 413
        assert error_of(answer)["message"].startswith("BODY_TOO_LARGE:")


async def test_a_body_that_hides_its_length_is_refused_too() -> None:
    async def chunks() -> Any:
        for _ in range(1100):
            yield b" " * 1024

    async with listening(tool_server(Work())) as listener, wire(listener) as bare:
        assert (await bare.http.post("/mcp", content=chunks())).status_code == 413


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'"x"', b'{"jsonrpc":"2.0","id":true,"method":"ping"}', b"\xff", b"[" * 100_000]
)
@pytest.mark.parametrize("era", [HANDSHAKE, MODERN])
async def test_what_is_no_json_rpc_message_is_refused(era: str, body: bytes) -> None:
    async with listening(tool_server(Work())) as listener, wire(listener) as bare:
        await bare.initialize()
        headers = {"mcp-protocol-version": era, "mcp-session-id": bare.session}
        answer = await bare.http.post("/mcp", content=body, headers=headers)
        assert answer.status_code == 400
        assert "error" in answer.json()


async def test_a_form_post_is_refused_because_a_web_page_could_send_it() -> None:
    async with listening(tool_server(Work())) as listener, wire(listener) as bare:
        answer = await bare.http.post("/mcp", content=b"{}", headers={"content-type": "text/plain"})
        assert answer.status_code == 415


async def test_trailing_blanks_of_routing_headers_are_no_difference() -> None:
    async with listening(tool_server(Work())) as listener:
        message, headers = modern(call("echo"))
        body = orjson.dumps(message)
        lines = ["POST /mcp HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", "Connection: close"]
        lines += [f"Accept: {ACCEPT}", "Content-Type: application/json"]
        lines += [f"{name}: {value}   " for name, value in headers.items()]
        async with await anyio.connect_tcp("127.0.0.1", listener.port) as stream:
            await stream.send("\r\n".join([*lines, "", ""]).encode() + body)
            with anyio.fail_after(PATIENCE):
                received = b"".join([chunk async for chunk in stream])
        assert received.startswith(b"HTTP/1.1 200")


async def test_routing_headers_that_contradict_the_body_are_refused() -> None:
    async with listening(tool_server(Work())) as listener, wire(listener) as bare:
        answer = await bare.post_modern(call("echo"), {"mcp-name": "hold"})
        assert (answer.status_code, error_of(answer)["code"]) == (400, -32020)


async def test_an_unknown_version_is_told_which_are_served() -> None:
    async with listening(tool_server(Work())) as listener, wire(listener) as bare:
        message = call("echo")
        message["params"]["_meta"] = {"io.modelcontextprotocol/protocolVersion": "2031-01-01"}
        answer = await bare.post_modern(message, {"mcp-protocol-version": "2031-01-01"})
        assert (answer.status_code, error_of(answer)["code"]) == (400, -32022)


async def test_a_call_without_its_session_says_what_to_send() -> None:
    async with listening(tool_server(Work())) as listener, wire(listener) as bare:
        answer = await bare.post(call("echo"))
        assert answer.status_code == 400
        assert error_of(answer)["message"].startswith("SESSION_MISSING:")


@pytest.mark.parametrize("path", ["/mcp", "/mcp/", "/sse", "/sse/"])
async def test_a_slash_at_the_end_and_the_sse_address_do_not_matter(path: str) -> None:
    async with listening(tool_server(Work())) as listener, wire(listener) as bare:
        await bare.initialize()
        assert (await bare.post(call("echo"), path=path)).status_code == 200


async def test_without_the_sse_transport_only_mcp_is_served() -> None:
    settings = Settings(mcp_transport="http")
    async with listening(tool_server(Work()), settings=settings) as listener, wire(listener) as bare:
        assert (await bare.http.get("/sse")).status_code == 404
        assert (await bare.post_modern(call("echo"))).status_code == 200


async def test_another_caller_cannot_use_a_session() -> None:
    async with listening(tool_server(Work())) as listener, wire(listener) as bare:
        await bare.initialize()
        session = listener.door._sessions.all()[0]
        session.owner = "somebody else"
        assert (await bare.post(call("echo"))).status_code == 404


async def test_a_new_session_takes_the_place_of_an_idle_one() -> None:
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


async def test_sessions_that_are_all_in_use_make_room_for_none() -> None:
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
async def test_no_more_streams_open_than_the_setting_allows(path: str) -> None:
    settings = Settings(mcp_max_connections=1)
    async with listening(tool_server(Work()), settings=settings) as listener, wire(listener) as bare:
        bare.session = "abc" if path == "/mcp" else ""
        async with bare.http.stream("GET", path, headers=bare.headers) as stream:
            assert stream.status_code == 200
            assert (await bare.http.get("/sse", headers={"accept": "text/event-stream"})).status_code == 503


async def test_two_thousand_sessions_leave_no_growth() -> None:
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
    """Every fifth with a call that needs a stream, and so the whole machinery of a session."""
    for number in range(count):
        bare.session = ""
        await bare.initialize()
        if number % 5 == 0:
            await bare.post(call("hold"))
        await bare.http.delete("/mcp", headers=bare.headers)


# Stopping


@pytest.mark.parametrize("tool", ["hold", "quiet_hold"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_call_in_flight_at_the_stop_is_answered(transport: str, mode: str, tool: str) -> None:
    work = Work()
    answers: list[Any] = []
    async with (
        listening(tool_server(work)) as listener,
        client_of(listener, transport, mode) as client,
        anyio.create_task_group() as tasks,
    ):

        async def ask() -> None:
            answers.append(await client.call_tool(tool, {"words": "done"}))

        await client.list_tools()
        tasks.start_soon(ask)
        await _soon(work.started)
        tasks.start_soon(listener.stop)
        work.finish.set()
    assert [block.model_dump()["text"] for block in answers[0].content] == ["done"]


@pytest.mark.parametrize("mode", MODES)
async def test_a_call_that_lasts_too_long_gets_an_end_and_no_cut(mode: str) -> None:
    work = Work()
    async with (
        listening(tool_server(work)) as listener,
        wire(listener) as bare,
        anyio.create_task_group() as tasks,
    ):
        answers: list[httpx.Response] = []
        if mode == "legacy":
            await bare.initialize()

        async def ask() -> None:
            answers.append(await (bare.post(call("hold")) if mode == "legacy" else bare.post_modern(call("hold"))))

        tasks.start_soon(ask)
        await _soon(work.started)
        with anyio.fail_after(PATIENCE):
            await listener.stop(window=0.05)
            await work.cancelled.wait()
    assert len(answers) == 1


@pytest.mark.parametrize("path", ["/sse", "/mcp"])
async def test_an_open_stream_ends_properly_at_the_stop(path: str) -> None:
    async with listening(tool_server(Work())) as listener, wire(listener) as bare:
        if path == "/mcp":
            await bare.initialize()
        async with bare.http.stream("GET", path, headers=bare.headers) as stream:
            received = stream.aiter_bytes()
            if path == "/sse":
                assert b"endpoint" in await anext(received)
            with anyio.fail_after(PATIENCE):
                await listener.stop()
                async for _ in received:
                    pass


async def test_no_new_stream_opens_while_the_server_stops() -> None:
    async with listening(tool_server(Work())) as listener, wire(listener) as bare:
        assert (await bare.post_modern(call("echo"))).status_code == 200
        listener.door.drain()
        assert (await bare.http.get("/sse", headers={"accept": "text/event-stream"})).status_code == 503
        assert (await bare.post_modern(call("echo"))).status_code == 200
