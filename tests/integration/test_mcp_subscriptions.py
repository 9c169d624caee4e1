"""Subscriptions to resources, over real sockets in both protocol versions."""

import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import orjson
import pytest
from mcp import Client, MCPDeprecationWarning
from mcp.client.sse import sse_client
from mcp.client.subscriptions import ResourceUpdated
from mcp.server.connection import Connection
from mcp.types import ResourceUpdatedNotification

from project_manager.catalogue import BY_NAME
from project_manager.domain.actors import LOCAL
from project_manager.mcp import subscriptions
from project_manager.runtime.calls import Caller
from project_manager.runtime.event_hub import QUEUE
from tests.e2e.mcp_listener import Listener, Wire, call, listening, modern, wire
from tests.integration.mcp_product import TIMEOUT, Product, product

pytestmark = pytest.mark.slow


class Subscriber:
    """A subscriber of protocol version 2025 and its notifications.

    It is a bare client because the official one fails over SSE on notifications that arrive while it closes.
    """

    def __init__(self, bare: Wire, path: str) -> None:
        self.uris: list[str] = []
        self.notified_any = anyio.Event()
        self._bare = bare
        self._path = path
        self._opened = anyio.Event()
        self._answered: dict[int, anyio.Event] = {}
        self._notified: dict[str, anyio.Event] = {}

    @property
    def session(self) -> str:
        return self._bare.session

    def notified(self, uri: str) -> anyio.Event:
        return self._notified.setdefault(uri, anyio.Event())

    async def subscribe(self, uri: str) -> None:
        await self._ask("resources/subscribe", uri)

    async def unsubscribe(self, uri: str) -> None:
        await self._ask("resources/unsubscribe", uri)

    async def listen(self, lines: AsyncIterator[str]) -> None:
        if self._path == "/mcp":
            self._opened.set()
        async for line in lines:
            if line.startswith("data: /"):
                self._path = line[6:]
                self._opened.set()
            elif line.startswith("data: {"):
                self._take(orjson.loads(line[6:]))

    def _take(self, message: dict[str, Any]) -> None:
        if message.get("method") == "notifications/resources/updated":
            uri = message["params"]["uri"]
            self.uris.append(uri)
            self.notified_any.set()
            self.notified(uri).set()
        elif "id" in message:
            assert "error" not in message
            self._answered[message["id"]].set()

    async def _ask(self, method: str, uri: str) -> None:
        await _soon(self._opened)
        call_id = len(self._answered) + 1
        self._answered[call_id] = anyio.Event()
        message = {"jsonrpc": "2.0", "id": call_id, "method": method, "params": {"uri": uri}}
        answer = await self._bare.post(message, path=self._path)
        if self._path == "/mcp":
            assert '"error"' not in answer.text
        else:
            await _soon(self._answered[call_id])


async def _soon(event: anyio.Event) -> None:
    with anyio.fail_after(TIMEOUT):
        await event.wait()


@asynccontextmanager
async def subscribed(listener: Listener, path: str) -> AsyncIterator[Subscriber]:
    async with wire(listener) as bare:
        if path == "/mcp":
            await bare.initialize()
        async with bare.http.stream("GET", path, headers=bare.headers) as stream, anyio.create_task_group() as tasks:
            subscriber = Subscriber(bare, path)
            tasks.start_soon(subscriber.listen, stream.aiter_lines())
            yield subscriber
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def product_with_subscriber(tmp_path: Path, path: str) -> AsyncIterator[tuple[Product, Wire, Subscriber]]:
    """Run the product with one task, a client that makes changes, and a subscriber."""
    async with (
        product(tmp_path) as made,
        listening(made.server) as listener,
        wire(listener) as bare,
        subscribed(listener, path) as subscriber,
    ):
        await bare.post_modern(call("create_task", name="one", project_name="p"))
        yield made, bare, subscriber


@pytest.mark.parametrize("path", ["/mcp", "/sse"])
async def test_a_change_reaches_a_2025_subscriber(tmp_path: Path, path: str) -> None:
    async with product_with_subscriber(tmp_path, path) as (_, bare, subscriber):
        await subscriber.subscribe("pm://task/1")
        await bare.post_modern(call("acquire_task_lock", task_id=1, agent_id="ann"))
        await _soon(subscriber.notified_any)
        assert set(subscriber.uris) == {"pm://task/1"}


