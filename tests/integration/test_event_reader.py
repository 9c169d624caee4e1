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
from project_manager.runtime.dispatch import Runtime
from project_manager.runtime.open import open_runtime
from project_manager.store.sqlite import driver
from project_manager.store.sqlite.tail import EventReader
from tests.http_service import HttpService
from tests.operations_client import TIMEOUT, MovableClock, OperationsClient


@pytest.fixture
async def neighbour(runtime: Runtime, clock: MovableClock) -> AsyncIterator[OperationsClient]:
    """Run a second instance on the database, like another process."""
    settings = load({"DATABASE_PATH": str(runtime.database.path)}, {}).settings
    async with open_runtime(settings, clock=clock, kind="command") as opened:
        yield OperationsClient(opened, clock)


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


async def test_a_database_that_cannot_be_read_for_a_while_is_logged_once(
    api: OperationsClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
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
