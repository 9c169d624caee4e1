"""Dependencies and conflicts between tasks, and the counters of dependencies in the task rows."""

import json
from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, delete, func, select, union_all, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.expression import literal_column

from project_manager.store import subtasks
from project_manager.store.statement import Statement, is_among
from project_manager.store.tables import READY_INDEX_CONDITION, task_conflicts, task_dependencies, tasks
from project_manager.store.tables_paths import glob_overlaps, task_paths
from project_manager.store.transaction import Tx

_d = task_dependencies
_conflicts = task_conflicts

_DEPENDENCIES_OF = Statement(select(_d.c.depends_on_id).where(_d.c.task_id == bindparam("task_id")))
_WAITS_FOR = Statement(
    union_all(
        select(_d.c.depends_on_id).where(_d.c.task_id == bindparam("task_id")), subtasks.ids_of(bindparam("task_id"))
    )
)
_DEPENDENTS_OF = Statement(
    select(tasks.c.id, tasks.c.name, tasks.c.status)
    .join(_d, _d.c.task_id == tasks.c.id)
    .where(_d.c.depends_on_id == bindparam("task_id"))
    .order_by(tasks.c.id)
)
_ADD_DEPENDENCY = Statement(insert(_d).values(task_id=bindparam("task_id"), depends_on_id=bindparam("other_id")))
_DROP_DEPENDENCIES = Statement(delete(_d).where(_d.c.task_id == bindparam("task_id")))
_COUNT_OPEN = Statement(
    update(tasks)
    .where(tasks.c.id == bindparam("task_id"))
    .values(
        open_dependencies=select(func.count())
        .select_from(_d.join(tasks.alias("needed"), literal_column("needed.id") == _d.c.depends_on_id))
        .where(_d.c.task_id == bindparam("task_id"), literal_column("needed.status") != literal_column("'DONE'"))
        .scalar_subquery()
        + subtasks.number_of_open(bindparam("task_id"))
    )
    .returning(tasks.c.open_dependencies)
)
_SHIFT_UNBLOCKS = Statement(
    update(tasks)
    .where(tasks.c.id.in_(select(_d.c.depends_on_id).where(_d.c.task_id == bindparam("task_id"))))
    .values(unblocks=tasks.c.unblocks + bindparam("step"))
)
_SHIFT_OPEN = Statement(
    update(tasks)
    .where(tasks.c.id.in_(select(_d.c.task_id).where(_d.c.depends_on_id == bindparam("task_id"))))
    .values(open_dependencies=tasks.c.open_dependencies + bindparam("step"))
    .returning(tasks.c.id, tasks.c.open_dependencies)
)
_CONFLICTS_OF = Statement(select(_conflicts.c.other_id).where(_conflicts.c.task_id == bindparam("task_id")))
_CONFLICTS_OF_ANY = Statement(select(_conflicts.c.other_id).where(is_among(_conflicts.c.task_id, "ids")).distinct())
_own, _pair, _other = task_paths.alias("own"), glob_overlaps.alias("pair"), task_paths.alias("other")


def _overlapping(condition: ColumnElement[bool]) -> Select[Any]:
    """Select the tasks in the index of ready tasks that overlap a task by paths. The condition selects the task."""
    pairs = _own.join(_pair, _pair.c.glob_id == _own.c.glob_id).join(_other, _other.c.glob_id == _pair.c.other_id)
    return (
        select(_other.c.task_id)
        .select_from(pairs.join(tasks, tasks.c.id == _other.c.task_id))
        .with_hint(tasks, "NOT INDEXED", "sqlite")
        .where(condition, _other.c.task_id != _own.c.task_id, READY_INDEX_CONDITION)
    )


_EXCLUDED_BY = Statement(
    union_all(
        select(_conflicts.c.other_id).where(_conflicts.c.task_id == bindparam("task_id")),
        _overlapping(_own.c.task_id == bindparam("task_id")),
    )
)
_EXCLUDED_BY_ANY = Statement(
    union_all(
        select(_conflicts.c.other_id).where(is_among(_conflicts.c.task_id, "ids")),
        _overlapping(is_among(_own.c.task_id, "ids")),
    )
)
_TOO_MANY_CONFLICTS = Statement(
    select(_conflicts.c.task_id)
    .where(is_among(_conflicts.c.task_id, "ids"))
    .group_by(_conflicts.c.task_id)
    .having(func.count() > bindparam("limit"))
    .limit(literal_column("1"))
)
_ADD_CONFLICT = Statement(
    insert(_conflicts).values(task_id=bindparam("task_id"), other_id=bindparam("other_id")).on_conflict_do_nothing()
)
_DROP_CONFLICTS = Statement(
    delete(_conflicts).where(
        (_conflicts.c.task_id == bindparam("task_id")) | (_conflicts.c.other_id == bindparam("task_id"))
    )
)
_EXISTING = Statement(select(tasks.c.id).where(is_among(tasks.c.id, "ids")))


