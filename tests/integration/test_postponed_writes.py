"""Writes that a batch sends to a server together: how many round trips they save, and which job gets their errors."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from typing import Any

import anyio
import psycopg
import pytest

from project_manager.domain.actors import LOCAL
from project_manager.domain.service_errors import Internal
from project_manager.runtime.open import open_runtime
from project_manager.schemas.leases import ClaimNextTask
from project_manager.schemas.tasks import UpdateTaskStatus
from project_manager.services import claim_queue, statuses
from project_manager.store import leases, links, tasks
from project_manager.store.postgres import driver
from project_manager.store.postgres.probing_connection import LONGEST_SECONDS
from project_manager.store.transaction import Tx, savepoint
from project_manager.store.write_jobs import Work
from tests.operations_client import TIMEOUT, MovableClock, OperationsClient
from tests.stored_rows import settings_of

pytestmark = pytest.mark.anyio

MISSING = 999
REFUSED = "\ud800"
"""A text without an encoding."""
CLAIMS = 20
CLAIM_EACH, LAST_CLAIM, FINISH_EACH = 1, 1, 2
LOCK, ROWS_OF_EVENTS, NEXT_DUE, CLOSE = 1, 1, 1, 1
ONCE = LOCK + ROWS_OF_EVENTS + NEXT_DUE + CLOSE
"""Round trips of a batch. The calls of an interface take one more, the check for unconfirmed leases."""


@pytest.fixture
async def on_postgresql(postgresql_url: str, without_background_jobs: None) -> AsyncIterator[OperationsClient]:
    """Yield a runtime without background jobs, because they write into the counted batches."""
    clock = MovableClock()
    async with open_runtime(settings_of(postgresql_url), clock=clock) as runtime:
        yield OperationsClient(runtime, clock)


@contextmanager
def round_trips(api: OperationsClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[str]]]:
    """Yield a list that gets the statements of each round trip of the writer."""
    writer: Any = api.runtime.database.writer
    exchange, found = writer._connection._exchange, []

    def recorded(statements: Sequence[Any]) -> Any:
        found.append([statement.sql for statement in statements])
        return exchange(statements)

    with monkeypatch.context() as patched:
        patched.setattr(writer._connection, "_exchange", recorded)
        yield found


async def one_batch(api: OperationsClient, *jobs: Work[Any]) -> list[Any]:
    """Run these jobs in one batch and return their results or errors."""
    found: list[Any] = [None] * len(jobs)

    async def run(number: int) -> None:
        agent = replace(LOCAL, id=f"agent-{number}")
        try:
            found[number] = await api.runtime.database.writer.run("job", jobs[number], agent, "")
        except Internal as error:
            found[number] = error

    with anyio.fail_after(TIMEOUT):
        async with anyio.create_task_group() as running:
            for number in range(len(jobs)):
                running.start_soon(run, number)
    return found


def claim(tx: Tx) -> Any:
    return claim_queue.claim_next(tx, ClaimNextTask.model_validate({}))


@pytest.mark.slow
@pytest.mark.parametrize("claims", [1, CLAIMS])
async def test_a_batch_takes_one_round_trip_for_each_claim_and_five_more(
    on_postgresql: OperationsClient, monkeypatch: pytest.MonkeyPatch, claims: int
) -> None:
    """Each agent has a lease already, which its next claim reports."""
    await claim_all(on_postgresql, 2 * claims, claims)
    on_postgresql.clock.advance(0.001)  # the clock is stored once a second
    with round_trips(on_postgresql, monkeypatch) as found:
        claimed = await one_batch(on_postgresql, *[claim] * claims)
    assert len({view.task["id"] for view in claimed}) == claims
    assert all(len(view.also_holding) == 1 for view in claimed)
    assert [trip[0][:6] for trip in (found[0], found[-1])] == ["BEGIN", "WITH m"]
    assert len(found) == claims * CLAIM_EACH + LAST_CLAIM + ONCE


@pytest.mark.slow
async def test_a_batch_takes_two_round_trips_for_each_finished_task_and_four_more(
    on_postgresql: OperationsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    claimed = await claim_all(on_postgresql, CLAIMS, CLAIMS)
    on_postgresql.clock.advance(0.001)
    with round_trips(on_postgresql, monkeypatch) as found:
        done = await one_batch(on_postgresql, *[finish(view.task["id"], view.lock.fence) for view in claimed])
    assert {view.task["status"] for view in done} == {"DONE"}
    assert len(found) == CLAIMS * FINISH_EACH + ONCE


async def claim_all(api: OperationsClient, tasks: int, claims: int) -> list[Any]:
    for number in range(tasks):
        await api.create_task(f"task {number}")
    return await one_batch(api, *[claim] * claims)


def finish(task_id: int, fence: int) -> Work[Any]:
    command = UpdateTaskStatus.model_validate({"task_id": task_id, "status": "DONE", "fence": fence})
    return lambda tx: statuses.update_status(tx, command)


async def test_only_the_job_of_a_failed_write_fails(api: OperationsClient) -> None:
    """The last two jobs may be the first ones that wait for the server."""
    first, second = [(await api.create_task(name))["id"] for name in ("first", "second")]

    def depend(task: int, other: int) -> Work[None]:
        return lambda tx: links.set_conflicts(tx, task, [other])

    found = await one_batch(api, depend(first, MISSING), depend(first, second), depend(second, MISSING))
    assert [type(result) for result in found] == [Internal, type(None), Internal]
    assert (await api.get_task(second))["conflicts_with"] == [first]


async def test_the_writes_before_a_value_that_the_driver_refuses_are_rolled_back(api: OperationsClient) -> None:
    first, second = [(await api.create_task(name))["id"] for name in ("first", "second")]

    def work(tx: Tx) -> None:
        links.set_conflicts(tx, first, [second])
        tasks.get_by_external_key(tx, 1, REFUSED)

    assert [type(result) for result in await one_batch(api, work)] == [Internal]
    assert (await api.get_task(first))["conflicts_with"] == []


@pytest.mark.slow
def test_the_number_of_changes_never_falls(postgresql_url: str) -> None:
    """A job that writes and then fails could otherwise look as if it had not written."""
    with closing(driver.Connection(postgresql_url)) as connection:
        connection.execute("BEGIN")
        connection.postpone("CREATE TEMPORARY TABLE empty (id INTEGER)")
        connection.postpone("DELETE FROM empty")
        before = connection.changes
        connection.flush()
        assert connection.changes >= before


@pytest.mark.slow
def test_the_limit_of_a_commit_ends_with_it(postgresql_url: str) -> None:
    with closing(driver.Connection(postgresql_url)) as connection:
        connection.execute("BEGIN")
        connection.postpone("SELECT 1 / 0")
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.commit(TIMEOUT)
        assert connection._dbapi.limit == LONGEST_SECONDS


@pytest.mark.slow
def test_a_statement_behind_a_failed_one_can_be_executed_later(postgresql_url: str) -> None:
    """The second execution prepares it. Only the first `ROLLBACK` of a text lets the driver prepare all again."""
    with closing(driver.Connection(postgresql_url)) as connection:
        for sql in ("ROLLBACK", "SELECT 2", "BEGIN"):
            connection.execute(sql)
        connection.postpone("SELECT 1 / 0")
        connection.postpone("SELECT 2")
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.flush()
        connection.execute("ROLLBACK")
        assert connection.row("SELECT 2") == (2,)


async def test_only_the_job_of_a_changed_row_learns_of_it(api: OperationsClient) -> None:
    ids = [(await api.create_task(f"task {number}"))["id"] for number in range(3)]

    def take(task_id: int, version: int) -> Work[bool]:
        def work(tx: Tx) -> bool:
            row = tasks.get(tx, task_id)
            assert row is not None
            later: dict[str, Any] = {"version": row.version + version}
            return leases.claim(tx, row._replace(**later), tx.actor.id, ttl=60_000, return_status="TODO") is not None

        return work

    assert await one_batch(api, take(ids[0], 0), take(ids[1], 1), take(ids[2], 0)) == [True, False, True]
    assert [(await api.get_task(task_id))["status"] for task_id in ids] == ["IN_PROGRESS", "TODO", "IN_PROGRESS"]


async def test_a_rolled_back_step_keeps_the_writes_before_it(api: OperationsClient) -> None:
    first, second, third = [(await api.create_task(name))["id"] for name in ("first", "second", "third")]

    def work(tx: Tx) -> None:
        links.set_conflicts(tx, first, [second])
        with suppress(LookupError), savepoint(tx):
            links.set_conflicts(tx, first, [third])
            raise LookupError

    await one_batch(api, work)
    assert (await api.get_task(first))["conflicts_with"] == [second]


@pytest.mark.slow
async def test_many_postponed_writes_do_not_wait_in_memory(
    on_postgresql: OperationsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [(await on_postgresql.create_task(f"task {number}"))["id"] for number in range(2)]

    def work(tx: Tx) -> None:
        for _ in range(100):
            links.set_conflicts(tx, ids[0], ids[1:])

    with round_trips(on_postgresql, monkeypatch) as found:
        await one_batch(on_postgresql, work)
    assert max(map(len, found)) == driver.POSTPONED
