"""The thread that follows the outbox, under errors and race conditions."""

import logging
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from project_manager.config.settings import load
from project_manager.runtime.dispatch import Runtime, open_runtime
from project_manager.store.sqlite import driver
from project_manager.store.sqlite.tail import EventReader
from tests.desk import PATIENCE, Desk, MovableClock
from tests.served import Served


@pytest.fixture
async def neighbour(runtime: Runtime, clock: MovableClock) -> AsyncIterator[Desk]:
    """Run a second instance on the database, like another process."""
    settings = load({"DATABASE_PATH": str(runtime.database.path)}, {}).settings
    async with open_runtime(settings, clock=clock, kind="command") as opened:
        yield Desk(opened, clock)


async def names_on_board(desk: Desk) -> list[str]:
    return [task["name"] for task in (await desk.do("get_board_state"))["tasks"]]


async def test_a_commit_of_another_process_between_an_own_one_and_the_check_is_on_the_board(
    desk: Desk, neighbour: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    tail = desk.runtime.database.tail
    was_woken = tail._was_woken
    waits, awake, go_on = threading.Event(), threading.Event(), threading.Event()

    def blocked() -> bool:
        waits.set()
        woken = was_woken()
        if woken and not awake.is_set():
            awake.set()
            go_on.wait(PATIENCE)
        return woken

    monkeypatch.setattr(tail, "_was_woken", blocked)
    assert await anyio.to_thread.run_sync(waits.wait, PATIENCE)
    await desk.task("own")
    assert await anyio.to_thread.run_sync(awake.wait, PATIENCE)
    assert await names_on_board(desk) == ["own"]
    await neighbour.task("foreign")
    head = await neighbour.head()
    go_on.set()
    with anyio.fail_after(PATIENCE):
        while desk.runtime.hub.head < head:
            await anyio.lowlevel.checkpoint()
    assert await names_on_board(desk) == ["own", "foreign"]


async def test_a_locked_database_at_the_first_check_stops_no_events(
    database: Path, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_version = EventReader._data_version
    refused = threading.Event()

    def locked_once(tail: EventReader) -> int:
        if not refused.is_set():
            refused.set()
            raise driver.driver.OperationalError("database is locked")
        return data_version(tail)

    monkeypatch.setattr(EventReader, "_data_version", locked_once)
    async with open_runtime(load({"DATABASE_PATH": str(database)}, {}).settings, clock=clock) as runtime:
        assert await anyio.to_thread.run_sync(refused.wait, PATIENCE)
        with anyio.fail_after(PATIENCE):
            async with runtime.follow(await runtime.latest_seq()) as events:
                await Desk(runtime, clock).task()
                assert await events.next_batch()


@pytest.mark.promise("health:honest")
async def test_health_reports_that_the_event_reader_has_stopped(
    served: Served, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    tail = desk.runtime.database.tail

    def fail(rows: object) -> None:
        raise ZeroDivisionError

    tail.follow(fail)
    await desk.task()
    await anyio.to_thread.run_sync(tail._thread.join, PATIENCE)
    health = await served.send("GET", "/healthz")
    assert (health.status_code, health.json()["reasons"]) == (503, ["event reader stopped"])
    ready = await served.send("GET", "/readyz")
    assert (ready.status_code, ready.json()["checks"]["events"]) == (503, False)
    assert "the event reader stopped" in caplog.messages


async def test_a_database_that_cannot_be_read_for_a_while_is_logged_once(
    desk: Desk, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.WARNING, "project_manager.store.sqlite.tail")
    data_version = EventReader._data_version
    refused: list[int] = []
    well_again = threading.Event()

    def unreadable(tail: EventReader) -> int:
        if well_again.is_set():
            return data_version(tail)
        refused.append(1)
        raise driver.driver.OperationalError("disk I/O error")

    monkeypatch.setattr(EventReader, "_data_version", unreadable)
    with anyio.fail_after(PATIENCE):
        while len(refused) < 10:
            await anyio.lowlevel.checkpoint()
        well_again.set()
        async with desk.runtime.follow(await desk.runtime.latest_seq()) as events:
            await desk.task()
            await events.next_batch()
        while len(caplog.messages) < 2:
            await anyio.lowlevel.checkpoint()
    first, last = caplog.messages
    assert (first.partition(":")[0], last) == ("cannot read events", "cannot read events: recovered")
