"""`/ws/updates`: live events from any position, without a gap, and without a client that delays another."""

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import anyio
import anyio.lowlevel
import orjson
import pytest
from uvicorn.protocols.utils import ClientDisconnected
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from project_manager import __version__
from project_manager.domain.actors import LOCAL
from project_manager.runtime import authentication, dispatch, event_hub
from project_manager.store import readers
from project_manager.web import websocket
from project_manager.web.websocket_protocol import PreframedWebSocketProtocol
from tests.http_service import HttpService, frame, frames
from tests.operations_client import TIMEOUT, OperationsClient, delete_events

pytestmark = pytest.mark.slow


async def closed(wire: ClientConnection) -> tuple[int, str]:
    """Read until the server closes the connection and return the code and the reason."""
    with anyio.fail_after(TIMEOUT), suppress(ConnectionClosed):
        while True:
            await wire.recv()
    assert wire.close_code is not None
    return wire.close_code, wire.close_reason or ""


async def test_the_first_frame_is_hello_with_the_position_of_the_events(
    service: HttpService, api: OperationsClient
) -> None:
    await api.create_task()
    async with service.listen() as wire:
        hello = await frame(wire)
        assert hello == {
            "type": "hello",
            "epoch": api.runtime.hub.epoch,
            "seq": await api.last_seq(),
            "server_time": api.clock.later(0),
            "version": __version__,
        }


async def test_a_change_arrives_as_the_event_that_the_list_has(service: HttpService, api: OperationsClient) -> None:
    async with service.listen() as wire:
        await frame(wire)
        await api.create_task()
        await api.claim(1, "ann")
        assert await frames(wire, 4) == await api.events()


@pytest.mark.promise("events:resume")
async def test_resuming_from_the_last_number_delivers_every_later_event_once(
    service: HttpService, api: OperationsClient
) -> None:
    async with service.listen() as wire:
        await frame(wire)
        await api.create_task("one")
        seen = (await frames(wire, 2))[-1]["seq"]
    await api.create_task("while nobody listened")
    async with service.listen(f"since={seen}") as wire:
        await api.create_task("three")
        assert (await frame(wire))["type"] == "hello"
        assert [event["seq"] for event in await frames(wire, 2)] == [seen + 1, seen + 2]
        await api.create_task("four")
        assert (await frame(wire))["seq"] == seen + 3


@pytest.mark.promise("events:resume")
@pytest.mark.parametrize("remembered", [1, 3, 100])
async def test_resuming_leaves_no_gap_with_any_content_of_the_hub(
    service: HttpService, api: OperationsClient, remembered: int
) -> None:
    """Events that the hub no longer has come from the database, while new events arrive."""
    monkeypatched = pytest.MonkeyPatch()
    monkeypatched.setattr(event_hub, "REMEMBERED", remembered)
    for number in range(10):
        await api.create_task(f"task {number}")
    async with service.listen("since=2") as wire, anyio.create_task_group() as busy:
        busy.start_soon(api.create_task, "meanwhile")
        assert (await frame(wire))["type"] == "hello"
        assert [event["seq"] for event in await frames(wire, 10)] == list(range(3, 13))
    monkeypatched.undo()


async def edited(api: OperationsClient, times: int) -> None:
    """Emit events with the longest allowed description, before and after an edit."""
    await api.create_task()
    for number in range(times):
        await api.update_task(1, description=f"{number:4}{'x' * 65_000}")
    await all_published(api)


@pytest.mark.promise("memory:bounded")
async def test_events_with_long_texts_are_remembered_in_small_number_and_resumed_all_the_same(
    service: HttpService, api: OperationsClient
) -> None:
    await edited(api, 40)
    assert not api.runtime.hub.has_since(5)
    assert api.runtime.hub.has_since(api.runtime.hub.head - 20)
    async with service.listen("since=1", max_size=None) as wire:
        assert (await frame(wire))["type"] == "hello"
        assert [event["seq"] for event in await frames(wire, 41)] == list(range(2, 43))


