"""Operations on many rows: a writer waits for its server once for many of them, because all other writers wait for it.

The number of waits is compared for a small and a large operation. No time is measured.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import pytest

from project_manager.plans import apply
from project_manager.schemas.board import GetBoardState
from project_manager.schemas.plans import ImportPlan
from project_manager.schemas.projects import DeleteProject
from project_manager.services import board, leases, projects
from project_manager.store import bulk
from project_manager.store.connection import Connection
from project_manager.store.transaction import BatchState, Tx
from tests.stored_rows import Address, execute, rolled_back, rows

pytestmark = pytest.mark.slow

ENTRY = "{author: me, kind: comment, body: Begun, at: 2026-01-02T03:04:05Z}"
FEW, MANY = 40, 296
MORE_WAITS = 24
"""Waits for MANY tasks beyond those for FEW. One wait for each task would be 256 of them."""
LEASE_ALL = (
    "UPDATE tasks SET status = 'IN_PROGRESS', lock_holder = 'me', lock_acquired_at = 1, lock_expires_at = 2,"
    " lock_ttl = 1, lock_from = 'TODO', fence = 1"
)


def plan(tasks: int) -> str:
    """Return a plan with tasks that depend on the task before, and a project that waits for the last task."""
    lines = ["projects:", "- name: Large", "  tasks:"]
    for number in range(tasks):
        lines += [f"  - name: Task {number}", "    log:", f"    - {ENTRY}"]
        if number:
            lines.append(f"    depends_on: Task {number - 1}")
    last = f"Large/Task {tasks - 1}"
    return "\n".join([*lines, "- name: Other", "  tasks:", "  - name: Waiting", f"    depends_on: {last}"])


@contextmanager
def counted_waits(connection: Connection) -> Iterator[list[str]]:
    """Yield a list that gets the text of each statement whose result the transaction waits for."""
    waits: list[str] = []
    execute: Any = connection.execute

    def noted(sql: str, *parameters: Any) -> Any:
        waits.append(sql)
        return execute(sql, *parameters)

    watched: Any = connection
    watched.execute = noted
    try:
        yield waits
    finally:
        del watched.execute


def import_plan(tx: Tx, tasks: int) -> None:
    command = ImportPlan.model_validate({"document": plan(tasks)})
    apply.import_plan(tx, command, apply.read_plan(command, ""))


def waits_for(database: Address, work: Callable[[Tx, int], list[str]]) -> int:
    """Return the number of waits of `work` on MANY tasks beyond those on FEW."""
    numbers = []
    for tasks in (FEW, MANY):
        with rolled_back(database) as tx:
            tx.batch = BatchState()
            numbers.append(len(work(tx, tasks)))
    return numbers[1] - numbers[0]


def delete_large(tx: Tx) -> None:
    (project,) = rows(tx, "SELECT id FROM projects WHERE name = 'Large'")
    projects.delete(tx, DeleteProject(project_id=project["id"], force=True))


def test_an_import_waits_once_for_many_tasks(database: Address) -> None:
    def work(tx: Tx, tasks: int) -> list[str]:
        with counted_waits(tx.connection) as waits:
            import_plan(tx, tasks)
        return waits

    assert waits_for(database, work) <= MORE_WAITS


def test_the_deletion_of_a_project_waits_once_for_many_tasks(database: Address) -> None:
    def work(tx: Tx, tasks: int) -> list[str]:
        import_plan(tx, tasks)
        with counted_waits(tx.connection) as waits:
            delete_large(tx)
        return waits

    assert waits_for(database, work) <= MORE_WAITS


def test_imported_tasks_have_ids_in_the_order_of_the_plan(database: Address) -> None:
    with rolled_back(database) as tx:
        tx.batch = BatchState()
        import_plan(tx, MANY)
        found = rows(tx, "SELECT name FROM tasks ORDER BY id")
        entries = rows(tx, "SELECT task_id FROM task_logs ORDER BY id")
        ids = rows(tx, "SELECT id FROM tasks WHERE name <> 'Waiting' ORDER BY id")
    assert [row["name"] for row in found] == [*[f"Task {number}" for number in range(MANY)], "Waiting"]
    assert [row["task_id"] for row in entries] == [row["id"] for row in ids]


def test_the_deletion_of_a_project_frees_the_tasks_that_wait_for_it(database: Address) -> None:
    with rolled_back(database) as tx:
        tx.batch = BatchState()
        import_plan(tx, MANY)
        tx.batch = BatchState()
        delete_large(tx)
        left = rows(tx, "SELECT name, open_dependencies FROM tasks")
        wrong = bulk.find_wrong_counters(tx, 10)
    assert left == [{"name": "Waiting", "open_dependencies": 0}]
    assert wrong == []
    types = [row[0] for row in tx.batch.outbox]
    assert types == [*["task.deleted"] * MANY, "task.ready", "project.deleted"]


def test_many_leases_that_expire_wait_once_each(database: Address) -> None:
    def work(tx: Tx, tasks: int) -> list[str]:
        import_plan(tx, tasks)
        execute(tx, LEASE_ALL)
        tx.now = 3
        with counted_waits(tx.connection) as waits:
            leases.expire_due(tx)
        return waits

    assert waits_for(database, work) <= MANY - FEW + MORE_WAITS


def test_the_board_of_a_project_reads_its_rare_tasks_with_few_statements(database: Address) -> None:
    with rolled_back(database) as tx:
        tx.batch = BatchState()
        import_plan(tx, 800)
        (project,) = rows(tx, "SELECT id FROM projects WHERE name = 'Other'")
        execute(tx, "UPDATE tasks SET project_id = ? WHERE id % 16 = 0", project["id"])
        with counted_waits(tx.connection) as waits:
            found = board.state(tx, GetBoardState(project_id=project["id"]))
        names = [row["name"] for row in rows(tx, "SELECT name FROM tasks WHERE project_id = ?", project["id"])]
    cards = orjson.loads(orjson.dumps(found))["tasks"]
    assert sorted(card["name"] for card in cards) == sorted(names)
    assert len(waits) <= 16, waits


def test_the_counters_of_many_tasks_are_computed_in_several_statements(
    database: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rolled_back(database) as tx:
        numbers: list[int] = []
        postpone: Any = tx.connection.postpone

        def noted(sql: str, parameters: Any) -> Any:
            numbers.append(len(json.loads(parameters[0])))
            return postpone(sql, parameters)

        monkeypatch.setattr(tx.connection, "postpone", noted)
        bulk.recount(tx, list(range(1, 2501)))
    assert numbers == [1000, 1000, 500]
