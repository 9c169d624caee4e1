"""Reads and writes of many rows at once, for plans and deletions.

The writes leave the counters of tasks as they are. Call `recount` afterwards.
"""

import json
from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, ScalarSelect, bindparam, delete, func, insert, select, update
from sqlalchemy.sql.expression import literal_column

from project_manager.store.row_inserts import RowInsert
from project_manager.store.statement import Statement, bindparams, is_among
from project_manager.store.subtasks import CLOSED_WORDS, number_of_open
from project_manager.store.tables import epics, metadata, projects, task_conflicts, task_dependencies, tasks
from project_manager.store.tasks import COLUMNS, TaskRow, with_empty_links
from project_manager.store.transaction import Tx

_IDS_AT_ONCE = 1000
AT_ONCE = 16
"""Number of rows with long texts that an export reads at once, so that it needs little memory."""


class NameRow(NamedTuple):
    """The ids and names needed to refer to a task."""

    id: int
    project_id: int
    epic_id: int | None
    project: str
    epic: str | None
    name: str
    external_key: str | None


Child = TypeVar("Child", bound=NamedTuple)

_dependencies = task_dependencies
_linked = tasks.alias("linked")

_OF_PROJECT = Statement(select(*COLUMNS).where(tasks.c.project_id == bindparam("project_id")).order_by(tasks.c.id))
_TASKS = Statement(select(*COLUMNS).where(is_among(tasks.c.id, "ids")).order_by(tasks.c.id))
_NAMES = Statement(
    select(
        tasks.c.id,
        tasks.c.project_id,
        tasks.c.epic_id,
        projects.c.name,
        epics.c.name,
        tasks.c.name,
        tasks.c.external_key,
    )
    .select_from(
        tasks.join(projects, projects.c.id == tasks.c.project_id).outerjoin(epics, epics.c.id == tasks.c.epic_id)
    )
    .order_by(tasks.c.id)
)
_DEPENDENCIES = Statement(
    select(_dependencies.c.task_id, _dependencies.c.depends_on_id).order_by(
        _dependencies.c.task_id, _dependencies.c.depends_on_id
    )
)
_CONFLICTS = Statement(
    select(task_conflicts.c.task_id, task_conflicts.c.other_id).order_by(
        task_conflicts.c.task_id, task_conflicts.c.other_id
    )
)
_ADD_DEPENDENCIES = RowInsert(_dependencies, ("task_id", "depends_on_id"), (64, 8, 1))
_DROP_DEPENDENCIES = Statement(delete(_dependencies).where(is_among(_dependencies.c.task_id, "ids")))
_DEPENDENCIES_OF_ANY = Statement(
    select(_dependencies.c.depends_on_id).where(is_among(_dependencies.c.task_id, "ids")).distinct()
)
_DEPENDENTS_OF_ANY = Statement(
    select(_dependencies.c.task_id).where(is_among(_dependencies.c.depends_on_id, "ids")).distinct()
)
_DELETE_TASKS = Statement(delete(tasks).where(is_among(tasks.c.id, "ids")))
_ADD_CONFLICTS = RowInsert(task_conflicts, ("task_id", "other_id"), (64, 8, 1))
_DROP_CONFLICT = Statement(
    delete(task_conflicts).where(
        task_conflicts.c.task_id == bindparam("task_id"), task_conflicts.c.other_id == bindparam("other_id")
    )
)


def _status_of(task_id: ColumnElement[int]) -> ScalarSelect[str]:
    """Return the status of the task with this id, as a subquery.

    PostgreSQL has no statistics of rows of the same transaction. It would read all tasks for each row of a join.
    """
    return select(_linked.c.status).where(_linked.c.id == task_id).correlate(_dependencies).scalar_subquery()


_OPEN_DEPENDENCIES = (
    select(func.count())
    .select_from(_dependencies)
    .where(_dependencies.c.task_id == tasks.c.id, _status_of(_dependencies.c.depends_on_id) != literal_column("'DONE'"))
    .correlate(tasks)
    .scalar_subquery()
) + number_of_open(tasks.c.id)
_UNBLOCKS = (
    select(func.count())
    .select_from(_dependencies)
    .where(_dependencies.c.depends_on_id == tasks.c.id, _status_of(_dependencies.c.task_id).not_in(CLOSED_WORDS))
    .correlate(tasks)
    .scalar_subquery()
)
_RECOUNT = Statement(
    update(tasks).where(is_among(tasks.c.id, "ids")).values(open_dependencies=_OPEN_DEPENDENCIES, unblocks=_UNBLOCKS)
)
_MISCOUNTED = Statement(
    select(tasks.c.id)
    .where((tasks.c.open_dependencies != _OPEN_DEPENDENCIES) | (tasks.c.unblocks != _UNBLOCKS))
    .order_by(tasks.c.id)
    .limit(bindparam("limit"))
)


def of_project(tx: Tx, project_id: int) -> list[TaskRow]:
    """Return the tasks of a project, ordered by id. Links are not filled in."""
    return [with_empty_links(row) for row in tx.keeping_alive(_OF_PROJECT.each(tx, project_id=project_id))]


def tasks_of(tx: Tx, ids: list[int]) -> list[TaskRow]:
    """Return the tasks with these ids, ordered by id. Links are not filled in."""
    return _TASKS.all(tx, with_empty_links, ids=json.dumps(ids))


