"""The event hub: clients get events without a task of their own, in slices, and each of them in order."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import count

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from anyio.abc import TaskGroup

from project_manager.runtime import event_hub
from project_manager.runtime.dispatch import Runtime
from project_manager.runtime.event_hub import Closed, Event, Hub, Overflow
from project_manager.store.events import EventRow
from tests.operations_client import TIMEOUT

pytestmark = pytest.mark.anyio


def events(numbers: Iterable[int]) -> list[Event]:
    return [Event(EventRow(seq, "task.updated", 0, "ann", "agent", 1, None, seq, "{}")) for seq in numbers]


class Client:
    """A client with its task. `room` is the number of events that it takes before it reads again."""

    def __init__(self, hub: Hub, room: float = float("inf"), limit: int = event_hub.QUEUE) -> None:
        self.seqs: list[int] = []
        self.batches = 0
        self.ended_with: type[Exception] | None = None
        self._hub = hub
        self._limit = limit
        self._room = room
        self._reads = asyncio.Event()

    def write(self, offered: Sequence[Event]) -> int:
        taken = int(min(self._room, len(offered)))
        self._take(offered[:taken])
        return taken

    def read(self, room: float) -> None:
        """Take this number of further events."""
        self._room += room
        self._reads.set()

    async def follow(self, since: int | None = None) -> None:
        try:
            async with self._hub.subscribe(since, write=self.write, limit=self._limit) as subscription:
                while True:
                    for event in await subscription.next_batch():
                        while self._room < 1:
                            self._reads.clear()
                            await self._reads.wait()
                        self._take([event])
                    self.batches += 1
        except (Closed, Overflow) as error:
            self.ended_with = type(error)

    def _take(self, taken: Sequence[Event]) -> None:
        self.seqs += [event.seq for event in taken]
        self._room -= len(taken)


@asynccontextmanager
async def following(*clients: Client) -> AsyncIterator[TaskGroup]:
    """Run the tasks of the clients during the body, and yield their task group."""
    async with anyio.create_task_group() as tasks:
        for client in clients:
            tasks.start_soon(client.follow)
        await anyio.wait_all_tasks_blocked()
        yield tasks
        tasks.cancel_scope.cancel()


async def settled(hub: Hub) -> None:
    """Wait until every client has what it takes."""
    while not hub._fan_out._is_idle:
        await anyio.lowlevel.checkpoint()
    await anyio.wait_all_tasks_blocked()


@pytest.fixture
async def hub(runtime: Runtime) -> Hub:
    return runtime.hub


async def test_a_client_that_has_read_all_gets_events_without_a_turn_of_its_task(hub: Hub) -> None:
    clients = [Client(hub) for _ in range(10)]
    async with following(*clients):
        for number in range(1, 6):
            hub._publish(events([number]))
        assert all(client.seqs == [1, 2, 3, 4, 5] for client in clients)
        await anyio.wait_all_tasks_blocked()
        assert [client.batches for client in clients] == [0] * 10


async def test_an_event_is_written_to_at_most_a_hundred_clients_in_one_iteration_of_the_loop(hub: Hub) -> None:
    clients = [Client(hub) for _ in range(250)]
    async with following(*clients):
        written = []
        hub._publish(events([1]))
        for _ in range(4):
            written.append(sum(len(client.seqs) for client in clients))
            await anyio.lowlevel.checkpoint()
        assert written == [100, 200, 250, 250]


async def test_many_events_of_one_commit_are_written_in_several_iterations_of_the_loop(hub: Hub) -> None:
    client = Client(hub)
    async with following(client):
        hub._publish(events(range(1, 71)))
        written = [len(client.seqs)]
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
            written.append(len(client.seqs))
        assert written == [32, 64, 70, 70]
        assert client.seqs == list(range(1, 71))


async def test_a_subscriber_within_this_process_gets_an_event_before_the_clients(hub: Hub) -> None:
    clients = [Client(hub) for _ in range(250)]
    async with following(*clients), hub.subscribe() as local:
        hub._publish(events([1]))
        assert [event.seq for event in await local.next_batch()] == [1]
        assert hub.subscribers == 251


async def test_a_cancelled_subscriber_gets_no_further_events(hub: Hub) -> None:
    client = Client(hub)
    async with following(client) as tasks:
        tasks.cancel_scope.cancel()  # as a revoked token does; the task ends in a later iteration of the loop
        hub._publish(events([1]))
    assert client.seqs == []


@pytest.mark.promise("events:resume")
async def test_an_event_waits_behind_the_events_that_the_task_is_still_sending(hub: Hub) -> None:
    """The task took events from the queue, and the queue is empty while the client does not read them."""
    client = Client(hub, room=1)
    async with following(client):
        hub._publish(events([1, 2, 3]))
        await anyio.wait_all_tasks_blocked()
        assert client.seqs == [1]
        client.read(10)  # the task has not run since
        hub._publish(events([4]))
        assert client.seqs == [1]
        await anyio.wait_all_tasks_blocked()
        assert client.seqs == [1, 2, 3, 4]
        hub._publish(events([5]))
        assert client.seqs == [1, 2, 3, 4, 5]


@pytest.mark.promise("events:resume")
async def test_a_client_that_subscribes_between_two_slices_gets_each_event_once(hub: Hub) -> None:
    clients = [Client(hub) for _ in range(250)]
    late, latest = Client(hub), Client(hub)
    async with following(*clients) as tasks:
        hub._publish(events([1]))
        tasks.start_soon(late.follow, 0)
        tasks.start_soon(latest.follow)
        await anyio.lowlevel.checkpoint()
        hub._publish(events([2]))
        await settled(hub)
        assert all(client.seqs == [1, 2] for client in [*clients, late])
        assert latest.seqs == [2]


@pytest.mark.promise("events:slow-reader")
async def test_a_client_without_room_overflows_and_the_others_of_its_slice_get_the_event(
    hub: Hub, runtime: Runtime
) -> None:
    stuck, others = Client(hub, room=0, limit=2), [Client(hub) for _ in range(20)]
    async with following(stuck, *others):
        for number in range(1, 5):
            hub._publish(events([number]))
            await settled(hub)
        assert await anyio.to_thread.run_sync(runtime.metrics.value, "pm_subscribers_dropped_total") == 1
        assert hub.subscribers == 20
        stuck.read(10)
        await anyio.wait_all_tasks_blocked()
        assert (stuck.ended_with, stuck.seqs) == (Overflow, [1])
        assert all(client.seqs == [1, 2, 3, 4] for client in others)


@pytest.mark.promise("memory:bounded")
@pytest.mark.parametrize("limit", ["REMEMBERED", "QUEUED_CHARACTERS"])
async def test_events_that_wait_for_their_slice_are_bounded_and_the_clients_resume(
    hub: Hub, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The data of an event has two characters."""
    monkeypatch.setattr(event_hub, limit, {"REMEMBERED": 100, "QUEUED_CHARACTERS": 200}[limit])
    clients = [Client(hub) for _ in range(3)]
    async with following(*clients) as tasks:
        hub._publish(events(range(1, 133)))
        await settled(hub)
        assert all(client.seqs == list(range(1, 133)) for client in clients)
        hub._publish(events(range(133, 266)))
        await settled(hub)
        assert [client.ended_with for client in clients] == [Overflow] * 3
        assert all(client.seqs == list(range(1, 165)) for client in clients)
        assert hub.subscribers == 0
        again = Client(hub)
        tasks.start_soon(again.follow, 165)
        await anyio.wait_all_tasks_blocked()
        hub._publish(events([266]))
        assert again.seqs == list(range(166, 267))


