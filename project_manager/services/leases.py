"""Use cases of leases: claim a task by id, renew, release, and expire."""

from dataclasses import replace
from typing import Any

from project_manager.clock import rfc3339
from project_manager.domain.actors import SYSTEM, Role
from project_manager.domain.errors import Invalid, InvalidTransition
from project_manager.domain.leases import Lease, UnlockReason, unconfirmed_length
from project_manager.domain.limits import PAGE_MAXIMUM
from project_manager.domain.readiness import ARCHIVED, failed_attempts, not_ready_error
from project_manager.domain.statuses import CLAIMABLE_BY_ID, TRANSITIONS, BlockedBy, Status
from project_manager.schemas import leases as schemas
from project_manager.services import (
    handover,
    lookup,
    offers,
    path_reservations,
    paths,
    pauses,
    policies,
    readiness,
    reviews,
    serializers,
    transitions,
)
from project_manager.services.authorization import overrides_lease
from project_manager.services.lease_errors import check_lease, require_lease, was_stopped
from project_manager.services.serializers import lease_of, live_lease_of, offer_of
from project_manager.store import agents, leases, logs, ready_tasks, tasks
from project_manager.store.leases import NO_REASONS, Reasons
from project_manager.store.ready_tasks import ClaimContext
from project_manager.store.tasks import TaskRow
from project_manager.store.transaction import Tx

DEFERRED_PER_BATCH = 256
"""Maximum number of deferred tasks that become ready in one batch, so that other writes do not wait long."""
_EXPIRED_AT_ONCE = 128


def acquire(tx: Tx, command: schemas.AcquireTaskLock) -> schemas.AcquiredView:
    """Claim one task by id; use claim_next_task when any ready task will do.

    One agent at a time gets a lease with a fence; the status becomes IN_PROGRESS. Claiming a task again renews your
    lease under the same fence. A task in BACKLOG, REVIEW or BLOCKED can be claimed by id, and IN_PROGRESS without a
    holder. Refused with the reasons when the task is leased, not ready, or finished. An operator takes over a leased
    task with `force`: the new lease replaces the present one in one step. It stays a lease for review if it was one.
    """
    lookup.check_force(tx, command.force)
    row = lookup.task(tx, command.task_id)
    if overrides_lease(tx, row, force=command.force):
        return _lease_view(tx, _take_over(tx, row, ttl=command.ttl_seconds * 1000), renewed=False)
    lease = check_lease(tx, row, command.fence)
    if command.force and row.offered_to is not None:
        row = offers.end(tx, row)
    if lease is not None:
        view = _renew(tx, row, lease, command.requested_seconds, fenced=command.fence is not None)
        if command.fence is not None:
            return view
        return replace(view, notice="already leased to your id; another session may use this id")
    check_claimable_by_id(tx, row)
    return _lease_view(tx, transitions.claim(tx, row, ttl=command.ttl_seconds * 1000), renewed=False)


def _take_over(tx: Tx, row: TaskRow, *, ttl: int) -> TaskRow:
    """End the lease of another agent and give the actor a new one. The task is free at no time in between.

    The new lease is for review as well, if the submitted work still waits for a verdict. Raises OwnReview and
    BoundTokenRequired for an actor that may not review it.
    """
    if row.lock_kind is not None and row.submission_id is not None:
        _check_reviewable(tx, row)
    else:
        check_claimable_by_id(tx, row)
    transitions.log_forced_release(tx, row)
    return transitions.take_over(tx, row, ttl=ttl)


def _check_reviewable(tx: Tx, row: TaskRow) -> None:
    """Check that the actor may take over the review of the task. Other tasks prevent no review.

    Raises OwnReview, BoundTokenRequired, Paused, NotReady.
    """
    hint = "To work on it again, end the review with release_task_lock and force=true. Then claim the task."
    reviews.check_reviewer(tx, row, policies.current_submission(tx, row), hint=hint)
    pauses.check_claim(tx, row)
    why = tuple(reason for reason in serializers.claim_blockers_of(tx, row) if reason.code == ARCHIVED)
    if why:
        raise not_ready_error(row.id, why)


