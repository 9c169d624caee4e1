"""Counting and cancelling of requests in flight."""

import anyio
from mcp.shared.message import SessionMessage
from mcp.types import JSONRPCNotification, JSONRPCRequest, JSONRPCResponse

from project_manager.mcp.transport.inflight import Calls, Conversation, CountingReader, CountingWriter

PATIENCE = 5.0


def request(call_id: int) -> SessionMessage:
    return SessionMessage(JSONRPCRequest(jsonrpc="2.0", id=call_id, method="ping"))


def cancellation(call_id: int | str) -> SessionMessage:
    params = {"requestId": call_id}
    return SessionMessage(JSONRPCNotification(jsonrpc="2.0", method="notifications/cancelled", params=params))


def answer(call_id: int) -> SessionMessage:
    return SessionMessage(JSONRPCResponse(jsonrpc="2.0", id=call_id, result={}))


async def test_waiting_ends_with_the_last_call() -> None:
    calls = Calls()
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            calls.begin()
            calls.begin()
            tasks.start_soon(calls.wait_until_none, 60.0)
            await anyio.lowlevel.checkpoint()
            calls.end()
            calls.end()
    assert await calls.wait_until_none(0.0)


async def test_waiting_is_given_up_after_its_time() -> None:
    calls = Calls()
    with calls.one():
        assert not await calls.wait_until_none(0.0)


async def test_a_call_is_cancelled_by_its_key_alone() -> None:
    calls = Calls()
    with calls.cancellable(("s", "1")) as one, calls.cancellable(("s", "2")) as two:
        calls.cancel(("s", "2"))
        calls.cancel(("other", "1"))
        assert (one.cancel_called, two.cancel_called) == (False, True)
    calls.cancel(("s", "1"))


async def test_a_request_counts_until_its_answer_was_taken() -> None:
    calls = Calls()
    conversation = Conversation(calls)
    send, receive = anyio.create_memory_object_stream[SessionMessage | Exception](4)
    out, taken = anyio.create_memory_object_stream[SessionMessage](4)
    reader, writer = CountingReader(receive, conversation), CountingWriter(out, conversation)
    async with send, receive, out, taken:
        for message in (request(1), request(2), request(3)):
            await send.send(message)
            await reader.receive()
        assert calls.count == 3
        await writer.send(answer(1))
        assert calls.count == 2
        await send.send(cancellation("2"))
        await reader.receive()
        assert calls.count == 1
        conversation.close()
        assert calls.count == 0


async def test_the_end_of_the_input_waits_for_answers() -> None:
    calls = Calls()
    conversation = Conversation(calls)
    send, receive = anyio.create_memory_object_stream[SessionMessage | Exception](4)
    out, taken = anyio.create_memory_object_stream[SessionMessage](4)
    reader = CountingReader(receive, conversation, linger_seconds=60)
    order: list[str] = []

    async def read_to_the_end() -> None:
        async for _ in reader:
            pass
        order.append("ended")

    async with receive, out, taken:
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                await send.send(request(1))
                await send.aclose()
                tasks.start_soon(read_to_the_end)
                while not calls.count:
                    await anyio.lowlevel.checkpoint()
                order.append("answered")
                await CountingWriter(out, conversation).send(answer(1))
    assert order == ["answered", "ended"]
