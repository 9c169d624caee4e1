"""Reservations of paths for the length of a lease, and the tasks that are parked behind them."""

from collections.abc import Collection

import orjson

from project_manager.clock import rfc3339
from project_manager.domain.errors import PathsReserved
from project_manager.domain.paths import quoted
from project_manager.domain.readiness import Withheld
from project_manager.store import claim_queue, path_reservations, ready_tasks, tasks, withheld
from project_manager.store.paths import NO_PATHS
from project_manager.store.tasks import TaskRow
from project_manager.store.transaction import Tx

RETURNED_AT_ONCE = 64
"""Maximum number of parked tasks that the end of a lease returns at once. The writer returns the others in parts."""
RETURNED_PER_BATCH = 256
"""Maximum number of parked tasks that return in one part, so that other writes do not wait long."""


def reserve(tx: Tx, leased: TaskRow) -> None:
    """Reserve the paths of a leased task for its lease."""
    if leased.paths != NO_PATHS:
        path_reservations.reserve(tx, leased.id)


def reserve_edited(tx: Tx, row: TaskRow) -> list[int]:
    """Reserve the paths of a leased task after an edit of its paths, and return the tasks that may be ready now.

    Raises PathsReserved when another lease has reserved a path that overlaps. Then nothing is reserved.
    """
    if row.lock_kind is not None:  # a lease for a review
        return []
    if row.path_conflicts != NO_PATHS:
        raise _reserved_error(tx, row)
    path_reservations.end_removed(tx, row.id)
    path_reservations.reserve(tx, row.id)
    return _freed(tx, row)


def _reserved_error(tx: Tx, row: TaskRow) -> PathsReserved:
    (other, *_) = tasks.get_all(tx, orjson.loads(row.path_conflicts))
    until = rfc3339(other.lock_expires_at or 0)
    taken = path_reservations.overlapping_of(tx, row.id, other.id)
    return PathsReserved(
        f"{quoted(taken)} overlap paths of task {other.id}, locked by {other.lock_holder} until {until}",
        task_id=row.id,
        paths=taken,
        reserved_by=other.id,
        holder=other.lock_holder,
        expires_at=until,
    )


def release(tx: Tx, row: TaskRow) -> list[int]:
    """End the reservations of a lease that has ended, and return the tasks that may be ready now."""
    if row.paths == NO_PATHS:
        return []
    path_reservations.end(tx, row.id)
    return _freed(tx, row)


def _freed(tx: Tx, row: TaskRow) -> list[int]:
    """Return the first parked tasks to the index, and return them with others that a waiting claim accepts.

    A task that became blocked while a waiter was already in the queue may not be parked.
    """
    queue = claim_queue.queue(tx)
    behind = ready_tasks.behind(tx, row.id) if queue.waiters else []
    accepted = [task.id for task in behind if queue.accepts(task)]
    returned = path_reservations.freed(tx, row.id, RETURNED_AT_ONCE)
    unpark(tx, returned)
    return [*returned, *accepted]


def return_parked(tx: Tx) -> list[int]:
    """Return the next part of the parked tasks behind ended reservations to the index of ready tasks."""
    returned = path_reservations.freed_of_any(tx, RETURNED_PER_BATCH)
    unpark(tx, returned)
    return returned


def park_blocked(tx: Tx, task_ids: Collection[int]) -> None:
    """Take those of these tasks that are blocked by paths out of the index of ready tasks."""
    blocked = path_reservations.blocked_among(tx, task_ids) if task_ids else []
    if blocked:
        path_reservations.park(tx, blocked)
        withheld.withhold(tx, blocked, Withheld.PATHS)


def unpark(tx: Tx, task_ids: Collection[int]) -> None:
    """Return tasks to the index of ready tasks."""
    if task_ids:
        path_reservations.unpark(tx, task_ids)
        withheld.stop_withholding(tx, task_ids, Withheld.PATHS)


def unpark_changed(tx: Tx, row: TaskRow) -> None:
    """Return a task to the index when it is claimed or its paths change. The next search judges it again."""
    if row.withheld & Withheld.PATHS:
        unpark(tx, [row.id])
