"""Reservations of paths: the globs that leases reserve, and the tasks that are parked behind them.

A search for ready tasks parks each task that it finds blocked by paths (`Withheld.PATHS`), so that later searches do
not read it again. When a lease ends, its reservations stay, marked as ended, until the parked tasks are returned.
"""

import json
from collections.abc import Collection

from sqlalchemy import ColumnElement, bindparam, delete, null, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.expression import literal_column

from project_manager.store.paths import is_blocked_by_paths
from project_manager.store.statement import Statement, is_among
from project_manager.store.tables import tasks
from project_manager.store.tables_paths import glob_overlaps, parked_paths, path_globs, path_reservations, task_paths
from project_manager.store.transaction import Tx

_own = task_paths.alias("own_path")
_pair = glob_overlaps.alias("pair")
_held = path_reservations.alias("held_path")
_holder = tasks.alias("path_holder")
_columns = [path_reservations.c[name] for name in ("glob_id", "task_id", "fence", "ended")]
_reserved = insert(path_reservations).from_select(
    _columns,
    select(task_paths.c.glob_id, task_paths.c.task_id, tasks.c.fence, literal_column("0"))
    .select_from(tasks.join(task_paths, task_paths.c.task_id == tasks.c.id))
    .where(tasks.c.id == bindparam("task_id")),
)
_RESERVE = Statement(
    _reserved.on_conflict_do_update(
        index_elements=[path_reservations.c.glob_id, path_reservations.c.task_id],
        set_={"fence": _reserved.excluded.fence, "ended": literal_column("0")},
    )
)
_end = update(path_reservations).values(ended=literal_column("1"))
_of_task = path_reservations.c.task_id == bindparam("task_id")
_END = Statement(_end.where(_of_task))
_is_own = (
    select(null())
    .where(task_paths.c.task_id == path_reservations.c.task_id, task_paths.c.glob_id == path_reservations.c.glob_id)
    .correlate(path_reservations)
    .exists()
)
_END_REMOVED = Statement(_end.where(_of_task, ~_is_own))
_END_ALL = Statement(_end)
_is_live = (
    select(null())
    .where(
        _holder.c.id == path_reservations.c.task_id,
        _holder.c.fence == path_reservations.c.fence,
        _holder.c.lock_holder.is_not(None),
    )
    .correlate(path_reservations)
    .exists()
)
_END_STALE = Statement(_end.where(path_reservations.c.ended == literal_column("0"), ~_is_live))
_is_ended = path_reservations.c.ended == literal_column("1")
_FORGET = Statement(delete(path_reservations).where(_is_ended, _of_task))
_FORGET_ALL = Statement(delete(path_reservations).where(_is_ended))
_PARK = Statement(
    insert(parked_paths)
    .from_select(
        [parked_paths.c.glob_id, parked_paths.c.task_id],
        select(task_paths.c.glob_id, task_paths.c.task_id).where(is_among(task_paths.c.task_id, "ids")),
    )
    .on_conflict_do_nothing()
)
_BLOCKED = Statement(
    select(tasks.c.id).where(is_among(tasks.c.id, "ids"), tasks.c.lock_holder.is_(None), is_blocked_by_paths(tasks))
)
_UNPARK = Statement(delete(parked_paths).where(is_among(parked_paths.c.task_id, "ids")))


def _freed(*conditions: ColumnElement[bool]) -> Statement:
    """Select the first parked tasks behind ended reservations that no other reservation blocks, in claim order."""
    behind = (
        select(parked_paths.c.task_id)
        .select_from(
            path_reservations.join(glob_overlaps, glob_overlaps.c.glob_id == path_reservations.c.glob_id).join(
                parked_paths, parked_paths.c.glob_id == glob_overlaps.c.other_id
            )
        )
        .where(_is_ended, *conditions)
    )
    return Statement(
        select(tasks.c.id)
        .with_hint(tasks, "NOT INDEXED", "sqlite")
        .where(tasks.c.id.in_(behind), ~is_blocked_by_paths(tasks))
        .order_by(tasks.c.priority, tasks.c.unblocks.desc(), tasks.c.id)
        .limit(bindparam("limit"))
    )