@pytest.mark.promise("memory:bounded", "events:resync")
async def test_a_client_that_is_too_much_text_behind_must_load_again(
    service: HttpService, api: OperationsClient
) -> None:
    await edited(api, 80)
    async with service.listen("since=1") as wire:
        assert [event["type"] for event in await frames(wire, 2)] == ["hello", "resync"]


@pytest.mark.promise("memory:bounded", "events:slow-reader")
async def test_a_subscriber_that_reads_nothing_is_closed_by_the_size_of_its_backlog(api: OperationsClient) -> None:
    async with (
        api.runtime.follow(await api.runtime.latest_seq()) as idle,
        api.runtime.follow(await api.runtime.latest_seq()) as busy,
    ):
        with anyio.fail_after(TIMEOUT * 2):
            await api.create_task()
            while not idle.is_dropped:
                await api.update_task(1, description=f"{idle.last_seq:6}{'x' * 65_000}")
                await busy.next_batch()
    assert api.runtime.hub.head < event_hub.QUEUE // 2
    assert not busy.is_dropped


async def test_events_of_other_projects_are_left_out_on_request(service: HttpService, api: OperationsClient) -> None:
    await api.create_task()
    async with service.listen("project_id=1") as wire:
        await frame(wire)
        await api.create_task("elsewhere", project_name="Shed")
        await api.update_task(1, priority=0)
        event = await frame(wire)
        assert (event["type"], event["project_id"]) == ("task.updated", 1)