def check_claimable_by_id(tx: Tx, row: TaskRow) -> None:
    """Check that the task can be claimed by id.

    Raises Paused, NotReady with every blocker, and InvalidTransition for a finished task.
    """
    status = Status(row.status)
    if status not in CLAIMABLE_BY_ID:
        raise InvalidTransition(
            f"task {row.id} is {status} and cannot be claimed",
            hint="Claim another task with claim_next_task, or set its status with reopen=true first.",
            task_id=row.id,
            status=status,
            legal=sorted(TRANSITIONS[status] - {status}),
            reopen_required=True,
        )
    pauses.check_claim(tx, row)
    why = serializers.claim_blockers_of(tx, row)
    if why:
        raise not_ready_error(row.id, why)


def renew(tx: Tx, command: schemas.RenewTaskLock) -> schemas.AcquiredView | schemas.RenewedLeasesView:
    """Renew your lease (heartbeat); do it every third of its length while you work.

    Only expires_at changes; the fence stays. Refused when your lease has ended: then stop working on the task. `paths`
    are added to those of the task and reserved for this lease: all of them, or none if another lease has one. Over MCP,
    a call without task_id renews all your leases.
    """
    if command.task_id is None:
        for name in ("fence", "ttl_seconds", "paths"):
            if getattr(command, name):
                raise Invalid.of(name, f"`{name}` needs task_id", f"Send task_id, or omit {name} to renew all leases.")
        return _renew_all(tx)
    row = lookup.task(tx, command.task_id)
    lease = require_lease(tx, row, check_lease(tx, row, command.fence))
    if command.paths:
        row = paths.add_to_leased(tx, row, command.paths)
    return _renew(tx, row, lease, command.ttl_seconds, fenced=command.fence is not None)


def renew_all(tx: Tx, command: schemas.RenewAgentLocks) -> schemas.RenewedLeasesView:
    """Renew all leases of an agent in one call (heartbeat).

    Each lease is extended by its own length. The agent id authorizes the call, so it needs no fence, also for leases
    that require one: only expires_at changes. A lease that is missing in the response has ended.
    """
    return _renew_all(tx)


def _renew_all(tx: Tx) -> schemas.RenewedLeasesView:
    renewed = leases.renew_all(tx, tx.actor.id)
    for _ in renewed:
        tx.count_outcome("renewed")
    return schemas.RenewedLeasesView(tx.actor.id, len(renewed), handover.lease_views(renewed[:PAGE_MAXIMUM]))


def _renew(tx: Tx, row: TaskRow, lease: Lease, seconds: int | None, *, fenced: bool) -> schemas.AcquiredView:
    ttl = lease.ttl if seconds is None else seconds * 1000
    return _lease_view(tx, transitions.renew(tx, row, ttl=ttl, fenced=fenced), renewed=True)


def release(tx: Tx, command: schemas.ReleaseTaskLock) -> schemas.ReleasedView:
    """Release a leased task without finishing it, with a handoff note for the next agent.

    The task returns to the status it was claimed from and can be claimed again. `failed` counts the attempt; at the cap
    the task becomes BLOCKED until a person looks at it. An operator can end any lease with `force`. Releasing a task
    that is offered to you declines the offer.
    """
    lookup.check_force(tx, command.force)
    row = lookup.task(tx, command.task_id)
    forced = overrides_lease(tx, row, force=command.force)
    if offer_of(row, tx.now) == tx.actor.id:
        return _decline(tx, row)
    if was_stopped(tx, row):
        return _already_stopped(tx, row, command.handoff)
    lease = require_lease(tx, row, lease_of(row, tx.now) if forced else check_lease(tx, row, command.fence))
    if command.handoff:
        transitions.note(tx, row, tx.actor.id, "handoff", command.handoff)
    attempts = row.attempts + (_attempts_of(row) if command.failed else 0)
    reason = UnlockReason.FORCED if forced else UnlockReason.EXPLICIT_RELEASE
    if forced:
        transitions.log_forced_release(tx, row)
    updated = _return_task(tx, row, reason, attempts=attempts)
    return schemas.ReleasedView(
        success=True,
        message=f"task {row.id} was released; its status is {updated.status}",
        task_id=row.id,
        agent_id=lease.holder,
        task=serializers.task(tx, updated),
    )