_ANY_ENDED = Statement(select(path_reservations.c.task_id).where(_is_ended).limit(literal_column("1")))
_FREED = _freed(_of_task)
_FREED_OF_ANY = _freed()


_behind = (
    select(task_paths.c.task_id)
    .select_from(
        path_reservations.join(glob_overlaps, glob_overlaps.c.glob_id == path_reservations.c.glob_id).join(
            task_paths, task_paths.c.glob_id == glob_overlaps.c.other_id
        )
    )
    .where(_of_task, _is_ended)
)
BEHIND = tasks.c.id.in_(_behind)
"""Condition that a task has a glob that overlaps an ended reservation of the task `task_id`."""
_common = (
    select(path_globs.c.glob)
    .distinct()
    .select_from(
        path_globs.join(_own, _own.c.glob_id == path_globs.c.id)
        .join(_pair, _pair.c.glob_id == _own.c.glob_id)
        .join(_held, _held.c.glob_id == _pair.c.other_id)
    )
    .where(_own.c.task_id == bindparam("task_id"), _held.c.task_id == bindparam("other_id"))
    .order_by(path_globs.c.glob)
)
_OVERLAPPING = Statement(_common)


def overlapping_of(tx: Tx, task_id: int, other_id: int) -> list[str]:
    """Return the globs of a task that overlap the reservations of another one."""
    return [row[0] for row in _OVERLAPPING.rows(tx, task_id=task_id, other_id=other_id)]


def reserve(tx: Tx, task_id: int) -> None:
    """Reserve the globs of a leased task for its lease."""
    _RESERVE.write(tx, task_id=task_id)


def end(tx: Tx, task_id: int) -> None:
    """End the reservations of a task."""
    _END.write(tx, task_id=task_id)


def end_removed(tx: Tx, task_id: int) -> None:
    """End the reservations of globs that the task no longer has."""
    _END_REMOVED.write(tx, task_id=task_id)


def end_all(tx: Tx) -> None:
    """End all reservations."""
    _END_ALL.write(tx)


def end_stale(tx: Tx) -> int:
    """End reservations of leases that another release has ended, and return their number."""
    return _END_STALE.run(tx)


def freed(tx: Tx, task_id: int, limit: int) -> list[int]:
    """Return up to `limit` parked tasks that the ended reservations of a task no longer block, in claim order.

    When these are all, forget the reservations.
    """
    found = [row[0] for row in _FREED.rows(tx, task_id=task_id, now=tx.now, limit=limit)]
    if len(found) < limit:
        _FORGET.write(tx, task_id=task_id)
    return found


def freed_of_any(tx: Tx, limit: int) -> list[int]:
    """Return tasks as `freed` does, for all ended reservations."""
    if _ANY_ENDED.row(tx) is None:
        return []
    found = [row[0] for row in _FREED_OF_ANY.rows(tx, now=tx.now, limit=limit)]
    if len(found) < limit:
        _FORGET_ALL.write(tx)
    return found


def blocked_among(tx: Tx, task_ids: Collection[int]) -> list[int]:
    """Return those of these tasks that have no lease and are blocked by paths."""
    return [row[0] for row in _BLOCKED.rows(tx, ids=json.dumps([*task_ids]), now=tx.now)]


def park(tx: Tx, task_ids: Collection[int]) -> None:
    """Insert the globs of parked tasks. `withheld.withhold` takes these tasks out of the index of ready tasks."""
    _PARK.write(tx, ids=json.dumps([*task_ids]))


def unpark(tx: Tx, task_ids: Collection[int]) -> None:
    """Delete the globs of tasks that are no longer parked."""
    _UNPARK.write(tx, ids=json.dumps([*task_ids]))
