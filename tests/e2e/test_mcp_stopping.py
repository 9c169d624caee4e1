"""MCP at shutdown: calls are answered and streams are ended."""

from typing import Any

import anyio
import anyio.abc
import httpx
import pytest

from tests.e2e.mcp_listener import MODES, TIMEOUT, TRANSPORTS, Work, call, client_of, listening, soon, tool_server, wire


@pytest.mark.parametrize("tool", ["hold", "quiet_hold"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_call_in_flight_at_shutdown_is_answered(transport: str, mode: str, tool: str) -> None:
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
        await soon(work.started)
        tasks.start_soon(listener.stop)
        work.finish.set()
    assert [block.model_dump()["text"] for block in answers[0].content] == ["done"]


@pytest.mark.parametrize("mode", MODES)
async def test_a_call_that_lasts_too_long_gets_a_complete_response(mode: str) -> None:
    work = Work()
    async with listening(tool_server(work)) as listener, wire(listener) as bare, anyio.create_task_group() as tasks:
        answers: list[httpx.Response] = []
        if mode == "legacy":
            await bare.initialize()

        async def ask() -> None:
            answers.append(await (bare.post(call("hold")) if mode == "legacy" else bare.post_modern(call("hold"))))

        tasks.start_soon(ask)
        await soon(work.started)
        with anyio.fail_after(TIMEOUT):
            await listener.stop(window=0.05)
            await work.cancelled.wait()
    assert len(answers) == 1


@pytest.mark.parametrize("path", ["/sse", "/mcp"])
async def test_an_open_stream_ends_cleanly_at_shutdown(path: str) -> None:
    async with listening(tool_server(Work())) as listener, wire(listener) as bare:
        if path == "/mcp":
            await bare.initialize()
        async with bare.http.stream("GET", path, headers=bare.headers) as stream:
            received = stream.aiter_bytes()
            if path == "/sse":
                assert b"endpoint" in await anext(received)
            with anyio.fail_after(TIMEOUT):
                await listener.stop()
                async for _ in received:
                    pass


async def test_no_new_stream_opens_during_shutdown() -> None:
    async with listening(tool_server(Work())) as listener, wire(listener) as bare:
        assert (await bare.post_modern(call("echo"))).status_code == 200
        listener.transport.drain()
        assert (await bare.http.get("/sse", headers={"accept": "text/event-stream"})).status_code == 503
        assert (await bare.post_modern(call("echo"))).status_code == 200
