"""Subtasks: the parents of tasks, the numbers of their subtasks, and expressions for statements on tasks.

A subtask is open if it is neither DONE nor CANCELLED. `open_dependencies` of a task counts its open subtasks too.
"""

import json
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, bindparam, func, select, update
from sqlalchemy.sql.expression import literal_column

from project_manager.domain.statuses import CLOSED, Status
from project_manager.store.functions import GroupedIds
from project_manager.store.statement import Statement, is_among
from project_manager.store.tables import tasks
from project_manager.store.transaction import Tx

CLOSED_WORDS: list[ColumnElement[str]] = [literal_column(f"'{status.value}'") for status in Status if status in CLOSED]
_child = tasks.alias("child")


class Progress(NamedTuple):
    """The numbers of subtasks of a task: all, those that are DONE, and those that are open."""

    total: int
    done: int
    open: int


def _is_open(child: Any) -> ColumnElement[bool]:
    found: ColumnElement[bool] = child.c.status.not_in(CLOSED_WORDS)
    return found


def number_of_open(parent_id: ColumnElement[int]) -> ColumnElement[int]:
    """Return the number of open subtasks of the task with this id."""
    found = select(func.count()).select_from(_child).where(_child.c.parent_id == parent_id, _is_open(_child))
    return found.correlate(tasks).scalar_subquery()


def open_ids(parent: Any) -> ColumnElement[str]:
    """Return the ids of the open subtasks of a row of `parent`, as a JSON array."""
    found = select(GroupedIds(_child.c.id)).where(_child.c.parent_id == parent.c.id, _is_open(_child))
    return found.correlate(parent).scalar_subquery()


def ids_of(parent_id: ColumnElement[int]) -> Select[Any]:
    """Select the ids of all subtasks of the task with this id."""
    return select(tasks.c.id).where(tasks.c.parent_id == parent_id)


def open_by_parent(is_wanted: Callable[[ColumnElement[int]], ColumnElement[bool]]) -> Select[Any]:
    """Select the ids of open subtasks as a JSON array, by parent. `is_wanted` is the condition on the parent's id."""
    parent_id: ColumnElement[Any] = _child.c.parent_id
    rows = select(parent_id, GroupedIds(_child.c.id).label("open_subtasks")).where(is_wanted(parent_id))
    return rows.where(_is_open(_child)).group_by(parent_id)


_PARENT_OF = Statement(select(tasks.c.parent_id).where(tasks.c.id == bindparam("task_id")))
_update = update(tasks).where(tasks.c.id == bindparam("task_id"))
_SET_PARENT = Statement(_update.values(parent_id=bindparam("parent_id")))
_SHIFT_OPEN = Statement(
    _update.values(open_dependencies=tasks.c.open_dependencies + bindparam("step")).returning(tasks.c.open_dependencies)
)
_OPEN_OF = Statement(
    select(tasks.c.id).where(tasks.c.parent_id == bindparam("task_id"), _is_open(tasks)).order_by(tasks.c.id)
)
_OF_ANY = Statement(select(tasks.c.id).where(is_among(tasks.c.parent_id, "ids")))
_NAMED = Statement(
    select(tasks.c.id, tasks.c.name, tasks.c.status)
    .where(tasks.c.parent_id == bindparam("task_id"))
    .order_by(tasks.c.id)
)
_PROGRESS = Statement(
    select(
        tasks.c.parent_id,
        func.count(),
        func.count().filter(tasks.c.status == literal_column("'DONE'")),
        func.count().filter(_is_open(tasks)),
    )
    .where(is_among(tasks.c.parent_id, "ids"))
    .group_by(tasks.c.parent_id)
)
_NUMBER_OF_ALL = Statement(select(func.count()).select_from(tasks).where(tasks.c.parent_id == bindparam("task_id")))
_PARENTS = Statement(select(tasks.c.id, tasks.c.parent_id).where(tasks.c.parent_id.is_not(None)).order_by(tasks.c.id))


def parent_of(tx: Tx, task_id: int) -> int | None:
    """Return the id of the parent, or None for a task without one."""
    found: int | None = _PARENT_OF.value(tx, task_id=task_id)
    return found


def set_parent(tx: Tx, task_id: int, parent_id: int | None) -> None:
    """Set the parent of a task. The counters of its parents stay as they are."""
    _SET_PARENT.write(tx, task_id=task_id, parent_id=parent_id)


def adjust_open(tx: Tx, parent_id: int, step: int) -> bool:
    """Add `step` (+1 or -1) to `open_dependencies` of a parent. Return whether it now waits for no task."""
    return bool(_SHIFT_OPEN.value(tx, task_id=parent_id, step=step) == 0)


def open_of(tx: Tx, task_id: int) -> list[int]:
    """Return the ids of the open subtasks of a task, in order."""
    return [row[0] for row in _OPEN_OF.rows(tx, task_id=task_id)]


def of_any(tx: Tx, task_ids: Collection[int]) -> set[int]:
    """Return the ids of the subtasks of these tasks."""
    return {row[0] for row in _OF_ANY.rows(tx, ids=json.dumps([*task_ids]))} if task_ids else set()


def named(tx: Tx, task_id: int) -> list[tuple[int, str, str]]:
    """Return (id, name, status) of the subtasks of a task, ordered by id."""
    return [(row[0], row[1], row[2]) for row in _NAMED.rows(tx, task_id=task_id)]


def progress_of(tx: Tx, task_ids: Collection[int]) -> dict[int, Progress]:
    """Return the numbers of subtasks of these tasks by id, without the tasks that have none."""
    return {row[0]: Progress(*row[1:]) for row in _PROGRESS.rows(tx, ids=json.dumps([*task_ids]))}


def number_of(tx: Tx, task_id: int) -> int:
    """Return the number of subtasks of a task."""
    return int(_NUMBER_OF_ALL.value(tx, task_id=task_id))


def parents(tx: Tx) -> dict[int, int]:
    """Return the parents of all tasks that have one, by task id."""
    return {row[0]: row[1] for row in tx.keeping_alive(_PARENTS.rows(tx))}
