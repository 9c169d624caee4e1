"""The writes of a lease. Each is one statement that carries its own guarantee: who holds, which fence,
expired or not.
"""

import json
from functools import lru_cache
from typing import Any

from sqlalchemy import bindparam, case, func, null, select, update
from sqlalchemy.sql.expression import literal_column

from project_manager.store.compiled import Statement, each
from project_manager.store.schema import tasks
from project_manager.store.tasks import COLUMNS, TaskRow, claimable, claimable_index, has_labels
from project_manager.store.transaction import Tx

_candidate = tasks.alias("candidate")

_LEASE = {
    "status": literal_column("'IN_PROGRESS'"),
    "lock_holder": bindparam("agent"),
    "lock_acquired_at": bindparam("now"),
    "lock_expires_at": bindparam("expires_at"),
    "lock_ttl": bindparam("ttl"),
    "lock_fenced": literal_column("0"),
    "lock_from": bindparam("came_from"),
    "fence": tasks.c.fence + 1,
    "version": tasks.c.version + 1,
    "updated_at": bindparam("now"),
    "completed_at": null(),
}
_TAKE = Statement(
    update(tasks)
    .where(
        tasks.c.id == bindparam("task_id"),
        tasks.c.version == bindparam("read_version"),
        (tasks.c.lock_holder.is_(None)) | (tasks.c.lock_expires_at <= bindparam("now")),
    )
    .values(_LEASE)
    .returning(tasks.c.fence, tasks.c.version)
)
_RENEW = Statement(
    update(tasks)
    .where(
        tasks.c.id == bindparam("task_id"),
        tasks.c.lock_holder == bindparam("agent"),
        tasks.c.fence == bindparam("read_fence"),
        tasks.c.lock_expires_at > bindparam("now"),
    )
    .values(
        lock_expires_at=bindparam("expires_at"),
        lock_ttl=bindparam("ttl"),
        lock_fenced=func.max(tasks.c.lock_fenced, bindparam("fenced")),
    )
)
_PLACE = Statement(
    update(tasks)
    .where(
        tasks.c.id == bindparam("task_id"),
        tasks.c.version == bindparam("read_version"),
        tasks.c.fence == bindparam("read_fence"),
        tasks.c.lock_holder.is_not_distinct_from(bindparam("read_holder")),
    )
    .values(
        status=bindparam("status"),
        completed_at=case((bindparam("status_again") == literal_column("'DONE'"), bindparam("now")), else_=null()),
        attempts=bindparam("attempts"),
        fence=tasks.c.fence + bindparam("fence_step"),
        lock_holder=null(),
        lock_acquired_at=null(),
        lock_expires_at=null(),
        lock_ttl=null(),
        lock_from=null(),
        lock_fenced=0,
        version=tasks.c.version + 1,
        updated_at=bindparam("now"),
    )
)
_EXPIRED = Statement(
    select(tasks.c.id).where(tasks.c.lock_holder.is_not(None), tasks.c.lock_expires_at <= bindparam("now"))
)
_NEXT_EXPIRY = Statement(select(func.min(tasks.c.lock_expires_at)).where(tasks.c.lock_holder.is_not(None)))
_HELD = Statement(select(func.count()).select_from(tasks).where(tasks.c.lock_holder.is_not(None)))


def take(tx: Tx, read: TaskRow, agent: str, *, ttl: int, came_from: str) -> TaskRow | None:
    """A new lease for `agent`, with the next fence; None when the row has moved or is held. `ttl` in
    milliseconds.
    """
    row = _TAKE.row(
        tx,
        task_id=read.id,
        read_version=read.version,
        agent=agent,
        now=tx.now,
        expires_at=tx.now + ttl,
        ttl=ttl,
        came_from=came_from,
    )
    if row is None:
        return None
    return read._replace(
        status="IN_PROGRESS",
        lock_holder=agent,
        lock_acquired_at=tx.now,
        lock_expires_at=tx.now + ttl,
        lock_ttl=ttl,
        lock_fenced=0,
        lock_from=came_from,
        fence=row[0],
        version=row[1],
        updated_at=tx.now,
        completed_at=None,
    )