def dependencies_of(tx: Tx, task_id: int) -> list[int]:
    return [row[0] for row in _DEPENDENCIES_OF.rows(tx, task_id=task_id)]


def waits_for(tx: Tx, task_id: int) -> list[int]:
    """Return the ids of the tasks that must be closed before this one: its dependencies and its subtasks."""
    return [row[0] for row in _WAITS_FOR.rows(tx, task_id=task_id)]


def dependents_of(tx: Tx, task_id: int) -> list[tuple[int, str, str]]:
    """Return (id, name, status) of the tasks that depend on this one, ordered by id."""
    return [(row[0], row[1], row[2]) for row in _DEPENDENTS_OF.rows(tx, task_id=task_id)]


def set_dependencies(tx: Tx, task_id: int, ids: list[int], *, open_task: bool) -> int:
    """Replace the dependencies, set the counters of all these tasks, and return the number that are not DONE.

    With `open_task`, the task counts in `unblocks` of its dependencies.
    """
    if open_task:
        _SHIFT_UNBLOCKS.write(tx, task_id=task_id, step=-1)
    _DROP_DEPENDENCIES.write(tx, task_id=task_id)
    for other_id in ids:
        _ADD_DEPENDENCY.write(tx, task_id=task_id, other_id=other_id)
    if open_task:
        _SHIFT_UNBLOCKS.write(tx, task_id=task_id, step=1)
    return int(_COUNT_OPEN.value(tx, task_id=task_id))


def adjust_open_dependencies(tx: Tx, task_id: int, step: int) -> list[int]:
    """Add `step` (+1 or -1) to `open_dependencies` of the tasks that depend on this one.

    Return the ids of those that now have no open dependency.
    """
    return sorted(row[0] for row in _SHIFT_OPEN.rows(tx, task_id=task_id, step=step) if row[1] == 0)


def adjust_unblocks(tx: Tx, task_id: int, step: int) -> None:
    """Add `step` (+1 or -1) to `unblocks` of the dependencies of this task."""
    _SHIFT_UNBLOCKS.write(tx, task_id=task_id, step=step)


def conflicts_of(tx: Tx, task_id: int) -> list[int]:
    return [row[0] for row in _CONFLICTS_OF.rows(tx, task_id=task_id)]


def conflicts_of_any(tx: Tx, task_ids: Collection[int]) -> list[int]:
    """Return the ids of the tasks that conflict with any of these tasks."""
    return [row[0] for row in _CONFLICTS_OF_ANY.rows(tx, ids=json.dumps([*task_ids]))]


def excluded_by(tx: Tx, task_id: int) -> list[int]:
    """Return the tasks that conflict with the task, and the ready ones that overlap it by paths."""
    return [row[0] for row in _EXCLUDED_BY.rows(tx, task_id=task_id)]


def excluded_by_any(tx: Tx, task_ids: Collection[int]) -> list[int]:
    """Return the tasks that conflict with any of these tasks, and the ready ones that overlap any of them by paths."""
    return [row[0] for row in _EXCLUDED_BY_ANY.rows(tx, ids=json.dumps([*task_ids]))]


def with_too_many_conflicts(tx: Tx, task_ids: Collection[int], limit: int) -> int | None:
    """Return the id of one of these tasks with more than `limit` conflicts, or None."""
    found: int | None = _TOO_MANY_CONFLICTS.value(tx, ids=json.dumps([*task_ids]), limit=limit)
    return found


def set_conflicts(tx: Tx, task_id: int, ids: list[int]) -> None:
    """Replace the conflicts of a task, in both directions."""
    _DROP_CONFLICTS.write(tx, task_id=task_id)
    for other_id in ids:
        _ADD_CONFLICT.write(tx, task_id=task_id, other_id=other_id)
        _ADD_CONFLICT.write(tx, task_id=other_id, other_id=task_id)


def missing(tx: Tx, ids: list[int]) -> list[int]:
    """Return the elements of `ids` that are not the id of any task."""
    if not ids:
        return []
    existing = {row[0] for row in _EXISTING.rows(tx, ids=json.dumps(ids))}
    return [task_id for task_id in ids if task_id not in existing]
