"""The beginning of a new epoch, after the database has lost its newest changes.

Clients may know these changes. So event numbers belong to a new epoch, every fence is raised above all that were
issued before, and all leases end: the agents may have finished or released the tasks.
"""

import json
import secrets
from typing import NamedTuple

from sqlalchemy import bindparam, func, literal_column, select, update

from project_manager.domain.events.database import DatabaseRestored, HeadFields
from project_manager.domain.events.tasks import TaskStatusChanged, TaskUnlocked
from project_manager.domain.leases import UnlockReason
from project_manager.store import chain, events, lease_history, leases, meta, path_reservations, paths, revisions
from project_manager.store.lease_history import LeaseRow
from project_manager.store.statement import Statement
from project_manager.store.tables import tasks
from project_manager.store.transaction import Tx


class _LeasedTask(NamedTuple):
    """The columns of a task with a lease that all schemas from the oldest one that can be restored on have."""

    id: int
    project_id: int
    epic_id: int | None
    lock_holder: str
    lock_from: str
    fence: int
    name: str
    lock_acquired_at: int
    lock_expires_at: int
    attempts: int
    version: int
    status: str


class NewEpoch(NamedTuple):
    """The id of the epoch, the number below all new fences, and the number of `released` leases."""

    id: str
    fence_floor: int
    released: int


_WITH_PATHS = "0021"
"""The oldest schema with paths and kinds of leases. An older backup is restored before its schema is upgraded."""
_LEASED = Statement(
    select(*[tasks.c[name] for name in _LeasedTask._fields])
    .where(tasks.c.lock_holder.is_not(None))
    .order_by(tasks.c.id)
)
_RESERVED = Statement(
    select(tasks.c.id, tasks.c.paths).where(tasks.c.lock_holder.is_not(None), tasks.c.lock_kind.is_(None))
)
_END_KINDS = Statement(update(tasks).where(tasks.c.lock_kind.is_not(None)).values(lock_kind=literal_column("NULL")))
_WITH_WORKED_SECONDS = "0024"
_COUNT_WORK = Statement(
    update(tasks)
    .where(tasks.c.lock_holder.is_not(None))
    .values(worked_seconds=tasks.c.worked_seconds + leases.WORKED_SECONDS)
)
_RELEASE_ALL = Statement(
    update(tasks)
    .where(tasks.c.lock_holder.is_not(None))
    .values(
        status=tasks.c.lock_from,
        worked_by=tasks.c.lock_holder,
        unconfirmed_fence=literal_column("NULL"),
        attempts=tasks.c.attempts,  # the triggers on labels of ready tasks fire on this column
        lock_holder=literal_column("NULL"),
        lock_acquired_at=literal_column("NULL"),
        lock_expires_at=literal_column("NULL"),
        lock_ttl=literal_column("NULL"),
        lock_from=literal_column("NULL"),
        lock_fenced=0,
        version=tasks.c.version + 1,
        updated_at=bindparam("now"),
    )
)
_HIGHEST_FENCE = Statement(select(func.coalesce(func.max(tasks.c.fence), 0)))
_RAISE_FENCES = Statement(update(tasks).where(tasks.c.fence < bindparam("floor")).values(fence=bindparam("floor")))


def next_fence_floor(tx: Tx) -> int:
    """Return a number above all fences of the database and its fence floor."""
    return max(meta.fence_floor(tx), int(_HIGHEST_FENCE.value(tx))) + 1


def head_of(tx: Tx) -> HeadFields:
    """Return the epoch of a database and its newest event."""
    seq, digest = chain.head(tx)
    return {"epoch": meta.epoch(tx), "seq": seq, "hash": digest.hex()}


def begin(tx: Tx, least_floor: int, replaced: HeadFields | None) -> NewEpoch:
    """Begin a new epoch at `tx.now`, end all leases, and return the result.

    New fences are above `least_floor`. `replaced` is the newest event of the lost database, if it is known.
    """
    floor = max(least_floor, next_fence_floor(tx))
    epoch = secrets.token_hex(8)
    events.add(tx, DatabaseRestored(epoch=epoch, fence_floor=floor, backup=head_of(tx), replaced=replaced))
    released = _end_leases(tx)
    meta.begin_epoch(tx, epoch, floor)
    _RAISE_FENCES.run(tx, floor=floor)
    return NewEpoch(epoch, floor, released)


def _end_leases(tx: Tx) -> int:
    """End all leases and reset their tasks to the status before the claim. Return the number of leases."""
    leased, reason = _LEASED.all(tx, _LeasedTask._make), UnlockReason.FORCED.value
    revision = revisions.current(tx.connection) or ""
    if revision >= _WITH_WORKED_SECONDS:  # an older backup gets the column with its values when it is upgraded
        _COUNT_WORK.run(tx, now=tx.now)
    reserved = _end_reservations(tx) if revision >= _WITH_PATHS else {}
    _RELEASE_ALL.run(tx, now=tx.now)
    for row in leased:
        agent, status, version = row.lock_holder, row.lock_from, row.version + 1
        times = (row.lock_acquired_at, row.lock_expires_at, tx.now)
        lease_history.record(tx, LeaseRow(row.id, row.fence, agent, row.project_id, row.name, *times, reason, status))
        moved = TaskStatusChanged(
            status=status, previous_status=row.status, agent_id=agent, lock_released=True, version=version
        )
        unlocked = TaskUnlocked(
            agent_id=agent,
            reason=reason,
            status=status,
            attempts=row.attempts,
            version=version,
            paths=json.loads(reserved.get(row.id, paths.NO_PATHS)),
        )
        for event in (moved, unlocked) if status != row.status else (unlocked,):
            events.add(tx, event, project_id=row.project_id, epic_id=row.epic_id, task_id=row.id)
    return len(leased)


def _end_reservations(tx: Tx) -> dict[int, str]:
    """End the reservations of all leases, and return the paths of the leased tasks. A lease for a review has none."""
    reserved: dict[int, str] = {row[0]: row[1] for row in _RESERVED.rows(tx)}
    path_reservations.end_all(tx)
    _END_KINDS.run(tx)
    return reserved
