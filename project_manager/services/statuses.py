"""The use case that changes the status of a task."""

from collections.abc import Sequence
from dataclasses import dataclass

from project_manager.domain.actors import Role
from project_manager.domain.errors import LeaseForReview, LockHeld
from project_manager.domain.leases import UnlockReason, lock_held_error
from project_manager.domain.limits import LEASE_SECONDS_DEFAULT
from project_manager.domain.policies import Work, parse_policy
from project_manager.domain.readiness import blockers, not_ready_error
from project_manager.domain.statuses import CLOSED, LEASE_ENDING_STATUSES, BlockedBy, Status, check_transition
from project_manager.schemas.tasks import StatusChangedView, UpdateTaskStatus
from project_manager.services import (
    evidence,
    leases,
    lookup,
    pauses,
    policies,
    readiness,
    reviews,
    serializers,
    transitions,
)
from project_manager.services.authorization import check_write, overrides_lease
from project_manager.services.lease_errors import check_lease, check_status_without_lease
from project_manager.services.serializers import lease_of
from project_manager.store.leases import NO_REASONS, Reasons
from project_manager.store.reviews import SubmissionRow
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
    recorded: list[int] = []
    if command.note or command.evidence:
        check_write(tx, row, command.fence, force=command.force)
    if command.note:
        transitions.note(tx, row, tx.actor.id, "progress", command.note)
    if command.evidence:
        recorded = evidence.record_all(tx, row, command.evidence, fence=_fence_of(tx, row, command.status))
    change = StatusChange(
        command.status,
        fence=command.fence,
        reopen=command.reopen,
        force=command.force,
        summary=command.summary or command.note or "",
        branch=command.branch,
        commit=command.commit,
        recorded=recorded,
    )
    updated, submission = change_status(tx, row, change)
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
        submission=None if submission is None else reviews.view(updated, submission),
    )


def _fence_of(tx: Tx, row: TaskRow, target: Status) -> int:
    """Return the fence under which a change to the status `target` writes evidence.

    It is 0 for a person, and for a change without an effect, because its next fence is that of another lease.
    """
    lease = lease_of(row, tx.now)
    if not tx.actor.is_agent or (lease is not None and lease.holder != tx.actor.id):
        return 0
    if lease is None and target.value == row.status and target not in (Status.IN_PROGRESS, Status.REVIEW):
        return 0
    return row.fence + int(lease is None)


@dataclass(frozen=True, slots=True)
class StatusChange:
    """A change of the status of a task to `target`, with the work that it submits or completes.

    `recorded` are the ids of the evidence in the log that the same call has added. `blocked_by` is the reason of the
    service for BLOCKED. `attempts` are the failed attempts to store, by default those that the rules of statuses give.
    With `keeps_policy`, `force` ends leases, but overrides no policy. `submission_id` is a submission that waits for a
    verdict again, if it is still valid. `completed_at` is the instant to store with DONE, by default the present one.
    """

    target: Status
    fence: int | None = None
    reopen: bool = False
    force: bool = False
    summary: str = ""
    branch: str | None = None
    commit: str | None = None
    recorded: Sequence[int] = ()
    blocked_by: BlockedBy | None = None
    attempts: int | None = None
    keeps_policy: bool = False
    submission_id: int | None = None
    completed_at: int | None = None

    @property
    def has_work(self) -> bool:
        """Return whether the change describes work."""
        return bool(self.summary or self.branch or self.commit or self.recorded)


def change_status(tx: Tx, row: TaskRow, change: StatusChange) -> tuple[TaskRow, SubmissionRow | None]:
    """Set the status of the task by the rules of leases, transitions and policies.

    Return the task, and the submission if the task was submitted for review. Raises LockHeld, StaleFence,
    FenceRequired, LockRequired, NotReady, InvalidTransition, PolicyUnmet.
    """
    updated = _set_status(tx, row, change)
    if change.target is not Status.REVIEW or updated.version == row.version or _is_submitted(row, change):
        return updated, None
    restored = None if change.submission_id is None else reviews.restore(tx, updated, change.submission_id)
    if restored is not None:
        return restored
    return reviews.submit(
        tx,
        updated,
        change.summary,
        branch=change.branch,
        commit=change.commit,
        work=Work(fence=updated.fence if tx.actor.is_agent else 0, evidence_ids=frozenset(change.recorded)),
    )


