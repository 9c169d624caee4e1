"""The thread that follows the outbox, under errors and race conditions."""

import logging
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from project_manager.clock import parse_rfc3339
from project_manager.domain.actors import SYSTEM
from project_manager.domain.events.projects import ProjectCreated
from project_manager.observability import logging as logs
from project_manager.runtime.dispatch import Runtime
from project_manager.runtime.open import open_runtime
from project_manager.store import events as outbox
from project_manager.store.events import EventRow
from project_manager.store.tail import AT_ONCE, KEPT_COMMITS, EventReader
from project_manager.store.transaction import Tx
from tests.http_service import HttpService
from tests.integration.test_events import everything
from tests.integration.watched_connection import traced
from tests.operations_client import TIMEOUT, MovableClock, OperationsClient, delete_events
from tests.stored_rows import Address, address_of, settings_of


@pytest.fixture
async def neighbour(runtime: Runtime, clock: MovableClock) -> AsyncIterator[OperationsClient]:
    """Run a second instance on the database, like another process."""
    settings = settings_of(address_of(runtime))
    async with open_runtime(settings, clock=clock, kind="command") as opened:
        yield OperationsClient(opened, clock)


async def drained(api: OperationsClient) -> None:
    """Wait until the tail has passed on all events."""
    head = await api.last_seq()
    with anyio.fail_after(TIMEOUT):
        while api.runtime.database.tail.head < head:
            await anyio.lowlevel.checkpoint()


async def names_on_board(api: OperationsClient) -> list[str]:
    return [task["name"] for task in (await api.call("get_board_state"))["tasks"]]


