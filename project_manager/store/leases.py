"""Writes of leases.

Each write is one statement. Its conditions on holder, fence and expiry guarantee that a task has at most one holder.
"""

from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, bindparam, case, func, or_, select, update
from sqlalchemy.sql.expression import literal_column

from project_manager.domain.readiness import Withheld
from project_manager.domain.statuses import Status
from project_manager.store import offers, rare_states, ready_tasks
from project_manager.store.agents import HeldLease
from project_manager.store.statement import Statement, bindparams
from project_manager.store.tables import tasks
from project_manager.store.tables_messages import messages
from project_manager.store.tables_paths import path_reservations
from project_manager.store.tasks import TaskRow
from project_manager.store.transaction import Tx

_IN_PROGRESS = Status.IN_PROGRESS.value
_REVIEW = "review"
_LEASE = (
    *("status", "lock_holder", "lock_acquired_at", "lock_expires_at", "lock_ttl", "lock_fenced", "lock_from"),
    *("fence", "version", "updated_at", "completed_at", "unconfirmed_fence"),
    *("lock_kind", "blocked_by", "submission_id"),
)
_RENEWAL = ("lock_expires_at", "lock_ttl", "lock_fenced", "unconfirmed_fence")
_STATUS = (
    *(*_LEASE, "attempts", "worked_by", "worked_seconds", "withheld", "offered_to"),
    *("rework_id", "answer_id", "completed_by"),
)


def _update(columns: tuple[str, ...], *guards: ColumnElement[bool]) -> Statement:
    """Return an update of these columns of a task, to values that the caller computes from the row that it has read.

    It has no effect when version or fence have changed since, or when a guard does not hold.
    """
    unchanged = (tasks.c.version == bindparam("read_version"), tasks.c.fence == bindparam("read_fence"))
    statement = update(tasks).where(tasks.c.id == bindparam("task_id"), *unchanged, *guards)
    return Statement(statement.values(bindparams(*columns)))