def _set_status(tx: Tx, row: TaskRow, change: StatusChange) -> TaskRow:
    """Check the change, set the status, and return the task. Raises the errors of `change_status`."""
    lease = lease_of(row, tx.now)
    target = change.target
    forced = overrides_lease(tx, row, force=change.force)
    if not forced:
        _check_status_change(tx, row, change.fence)
    check_transition(Status(row.status), target, reopen=change.reopen, task_id=row.id)
    transitions.check_subtasks(tx, row, target)  # before the blockers, because its error names the subtasks only
    attempts = 0 if target is Status.DONE or not tx.actor.is_agent else row.attempts
    if change.attempts is not None:
        attempts = change.attempts
    if lease is not None:
        return _change_status_of_leased(tx, row, change, forced=forced, attempts=attempts)
    if target is Status.IN_PROGRESS and tx.actor.is_agent:
        return _claim(tx, row)
    if tx.actor.is_agent and not change.force:  # before the no-op below, so that a lost lease is reported in any case
        check_status_without_lease(tx, row)
        pauses.check_status_without_lease(tx, row)
    if _changes_nothing(row, change):
        return row
    if tx.actor.is_agent and target in _REQUIRES_READINESS and Status(row.status) not in CLOSED:
        why = blockers(serializers.readiness_input(tx, row))
        if why:
            raise not_ready_error(row.id, why)
    reasons = _reasons(tx, row, change, fence=row.fence + 1 if tx.actor.is_agent else 0)
    updated = transitions.set_status(
        tx,
        row,
        target,
        attempts=attempts,
        records_lease=tx.actor.is_agent,
        reasons=reasons,
        completed_at=change.completed_at,
    )
    readiness.emit_ready(tx, [row.id])
    return updated


def _changes_nothing(row: TaskRow, change: StatusChange) -> bool:
    """Return whether the task has the status already. Work in REVIEW can be submitted again."""
    if change.target.value != row.status or change.blocked_by is not None:
        return False
    return change.target is not Status.REVIEW or _is_submitted(row, change)


def _is_submitted(row: TaskRow, change: StatusChange) -> bool:
    """Return whether the task has submitted work in REVIEW, and the change describes no other work."""
    return row.status == Status.REVIEW and row.submission_id is not None and not change.has_work


def _reasons(tx: Tx, row: TaskRow, change: StatusChange, *, fence: int) -> Reasons:
    """Return the reasons to store with the new status. `fence` is that of the work. Raises PolicyUnmet."""
    if change.target is not Status.DONE:
        return Reasons(blocked_by=None if change.blocked_by is None else change.blocked_by.value)
    if parse_policy(row.policy).is_empty:
        return NO_REASONS
    work = policies.current_work(tx, row, fence=fence, recorded=change.recorded)
    return Reasons(completed_by=policies.check_done(tx, row, work, forced=change.force and not change.keeps_policy))


def _change_status_of_leased(tx: Tx, row: TaskRow, change: StatusChange, *, forced: bool, attempts: int) -> TaskRow:
    target = change.target
    # A reviewer changes the status by its verdict only, so that no approval is missing in the history.
    if row.lock_kind is not None and not forced and tx.actor.id == row.lock_holder:
        message = f"your lease on task {row.id} is for review: the status changes by your verdict"
        raise LeaseForReview(message, task_id=row.id, fence=row.fence)
    if target is Status.IN_PROGRESS and not forced:
        return transitions.renew(tx, row, ttl=row.lock_ttl or 0, fenced=change.fence is not None)
    reasons = _reasons(tx, row, change, fence=row.fence if tx.actor.id == row.lock_holder else 0)
    if forced:
        transitions.log_forced_release(tx, row)
    reason = UnlockReason.FORCED if forced else UnlockReason.AUTO_RELEASE
    updated = transitions.end(tx, row, target, reason, attempts=attempts, reasons=reasons)
    if target not in LEASE_ENDING_STATUSES:
        readiness.emit_ready(tx, [row.id])
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