async def test_a_failed_notification_does_not_affect_other_clients(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    send = Connection.send_resource_updated
    failed: list[Connection] = []

    async def fail_at_first(connection: Connection, uri: str) -> None:
        if not failed:
            failed.append(connection)
        if connection in failed:
            raise ZeroDivisionError
        await send(connection, uri)

    monkeypatch.setattr(Connection, "send_resource_updated", fail_at_first)
    async with product(tmp_path) as made, listening(made.server) as listener, wire(listener) as bare:
        await bare.post_modern(call("create_task", name="one", project_name="p"))
        async with subscribed(listener, "/sse") as first, subscribed(listener, "/sse") as second:
            for subscriber in (first, second):
                await subscriber.subscribe("pm://task/1")
            await bare.post_modern(call("acquire_task_lock", task_id=1, agent_id="ann"))
            await _soon(second.notified_any)
            assert first.uris == []
    assert "cannot notify a client" in caplog.messages


async def test_the_official_client_of_2025_is_notified_of_a_change(tmp_path: Path) -> None:
    notified = anyio.Event()

    async def hear(message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification) and str(message.params.uri) == "pm://task/1":
            notified.set()

    async with product(tmp_path) as made, listening(made.server) as listener, wire(listener) as bare:
        await bare.post_modern(call("create_task", name="one", project_name="p"))
        async with Client(f"{listener.url}/mcp", mode="legacy", message_handler=hear) as client:
            await subscribe(client, "pm://task/1")
            await _until_streaming(listener)
            await bare.post_modern(call("acquire_task_lock", task_id=1, agent_id="ann"))
            await _soon(notified)


async def subscribe(client: Client, uri: str) -> None:
    with pytest.warns(MCPDeprecationWarning):
        await client.session.subscribe_resource(uri)


async def _until_streaming(listener: Listener, streams: int = 1) -> None:
    """Wait until the client has opened its stream. Earlier notifications have no destination."""
    with anyio.fail_after(TIMEOUT):
        while len(listener.transport.streams) < streams:
            await anyio.lowlevel.checkpoint()


async def test_a_change_reaches_a_2026_subscriber(tmp_path: Path) -> None:
    async with product(tmp_path) as made, listening(made.server) as listener, wire(listener) as bare:
        await bare.post_modern(call("create_task", name="one", project_name="p"))
        async with (
            Client(f"{listener.url}/mcp") as client,
            client.listen(resource_subscriptions=["pm://project/1/board"]) as events,
        ):
            await bare.post_modern(call("acquire_task_lock", task_id=1, agent_id="ann"))
            with anyio.fail_after(TIMEOUT):
                event = await anext(aiter(events))
        assert event == ResourceUpdated(uri="pm://project/1/board")


def hold_the_loop_up_until_read(made: Product, head: int) -> None:
    give_up = time.monotonic() + TIMEOUT
    while made.runtime.database.tail.head < head:
        assert time.monotonic() < give_up


@pytest.mark.slow
async def test_a_change_in_a_crowd_of_others_reaches_a_2026_subscriber_too(tmp_path: Path) -> None:
    crowd: list[dict[str, object]] = [{"name": f"task {number}"} for number in range(4 * QUEUE)]
    plan = {"projects": [{"name": "p", "tasks": [{"name": "one", "priority": 0}, *crowd]}]}
    async with product(tmp_path) as made, listening(made.server) as listener, wire(listener) as bare:
        await bare.post_modern(call("create_task", name="one", project_name="p"))
        async with (
            Client(f"{listener.url}/mcp") as client,
            client.listen(resource_subscriptions=["pm://task/1"]) as events,
        ):
            person = Caller(LOCAL, "rest", "a person")
            of_the_import = len(crowd) + 2  # the existing task, the other ones, the end
            head = await made.runtime.latest_seq() + of_the_import
            await made.runtime.run(BY_NAME["import_plan"], {"document": orjson.dumps(plan).decode()}, person)
            hold_the_loop_up_until_read(made, head)
            with anyio.fail_after(TIMEOUT):
                event = await anext(aiter(events))
        assert event == ResourceUpdated(uri="pm://task/1")


async def test_lost_events_notify_a_2025_subscriber_of_its_resources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions, "UNBOUNDED", 0)
    async with product_with_subscriber(tmp_path, "/sse") as (_, bare, subscriber):
        await subscriber.subscribe("pm://task/1")
        await bare.post_modern(call("create_task", name="two", project_name="p"))
        await _soon(subscriber.notified("pm://task/1"))


async def test_lost_events_end_the_stream_of_a_2026_subscriber_which_then_reads_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions, "UNBOUNDED", 0)
    async with (
        product(tmp_path) as made,
        listening(made.server) as listener,
        wire(listener) as bare,
        Client(f"{listener.url}/mcp") as client,
        client.listen(resource_subscriptions=["pm://task/1"]) as events,
    ):
        await bare.post_modern(call("create_task", name="one", project_name="p"))
        with anyio.fail_after(TIMEOUT):
            assert [event async for event in events] == []


async def test_an_agent_is_notified_that_its_own_lease_ended(tmp_path: Path) -> None:
    async with product_with_subscriber(tmp_path, "/sse") as (made, bare, subscriber):
        await bare.post_modern(call("acquire_task_lock", task_id=1, agent_id="ann"))
        await subscriber.subscribe("pm://agent/ann")
        ended = Caller(LOCAL, "rest", "a person")
        await made.runtime.run(BY_NAME["release_task_lock"], {"task_id": 1, "force": True}, ended)
        await _soon(subscriber.notified_any)
        assert set(subscriber.uris) == {"pm://agent/ann"}


