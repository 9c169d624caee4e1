"""The transitions of a task: claim, renew or end a lease, or set a status without one.

Each is a guarded statement with its events and its effects on dependent and conflicting tasks.
"""

from typing import Any

import orjson

from project_manager.domain.actors import SYSTEM
from project_manager.domain.errors import OpenSubtasks, ParentDone
from project_manager.domain.events.event import Event
from project_manager.domain.events.questions import QuestionWithoutAnswer
from project_manager.domain.events.tasks import (
    TaskCreated,
    TaskLocked,
    TaskLogged,
    TaskStatusChanged,
    TaskUnlocked,
    TaskUpdated,
)
from project_manager.domain.leases import UnlockReason, lock_held_error
from project_manager.domain.policies import parse_policy
from project_manager.domain.readiness import open_subtasks_blocker
from project_manager.domain.statuses import CLOSED, BlockedBy, Status
from project_manager.domain.task_fields import EDITABLE
from project_manager.services import lookup, path_reservations, readiness, serializers
from project_manager.services.serializers import NO_IDS, lease_of, live_lease_of
from project_manager.store import events, lease_history, leases, links, logs, offers, questions, seals, subtasks, tasks
from project_manager.store.lease_history import LeaseRow
from project_manager.store.leases import NO_REASONS, Reasons
from project_manager.store.ready_tasks import TaskState
from project_manager.store.seals import Digests
from project_manager.store.tasks import TaskRow
from project_manager.store.transaction import Tx

_EDITS = (TaskCreated, TaskUpdated)
_OUTCOMES = {
    UnlockReason.LOCK_EXPIRED: "expired",
    UnlockReason.UNCONFIRMED: "unconfirmed",
    UnlockReason.FORCED: "forced",
    UnlockReason.STOPPED: "stopped",
}
"""Metric labels for reasons of the end of a lease. All other reasons count as `released`."""


def claim(tx: Tx, row: TaskRow, *, ttl: int, unconfirmed_ttl: int | None = None) -> TaskRow:
    """Set IN_PROGRESS with a new lease of `ttl` ms, or of `unconfirmed_ttl` ms until the first renewal."""
    if row.offered_to is not None:
        row = offers.end(tx, row)
    _close_question(tx, row)
    return_status = Status.TODO.value if row.status == Status.IN_PROGRESS else row.status
    ready_conflicts = [] if row.conflicts_with == NO_IDS else readiness.ready_among(tx, links.conflicts_of(tx, row.id))
    leased = leases.claim(tx, row, tx.actor.id, ttl=ttl, return_status=return_status, unconfirmed_ttl=unconfirmed_ttl)
    if leased is None:
        raise _conflict_error(tx, row)
    path_reservations.unpark_changed(tx, row)
    path_reservations.reserve(tx, leased)
    emit_locked(tx, row.status, leased)
    readiness.emit_not_ready(tx, ready_conflicts)
    return leased


def claim_for_review(tx: Tx, row: TaskRow, *, ttl: int) -> TaskRow:
    """Give the actor a lease of `ttl` ms for the review of the submitted work. The task stays in REVIEW."""
    leased = leases.claim(tx, row, tx.actor.id, ttl=ttl, return_status=row.status, for_review=True)
    if leased is None:
        raise _conflict_error(tx, row)
    emit_locked(tx, row.status, leased)
    return leased


def emit_locked(tx: Tx, previous: str, leased: TaskRow) -> None:
    """Count the new lease, emit `task.locked`, and emit `task.status_changed` if the status changed."""
    tx.count_outcome("acquired")
    emit(tx, _locked(tx, leased), leased)
    if previous != leased.status:
        _emit_status_changed(tx, previous, leased, agent_id=leased.lock_holder, lock_released=False)


def renew(tx: Tx, row: TaskRow, *, ttl: int, fenced: bool) -> TaskRow:
    """Move the expiry to `ttl` milliseconds from now. Emit `task.locked` only when the length changed."""
    renewed = leases.renew(tx, row, ttl=ttl, fenced=fenced)
    if renewed is None:
        raise _conflict_error(tx, row)
    tx.count_outcome("renewed")
    if row.lock_ttl != ttl or row.unconfirmed_fence == row.fence:
        emit(tx, _locked(tx, renewed, renewed=True), renewed)
    return renewed


