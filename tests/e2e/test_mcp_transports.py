"""MCP on a real socket: protocol versions, transports and cancellation."""

from typing import Any

import anyio
import anyio.abc
import orjson
import pytest
from mcp import Client, MCPError
from mcp.client.sse import sse_client
from mcp.types import ElicitResult

from tests.e2e.mcp_listener import (
    MODES,
    TIMEOUT,
    TRANSPORTS,
    Work,
    call,
    client_of,
    data_of,
    listening,
    soon,
    tool_server,
    wire,
)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_both_protocol_versions_are_served_on_every_transport(transport: str, mode: str) -> None:
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
        with anyio.fail_after(TIMEOUT):
            await client.call_tool("hold", {}, progress_callback=progressed)
        assert seen.is_set()


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_one_connection_may_mix_the_protocol_versions(transport: str) -> None:
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
async def test_the_message_of_an_internal_error_is_not_sent_to_the_client(
    transport: str, mode: str, tool: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(tool_server(Work())) as listener, client_of(listener, transport, mode) as client:
        with pytest.raises(MCPError) as raised:
            await client.call_tool(tool, {})
        assert "secret" not in str(raised.value)
        assert "a secret of the inside" in caplog.text


@pytest.mark.parametrize("tool", ["hold", "quiet_hold"])
async def test_a_2025_call_is_cancelled_by_its_notification(tool: str) -> None:
    work = Work()
    async with listening(tool_server(work)) as listener, wire(listener) as bare, anyio.create_task_group() as tasks:
        await bare.initialize()
        tasks.start_soon(bare.post, call(tool, 41))
        await soon(work.started)
        note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 41}}
        assert (await bare.post(note)).status_code == 202
        await soon(work.cancelled)


@pytest.mark.parametrize("by_note", [False, True])
async def test_a_waiting_call_in_a_session_of_another_instance_is_cancelled(by_note: bool) -> None:
    work = Work()
    async with listening(tool_server(work)) as listener, wire(listener) as bare, anyio.create_task_group() as tasks:
        bare.session = "opened-by-another-instance"
        tasks.start_soon(bare.post, call("hold", 41))
        await soon(work.started)
        if by_note:
            note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 41}}
            assert (await bare.post(note)).status_code == 202
        else:
            tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await soon(work.cancelled)
        await soon(work.cancelled)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_2025_client_answers_a_question_of_a_tool(transport: str) -> None:
    async def answer(context: object, params: object) -> ElicitResult:
        return ElicitResult(action="accept", content={"which": "the red one"})

    async with listening(tool_server(Work())) as listener:
        target: Any = sse_client(f"{listener.url}/sse") if transport == "legacy /sse" else listener.url + transport
        async with Client(target, mode="legacy", elicitation_callback=answer) as client:
            result = await client.call_tool("ask", {})
    assert [block.model_dump()["text"] for block in result.content] == ["{'which': 'the red one'}"]


@pytest.mark.parametrize("mode", MODES)
async def test_a_client_that_leaves_cancels_its_waiting_call(mode: str) -> None:
    work = Work()
    async with listening(tool_server(work)) as listener, wire(listener) as bare, anyio.create_task_group() as tasks:
        if mode == "legacy":
            await bare.initialize()
        tasks.start_soon(bare.post if mode == "legacy" else bare.post_modern, call("hold"))
        await soon(work.started)
        tasks.cancel_scope.cancel()
    assert work.cancelled.is_set()


async def test_closing_an_sse_connection_cancels_its_calls() -> None:
    work = Work()
    async with listening(tool_server(work)) as listener, wire(listener) as bare:
        async with bare.http.stream("GET", "/sse") as stream:
            endpoint = await data_of(stream.aiter_lines())
            await bare.http.post(endpoint, content=orjson.dumps(call("hold")))
            await soon(work.started)
        await soon(work.cancelled)
