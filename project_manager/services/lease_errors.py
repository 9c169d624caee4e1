"""Checks of leases. Their errors describe the end of the caller's lease, the state of the task, and the next step."""

from collections.abc import Mapping

from project_manager.clock import rfc3339
from project_manager.domain.errors import LockHeld, LockRequired, NotHeld, StaleFence
from project_manager.domain.leases import LOSS_REASONS, Lease, UnlockReason, check_holder, not_held_error
from project_manager.domain.policies import ReviewRule, parse_policy
from project_manager.domain.readiness import failed_attempts
from project_manager.domain.statuses import CLOSED, BlockedBy, Status
from project_manager.services import serializers
from project_manager.services.serializers import lease_of, offer_of
from project_manager.store import lease_history
from project_manager.store.lease_history import LeaseRow
from project_manager.store.tasks import TaskRow
from project_manager.store.transaction import Tx

_ENDED_BY: Mapping[str, str] = {
    UnlockReason.EXPLICIT_RELEASE: "it was released",
    UnlockReason.FAILED: "it was released as failed",
    UnlockReason.AUTO_RELEASE: "a status change ended it",
    UnlockReason.LOCK_EXPIRED: "it expired",
    UnlockReason.UNCONFIRMED: "no call confirmed it",
    UnlockReason.FORCED: "it was ended by force",
    UnlockReason.STOPPED: "an operator stopped the work",
    UnlockReason.DELETED: "the task was deleted",
}


def check_lease(tx: Tx, row: TaskRow, fence: int | None) -> Lease | None:
    """Check a write with this fence. Return the live lease, or None. Raises LockHeld, StaleFence, FenceRequired."""
    lease = lease_of(row, tx.now)
    try:
        check_holder(lease, tx.actor.id, fence, task_id=row.id, current_fence=row.fence)
    except StaleFence as refusal:
        raise _stale(tx, row, lease, fence or 0, refusal) from None
    except LockHeld as refusal:
        raise _lock_held_error(tx, row, refusal) from None
    return lease


def require_lease(tx: Tx, row: TaskRow, lease: Lease | None) -> Lease:
    """Return the lease. Raises NotHeld when there is none."""
    if lease is not None:
        return lease
    error = not_held_error(row.id, tx.actor.id, row.fence)
    lost = _last_lost_lease(tx, row)
    if lost is None:
        raise error
    message = f"{_describe_loss(lost)}; {state_of(tx, row)}"
    raise NotHeld(message, hint=_next_step(tx, row), **error.details, ended=_details_of(lost))


def was_stopped(tx: Tx, row: TaskRow) -> bool:
    """Return whether a stop has ended the actor's newest lease on the task, and the task still waits for a person."""
    if row.blocked_by != BlockedBy.STOP or row.lock_holder is not None:
        return False
    newest = lease_history.newest_of(tx, row.id, tx.actor.id)
    return newest is not None and newest.reason == UnlockReason.STOPPED


def check_status_without_lease(tx: Tx, row: TaskRow) -> None:
    """Check that an agent may set the status of a task without a holder, without claiming it first.

    Raises LockRequired if the agent lost its newest lease on the task, or if only a claim shows whether the agent may
    work on it: a task that is offered to another agent, under review, or BLOCKED by the service.
    """
    lost = _last_lost_lease(tx, row)
    if lost is not None:
        message = f"{_describe_loss(lost)}; a status change needs a new lease; {state_of(tx, row)}"
        raise LockRequired(message, hint=_next_step(tx, row), task_id=row.id, fence=row.fence, ended=_details_of(lost))
    if row.status == Status.BLOCKED and tx.max_attempts and row.attempts >= tx.max_attempts:
        attempts = failed_attempts(row.attempts)
        message = f"task {row.id} is BLOCKED after {attempts}: an agent needs a lease to change its status"
        raise LockRequired(message, hint=_next_step(tx, row), task_id=row.id, fence=row.fence, attempts=row.attempts)
    reason = _reason_for_claim(tx, row)
    if reason is not None:
        message = f"task {row.id} is {reason}: an agent needs a lease to change its status"
        raise LockRequired(message, hint=_next_step(tx, row), task_id=row.id, fence=row.fence)