def _decline(tx: Tx, row: TaskRow) -> schemas.ReleasedView:
    """End the offer of a task to the actor."""
    updated = offers.end(tx, row)
    return schemas.ReleasedView(
        success=True,
        message=f"task {row.id} is no longer offered to you; its status is {updated.status}",
        task_id=row.id,
        agent_id=tx.actor.id,
        task=serializers.task(tx, updated),
    )


def _already_stopped(tx: Tx, row: TaskRow, handoff: str | None) -> schemas.ReleasedView:
    """Return the response to the release of a lease that a stop has ended. The handoff note is kept."""
    if handoff:
        transitions.note(tx, row, tx.actor.id, "handoff", handoff)
    return schemas.ReleasedView(
        success=True,
        message=f"the work on task {row.id} was stopped; its status is {row.status}",
        task_id=row.id,
        agent_id=tx.actor.id,
        task=serializers.task(tx, row),
    )


def claim(
    tx: Tx, command: schemas.ClaimNextTask, row: TaskRow, context: ClaimContext, *, called_at: int
) -> schemas.ClaimedView:
    """Claim a ready task for the actor. After a long wait since `called_at` the lease begins unconfirmed."""
    ttl = command.ttl_seconds * 1000
    short = unconfirmed_length(ttl, tx.now - called_at)
    return _claimed_view(tx, transitions.claim(tx, row, ttl=ttl, unconfirmed_ttl=short), context)


def claimed_view(tx: Tx, leased: TaskRow) -> schemas.ClaimedView:
    """Return the view of a task that the actor has claimed in this transaction."""
    return _claimed_view(tx, leased, ready_tasks.context(tx, leased.id))


def _claimed_view(tx: Tx, leased: TaskRow, context: ClaimContext) -> schemas.ClaimedView:
    view = serializers.task(tx, leased)
    return schemas.ClaimedView(
        task=view, lock=view["lock"], message=_lease_sentence(leased), **handover.fields(tx, leased, context)
    )


def has_unconfirmed(tx: Tx, called_at: int) -> bool:
    """Return whether a call that arrived at `called_at` confirms a lease. Calls of a viewer confirm nothing."""
    return tx.actor.role >= Role.AGENT and bool(leases.unconfirmed_of(tx, tx.actor.id, called_at=called_at))


def confirm(tx: Tx, called_at: int) -> bool:
    """Extend the actor's unconfirmed leases to their full length. Return whether there were any.

    A call confirms only leases that began before it. A claim that still waits does not confirm the others.
    """
    if not leases.has_unconfirmed(tx):
        return False
    found = leases.unconfirmed_of(tx, tx.actor.id, called_at=called_at)
    for task_id in found:
        row = lookup.task(tx, task_id)
        transitions.renew(tx, row, ttl=row.lock_ttl or 0, fenced=False)
    return bool(found)


def next_to_expire(tx: Tx) -> list[Lease]:
    """Return the up to five leases of the actor that end first, ordered by task id."""
    found = [lease_of(row, tx.now) for row in agents.ending_first(tx)]
    return [lease for lease in found if lease is not None]


def expire_due(tx: Tx) -> None:
    """End expired leases and offers, and make tasks ready that were deferred until now or blocked by paths.

    The writer calls it at the start of a batch, so that readiness never depends on a background job. All expired
    leases end at once, because checks of later writes rely on their history. The tasks become ready in parts.
    """
    expired = leases.expired(tx)
    for start in range(0, len(expired), _EXPIRED_AT_ONCE):
        _expire(tx, expired[start : start + _EXPIRED_AT_ONCE])
    due = tasks.due_deferred(tx, DEFERRED_PER_BATCH)
    for task_id in due:
        tasks.undefer(tx, task_id)
    readiness.emit_ready(tx, [*due, *path_reservations.return_parked(tx)])
    offers.end_due(tx)