def names(tx: Tx) -> Iterator[NameRow]:
    """Yield the names of all tasks, ordered by id."""
    return map(NameRow._make, _NAMES.each(tx))


def dependencies(tx: Tx) -> dict[int, list[int]]:
    """Return the ids of dependencies by task id, without the tasks that have none."""
    return _grouped(tx, _DEPENDENCIES)


def conflicts(tx: Tx) -> dict[int, list[int]]:
    """Return the ids of conflicting tasks by task id, in both directions."""
    return _grouped(tx, _CONFLICTS)


def add(tx: Tx, table: str, values: dict[str, Any]) -> int:
    """Insert a row with these columns into the table and return its id."""
    return int(_insert(table, tuple(values), True).value(tx, **values))


def write(tx: Tx, table: str, values: dict[str, Any]) -> None:
    """Insert a row like `add`, but do not wait for its id, which takes a round trip to a PostgreSQL server."""
    _insert(table, tuple(values), False).write(tx, **values)


def parents(tx: Tx, table: str, column: str, ids: list[int]) -> set[int]:
    """Return the subset of `ids` to which rows of the table refer in this column."""
    return {row[0] for row in _parents(table, column).rows(tx, ids=json.dumps(ids))}


def children(tx: Tx, kind: type[Child], table: str, column: str, parent_id: int) -> Iterator[Child]:
    """Yield the child rows, oldest first, read AT_ONCE at a time. `kind` names the columns to read, `id` first."""
    statement, last = _children(kind, table, column), 0
    while True:
        rows = statement.all(tx, kind._make, parent=parent_id, after=last)
        yield from rows
        if len(rows) < AT_ONCE:
            return
        last = rows[-1][0]


def dependencies_of_any(tx: Tx, ids: Collection[int]) -> set[int]:
    """Return the ids of the tasks that at least one of these tasks depends on."""
    return _ids(_DEPENDENCIES_OF_ANY, tx, ids)


def dependents_of_any(tx: Tx, ids: Collection[int]) -> set[int]:
    """Return the ids of the tasks that depend on at least one of these tasks."""
    return _ids(_DEPENDENTS_OF_ANY, tx, ids)


def delete_tasks(tx: Tx, ids: Collection[int]) -> None:
    """Delete these tasks with their logs, links and assumptions."""
    _DELETE_TASKS.write(tx, ids=json.dumps([*ids]))


def replace_dependencies(tx: Tx, links: dict[int, list[int]]) -> None:
    """Replace the dependencies of each task in `links` with the given ids. `recount` sets the counters."""
    for ids in _parts([*links]):
        _DROP_DEPENDENCIES.write(tx, ids=ids)
    values = [number for task_id, others in links.items() for other_id in others for number in (task_id, other_id)]
    _ADD_DEPENDENCIES.write(tx, values)


def add_conflicts(tx: Tx, pairs: Collection[tuple[int, int]]) -> None:
    """Insert new conflicts in both directions. No pair may be among them twice, in either order."""
    rows = sorted([*pairs, *((other, one) for one, other in pairs)])  # rows in the order of the key are cheaper
    _ADD_CONFLICTS.write(tx, [number for row in tx.keeping_alive(rows) for number in row])


def drop_conflict(tx: Tx, one: int, other: int) -> None:
    """Delete a conflict in both directions."""
    _DROP_CONFLICT.write(tx, task_id=one, other_id=other)
    _DROP_CONFLICT.write(tx, task_id=other, other_id=one)


def recount(tx: Tx, task_ids: list[int]) -> None:
    """Set `open_dependencies` and `unblocks` of these tasks from the present links and statuses."""
    for ids in _parts(task_ids):
        _RECOUNT.write(tx, ids=ids)


def find_wrong_counters(tx: Tx, limit: int) -> list[int]:
    """Return the ids of up to `limit` tasks with counters that `recount` would change."""
    return [row[0] for row in _MISCOUNTED.rows(tx, limit=limit)]


def _parts(ids: list[int]) -> Iterator[str]:
    """Yield the ids in parts, each as a JSON array.

    A server can compare each row of a small table with each id, so that one statement for all ids could take long.
    """
    return (json.dumps(ids[start : start + _IDS_AT_ONCE]) for start in range(0, len(ids), _IDS_AT_ONCE))


def _ids(statement: Statement, tx: Tx, ids: Collection[int]) -> set[int]:
    return {row[0] for row in statement.rows(tx, ids=json.dumps([*ids]))} if ids else set()


def _grouped(tx: Tx, pairs: Statement) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for one, other in tx.keeping_alive(pairs.rows(tx)):
        found.setdefault(one, []).append(other)
    return found


@lru_cache(maxsize=16)
def _insert(table: str, columns: tuple[str, ...], returns_id: bool) -> Statement:
    into = metadata.tables[table]
    row = insert(into).values(bindparams(*columns))
    return Statement(row.returning(into.c.id) if returns_id else row)


@lru_cache(maxsize=16)
def _parents(table: str, column: str) -> Statement:
    parent = metadata.tables[table].c[column]
    return Statement(select(parent).where(is_among(parent, "ids")).distinct())


@lru_cache(maxsize=16)
def _children(kind: type[Child], table: str, column: str) -> Statement:
    columns = metadata.tables[table].c
    rows = select(*[columns[name] for name in kind._fields])
    rows = rows.where(columns[column] == bindparam("parent"), columns.id > bindparam("after"))
    return Statement(rows.order_by(columns.id).limit(literal_column(str(AT_ONCE))))
