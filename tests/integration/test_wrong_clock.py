"""Database time ten years ahead of the wall clock: leases end after their length, and nothing is deleted by its age."""

from collections.abc import AsyncIterator
from pathlib import Path

import anyio.to_thread
import pytest

from project_manager.clock import rfc3339
from project_manager.runtime.open import open_runtime
from project_manager.store.database_clock import SETTLE_MS
from project_manager.store.sqlite import backup, restore
from project_manager.store.sqlite.restore import Restored
from tests.e2e.service import sample
from tests.http_service import run_http_service
from tests.operations_client import MovableClock, OperationsClient, run_due_jobs
from tests.stored_rows import Address, Row, address_of, read, settings_of, write

YEARS = 10 * 365 * 24 * 3600 * 1000
DAY_MS = 24 * 3600 * 1000
DELETED_BY_AGE = ("events", "ended_leases", "answers", "instances", "task_logs")


def content(address: Address) -> dict[str, list[Row]]:
    """Return all rows that a background job may delete."""
    return {name: read(address, f"SELECT * FROM {name} ORDER BY 1, 2") for name in DELETED_BY_AGE}


def poison(address: Address, ahead: int) -> None:
    """Leave the mark of a batch under a wrong clock, in the form that the previous release wrote."""
    write(address, "UPDATE meta SET clock_high = clock_high + ?, clock_boot = NULL", ahead)


def put_back(database: Path, wall: int) -> Restored:
    """Take a backup and restore it at this instant of the wall clock."""
    return restore.restore(backup.back_up(database, database.with_name("copy.db")).path, database, wall)


@pytest.fixture
async def ahead(database: Address, clock: MovableClock) -> AsyncIterator[OperationsClient]:
    """Run a service on a database whose time is ten years ahead of the wall clock."""
    settings = settings_of(database, EVENT_RETENTION_DAYS=1)
    async with open_runtime(settings, clock=clock) as runtime:
        api = OperationsClient(runtime, clock)
        await api.create_task(key="first")
        await api.claim(1, "ann")
        await api.release(1, "ann", handoff="half done")
    poison(database, YEARS)
    async with open_runtime(settings, clock=clock) as runtime:
        yield OperationsClient(runtime, clock)


@pytest.mark.promise("clock:wrong")
async def test_one_round_of_every_background_job_deletes_nothing(ahead: OperationsClient, database: Address) -> None:
    before = content(database)
    runtime = ahead.runtime
    for name in runtime.jobs.by_name:
        assert await runtime.jobs.run_once(name)
    await run_due_jobs(runtime)
    after = content(database)
    beats = before.pop("instances"), after.pop("instances")
    assert after == before
    assert all(before.values())
    assert [row["id"] for row in beats[0]] == [row["id"] for row in beats[1]]


@pytest.mark.promise("clock:wrong")
async def test_leases_end_after_their_length(ahead: OperationsClient) -> None:
    await ahead.claim(1, "bob", ttl_seconds=2)
    await ahead.advance(1.9)
    assert (await ahead.get_task(1))["lock"]["holder"] == "bob"
    await ahead.advance(0.1)
    assert (await ahead.get_task(1))["lock"] is None
    assert [event["reason"] for event in await ahead.events(0, "task.unlocked")][-1] == "lock_expired"


@pytest.mark.promise("clock:wrong")
async def test_dates_of_users_are_compared_with_the_wall_clock(ahead: OperationsClient) -> None:
    task = await ahead.create_task("next year", defer_until=rfc3339(ahead.clock.now() + 365 * DAY_MS))
    assert not task["ready"]
    await ahead.advance(1)
    assert "deferred until" in (await ahead.get_task(task["id"]))["why_not_ready"][0]
    soon = await ahead.create_task("soon", defer_until=ahead.clock.later(10))
    await ahead.advance(9.9)
    assert not (await ahead.get_task(soon["id"]))["ready"]
    await ahead.advance(0.1)
    assert (await ahead.get_task(soon["id"]))["ready"]


@pytest.mark.promise("clock:wrong")
async def test_readiness_and_a_metric_show_the_difference(
    ahead: OperationsClient, caplog: pytest.LogCaptureFixture
) -> None:
    async with run_http_service(ahead.runtime) as service:
        answer = await service.send("GET", "/readyz")
        assert (answer.status_code, answer.json()["checks"]["clock"]) == (503, False)
        page = (await service.send("GET", "/metrics")).text
        assert sample(page, "project_manager_clock_difference_seconds") == YEARS / 1000
    await ahead.runtime.jobs.run_once("clock")
    assert "3650 days" in caplog.text
    assert caplog.records[-1].__dict__["action"] == "clock_differs"


async def test_a_small_difference_is_not_logged(api: OperationsClient, caplog: pytest.LogCaptureFixture) -> None:
    api.clock.wall_error = -3_600_000
    await api.runtime.jobs.run_once("clock")
    assert caplog.text == ""


@pytest.mark.parametrize("settings", [{"EVENT_RETENTION_DAYS": 1}])
async def test_old_rows_are_deleted_a_day_after_a_jump_was_followed(api: OperationsClient) -> None:
    await api.create_task(key="first")
    api.clock.wall_error = YEARS
    await api.advance(1)
    await api.advance(SETTLE_MS / 1000)
    database = api.runtime.database
    assert database.clock.is_in_sync()
    await api.runtime.jobs.run_once("retention")
    assert len(content(address_of(api.runtime))["answers"]) == 1
    api.clock.advance(DAY_MS / 1000 + 1)
    await api.runtime.jobs.run_once("retention")
    left = content(address_of(api.runtime))
    assert (left["answers"], left["events"]) == ([], [])


@pytest.mark.promise("clock:wrong")
async def test_a_restore_sets_database_time_to_the_wall_clock(database_file: Path, clock: MovableClock) -> None:
    settings = settings_of(database_file)
    clock.wall_error = YEARS
    async with open_runtime(settings, clock=clock) as runtime:
        api = OperationsClient(runtime, clock)
        await api.create_task(key="in ten years")
        await api.claim(1, "ann", ttl_seconds=3600)
        deferred = await api.create_task("deferred", defer_until=rfc3339(clock.now() - DAY_MS))
        assert deferred["ready"]
    clock.wall_error = 0
    done = await anyio.to_thread.run_sync(put_back, database_file, clock.now())
    assert (done.clock_lowered_ms, done.released) == (YEARS, 1)
    assert done.fence_floor >= clock.now() + YEARS
    async with open_runtime(settings, clock=clock) as runtime:
        api = OperationsClient(runtime, clock)
        assert runtime.database.clock.difference() == 0
        assert not (await api.get_task(deferred["id"]))["ready"]
        lock = await api.claim(1, "bob", ttl_seconds=60)
        assert lock["expires_at"] == clock.later(60)
        assert lock["fence"] > done.fence_floor
        clock.advance(DAY_MS / 1000 + 1)
        await runtime.jobs.run_once("retention")
        assert content(database_file)["answers"] == []


async def test_a_restore_never_steps_back_by_less_than_an_hour(database_file: Path, clock: MovableClock) -> None:
    settings = settings_of(database_file)
    async with open_runtime(settings, clock=clock) as runtime:
        await OperationsClient(runtime, clock).create_task()
    done = await anyio.to_thread.run_sync(put_back, database_file, clock.now() - 3_600_000)
    assert done.clock_lowered_ms == 0
    assert read(database_file, "SELECT clock_high FROM meta") == [{"clock_high": clock.now()}]