def next_due(tx: Tx) -> int | None:
    """Return the instant of the next due work in milliseconds since the epoch, or None.

    Due work is the expiry of a lease, an offer or a message, and a deferred or parked task that becomes ready.
    """
    expiry, deferred_until, end, has_parked = leases.next_due(tx)
    if has_parked:
        return tx.now
    # Users set deferred_until by the wall clock (tx.date); the result is on the clock of tx.now.
    wakes_at = None if deferred_until is None else deferred_until + tx.now - tx.date
    return min((instant for instant in (expiry, wakes_at, end) if instant is not None), default=None)


def _expire(tx: Tx, task_ids: list[int]) -> None:
    """End the expired leases on these tasks, with many rows per statement, because all writers wait meanwhile."""
    rows = tasks.get_all(tx, task_ids)
    entries = logs.add_all(tx, [(row.id, _expiry_text(row)) for row in rows], SYSTEM.id, "system")
    for row, entry in zip(rows, entries, strict=True):
        transitions.emit_logged(tx, row, entry)
        if _is_unconfirmed(row):  # does not count as an attempt
            _end_lease(tx, row, UnlockReason.UNCONFIRMED, attempts=row.attempts)
        else:
            _end_lease(tx, row, UnlockReason.LOCK_EXPIRED, attempts=row.attempts + _attempts_of(row))
    readiness.emit_ready(tx, task_ids)


def _expiry_text(row: TaskRow) -> str:
    """Return the text of the log entry of a task with an expired lease."""
    lease, end = f"the lease of {row.lock_holder} (fence {row.fence})", rfc3339(row.lock_expires_at or 0)
    if not _is_unconfirmed(row):
        return f"{lease} expired at {end}"
    return f"{lease} was not confirmed before {end}: the claim was queued, and its client may have disconnected"


def _attempts_of(row: TaskRow) -> int:
    """Return the number of attempts that a failed lease counts. A review is no attempt at the work."""
    return int(row.lock_kind is None)


def _is_unconfirmed(row: TaskRow) -> bool:
    return row.unconfirmed_fence == row.fence


def _return_task(tx: Tx, row: TaskRow, reason: UnlockReason, *, attempts: int) -> TaskRow:
    """End the lease as `_end_lease` does, and emit `task.ready` if the task is ready."""
    updated = _end_lease(tx, row, reason, attempts=attempts)
    readiness.emit_ready(tx, [row.id])
    return updated


def _end_lease(tx: Tx, row: TaskRow, reason: UnlockReason, *, attempts: int) -> TaskRow:
    """End the lease and restore the status before the claim. Set BLOCKED when the attempts are used up."""
    exhausted = tx.max_attempts > 0 and attempts >= tx.max_attempts and attempts > row.attempts
    target = Status.BLOCKED if exhausted else Status(row.lock_from or Status.TODO)
    reasons = Reasons(blocked_by=BlockedBy.ATTEMPTS.value) if exhausted else NO_REASONS
    updated = transitions.end(tx, row, target, reason, attempts=attempts, reasons=reasons)
    if exhausted:
        transitions.note_by_system(tx, row, f"{failed_attempts(attempts)}: BLOCKED until a person reviews it")
    return updated


def _lease_view(tx: Tx, row: TaskRow, *, renewed: bool) -> schemas.AcquiredView:
    lease = live_lease_of(row, tx.now)
    message = _lease_sentence(row)
    fields: dict[str, Any] = {
        "success": True,
        "message": f"renewed: {message}" if renewed else message,
        "task_id": row.id,
        "agent_id": lease.holder,
        "timeout": lease.length // 1000,
        "expires_at": rfc3339(lease.expires_at),
        "renewed": renewed,
        "task": serializers.task(tx, row),
        "lock": serializers.lock(lease),
    }
    if renewed:
        return schemas.AcquiredView(**fields)
    return schemas.NewLeaseView(**fields, **handover.fields(tx, row, ready_tasks.context(tx, row.id)))


def _lease_sentence(row: TaskRow) -> str:
    until = rfc3339(row.lock_expires_at or 0)
    return f"task {row.id} is leased until {until}; send fence {row.fence} with every write"
