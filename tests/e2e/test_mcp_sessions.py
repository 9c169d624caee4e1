"""MCP sessions continue after a restart, after idle sessions are removed, and on another instance."""

import logging
from typing import Any

import anyio
import anyio.abc
import orjson
import pytest
from mcp import Client
from mcp.server import streamable_http_manager
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.e2e.mcp_listener import (
    TIMEOUT,
    Work,
    as_operator,
    call,
    data_of,
    error_of,
    listening,
    soon,
    tool_server,
    wire,
)
from tests.e2e.service import free_port


@pytest.mark.parametrize("tool", ["echo", "hold"])
async def test_a_session_continues_after_a_restart(tool: str) -> None:
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


async def test_the_official_client_continues_after_a_restart_without_any_action() -> None:
    port = free_port()
    async with anyio.create_task_group() as tasks:
        stop = await tasks.start(_serve_until_stopped, port)
        async with Client(f"http://127.0.0.1:{port}/mcp", mode="legacy") as client:
            await client.call_tool("echo", {})
            await stop()
            stop = await tasks.start(_serve_until_stopped, port)
            with anyio.fail_after(TIMEOUT):
                assert (await client.call_tool("echo", {"words": "again"})).content
        await stop()


async def _serve_until_stopped(port: int, *, task_status: anyio.abc.TaskStatus[Any]) -> None:
    requested, stopped = anyio.Event(), anyio.Event()

    async def stop() -> None:
        requested.set()
        await soon(stopped)

    async with listening(tool_server(Work()), port=port):
        task_status.started(stop)
        await requested.wait()
    stopped.set()


async def test_an_instance_serves_a_session_that_another_instance_opened() -> None:
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


async def test_a_session_continues_after_it_was_removed_as_idle() -> None:
    async with listening(tool_server(Work()), idle_seconds=0.05) as listener, wire(listener) as bare:
        await bare.initialize()
        await soon(listener.metrics.first_closed)
        assert (await bare.post(call("echo"))).status_code == 200


async def test_a_notification_stream_reopens_after_a_restart() -> None:
    async with listening(tool_server(Work())) as listener, wire(listener) as bare:
        bare.session = "0123456789abcdef"
        async with bare.http.stream("GET", "/mcp", headers=bare.headers) as stream:
            assert stream.status_code == 200
            assert stream.headers["content-type"].startswith("text/event-stream")


async def test_a_stream_that_requests_a_replay_is_accepted() -> None:
    async with listening(tool_server(Work())) as listener, wire(listener) as bare:
        await bare.initialize()
        headers = {**bare.headers, "last-event-id": "41"}
        async with bare.http.stream("GET", "/mcp", headers=headers) as stream:
            assert stream.status_code == 200


async def test_an_event_source_that_reconnects_needs_no_second_handshake() -> None:
    async with (
        listening(tool_server(Work())) as listener,
        wire(listener) as bare,
        bare.http.stream("GET", "/sse") as stream,
    ):
        lines = stream.aiter_lines()
        endpoint = await data_of(lines)
        await bare.http.post(endpoint, content=orjson.dumps(call("echo", 7)))
        assert orjson.loads(await data_of(lines))["result"]["content"][0]["text"] == "echo"


def with_parsed_headers(app: ASGIApp) -> ASGIApp:
    """Add the parsed headers to the state, as the product's authentication does."""

    async def parsed(scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})["headers"] = dict(scope["headers"])
        await app(scope, receive, send)

    return as_operator(parsed)


async def test_a_second_handshake_opens_a_new_session() -> None:
    async with listening(tool_server(Work()), guard=with_parsed_headers) as listener, wire(listener) as bare:
        bare.session = "before-the-restart"
        await bare.initialize()
        assert bare.session != "before-the-restart"
        assert listener.metrics.opened == 1


async def test_a_session_that_its_client_ended_is_refused() -> None:
    async with listening(tool_server(Work())) as listener, wire(listener) as bare:
        await bare.initialize()
        assert (await bare.http.delete("/mcp", headers=bare.headers)).status_code == 200
        answer = await bare.post(call("echo"))
        assert answer.status_code == 404
        assert error_of(answer)["message"].startswith("SESSION_NOT_FOUND:")


async def test_a_request_without_an_authenticated_caller_is_unauthorized() -> None:
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
    """A guard that ends the session of a request when its response starts, once `armed`."""

    armed = False

    def guard(self, app: ASGIApp) -> ASGIApp:
        async def ending(scope: Scope, receive: Receive, send: Send) -> None:
            async def discard(message: Message) -> None: ...

            async def send_and_end(message: Message) -> None:
                await send(message)
                if self.armed and message["type"] == "http.response.start":
                    self.armed = False
                    await app({**scope, "method": "DELETE"}, receive, discard)

            await app(scope, receive, send_and_end)

        return as_operator(ending)


async def test_a_notification_during_the_end_of_its_session_is_answered_once_without_error(
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
        await soon(work.started)
        ends.armed = True
        note = {"jsonrpc": "2.0", "method": "notifications/roots/list_changed"}
        assert (await bare.post(note)).status_code == 202
        assert not ends.armed
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_a_failing_session_does_not_end_other_sessions(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_arguments: object, **_more: object) -> None:
        raise ZeroDivisionError

    async with listening(tool_server(Work())) as listener, wire(listener) as bare:
        await bare.initialize()
        with monkeypatch.context() as patched:
            patched.setattr(streamable_http_manager, "serve_loop", fail)
            failing = await bare.post(call("hold"), {"mcp-session-id": "failing"})
            assert failing.status_code == 404
        assert "tools" in (await bare.post({"jsonrpc": "2.0", "id": 2, "method": "tools/list"})).text
    assert "Session failing crashed" in caplog.messages