def take_over(tx: Tx, row: TaskRow, *, ttl: int) -> TaskRow:
    """End the present lease with reason `forced` and give the actor a new one of `ttl` milliseconds.

    The status stays as it is, so that no waiting claim gets the task. A later release returns the task to the status
    before the first claim. A lease for review is followed by one for work only if the submission was voided.
    """
    if row.lock_kind is not None:
        ended = end(tx, row, Status.REVIEW, UnlockReason.FORCED, attempts=row.attempts)
        return claim(tx, ended, ttl=ttl) if ended.submission_id is None else claim_for_review(tx, ended, ttl=ttl)
    released = leases.set_status(tx, row, Status.IN_PROGRESS.value, attempts=row.attempts)
    if released is None:
        raise _conflict_error(tx, row)
    close_lease(tx, row, released, UnlockReason.FORCED)
    leased = leases.claim(tx, released, tx.actor.id, ttl=ttl, return_status=row.lock_from or Status.TODO.value)
    if leased is None:
        raise _conflict_error(tx, row)
    path_reservations.reserve(tx, leased)
    emit_locked(tx, released.status, leased)
    return leased


def end(
    tx: Tx, row: TaskRow, target: Status, reason: UnlockReason, *, attempts: int, reasons: Reasons = NO_REASONS
) -> TaskRow:
    """End the lease, set the status, and return the task. Raises OpenSubtasks, ParentDone.

    A stop of work raises the fence, so that later writes of the holder are stale.
    """
    stops = reason is UnlockReason.STOPPED and row.lock_kind is None
    check_subtasks(tx, row, target)
    _check_policy(row, target, reasons)
    updated = leases.set_status(tx, row, target.value, attempts=attempts, reasons=reasons, stops=stops)
    if updated is None:
        raise _conflict_error(tx, row)
    if row.status != updated.status:
        sealed = {"fence": updated.fence} if stops else None
        _emit_status_changed(tx, row.status, updated, agent_id=row.lock_holder, lock_released=True, sealed=sealed)
    close_lease(tx, row, updated, reason)
    _update_dependents(tx, row, updated)
    return updated


def set_status(
    tx: Tx,
    row: TaskRow,
    target: Status,
    *,
    attempts: int,
    records_lease: bool = False,
    reasons: Reasons = NO_REASONS,
    completed_at: int | None = None,
) -> TaskRow:
    """Set the status of a task without a holder.

    With `records_lease` the actor gets a lease that ends at once. It makes older fences of the task stale.
    `completed_at` is the instant to store with DONE, by default this one. Raises OpenSubtasks, ParentDone.
    """
    check_subtasks(tx, row, target)
    _check_policy(row, target, reasons)
    _close_question(tx, row)
    agent = tx.actor.id if records_lease else None
    updated = leases.set_status(
        tx, row, target.value, attempts=attempts, records_lease_of=agent, reasons=reasons, completed_at=completed_at
    )
    if updated is None:
        raise _conflict_error(tx, row)
    if agent is not None:
        short = LeaseRow(
            row.id,
            updated.fence,
            agent,
            row.project_id,
            row.name,
            tx.now,
            tx.now,
            tx.now,
            UnlockReason.AUTO_RELEASE.value,
            updated.status,
        )
        lease_history.record(tx, short)
    if row.status != updated.status:
        sealed = {"fence": updated.fence} if records_lease else None
        _emit_status_changed(tx, row.status, updated, agent_id=tx.actor.id, lock_released=records_lease, sealed=sealed)
    _update_dependents(tx, row, updated)
    return updated


def _close_question(tx: Tx, row: TaskRow) -> None:
    """Close the open question of a task that leaves BLOCKED without an answer."""
    if row.blocked_by != BlockedBy.QUESTION:
        return
    closed = questions.close(tx, row.id)
    if closed is not None:
        event = QuestionWithoutAnswer(question_id=closed.id, asker=closed.asker)
        emit(tx, event, row, sealed=seals.digests_of("questions", closed))