@pytest.mark.parametrize("written", ["team/one", "team%2fone", "team%2Fone", "te%61m%2Fone"])
async def test_an_agent_with_a_slash_in_its_id_is_notified_in_every_form_of_escaping(
    tmp_path: Path, written: str
) -> None:
    async with product_with_subscriber(tmp_path, "/sse") as (_, bare, subscriber):
        await subscriber.subscribe(f"pm://agent/{written}")
        await bare.post_modern(call("acquire_task_lock", task_id=1, agent_id="team/one"))
        await _soon(subscriber.notified("pm://agent/team%2Fone"))


async def test_an_unsubscribed_resource_causes_no_notification(tmp_path: Path) -> None:
    async with product_with_subscriber(tmp_path, "/sse") as (_, bare, subscriber):
        for uri in ("pm://task/1", "pm://agent/ann"):
            await subscriber.subscribe(uri)
        await subscriber.unsubscribe("pm://task/1")
        subscriber.uris.clear()
        await bare.post_modern(call("acquire_task_lock", task_id=1, agent_id="ann"))
        await _soon(subscriber.notified("pm://agent/ann"))
        assert "pm://task/1" not in subscriber.uris


async def test_nothing_is_kept_of_subscribers_that_left(tmp_path: Path) -> None:
    async with product(tmp_path) as made, listening(made.server) as listener:
        for target in (f"{listener.url}/mcp", sse_client(f"{listener.url}/sse")):
            async with Client(target, mode="legacy") as client:
                await subscribe(client, "pm://task/1")
                await _until_known(made, 1)
            await _until_known(made, 0)


async def _until_known(made: Product, number: int) -> None:
    with anyio.fail_after(TIMEOUT):
        while len(made.subscriptions) != number:
            await anyio.lowlevel.checkpoint()


async def test_a_connection_subscribes_to_a_bounded_number_of_resources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions, "MAX_URIS", 2)
    async with product(tmp_path) as made, listening(made.server) as listener, wire(listener) as bare:
        await bare.initialize()
        texts = [(await bare.post(subscribing(f"pm://task/{number}"))).text for number in (1, 2, 3, 1)]
    assert ["SUBSCRIPTION_REFUSED" in text for text in texts] == [False, False, True, False]


def subscribing(uri: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": "resources/subscribe", "params": {"uri": uri}}


async def test_a_session_of_another_instance_can_subscribe_again(tmp_path: Path) -> None:
    async with product(tmp_path) as made, listening(made.server) as listener, wire(listener) as bare:
        await bare.post_modern(call("create_task", name="one", project_name="p"))
        bare.session = "opened-by-another-instance"
        async with bare.http.stream("GET", "/mcp", headers=bare.headers) as stream:
            assert '"error"' not in (await bare.post(subscribing("pm://task/1"))).text
            await bare.post_modern(call("acquire_task_lock", task_id=1, agent_id="ann"))
            with anyio.fail_after(TIMEOUT):
                async for line in stream.aiter_lines():
                    if "notifications/resources/updated" in line:
                        break


@pytest.mark.slow
async def test_a_subscriber_that_does_not_read_delays_no_other(tmp_path: Path) -> None:
    """The socket of the slow subscriber fills and is closed. The other subscriber gets every notification meanwhile."""
    uris = [f"pm://agent/{'x' * 500}{number}" for number in range(60)]
    async with product(tmp_path) as made:
        server = made.server
        async with (
            listening(server, stuck_seconds=0.3) as listener,
            wire(listener) as bare,
            subscribed(listener, "/sse") as subscriber,
        ):
            await bare.initialize()
            for uri in uris:
                params = {"uri": uri}
                await bare.post({"jsonrpc": "2.0", "id": 1, "method": "resources/subscribe", "params": params})
            await subscriber.subscribe("pm://task/1")
            with deaf_stream(listener, bare.session), anyio.fail_after(20):
                await _until_streaming(listener, 2)
                while len(listener.transport.streams) > 1:
                    await made.subscriptions.announce(uris)
                    subscriber.notified_any = anyio.Event()
                    await made.subscriptions.announce(["pm://task/1"])
                    await _soon(subscriber.notified_any)
                assert (await bare.post(call("list_projects"))).status_code == 200


@contextmanager
def deaf_stream(listener: Listener, session: str) -> Iterator[None]:
    """Open a notification stream with a small socket buffer and never read it."""
    lines = ["GET /mcp HTTP/1.1", "Host: x", "Accept: text/event-stream", f"Mcp-Session-Id: {session}", "", ""]
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", listener.port))
        deaf.sendall("\r\n".join(lines).encode())
        yield


async def test_a_2026_subscribe_call_without_a_stream_is_refused(tmp_path: Path) -> None:
    async with product(tmp_path) as made, listening(made.server) as listener, wire(listener) as bare:
        message, headers = modern(
            {"jsonrpc": "2.0", "id": 1, "method": "resources/subscribe", "params": {"uri": "pm://task/1"}}
        )
        answer = await bare.http.post("/mcp", content=orjson.dumps(message), headers=headers)
        assert answer.json()["error"]["code"] == -32601