async def test_one_slice_is_delivered_in_one_iteration_of_the_loop_also_after_overflows(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_hub, "REMEMBERED", 100)
    for first in range(1, 1400, 140):
        hub._publish(events(range(first, first + 140)))  # each of them overflows
    hub._publish(events(range(1401, 1491)))
    waiting = [len(hub._fan_out._waiting)]
    for _ in range(3):
        await anyio.lowlevel.checkpoint()
        waiting.append(len(hub._fan_out._waiting))
    assert waiting == [90, 58, 26, 0]


async def test_a_hub_that_closes_between_two_slices_still_delivers_the_events(hub: Hub) -> None:
    clients = [Client(hub) for _ in range(250)]
    async with following(*clients):
        hub._publish(events(range(1, 41)))
        hub.close()
        await anyio.wait_all_tasks_blocked()
    assert all(client.seqs == list(range(1, 41)) for client in clients)
    assert {client.ended_with for client in clients} == {Closed}


@pytest.mark.promise("events:resume")
@pytest.mark.parametrize("seed", range(20))
async def test_each_client_gets_every_event_in_order_whatever_happens_between_slices(
    hub: Hub, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients read, stop reading, disconnect and resume at random between the slices of small rounds."""
    monkeypatch.setattr(event_hub, "CLIENTS_AT_ONCE", 3)
    monkeypatch.setattr(event_hub, "EVENTS_AT_ONCE", 2)
    chance, numbers = random.Random(seed), count(1)
    clients = [Client(hub, room=chance.randrange(3)) for _ in range(10)]
    connections: dict[Client, anyio.CancelScope] = {}

    async def connect(client: Client) -> None:
        while client.ended_with is None:
            with anyio.CancelScope() as connections[client]:
                await client.follow(client.seqs[-1] if client.seqs else 0)

    with anyio.fail_after(TIMEOUT):
        async with anyio.create_task_group() as tasks:
            for client in clients:
                tasks.start_soon(connect, client)
            await settled(hub)
            for _ in range(200):
                client = chance.choice(clients)
                match chance.randrange(5):
                    case 0:
                        hub._publish(events(next(numbers) for _ in range(chance.randrange(1, 6))))
                    case 1:
                        client.read(chance.randrange(1, 9))
                    case 2:
                        connections[client].cancel()
                    case _:
                        await anyio.lowlevel.checkpoint()
            for client in clients:
                client.read(float("inf"))
            await settled(hub)
            last = next(numbers)
            assert all(client.seqs == list(range(1, last)) for client in clients)
            hub.close()