def check_subtasks(tx: Tx, row: TaskRow, target: Status) -> None:
    """Check that no task with an open subtask becomes DONE, and no subtask of a DONE parent is reopened.

    Raises OpenSubtasks, ParentDone.
    """
    if target is Status.DONE and row.status != Status.DONE and row.open_dependencies:
        found = subtasks.open_of(tx, row.id)
        if found:
            raise OpenSubtasks(f"task {row.id} {open_subtasks_blocker(tuple(found)).message}", open_subtasks=found)
    if row.parent_id is not None and Status(row.status) in CLOSED:
        check_parent_open(tx, row, target, row.parent_id)


def check_parent_open(tx: Tx, row: TaskRow, status: Status, parent_id: int) -> None:
    """Check that a parent may have a subtask of this status. A DONE parent has no open subtasks. Raises ParentDone."""
    if status in CLOSED:
        return
    parent = tasks.named(tx, [parent_id])
    if parent and parent[0][2] == Status.DONE:
        message = f"task {row.id} is a subtask of task {parent_id}, which is DONE"
        raise ParentDone(message, task_id=row.id, parent_id=parent_id)


def add_open_subtask(tx: Tx, parent_id: int) -> None:
    """Count one more open subtask of the parent, and emit `task.not_ready` if the parent was ready."""
    ready = readiness.ready_among(tx, [parent_id])
    subtasks.adjust_open(tx, parent_id, 1)
    readiness.emit_not_ready(tx, ready)


def _check_policy(row: TaskRow, target: Status, reasons: Reasons) -> None:
    """Raise RuntimeError for DONE without a check of the policy. `policies.check_done` checks it on every path."""
    if (
        target is Status.DONE
        and row.status != Status.DONE
        and not parse_policy(row.policy).is_empty
        and not reasons.completed_by
    ):
        raise RuntimeError(f"the policy of task {row.id} was not checked")


def emit(tx: Tx, event: Event, row: TaskRow | TaskState, *, sealed: Digests | None = None) -> None:
    """Emit an event about the task. `sealed` contains facts that only the hash chain covers."""
    if isinstance(event, _EDITS):
        sealed = seals.digests_of("tasks", row)
    events.add(tx, event, project_id=row.project_id, epic_id=row.epic_id, task_id=row.id, sealed=sealed)


def emit_edit(tx: Tx, row: TaskRow) -> TaskRow:
    """Emit `task.updated` with the fields that changed since `row` was read, and return the task."""
    written = lookup.task(tx, row.id)
    old: dict[str, Any] = {**serializers.task(tx, row)}
    new: dict[str, Any] = {**serializers.task(tx, written)}
    changes = {name: new[name] for name in EDITABLE if old[name] != new[name]}
    previous = {name: old[name] for name in changes}
    emit(tx, TaskUpdated(changes=changes, previous=previous, version=written.version), written)
    return written


def note(tx: Tx, row: TaskRow, author: str, kind: str, body: str, details: str | None = None) -> logs.LogRow:
    """Add an entry to the log of the task and emit `task.logged`. `details` is a JSON object for some kinds."""
    entry = logs.add(tx, row.id, author, kind, body, details)
    emit_logged(tx, row, entry)
    return entry


def emit_logged(tx: Tx, row: TaskRow, entry: logs.LogRow) -> None:
    """Emit `task.logged` for a new entry in the log of the task."""
    sealed = seals.digests_of("task_logs", entry)
    emit(tx, TaskLogged(log_id=entry.id, author=entry.author, kind=entry.kind), row, sealed=sealed)


def note_by_system(tx: Tx, row: TaskRow, body: str) -> None:
    """Add an entry of the service to the log of the task."""
    note(tx, row, SYSTEM.id, "system", body)


def log_forced_release(tx: Tx, row: TaskRow) -> None:
    """Add to the log that the actor ended the lease of the present holder."""
    note_by_system(tx, row, f"{tx.actor.id} ended the lease of {row.lock_holder}")