async def test_a_commit_of_another_process_between_an_own_one_and_the_check_is_on_the_board(
    api: OperationsClient, neighbour: OperationsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    tail = api.runtime.database.tail
    was_woken = tail._was_woken
    waits, awake, go_on = threading.Event(), threading.Event(), threading.Event()

    def blocked() -> bool:
        waits.set()
        woken = was_woken()
        if woken and not awake.is_set():
            awake.set()
            go_on.wait(TIMEOUT)
        return woken

    monkeypatch.setattr(tail, "_was_woken", blocked)
    assert await anyio.to_thread.run_sync(waits.wait, TIMEOUT)
    await api.create_task("own")
    assert await anyio.to_thread.run_sync(awake.wait, TIMEOUT)
    assert await names_on_board(api) == ["own"]
    await neighbour.create_task("foreign")
    head = await neighbour.last_seq()
    go_on.set()
    with anyio.fail_after(TIMEOUT):
        while api.runtime.hub.head < head:
            await anyio.lowlevel.checkpoint()
    assert await names_on_board(api) == ["own", "foreign"]


async def test_a_commit_of_another_process_between_the_check_and_the_read_is_on_the_board_with_its_event(
    api: OperationsClient, neighbour: OperationsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    tail = api.runtime.database.tail
    read, was_woken = tail._read, tail._was_woken
    checked, go_on, passed, checked_again = (threading.Event() for _ in range(4))

    def held_read() -> None:
        checked.set()
        go_on.wait(TIMEOUT)
        read()
        passed.set()

    def held_wait() -> bool:
        if passed.is_set():
            checked_again.wait(TIMEOUT)
        return was_woken()

    monkeypatch.setattr(tail, "_read", held_read)
    monkeypatch.setattr(tail, "_was_woken", held_wait)
    await drained(api)
    await neighbour.create_task("first")
    assert await anyio.to_thread.run_sync(checked.wait, TIMEOUT)
    assert await names_on_board(api) == ["first"]
    await neighbour.create_task("second")
    go_on.set()
    assert await anyio.to_thread.run_sync(passed.wait, TIMEOUT)
    names = await names_on_board(api)
    checked_again.set()
    assert names == ["first", "second"]


async def test_a_locked_database_at_the_first_check_stops_no_events(
    database: Address, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_version = EventReader._version
    refused = threading.Event()

    def locked_once(tail: EventReader) -> int:
        if not refused.is_set():
            refused.set()
            raise tail._session.connection.dialect.driver_error("database is locked")
        return data_version(tail)

    monkeypatch.setattr(EventReader, "_version", locked_once)
    async with open_runtime(settings_of(database), clock=clock) as runtime:
        assert await anyio.to_thread.run_sync(refused.wait, TIMEOUT)
        with anyio.fail_after(TIMEOUT):
            async with runtime.follow(await runtime.latest_seq()) as events:
                await OperationsClient(runtime, clock).create_task()
                assert await events.next_batch()


@pytest.mark.promise("health:honest")
async def test_health_reports_that_the_event_reader_has_stopped(
    service: HttpService, api: OperationsClient, caplog: pytest.LogCaptureFixture
) -> None:
    tail = api.runtime.database.tail

    def fail(rows: object) -> None:
        raise ZeroDivisionError

    tail.follow(fail)
    await api.create_task()
    await anyio.to_thread.run_sync(tail._thread.join, TIMEOUT)
    health = await service.send("GET", "/healthz")
    assert (health.status_code, health.json()["reasons"]) == (503, ["event reader stopped"])
    ready = await service.send("GET", "/readyz")
    assert (ready.status_code, ready.json()["checks"]["events"]) == (503, False)
    assert "the event reader stopped" in caplog.messages


@pytest.mark.slow
async def test_a_database_that_cannot_be_read_for_a_while_is_logged_once(
    api: OperationsClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.WARNING, "project_manager.store.tail")
    data_version = EventReader._version
    refused: list[int] = []
    well_again = threading.Event()

    def unreadable(tail: EventReader) -> int:
        if well_again.is_set():
            return data_version(tail)
        refused.append(1)
        raise tail._session.connection.dialect.driver_error("disk I/O error")

    monkeypatch.setattr(EventReader, "_version", unreadable)
    monkeypatch.setattr(logs, "REPEAT_SECONDS", 2 * TIMEOUT)  # on PostgreSQL, the attempts may take longer than it
    with anyio.fail_after(TIMEOUT):
        while len(refused) < 10:
            await anyio.lowlevel.checkpoint()
        well_again.set()
        async with api.runtime.follow(await api.runtime.latest_seq()) as events:
            await api.create_task()
            await events.next_batch()
        while len(caplog.messages) < 2:
            await anyio.lowlevel.checkpoint()
    first, last = caplog.messages
    assert (first.partition(":")[0], last) == ("cannot read events", "cannot read events: recovered")


async def test_the_tail_reads_no_event_of_its_own_process(
    api: OperationsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    tail = api.runtime.database.tail
    await drained(api)
    # Without this, the tail also looks for commits of other processes when this test takes longer than 20 ms.
    monkeypatch.setattr(tail, "_was_woken", lambda: tail._wakeup.get() is None)
    async with api.runtime.follow(await api.runtime.latest_seq()) as events:
        await api.create_task("first")
        await events.next_batch()
        with traced(tail._session.connection) as statements:
            for number in range(20):
                task = await api.create_task(f"task {number}")
                await api.claim(task["id"], "ann")
            head = await api.last_seq()
            while api.runtime.hub.head < head:
                await events.next_batch()
    assert statements == []


@pytest.mark.usefixtures("without_background_jobs")
async def test_a_commit_of_another_instance_costs_this_one_no_batch_and_its_lease_ends_on_time(
    api: OperationsClient, neighbour: OperationsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await drained(api)
    writer = api.runtime.database.writer
    batches: list[Any] = []
    begin = type(writer._session).begin

    def counted(session: Any) -> bool:
        batches.append(session)
        return begin(session)

    monkeypatch.setattr(type(writer._session), "begin", counted)
    tasks = [(await neighbour.create_task(f"task {number}"))["id"] for number in range(20)]
    lease = await neighbour.claim(tasks[0], "ann")
    with anyio.fail_after(TIMEOUT):
        while writer._others_due != parse_rfc3339(lease["expires_at"]):
            await anyio.lowlevel.checkpoint()
    assert writer._session not in batches
    async with api.runtime.follow(await neighbour.last_seq()) as events:
        api.clock.advance(3600)
        writer._queue.put([])  # only a real clock ends the wait of the writer
        with anyio.fail_after(TIMEOUT):
            assert "task.unlocked" in {event.type for event in await events.next_batch()}


async def test_events_are_the_same_from_the_writer_and_from_the_database(
    api: OperationsClient, neighbour: OperationsClient
) -> None:
    """The neighbour reads the events that this process hands over."""
    handed: list[EventRow] = []
    read: list[EventRow] = []
    await drained(api)
    api.runtime.database.tail.follow(handed.extend)
    neighbour.runtime.database.tail.follow(read.extend)
    await everything(api)
    head = await api.last_seq()
    with anyio.fail_after(TIMEOUT):
        while not (handed and read and handed[-1].seq == read[-1].seq == head):
            await anyio.lowlevel.checkpoint()
    assert handed == read
    assert [[type(value) for value in row] for row in handed] == [[type(value) for value in row] for row in read]


@pytest.mark.promise("outbox:no-gap")
async def test_events_of_two_processes_reach_both_once_and_in_order(
    api: OperationsClient, neighbour: OperationsClient
) -> None:
    await api.create_task()
    since = await api.last_seq()
    clients = (api, neighbour)
    received: list[list[int]] = [[], []]

    async def create(client: OperationsClient) -> None:
        for number in range(25):
            await client.create_task(f"task {number}")

    async with AsyncExitStack() as stack:
        followed = [await stack.enter_async_context(client.runtime.follow(since)) for client in clients]
        async with anyio.create_task_group() as together:
            for client in clients:
                together.start_soon(create, client)
        for numbers, events in zip(received, followed, strict=True):
            with anyio.fail_after(TIMEOUT):
                while len(numbers) < 50:
                    numbers += [event.seq for event in await events.next_batch()]
    assert received == [[*range(since + 1, since + 51)]] * 2


@pytest.mark.parametrize(
    ("size", "commits"), [(1, KEPT_COMMITS + 10), (AT_ONCE, 2), (AT_ONCE + 1, 2)], ids=["many", "full", "too large"]
)
async def test_a_tail_that_was_held_up_passes_on_each_event_once(
    size: int, commits: int, api: OperationsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    tail = api.runtime.database.tail
    was_woken, go_on = tail._was_woken, threading.Event()
    batches: list[list[int]] = []
    await drained(api)
    tail.follow(lambda rows: batches.append([row.seq for row in rows]))
    monkeypatch.setattr(tail, "_was_woken", lambda: go_on.wait(TIMEOUT) and was_woken())
    head = await api.last_seq()

    def emit(tx: Tx) -> None:
        for number in range(size):
            outbox.add(tx, ProjectCreated(name=f"Shed {number}", version=1))

    for _ in range(commits):
        await api.runtime.database.writer.run("emit", emit, SYSTEM, "")
    last = await api.last_seq()
    go_on.set()
    await drained(api)
    assert [seq for batch in batches for seq in batch] == [*range(head + 1, last + 1)]
    assert last == head + size * commits
    assert max(len(batch) for batch in batches) <= AT_ONCE


async def test_events_are_passed_on_after_retention_has_deleted_all_before(
    api: OperationsClient, neighbour: OperationsClient
) -> None:
    await api.create_task()
    api.clock.advance(3 * 24 * 3600)
    await delete_events(neighbour.runtime, days=1)
    assert await api.events() == []
    async with api.runtime.follow(await api.runtime.latest_seq()) as events:
        await api.create_task()
        with anyio.fail_after(TIMEOUT):
            assert [event.seq for event in await events.next_batch()] == [3]
