"""Paths of tasks: the globs of a project with their overlaps, the globs of each task, and the tasks that block it.

`path_reservations.py` has the globs that leases reserve, and the tasks that are parked behind them.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, bindparam, case, delete, func, null, select
from sqlalchemy.sql.expression import literal_column

from project_manager.store.functions import GroupedIds
from project_manager.store.row_inserts import RowInsert
from project_manager.store.statement import Statement, elements, is_among
from project_manager.store.tables import tasks
from project_manager.store.tables_paths import glob_overlaps, path_globs, path_reservations, task_paths
from project_manager.store.transaction import Tx

NO_PATHS = "[]"
_EMPTY: ColumnElement[str] = literal_column("'[]'")
_own = task_paths.alias("own_path")
_pair = glob_overlaps.alias("pair")
_held = path_reservations.alias("held_path")
_holder = tasks.alias("path_holder")


class GlobRow(NamedTuple):
    """A glob of a project."""

    id: int
    glob: str


def path_conflicts_of(task_id: ColumnElement[int]) -> Select[Any]:
    """Select the ids of other tasks with a live lease that reserves a glob that overlaps one of the task."""
    return (
        select(_held.c.task_id)
        .select_from(
            _own.join(_pair, _pair.c.glob_id == _own.c.glob_id)
            .join(_held, _held.c.glob_id == _pair.c.other_id)
            .join(_holder, _holder.c.id == _held.c.task_id)
        )
        .where(
            _own.c.task_id == task_id,
            _held.c.ended == literal_column("0"),
            _held.c.task_id != task_id,
            _holder.c.fence == _held.c.fence,
            _holder.c.lock_holder.is_not(None),
            _holder.c.lock_expires_at > bindparam("now"),
        )
    )


def path_conflicts_by_task(is_wanted: Callable[[ColumnElement[int]], ColumnElement[bool]]) -> Select[Any]:
    """Select the ids of path conflicts, grouped by task. `is_wanted` returns the condition on the id of the task."""
    pairs = path_conflicts_of(_own.c.task_id).with_only_columns(_own.c.task_id, _held.c.task_id.label("other_id"))
    found = pairs.where(is_wanted(_own.c.task_id)).distinct().subquery("path_conflict")
    return select(found.c.task_id, GroupedIds(found.c.other_id).label("path_conflicts")).group_by(found.c.task_id)


def is_blocked_by_paths(source: Any) -> ColumnElement[bool]:
    """Return whether a live lease reserves a glob that overlaps one of the task. It reads nothing without paths."""
    blocking = path_conflicts_of(source.c.id).with_only_columns(null()).correlate(source).exists()
    return and_(source.c.paths != _EMPTY, blocking)


def path_conflicts() -> ColumnElement[str]:
    """Return the column `path_conflicts` of tasks. An id can occur several times, in any order."""
    ids = path_conflicts_of(tasks.c.id).with_only_columns(GroupedIds(_held.c.task_id)).correlate(tasks)
    return case((tasks.c.paths != _EMPTY, ids.scalar_subquery()), else_=_EMPTY).label("path_conflicts")


_KNOWN = Statement(
    select(path_globs.c.id, path_globs.c.glob).where(
        path_globs.c.project_id == bindparam("project_id"), path_globs.c.glob.in_(elements("globs"))
    )
)
_NEWER = Statement(
    select(path_globs.c.id, path_globs.c.glob)
    .where(path_globs.c.project_id == bindparam("project_id"), path_globs.c.id > bindparam("after"))
    .order_by(path_globs.c.id)
)
_COUNT = Statement(select(func.count()).where(path_globs.c.project_id == bindparam("project_id")))
_ADD_GLOBS = RowInsert(path_globs, ("project_id", "glob"), (64, 8, 1), returns_ids=True)
_ADD_OVERLAPS = RowInsert(glob_overlaps, ("glob_id", "other_id"), (64, 8, 1))
_ADD_PATHS = RowInsert(task_paths, ("task_id", "glob_id"), (64, 8, 1))
_DROP_PATHS = Statement(delete(task_paths).where(is_among(task_paths.c.task_id, "ids")))
_is_used = select(null()).where(task_paths.c.glob_id == path_globs.c.id).exists()
_is_reserved = select(null()).where(path_reservations.c.glob_id == path_globs.c.id).exists()
_unused = select(path_globs.c.id).where(~_is_used, ~_is_reserved)
_DELETE_UNUSED = Statement(delete(path_globs).where(path_globs.c.id.in_(_unused.limit(bindparam("limit")))))
_DELETE_UNUSED_OF_PROJECT = Statement(
    delete(path_globs).where(path_globs.c.id.in_(_unused.where(path_globs.c.project_id == bindparam("project_id"))))
)


def known(tx: Tx, project_id: int, globs: Sequence[str]) -> dict[str, int]:
    """Return the ids of those of these globs that the project has."""
    rows = _KNOWN.rows(tx, project_id=project_id, globs=json.dumps(globs, ensure_ascii=False))
    return {row[1]: row[0] for row in rows}


def newer(tx: Tx, project_id: int, after: int = 0) -> list[GlobRow]:
    """Return the globs of the project with an id above `after`, ordered by id."""
    return _NEWER.all(tx, GlobRow._make, project_id=project_id, after=after)


def count(tx: Tx, project_id: int) -> int:
    """Return the number of globs of the project."""
    return int(_COUNT.value(tx, project_id=project_id))


def add_globs(tx: Tx, project_id: int, globs: Iterable[str]) -> list[int]:
    """Insert new globs of a project and return their ids in the same order."""
    return _ADD_GLOBS.ids(tx, [value for glob in globs for value in (project_id, glob)])


def add_overlaps(tx: Tx, pairs: Iterable[tuple[int, int]]) -> None:
    """Insert overlaps of globs, in this direction only."""
    _ADD_OVERLAPS.write(tx, [glob_id for pair in pairs for glob_id in pair])


def replace(tx: Tx, globs_by_task: Mapping[int, Collection[int]], *, new: bool = False) -> None:
    """Set the globs of tasks. With `new` they have none yet."""
    if not new:
        _DROP_PATHS.write(tx, ids=json.dumps([*globs_by_task]))
    _ADD_PATHS.write(
        tx, [value for task_id, ids in globs_by_task.items() for glob_id in ids for value in (task_id, glob_id)]
    )


def delete_unused(tx: Tx, limit: int) -> int:
    """Delete up to `limit` globs that no task uses, and return their number."""
    return _DELETE_UNUSED.run(tx, limit=limit)


def delete_unused_of_project(tx: Tx, project_id: int) -> int:
    """Delete the globs of a project that no task uses, and return their number."""
    return _DELETE_UNUSED_OF_PROJECT.run(tx, project_id=project_id)
