"""How a PostgreSQL server runs statements: the plans of those that it could run in quadratic time."""

from collections.abc import Iterator

import psycopg
import pytest

from project_manager.store import task_filters
from project_manager.store.postgres import driver, hosts
from project_manager.store.statement import Statement

pytestmark = pytest.mark.slow

LISTS = {"ids": "[1, 9]", "status": '["READY"]'}
VALUES = {**LISTS, "project_id": 1, "after_0": 0, "last": 9, "limit": 5, "max_attempts": 5, "now": 1}


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


def plan_of(connection: psycopg.Connection[tuple[str]], filters: set[str]) -> str:
    """Return the plan of the statement that selects the first tasks with these filters by id."""
    selection = task_filters.first_by_id(frozenset(filters), after=filters != {"ids"}, capped=True)
    sql, values_of = Statement(selection).compiled(driver.DIALECT)
    return "\n".join(row[0] for row in connection.execute(f"EXPLAIN {sql}".encode(), values_of(VALUES)))