@pytest.mark.parametrize(("query", "writes"), [("batch=0", 7), ("batch=1", 6)])
async def test_a_live_event_is_one_write_for_each_client_and_wakes_no_task(
    service: HttpService, api: OperationsClient, query: str, writes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of six commits has two events. They share a frame on request."""
    written, batches = [], []
    write_frame, next_batch = PreframedWebSocketProtocol.write_frame, event_hub.Subscription.next_batch

    def write(protocol: PreframedWebSocketProtocol, data: bytes) -> bool:
        written.append(data)
        return write_frame(protocol, data)

    async def batch(subscription: event_hub.Subscription) -> list[event_hub.Event]:
        batches.append(await next_batch(subscription))
        return batches[-1]

    monkeypatch.setattr(PreframedWebSocketProtocol, "write_frame", write)
    monkeypatch.setattr(event_hub.Subscription, "next_batch", batch)
    async with service.listen(query) as one, service.listen(query) as two:
        for wire in (one, two):
            await frame(wire)
        await anyio.wait_all_tasks_blocked()
        await api.create_task()
        await all_published(api)
        for number in range(5):
            await api.update_task(1, priority=number % 5, description=str(number))
            await all_published(api)
        for wire in (one, two):
            contents = await frames(wire, writes)
            assert [event["seq"] for content in contents for event in content.get("events", [content])] == [
                *range(1, 8)
            ]
    assert batches == []
    assert len(written) == 2 * writes
    assert "pm_events_sent_total 14.0" in (await service.send("GET", "/metrics")).text


@pytest.mark.promise("events:resume", "events:slow-reader")
async def test_a_client_that_pauses_gets_every_event_in_order_and_then_live_ones_again(
    service: HttpService, api: OperationsClient
) -> None:
    narrow = socket.create_connection(("127.0.0.1", service.port))
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    await api.create_task()
    async with service.listen(sock=narrow, max_queue=1) as wire:
        await frame(wire)
        connection = next(one for one in service.connections if isinstance(one, PreframedWebSocketProtocol))
        number = 0
        while connection.writable.is_set():  # until the client takes no more
            number += 1
            await api.update_task(1, description=f"{number:4}{'x' * 60_000}")
            await all_published(api)
        for number in range(5):
            await api.update_task(1, description=f"{number:4}{'y' * 60_000}")
        seqs = [(await frame(wire))["seq"] for _ in range(3)]
        await api.update_task(1, priority=0)  # while the rest is sent
        last = await api.last_seq()
        while seqs[-1] < last:
            seqs.append((await frame(wire))["seq"])
        assert seqs == list(range(3, last + 1))
        await anyio.wait_all_tasks_blocked()
        await api.update_task(1, priority=1)
        assert (await frame(wire))["seq"] == last + 1


async def all_published(api: OperationsClient) -> None:
    """Wait until the hub has every stored event."""
    last = (await api.events())[-1]["seq"]
    with anyio.fail_after(TIMEOUT):
        while api.runtime.hub.head < last:
            await anyio.lowlevel.checkpoint()


async def test_several_events_are_sent_in_one_frame_on_request(service: HttpService, api: OperationsClient) -> None:
    for _ in range(3):
        await api.create_task()
    await all_published(api)
    async with service.listen("since=1&batch=1") as wire:
        await frame(wire)
        batch = await frame(wire)
        assert batch["type"] == "batch"
        assert batch["events"] == await api.events(1)


@pytest.mark.promise("events:resync")
@pytest.mark.parametrize("query", ["since=999", "since=1&epoch=another"])
async def test_a_client_from_another_history_gets_a_resync_and_then_follows(
    service: HttpService, api: OperationsClient, query: str
) -> None:
    await api.create_task()
    async with service.listen(query) as wire:
        assert (await frame(wire))["type"] == "hello"
        assert await frame(wire) == {"type": "resync", "epoch": api.runtime.hub.epoch, "seq": 2}
        await api.update_task(1, priority=0)
        assert (await frame(wire))["seq"] == 3


@pytest.mark.promise("events:resync", "outbox:retention")
async def test_a_client_from_before_the_oldest_stored_event_gets_a_resync(
    service: HttpService, api: OperationsClient
) -> None:
    await api.create_task()
    await api.create_task()
    api.clock.advance(10 * 24 * 3600)
    await delete_events(api.runtime, days=1)
    await api.create_task()
    await all_published(api)
    api.runtime.hub._oldest = 3
    async with service.listen("since=1") as wire:
        assert [event["type"] for event in await frames(wire, 2)] == ["hello", "resync"]
    async with service.listen("since=3") as wire:
        assert [event["type"] for event in await frames(wire, 2)] == ["hello", "task.created"]


@pytest.mark.parametrize("query", ["since=x", "since=-1", "sinc=1", "project_id=0", "batch=perhaps"])
async def test_a_malformed_subscription_is_refused_with_its_reason(service: HttpService, query: str) -> None:
    async with service.listen(query) as wire:
        code, reason = await closed(wire)
    assert code == 1008
    assert query.partition("=")[0] in reason


@pytest.mark.promise("events:capacity")
@pytest.mark.parametrize("settings", [{"WEBSOCKET_MAX_CONNECTIONS": 2}])
async def test_over_the_limit_a_connection_is_accepted_closed_and_counted(
    service: HttpService, api: OperationsClient
) -> None:
    async with service.listen() as first, service.listen():
        await frame(first)
        async with service.listen() as third:
            assert await closed(third) == (1013, "too many connections")
        figures = (await service.ok("GET", "/api/metrics"))["connections"]
        assert (figures["active"], figures["total_opened"], figures["max_capacity"]) == (2, 2, 2)
        assert "pm_websocket_refused_total 1.0" in (await service.send("GET", "/metrics")).text
    with anyio.fail_after(TIMEOUT):
        while service.updates.open:
            await anyio.lowlevel.checkpoint()
    async with service.listen() as again:
        assert (await frame(again))["type"] == "hello"


@pytest.mark.promise("events:slow-reader")
async def test_one_that_does_not_read_is_closed_with_1013_and_can_resume(
    service: HttpService, api: OperationsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client that reads and the writer are not delayed meanwhile."""
    monkeypatch.setattr(websocket, "SEND_SECONDS", 0.2)
    subscribe: Callable[..., Any] = api.runtime.hub.subscribe
    monkeypatch.setattr(api.runtime.hub, "subscribe", lambda *args, **more: subscribe(*args, **{**more, "limit": 8}))
    narrow = socket.create_connection(("127.0.0.1", service.port))
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    async with service.listen(sock=narrow, max_queue=1) as slow, service.listen() as quick:
        await frame(quick)
        await api.create_task()
        seen = 0
        for number in range(100):
            await api.update_task(1, description=str(number) + "x" * 60_000)
            while seen < await api.last_seq():
                seen = (await frame(quick))["seq"]
        code, reason = await closed(slow)
    assert code == 1013
    assert "since=" in reason
    assert "pm_subscribers_dropped_total 1.0" in (await service.send("GET", "/metrics")).text
    async with service.listen(f"since={seen - 3}") as again:
        await frame(again)
        assert [event["seq"] for event in await frames(again, 3)] == [seen - 2, seen - 1, seen]


async def test_every_subscriber_is_notified_when_the_service_stops(service: HttpService, api: OperationsClient) -> None:
    async with service.listen() as wire:
        await frame(wire)
        api.runtime.hub.close()
        assert await closed(wire) == (1001, "the server is shutting down")


async def test_a_client_is_asked_to_reconnect_while_events_cannot_be_read(
    service: HttpService, api: OperationsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authentication, "IDENTITY_SECONDS", TIMEOUT)
    await api.create_task()
    await all_published(api)
    api.runtime.hub._recent.clear()
    api.runtime.hub._oldest = api.runtime.hub.head
    assert (await service.send("GET", "/api/tasks")).status_code == 200
    monkeypatch.setattr(readers, "QUEUE", 0)
    async with service.listen("since=0") as wire:
        assert await closed(wire) == (1013, "the read queue is full: 0 reads wait")
    monkeypatch.undo()
    async with service.listen("since=0") as wire:
        assert [one.get("seq") for one in await frames(wire, 2)] == [2, 1]


async def test_a_client_that_disconnected_before_the_end_is_announced_causes_no_error(api: OperationsClient) -> None:
    updates, goes = websocket.EventsWebSocket(api.runtime), anyio.Event()
    received = iter(("websocket.connect", "websocket.disconnect"))

    async def receive() -> dict[str, Any]:
        kind = next(received)
        if kind == "websocket.disconnect":
            await goes.wait()
        return {"type": kind}

    async def send(message: Any) -> None:
        if message["type"] == "websocket.close":
            goes.set()
            raise ClientDisconnected

    api.runtime.hub.close()
    with anyio.fail_after(TIMEOUT):
        await updates({"type": "websocket", "query_string": b"", "state": {"actor": LOCAL}}, receive, send)
    assert goes.is_set()
    assert updates.open == 0


async def test_frames_from_a_client_are_ignored(service: HttpService, api: OperationsClient) -> None:
    async with service.listen() as wire:
        await frame(wire)
        for nonsense in ("{", '{"type":"subscribe"}', b"\x00\xff"):
            await wire.send(nonsense)
        await api.create_task()
        assert (await frame(wire))["seq"] == 1


async def test_too_much_to_catch_up_is_answered_with_resync(
    service: HttpService, api: OperationsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "MAX_OLDER_EVENTS", 3)
    for number in range(5):
        await api.create_task(f"task {number}")
    await all_published(api)
    api.runtime.hub._recent.clear()
    api.runtime.hub._oldest = api.runtime.hub.head
    async with service.listen("since=1") as wire:
        assert [one["type"] for one in await frames(wire, 2)] == ["hello", "resync"]


@pytest.mark.parametrize("path", ["/ws/nope", "/ws", "/ws/updates/", "/api/tasks", "/mcp"])
async def test_a_websocket_that_is_none_is_answered_with_where_the_events_are(service: HttpService, path: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(f"ws://127.0.0.1:{service.port}{path}", proxy=None):
            pass
    answer = refused.value.response
    error = orjson.loads(answer.body or b"")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/json"
    assert error == {
        "code": "route_not_found",
        "message": f"no WebSocket endpoint at {path}",
        "hint": "The only WebSocket endpoint is /ws/updates.",
        "details": {},
        "request_id": answer.headers["x-request-id"],
    }


async def test_a_server_that_cannot_answer_a_websocket_closes_it_with_the_reason() -> None:
    received, sent = iter(({"type": "websocket.connect"},)), []

    async def receive() -> Any:
        return next(received)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/ws/nope", "state": {"request_id": "r"}}
    await websocket.WebSocketNotFound("/ws/updates")(scope, receive, send)
    assert sent == [
        {"type": "websocket.accept"},
        {"type": "websocket.close", "code": 1008, "reason": "no WebSocket endpoint at /ws/nope"},
    ]
