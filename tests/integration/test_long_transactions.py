"""Long computations in a transaction: the server ends one that executes no statement for 3 seconds."""

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from project_manager.plans import apply
from project_manager.schemas.plans import ImportPlan
from project_manager.store import chain, events
from project_manager.store.connection import Connection
from project_manager.store.postgres import driver
from project_manager.store.transaction import BatchState
from tests.integration.watched_connection import traced
from tests.stored_rows import Address, rolled_back

pytestmark = pytest.mark.slow

FEW_TASKS = 80
TASKS = 600
CALLS_PER_TASK = 10
"""Calls of functions between two statements. For 100,000 tasks, a million of them take half a second."""
UNCHANGED_CALLS_PER_TASK = 2
"""The same for a plan without changes, which computes all the time."""


@contextmanager
def counted_work(connection: Connection, *names: str) -> Iterator[list[int]]:
    """Yield a list that gets the number of calls between the calls of these methods of the connection."""
    work = [0]

    def count(frame: object, event: str, argument: object) -> None:
        work[-1] += event in ("call", "c_call")

    def noted(method: Any) -> Any:
        def call(*arguments: Any) -> Any:
            work.append(0)
            return method(*arguments)

        return call

    watched: Any = connection
    for name in names:
        setattr(watched, name, noted(getattr(watched, name)))
    sys.setprofile(count)
    try:
        yield work
    finally:
        sys.setprofile(None)
        for name in names:
            delattr(watched, name)


def plan(tasks: int) -> str:
    """Return a plan in which most tasks have a key, a dependency and a conflict."""
    lines = ["standalone_tasks:"]
    for number in range(tasks):
        lines += [f"- name: Task {number}", f"  external_key: K-{number}"]
        if number > 2:
            lines += [f"  depends_on: [K-{number - 1}]", f"  conflicts_with: [Task {number // 2}]"]
    return "\n".join(lines)


def work_of_an_import(database: Address, tasks: int, *names: str) -> list[int]:
    """Import a plan, and return the numbers of calls between the calls of these methods of the connection."""
    command = ImportPlan.model_validate({"document": plan(tasks)})
    prepared = apply.read_plan(command, "")
    with rolled_back(database) as tx, counted_work(tx.connection, *names) as work:
        tx.batch = BatchState()
        apply.import_plan(tx, command, prepared)
        events.add_compact_rows(tx, tx.batch.outbox)
        events.write(tx, tx.batch.outbox, chain.head(tx))
    return work


def longest_work(database: Address, *names: str) -> int:
    """Return the most calls between two calls of these methods, once all statements are compiled."""
    work_of_an_import(database, FEW_TASKS)
    return max(work_of_an_import(database, TASKS, *names))


def test_an_import_computes_only_briefly_between_two_statements(database: Address) -> None:
    assert longest_work(database, "execute", "postpone", "keep_alive") < CALLS_PER_TASK * TASKS


def test_an_import_of_an_unchanged_plan_computes_only_briefly_between_two_statements(database: Address) -> None:
    command = ImportPlan.model_validate({"document": plan(TASKS)})
    first, second, third = [apply.read_plan(command, "") for _ in range(3)]
    with rolled_back(database) as tx:
        tx.batch = BatchState()
        apply.import_plan(tx, command, first)
        apply.import_plan(tx, command, second)  # compiles its statements
        with counted_work(tx.connection, "execute", "postpone", "keep_alive") as work:
            apply.import_plan(tx, command, third)
    assert max(work) < UNCHANGED_CALLS_PER_TASK * TASKS


def test_the_count_would_notice_an_import_that_computes_for_long(database: Address) -> None:
    assert longest_work(database, "execute") > CALLS_PER_TASK * TASKS


def test_a_transaction_is_kept_alive_by_two_statements_a_second(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    instant = 0.0
    monkeypatch.setattr(driver, "monotonic", lambda: instant)
    with closing(driver.Connection(postgresql_url)) as connection, traced(connection) as statements:
        connection.execute("BEGIN")
        for quarter in range(1, 13):
            instant = quarter / 4
            connection.keep_alive()
    assert statements == ["BEGIN", *["SELECT 1"] * 6]