def _reason_for_claim(tx: Tx, row: TaskRow) -> str | None:
    """Return why the status of the task changes only under a lease, or None."""
    offered_to = offer_of(row, tx.now)
    if offered_to not in (None, tx.actor.id):
        return f"offered to {offered_to}"
    if row.status == Status.BLOCKED and row.blocked_by is not None:
        return f"BLOCKED ({row.blocked_by})"
    if row.status == Status.REVIEW and parse_policy(row.policy).review is ReviewRule.REQUIRED and row.submission_id:
        return "under review"
    return None


def _stale(tx: Tx, row: TaskRow, lease: Lease | None, fence: int, refusal: StaleFence) -> StaleFence:
    if fence > row.fence:
        newest = f"its newest fence is {row.fence}" if row.fence else "the task never had a lease"
        message, ended = f"fence {fence} was never issued for task {row.id}: {newest}", None
    else:
        ended = lease_history.of_fence(tx, row.id, fence)
        message = f"fence {fence} of task {row.id} is stale: {_describe_ended(tx, ended)}"
    details = {**refusal.details, **({} if ended is None else {"ended": _details_of(ended)})}
    hint = _next_step(tx, row)
    if lease is not None and lease.holder == tx.actor.id:
        hint = f"Your agent id has the lease with fence {lease.fence}. Send it, unless another session uses your id."
    return StaleFence(f"{message}; {state_of(tx, row)}", hint=hint, **details)


def _lock_held_error(tx: Tx, row: TaskRow, refusal: LockHeld) -> LockHeld:
    lost = _last_lost_lease(tx, row)
    if lost is None:
        return refusal
    message = f"{_describe_loss(lost)}; {state_of(tx, row)}"
    return LockHeld(message, hint=_next_step(tx, row), **refusal.details, ended=_details_of(lost))


def _last_lost_lease(tx: Tx, row: TaskRow) -> LeaseRow | None:
    """Return the newest lease of the actor on the task if the actor lost it (see LOSS_REASONS), or None."""
    newest = lease_history.newest_of(tx, row.id, tx.actor.id)
    return newest if newest is not None and newest.reason in LOSS_REASONS else None


def _describe_ended(tx: Tx, ended: LeaseRow | None) -> str:
    if ended is None:
        return "its lease has ended"
    return (
        f"{'your lease' if ended.agent_id == tx.actor.id else f'the lease of {ended.agent_id}'} {_describe_end(ended)}"
    )


def _describe_loss(lost: LeaseRow) -> str:
    return f"your lease on task {lost.task_id} (fence {lost.fence}) {_describe_end(lost)}"


def _describe_end(ended: LeaseRow) -> str:
    how = _ENDED_BY.get(ended.reason or "", "it was ended")  # a newer server may record other reasons
    return f"ended at {rfc3339(ended.ended_at or 0)}: {how}"


def state_of(tx: Tx, row: TaskRow) -> str:
    """Return the state of the task in words: held, finished, free or not ready."""
    lease = lease_of(row, tx.now)
    if lease is not None:
        until = rfc3339(lease.expires_at)
        return f"the task is locked by {lease.holder} with fence {lease.fence} until {until}"
    if Status(row.status) in CLOSED:
        return f"the task is {row.status}"
    why = serializers.claim_blockers_of(tx, row)
    if why:
        reasons = "; ".join(reason.message for reason in why)
        return f"the task is {row.status}, not locked, and cannot be claimed: {reasons}"
    return f"the task is {row.status} and free"


def _next_step(tx: Tx, row: TaskRow) -> str:
    if lease_of(row, tx.now) is not None:
        return (
            "Stop working on it: another agent has the lock. Claim another task with claim_next_task, or wait until "
            "the lock ends."
        )
    if row.status == Status.DONE:
        return "Claim another task with claim_next_task. To reopen it, set IN_PROGRESS with reopen=true."
    if row.status == Status.CANCELLED:
        return "Claim another task with claim_next_task. A person can reopen it."
    if serializers.claim_blockers_of(tx, row):
        return "Claim another task with claim_next_task."
    return f"Claim it again with acquire_task_lock (task_id {row.id}), read it again, and send the new fence."


def _details_of(ended: LeaseRow) -> dict[str, object]:
    return {
        "agent_id": ended.agent_id,
        "fence": ended.fence,
        "ended_at": rfc3339(ended.ended_at or 0),
        "reason": ended.reason,
    }