def _update_dependents(tx: Tx, before: TaskRow, after: TaskRow) -> None:
    """Apply the effects of a status change or of the end of a lease to other tasks. The rows have their links."""
    freed: list[int] = []
    was, now = Status(before.status), Status(after.status)
    if (was in CLOSED) != (now in CLOSED):
        freed += _close_or_reopen(tx, after, is_closed=now in CLOSED)
    if now is Status.DONE and was is not Status.DONE:
        freed += links.adjust_open_dependencies(tx, after.id, -1)
    elif was is Status.DONE and now is not Status.DONE:
        ready = readiness.ready_among(tx, [link[0] for link in links.dependents_of(tx, after.id)])
        links.adjust_open_dependencies(tx, after.id, 1)
        readiness.emit_not_ready(tx, ready)
    # A review blocks no conflicting task.
    if before.lock_holder is not None and before.lock_kind is None and before.conflicts_with != NO_IDS:
        freed += links.conflicts_of(tx, after.id)
    if before.lock_holder is not None:
        freed += path_reservations.release(tx, before)
    readiness.emit_ready(tx, list(dict.fromkeys(freed)))


def _close_or_reopen(tx: Tx, row: TaskRow, *, is_closed: bool) -> list[int]:
    """Count a task that was closed or reopened for its dependencies and its parent. Return the parent if it is free."""
    if row.depends_on != NO_IDS:
        links.adjust_unblocks(tx, row.id, -1 if is_closed else 1)
    if row.parent_id is None:
        return []
    if is_closed:
        return [row.parent_id] if subtasks.adjust_open(tx, row.parent_id, -1) else []
    add_open_subtask(tx, row.parent_id)
    return []


def _emit_status_changed(
    tx: Tx, previous: str, row: TaskRow, *, agent_id: str | None, lock_released: bool, sealed: Digests | None = None
) -> None:
    event = TaskStatusChanged(
        status=row.status, previous_status=previous, agent_id=agent_id, lock_released=lock_released, version=row.version
    )
    emit(tx, event, row, sealed=sealed)


def close_lease(tx: Tx, before: TaskRow, updated: TaskRow, reason: UnlockReason) -> None:
    """Record the end of the lease in `before` and emit `task.unlocked`."""
    tx.count_outcome(_OUTCOMES.get(reason, "released"))
    failed = reason is UnlockReason.EXPLICIT_RELEASE and updated.attempts > before.attempts
    recorded = UnlockReason.FAILED if failed else reason
    lease_history.add(tx, before, reason=recorded.value, status=updated.status)
    event = TaskUnlocked(
        paths=paths_of(before),
        agent_id=before.lock_holder or "",
        reason=reason.value,
        status=updated.status,
        attempts=updated.attempts,
        version=updated.version,
        failed=failed,
    )
    emit(tx, event, updated)


def _locked(tx: Tx, row: TaskRow, *, renewed: bool = False) -> TaskLocked:
    lock = serializers.lock(live_lease_of(row, tx.now))
    return TaskLocked(
        paths=paths_of(row),
        agent_id=lock.holder,
        status=row.status,
        timeout=lock.ttl_seconds,
        version=row.version,
        lock=lock,
        renewed=renewed,
        unconfirmed=row.unconfirmed_fence == row.fence,
    )


def paths_of(row: TaskRow) -> list[str]:
    """Return the paths that the lease on a task reserves. One for a review reserves none."""
    return [] if row.paths == NO_IDS or row.lock_kind is not None else orjson.loads(row.paths)


def _conflict_error(tx: Tx, row: TaskRow) -> Exception:
    """Return the error for an allowed write that the guard rejected: a bug, unless another actor has the lease."""
    present = tasks.get(tx, row.id)
    lease = None if present is None else lease_of(present, tx.now)
    if lease is not None and lease.holder != tx.actor.id:
        return lock_held_error(lease)
    return RuntimeError(f"the guard of task {row.id} rejected an allowed write")