def renew(tx: Tx, read: TaskRow, *, ttl: int, fenced: bool) -> TaskRow | None:
    """Moves the expiry of the holder's live lease; None when it is not that holder's any more."""
    changed = _RENEW.run(
        tx,
        task_id=read.id,
        agent=read.lock_holder,
        read_fence=read.fence,
        now=tx.now,
        expires_at=tx.now + ttl,
        ttl=ttl,
        fenced=int(fenced),
    )
    if not changed:
        return None
    return read._replace(lock_expires_at=tx.now + ttl, lock_ttl=ttl, lock_fenced=max(read.lock_fenced, int(fenced)))


def place(tx: Tx, read: TaskRow, status: str, *, attempts: int, fence_step: int = 0) -> TaskRow | None:
    """Sets the status and ends the lease, if there is one; None when version, fence or holder have moved."""
    changed = _PLACE.run(
        tx,
        task_id=read.id,
        read_version=read.version,
        read_fence=read.fence,
        read_holder=read.lock_holder,
        status=status,
        status_again=status,
        attempts=attempts,
        fence_step=fence_step,
        now=tx.now,
    )
    if not changed:
        return None
    return read._replace(
        status=status,
        completed_at=tx.now if status == "DONE" else None,
        attempts=attempts,
        fence=read.fence + fence_step,
        lock_holder=None,
        lock_acquired_at=None,
        lock_expires_at=None,
        lock_ttl=None,
        lock_from=None,
        lock_fenced=0,
        version=read.version + 1,
        updated_at=tx.now,
    )


def expired(tx: Tx) -> list[int]:
    """Ids of tasks whose lease has run out."""
    return [row[0] for row in _EXPIRED.rows(tx, now=tx.now)]


def next_expiry(tx: Tx) -> int | None:
    expiry: int | None = _NEXT_EXPIRY.value(tx)
    return expiry


def held(tx: Tx) -> int:
    """How many tasks are held."""
    return int(_HELD.value(tx))


@lru_cache(maxsize=64)
def _best(filters: frozenset[str], capped: bool) -> Any:
    conditions = claimable(_candidate, capped=capped)
    if "project_id" in filters:
        conditions.append(_candidate.c.project_id == bindparam("project_id"))
    if "epic_id" in filters:
        conditions.append(_candidate.c.epic_id == bindparam("epic_id"))
    if "priority" in filters:
        conditions.append(_candidate.c.priority <= bindparam("priority"))
    if "labels" in filters:
        conditions.append(has_labels(_candidate.c.labels))
    if "spoken_for" in filters:
        conditions.append(_candidate.c.id.not_in(select(each(bindparam("spoken_for")).c.value)))
    return (
        select(_candidate.c.id)
        .where(*conditions)
        .with_hint(_candidate, claimable_index(filters), "sqlite")
        .order_by(_candidate.c.priority, _candidate.c.unblocks.desc(), _candidate.c.id)
        .limit(literal_column("1"))
    )


@lru_cache(maxsize=64)
def _take_best(filters: frozenset[str], capped: bool) -> Statement:
    chosen = _best(filters, capped).scalar_subquery()
    return Statement(
        update(tasks).where(tasks.c.id == chosen, tasks.c.lock_holder.is_(None)).values(_LEASE).returning(*COLUMNS)
    )


@lru_cache(maxsize=64)
def _pick_best(filters: frozenset[str], capped: bool) -> Statement:
    return Statement(_best(filters, capped))


def take_best(tx: Tx, filters: dict[str, Any], agent: str, *, ttl: int) -> TaskRow | None:
    """The best ready task goes to `agent`, in one statement; None when there is none. Links are not filled in."""
    statement = _take_best(frozenset(filters), tx.max_attempts > 0)
    row = statement.row(
        tx,
        **_values(filters),
        agent=agent,
        now=tx.now,
        expires_at=tx.now + ttl,
        ttl=ttl,
        came_from="TODO",
        max_attempts=tx.max_attempts,
    )
    return None if row is None else TaskRow._make((*row, "[]", "[]", "[]", "[]"))


def best(tx: Tx, filters: dict[str, Any]) -> int | None:
    """The id of the best ready task, without taking it."""
    statement = _pick_best(frozenset(filters), tx.max_attempts > 0)
    chosen: int | None = statement.value(tx, **_values(filters), now=tx.now, max_attempts=tx.max_attempts)
    return chosen


def _values(filters: dict[str, Any]) -> dict[str, Any]:
    return {name: json.dumps(value) if isinstance(value, list) else value for name, value in filters.items()}
