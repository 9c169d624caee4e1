"""Events of tasks that became ready, or are no longer ready, for all agents or for the one that they are offered to."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from project_manager.clock import rfc3339
from project_manager.domain.events.event import TaskEvent
from project_manager.domain.events.offers import TaskOffered
from project_manager.domain.events.readiness import TaskNotReady, TaskReady
from project_manager.domain.statuses import Status
from project_manager.services import path_reservations
from project_manager.services.serializers import NO_IDS
from project_manager.store import events, offers, ready_tasks, tasks
from project_manager.store.ready_tasks import TaskState
from project_manager.store.tasks import TaskRow
from project_manager.store.transaction import Tx


def emit_ready(tx: Tx, task_ids: Collection[int]) -> None:
    """Emit `task.ready` for each ready task of `task_ids`. Park those that are blocked by paths.

    A task that an event shows as not ready must be parked, so that its readiness later has an event too. An offered
    task that is ready for its agent only has `task.offered` again, so that a waiting claim of the agent gets it.
    """
    if tx.ready_later is not None:
        tx.ready_later |= dict.fromkeys(task_ids)
        return
    blocked: list[int] = []
    for state in ready_tasks.states(tx, task_ids):
        if state.is_ready:
            _emit(tx, TaskReady(status=state.status, version=state.version), state)
        elif state.has_paths:
            blocked.append(state.id)
    path_reservations.park_blocked(tx, blocked)
    offered = [task.id for _, task in offers.among(tx, task_ids)]
    for row in tasks.get_all(tx, offered) if offered else []:
        emit_offered(tx, row)


@contextmanager
def emitted_once(tx: Tx) -> Iterator[dict[int, None]]:
    """Postpone the calls of `emit_ready` in the body to its end, and check each task once. Yield their tasks so far."""
    later = tx.ready_later = {}
    try:
        yield later
    finally:
        tx.ready_later = None
    emit_ready(tx, [*later])


def emit_not_ready(tx: Tx, were_ready: Collection[int]) -> None:
    """Emit `task.not_ready` for each task that is no longer ready. `were_ready` were ready before the change."""
    for state in ready_tasks.states(tx, were_ready):
        if not state.is_ready:
            _emit(tx, TaskNotReady(status=state.status, version=state.version), state)


def emit_offered(tx: Tx, row: TaskRow) -> None:
    """Emit `task.offered`: the agent that the task is offered to can claim it now."""
    event = TaskOffered(
        agent_id=row.offered_to or "",
        reason=row.offered_reason or "",
        until=rfc3339(row.offered_until or 0),
        status=row.status,
        version=row.version,
    )
    _emit(tx, event, row)


def ready_among(tx: Tx, task_ids: Collection[int]) -> list[int]:
    """Return the ready tasks of `task_ids`."""
    return [state.id for state in ready_tasks.states(tx, task_ids) if state.is_ready]


def is_ready(tx: Tx, row: TaskRow) -> bool:
    """Return whether the task is ready."""
    return (
        row.status == Status.TODO
        and row.lock_holder is None
        and row.open_dependencies == 0
        and not row.deferred
        and not row.withheld
        and row.running_conflicts == NO_IDS
        and row.path_conflicts == NO_IDS
        and (tx.max_attempts == 0 or row.attempts < tx.max_attempts)
    )


def _emit(tx: Tx, event: TaskEvent, row: TaskRow | TaskState) -> None:
    events.add(tx, event, project_id=row.project_id, epic_id=row.epic_id, task_id=row.id)