_CLAIM = _update(_LEASE, (tasks.c.lock_holder.is_(None)) | (tasks.c.lock_expires_at <= bindparam("now")))
_RENEW = _update(_RENEWAL, tasks.c.lock_holder == bindparam("read_holder"), tasks.c.lock_expires_at > bindparam("now"))
_RENEW_ALL = Statement(
    update(tasks)
    .where(
        tasks.c.lock_holder == bindparam("agent"),
        tasks.c.lock_expires_at > bindparam("now"),
        tasks.c.unconfirmed_fence.is_distinct_from(tasks.c.fence),
    )
    .values(lock_expires_at=bindparam("now") + tasks.c.lock_ttl)
    .returning(tasks.c.id, tasks.c.fence, tasks.c.lock_expires_at)
)
_SET_STATUS = _update(_STATUS, tasks.c.lock_holder.is_not_distinct_from(bindparam("read_holder")))
_EXPIRED = Statement(
    select(tasks.c.id).where(tasks.c.lock_holder.is_not(None), tasks.c.lock_expires_at <= bindparam("now"))
)
_next_expiry = select(func.min(tasks.c.lock_expires_at)).where(tasks.c.lock_holder.is_not(None))
_next_message = select(func.min(messages.c.expires_at)).where(messages.c.open == literal_column("1"))
_next_deferred = select(func.min(tasks.c.defer_until)).where(tasks.c.deferred == literal_column("1"))
_NEXT_EXPIRY = Statement(_next_expiry)
_ONE: ColumnElement[int] = literal_column("1")
_ended = select(_ONE).where(path_reservations.c.ended == _ONE).limit(_ONE)
_NEXT_DUE = Statement(
    select(
        *[found.scalar_subquery() for found in (_next_expiry, _next_deferred, _ended, offers.NEXT_END, _next_message)]
    )
)
_UNCONFIRMED_OF = Statement(
    select(tasks.c.id)
    .with_hint(tasks, "INDEXED BY ix_tasks_unconfirmed", "sqlite")
    .where(
        tasks.c.unconfirmed_fence.is_not(None),
        tasks.c.lock_holder.is_not(None),
        tasks.c.lock_holder == bindparam("agent"),
        tasks.c.unconfirmed_fence == tasks.c.fence,
        tasks.c.lock_acquired_at <= bindparam("called_at"),
        tasks.c.lock_expires_at > bindparam("now"),
    )
)
_LEASED = Statement(select(func.count()).select_from(tasks).where(tasks.c.lock_holder.is_not(None)))
_ended_at = case((tasks.c.lock_expires_at < bindparam("now"), tasks.c.lock_expires_at), else_=bindparam("now"))
_is_not_for_work = or_(
    tasks.c.lock_holder.is_(None),
    tasks.c.lock_kind.is_not(None),
    tasks.c.unconfirmed_fence == tasks.c.fence,
    tasks.c.lock_acquired_at > _ended_at,
)
WORKED_SECONDS = case((_is_not_for_work, 0), else_=(_ended_at - tasks.c.lock_acquired_at + 500) // 1000)
"""The result of `worked_seconds` in SQL, for a lease that ends at the parameter `now`."""


def claim(
    tx: Tx,
    current: TaskRow,
    agent: str,
    *,
    ttl: int,
    return_status: str,
    unconfirmed_ttl: int | None = None,
    for_review: bool = False,
) -> TaskRow | None:
    """Claim the task for `agent` and return the new row. Return None when the task has changed or has a live lease.

    `ttl` is in milliseconds. With `unconfirmed_ttl` (milliseconds) the lease has this length until the first renewal.
    A lease `for_review` leaves the status as it is. `offers.end` must end an offer of the task before.
    """
    fence = current.fence + 1
    unconfirmed = unconfirmed_ttl is not None
    values = {
        "status": current.status if for_review else _IN_PROGRESS,
        "lock_holder": agent,
        "lock_acquired_at": tx.now,
        "lock_expires_at": tx.now + (ttl if unconfirmed_ttl is None else unconfirmed_ttl),
        "lock_ttl": ttl,
        "lock_fenced": 0,
        "lock_from": return_status,
        "fence": fence,
        "version": current.version + 1,
        "updated_at": tx.now,
        "completed_at": None,
        "unconfirmed_fence": fence if unconfirmed else current.unconfirmed_fence,
        "lock_kind": _REVIEW if for_review else None,
        "blocked_by": None,
        "submission_id": current.submission_id,  # it counts again when the lease ends without a change of the status
    }
    written = _write(tx, _CLAIM, current, values, now=tx.now)
    if written is not None:
        ready_tasks.drop_labels(tx, current)
        if unconfirmed:
            rare_states.mark(tx, unconfirmed=True)
    return written


def renew(tx: Tx, current: TaskRow, *, ttl: int, fenced: bool) -> TaskRow | None:
    """Extend the holder's live lease to `ttl` milliseconds from now. Return None when it has ended."""
    values = {
        "lock_expires_at": tx.now + ttl,
        "lock_ttl": ttl,
        "lock_fenced": max(current.lock_fenced, int(fenced)),
        "unconfirmed_fence": None,
    }
    return _write(tx, _RENEW, current, values, read_holder=current.lock_holder, now=tx.now)


def renew_all(tx: Tx, agent: str) -> list[HeldLease]:
    """Extend all live leases of the agent by their own lengths, and return them, ordered by task id.

    An unconfirmed lease stays as it is: only a call that arrived after the claim confirms it.
    """
    return sorted(_RENEW_ALL.all(tx, HeldLease._make, agent=agent, now=tx.now))


class Reasons(NamedTuple):
    """The reasons to store with a status.

    `blocked_by` is a value of `BlockedBy`, and `completed_by` one of `CompletedBy`. `rework_id` is the submission with
    the requested changes.
    """

    blocked_by: str | None = None
    rework_id: int | None = None
    completed_by: str | None = None


NO_REASONS = Reasons()


def set_status(
    tx: Tx,
    current: TaskRow,
    status: str,
    *,
    attempts: int,
    records_lease_of: str | None = None,
    reasons: Reasons = NO_REASONS,
    stops: bool = False,
    completed_at: int | None = None,
) -> TaskRow | None:
    """Set the status and end the lease, if any. Return None when version, fence or holder have changed.

    With `records_lease_of`, the write counts as a lease of this agent that ends at once, so the fence grows by one.
    It also grows by one when the write `stops` the work of the holder. A task that leaves REVIEW has no submission that
    could be approved. `completed_at` is the instant to store with DONE, by default `tx.now`.
    """
    is_finished = status in (Status.DONE, Status.REVIEW)
    values = {
        "status": status,
        "lock_holder": None,
        "lock_acquired_at": None,
        "lock_expires_at": None,
        "lock_ttl": None,
        "lock_fenced": 0,
        "lock_from": None,
        "fence": current.fence + int(records_lease_of is not None or stops),
        "version": current.version + 1,
        "updated_at": tx.now,
        "completed_at": (completed_at or tx.now) if status == Status.DONE else None,
        "unconfirmed_fence": None,
        "lock_kind": None,
        "blocked_by": reasons.blocked_by,
        "submission_id": current.submission_id if status == Status.REVIEW else None,
        "offered_to": None,
        "withheld": int(current.withheld & ~Withheld.OFFERED),
        "attempts": attempts,
        "worked_by": records_lease_of or current.lock_holder or current.worked_by,
        "worked_seconds": current.worked_seconds + worked_seconds(current, tx.now),
        "rework_id": None if is_finished else reasons.rework_id or current.rework_id,
        "answer_id": None if is_finished else current.answer_id,
        "completed_by": reasons.completed_by,
    }
    return _write(tx, _SET_STATUS, current, values, read_holder=current.lock_holder)


def worked_seconds(before: TaskRow, now: int) -> int:
    """Return the length of the lease that ends, in seconds. Only a confirmed lease for work counts; otherwise return 0.

    The service may end a lease long after its expiry. The time in between is not counted.
    """
    if before.lock_holder is None or before.lock_kind is not None or before.unconfirmed_fence == before.fence:
        return 0
    end = min(now, before.lock_expires_at or now)
    return max(0, end - (before.lock_acquired_at or end) + 500) // 1000


def _write(tx: Tx, update: Statement, current: TaskRow, values: dict[str, Any], **guards: Any) -> TaskRow | None:
    """Set the columns in `values` and return the new row, or None when a guard of the update does not hold.

    The row is not read again, because `values` has each changed column, and a read takes as long as the write.
    """
    read = {"task_id": current.id, "read_version": current.version, "read_fence": current.fence}
    return current._replace(**values) if update.change_row(tx, **read, **guards, **values) else None


def expired(tx: Tx) -> list[int]:
    """Return the ids of tasks with an expired lease."""
    return [row[0] for row in _EXPIRED.rows(tx, now=tx.now)]


def next_expiry(tx: Tx) -> int | None:
    """Return the earliest expiry of all leases, or None."""
    expiry: int | None = _NEXT_EXPIRY.value(tx)
    return expiry


def next_due(tx: Tx) -> tuple[int | None, int | None, int | None, bool]:
    """Return the earliest expiry of a lease, `defer_until` of a deferred task, and end of an offer or a message.

    The last value is whether tasks are parked behind a lease that has ended.
    """
    expiry, deferred_until, ended, *ends = _NEXT_DUE.row(tx) or (None, None, None)
    return expiry, deferred_until, min((end for end in ends if end is not None), default=None), ended is not None


def unconfirmed_of(tx: Tx, agent: str, *, called_at: int) -> list[int]:
    """Return the ids of tasks with an unconfirmed lease of the agent that began by `called_at`."""
    return [row[0] for row in _UNCONFIRMED_OF.rows(tx, agent=agent, called_at=called_at, now=tx.now)]


def has_unconfirmed(tx: Tx) -> bool:
    """Return whether any lease may wait for the first call of its holder. A batch queries this once."""
    return rare_states.read(tx).unconfirmed


def count(tx: Tx) -> int:
    """Return the number of leased tasks."""
    return int(_LEASED.value(tx))
