"""How a PostgreSQL server runs statements: the plans of those that it could run in quadratic time, and what they read.

The server has no statistics of the tables, as in the first minutes of a database.
"""

import json
from collections.abc import Callable, Iterator

import psycopg
import pytest

from project_manager.domain.actors import LOCAL
from project_manager.domain.questions import QuestionState
from project_manager.runtime.open import open_runtime
from project_manager.schemas.leases import ClaimNextTask, ReleaseTaskLock
from project_manager.schemas.tasks import UpdateTaskStatus
from project_manager.services import claim_queue, leases, statuses
from project_manager.store import messages, questions, task_filters
from project_manager.store.postgres import driver, hosts
from project_manager.store.statement import Statement
from project_manager.store.transaction import Tx
from tests.integration.plan_helpers import import_plan
from tests.operations_client import MovableClock, OperationsClient
from tests.stored_rows import settings_of

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

READY_TASKS = 6000
READ_FROM_THE_START = "SELECT relname, seq_tup_read FROM pg_stat_xact_user_tables"
"""The numbers of rows that a session has read by table. Those of its last transactions can be among them."""

LISTS = {"ids": "[1, 9]", "status": '["READY"]'}
VALUES = {
    **LISTS,
    "project_id": 1,
    "after_0": 0,
    "last": 9,
    "limit": 5,
    "max_attempts": 5,
    "now": 1,
    "before": 9,
    "most": 9,
    "agent": "ann",
    "participant": "ann",
}


@pytest.fixture
def connection(postgresql_url: str) -> Iterator[psycopg.Connection[tuple[str]]]:
    """Return a connection to a database with few rows, of which the plans read indexes like those of many rows."""
    with psycopg.connect(postgresql_url, autocommit=True, cursor_factory=psycopg.RawCursor) as connection:
        connection.execute(f"SET search_path = {hosts.SCHEMA}; SET enable_seqscan = off")
        yield connection


@pytest.mark.parametrize("filters", [{"status"}, {"status", "project_id"}, {"ready"}])
def test_the_first_tasks_of_each_range_are_selected_once_for_the_range(
    filters: set[str], connection: psycopg.Connection[tuple[str]]
) -> None:
    plan = plan_of(connection, filters)
    assert "Function Scan on unnest id" in plan, plan


def test_a_page_of_known_tasks_reads_only_their_entries_of_the_index(
    connection: psycopg.Connection[tuple[str]],
) -> None:
    plan = plan_of(connection, {"ids"})
    assert "Index Cond: (id = ANY" in plan, plan


@pytest.mark.parametrize("project", [set(), {"project_id"}])
@pytest.mark.parametrize("build", [questions._page, questions._counter], ids=["page", "count"])
def test_open_questions_are_read_from_their_own_indexes(
    build: Callable[..., Statement], project: set[str], connection: psycopg.Connection[tuple[str]]
) -> None:
    connection.execute("SET session_replication_role = replica")  # the questions need no tasks
    connection.execute(
        "INSERT INTO questions (task_id, asker, text, options, state, asked_at)"
        " SELECT n, 'ann', 'why?', '[]', CASE WHEN n % 1000 = 0 THEN 'open' ELSE 'answered' END, 1"
        " FROM generate_series(1, 5000) n"
    )
    plan = explained(connection, build(frozenset(project), QuestionState.OPEN))
    assert "ix_questions_open" in plan or "uq_questions_open" in plan, plan
    assert "pk_questions" not in plan, plan
    assert "ix_questions_task_id_id" not in plan, plan


def plan_of(connection: psycopg.Connection[tuple[str]], filters: set[str]) -> str:
    """Return the plan of the statement that selects the first tasks with these filters by id."""
    selection = task_filters.first_by_id(frozenset(filters), after=filters != {"ids"}, capped=True)
    return explained(connection, Statement(selection))


def explained(connection: psycopg.Connection[tuple[str]], statement: Statement) -> str:
    sql, values_of = statement.compiled(driver.DIALECT)
    return "\n".join(row[0] for row in connection.execute(f"EXPLAIN {sql}".encode(), values_of(VALUES)))


@pytest.mark.parametrize(
    "flags", [(True, False, False), (False, True, False), (False, False, True), (True, True, True)]
)
def test_messages_are_found_in_the_indexes_of_their_agents(
    flags: tuple[bool, bool, bool], connection: psycopg.Connection[tuple[str]]
) -> None:
    page, count = (explained(connection, statement) for statement in messages._listed(*flags, False))
    assert "Index Cond: ((id = messages_1.id) AND (id < '9'::bigint))" in page, page
    assert "Seq Scan" not in page + count, page + count


async def test_work_on_a_task_reads_no_table_from_its_start(postgresql_url: str) -> None:
    tasks = [{"name": f"task {number}", "labels": ["paint"]} for number in range(READY_TASKS)]
    async with open_runtime(settings_of(postgresql_url), clock=MovableClock()) as runtime:
        await import_plan(OperationsClient(runtime, MovableClock()), json.dumps({"standalone_tasks": tasks}))
        read = await runtime.database.writer.run("job", work_on_two_tasks, LOCAL, "")
    assert read == []


def work_on_two_tasks(tx: Tx) -> list[str]:
    """Finish a task and release another one. Return the tables of which all rows were read."""
    before = dict(tx.connection.execute(READ_FROM_THE_START).fetchall())
    first, second = [claim_queue.claim_next(tx, ClaimNextTask.model_validate({})) for _ in range(2)]
    assert leases.confirm(tx, tx.now) is False
    assert first.lock is not None
    assert second.lock is not None
    done = {"task_id": first.lock.task_id, "fence": first.lock.fence, "status": "DONE"}
    statuses.update_status(tx, UpdateTaskStatus.model_validate(done))
    released = {"task_id": second.lock.task_id, "fence": second.lock.fence}
    leases.release(tx, ReleaseTaskLock.model_validate(released))
    after = dict(tx.connection.execute(READ_FROM_THE_START).fetchall())
    return [table for table, number in after.items() if number - before.get(table, 0) >= READY_TASKS]
