"""The use case that changes the status of a task."""

from project_manager.domain.actors import Role
from project_manager.domain.errors import LockHeld
from project_manager.domain.leases import UnlockReason, lock_held_error
from project_manager.domain.limits import LEASE_SECONDS_DEFAULT
from project_manager.domain.readiness import blockers, not_ready_error
from project_manager.domain.statuses import CLOSED, LEASE_ENDING_STATUSES, Status, check_transition
from project_manager.schemas.tasks import StatusChangedView, UpdateTaskStatus
from project_manager.services import leases, lookup, pauses, serializers, transitions
from project_manager.services.authorization import check_write, overrides_lease
from project_manager.services.lease_errors import check_lease, check_status_without_lease
from project_manager.services.serializers import lease_of
from project_manager.store.tasks import TaskRow
from project_manager.store.transaction import Tx

_REQUIRES_READINESS = frozenset({Status.IN_PROGRESS, Status.REVIEW, Status.DONE})


def update_status(tx: Tx, command: UpdateTaskStatus) -> StatusChangedView:
    """Set a task's status: DONE when finished, REVIEW for review, BLOCKED when stuck. Only IN_PROGRESS keeps a lease.

    The holder sends its fence. On a task without a holder it is one call: claim, write, release (IN_PROGRESS keeps the
    lease). After you lost a lease, claim the task again first. Finished work needs reopen=true. A person needs
    force=true while another actor has the lease.
    """
    lookup.check_force(tx, command.force)
    row = lookup.task(tx, command.task_id)
    if command.note:
        check_write(tx, row, command.fence, force=command.force)
        transitions.note(tx, row, tx.actor.id, "progress", command.note)
    updated = change_status(tx, row, command.status, fence=command.fence, reopen=command.reopen, force=command.force)
    lease = lease_of(updated, tx.now)
    return StatusChangedView(
        success=True,
        message=f"task {row.id} is {updated.status}"
        + ("" if lease is None else f", locked by {lease.holder} with fence {lease.fence}"),
        task_id=row.id,
        agent_id=tx.actor.id,
        status=updated.status,
        previous_status=row.status,
        lock_released=lease is None,
        task=serializers.task(tx, updated),
        lock=None if lease is None else serializers.lock(lease),
    )


def change_status(tx: Tx, row: TaskRow, target: Status, *, fence: int | None, reopen: bool, force: bool) -> TaskRow:
    """Set the status of the task by the rules of leases and transitions, and return the task.

    Raises LockHeld, StaleFence, FenceRequired, LockRequired, Paused, NotReady, InvalidTransition, OpenSubtasks,
    ParentDone.
    """
    lease = lease_of(row, tx.now)
    forced = overrides_lease(tx, row, force=force)
    if not forced:
        _check_status_change(tx, row, fence)
    check_transition(Status(row.status), target, reopen=reopen, task_id=row.id)
    transitions.check_subtasks(tx, row, target)  # before the blockers, because its error names the subtasks only
    attempts = 0 if target is Status.DONE or not tx.actor.is_agent else row.attempts
    if lease is not None:
        return _change_status_of_leased(tx, row, target, fence=fence, forced=forced, attempts=attempts)
    if target is Status.IN_PROGRESS and tx.actor.is_agent:
        return _claim(tx, row)
    if tx.actor.is_agent and not force:  # before the no-op below, so that a lost lease is reported in any case
        check_status_without_lease(tx, row)
        pauses.check_status_without_lease(tx, row)
    if target.value == row.status:
        return row
    if tx.actor.is_agent and target in _REQUIRES_READINESS and Status(row.status) not in CLOSED:
        why = blockers(serializers.readiness_input(tx, row))
        if why:
            raise not_ready_error(row.id, why)
    updated = transitions.set_status(tx, row, target, attempts=attempts, records_lease=tx.actor.is_agent)
    transitions.emit_ready(tx, [row.id])
    return updated


def _change_status_of_leased(
    tx: Tx, row: TaskRow, target: Status, *, fence: int | None, forced: bool, attempts: int
) -> TaskRow:
    if target is Status.IN_PROGRESS and not forced:
        return transitions.renew(tx, row, ttl=row.lock_ttl or 0, fenced=fence is not None)
    if forced:
        transitions.log_forced_release(tx, row)
    reason = UnlockReason.FORCED if forced else UnlockReason.AUTO_RELEASE
    updated = transitions.end(tx, row, target, reason, attempts=attempts)
    if target not in LEASE_ENDING_STATUSES:
        transitions.emit_ready(tx, [row.id])
    return updated


def _claim(tx: Tx, row: TaskRow) -> TaskRow:
    """Set IN_PROGRESS in one call, by the same rules as a claim by id."""
    if Status(row.status) in CLOSED:
        row = transitions.set_status(tx, row, Status.TODO, attempts=0)
        row = lookup.task(tx, row.id)
    leases.check_claimable_by_id(tx, row)
    return transitions.claim(tx, row, ttl=LEASE_SECONDS_DEFAULT * 1000)


def _check_status_change(tx: Tx, row: TaskRow, fence: int | None) -> None:
    lease = lease_of(row, tx.now)
    if not tx.actor.is_agent and lease is not None and lease.holder != tx.actor.id and fence is None:
        held = lock_held_error(lease)
        hint = "Send force=true to end the lease of its holder." if tx.actor.role >= Role.OPERATOR else ""
        raise LockHeld(held.message, hint=hint, **held.details)
    check_lease(tx, row, fence)
