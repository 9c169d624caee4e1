"""Readiness of tasks, and the blockers of tasks that are not ready.

A task is ready if all of these conditions are true:

- Its status is TODO, and it has no lease.
- Every dependency is DONE, and every subtask is DONE or CANCELLED.
- It is not deferred, and its failed attempts are below the limit.
- No conflicting task and no task with overlapping paths has a lease.
- It is not withheld (`Withheld`).

A CANCELLED dependency is a separate blocker: a person has to remove the dependency or reopen the cancelled task.
"""

from dataclasses import dataclass
from enum import IntFlag
from typing import NamedTuple

from project_manager.clock import rfc3339
from project_manager.domain.errors import NotReady
from project_manager.domain.statuses import Status

ARCHIVED = "archived"
"""The code of the blocker of a task in an archived project."""
OPEN_SUBTASKS = "open_subtasks"
"""The code of the blocker of a task with unfinished subtasks."""


class Withheld(IntFlag):
    """Reasons for which a task is withheld from claims. Such a task is in no index of ready tasks.

    PATHS marks a parked task: a search for ready tasks sets it on a task that is blocked by paths. It is cleared some
    time after the block ends, so it is no blocker itself (`store/path_reservations.py`).
    """

    ARCHIVED = 1
    TASK_PAUSED = 2
    PROJECT_PAUSED = 4
    ALL_PAUSED = 8
    OFFERED = 16
    PATHS = 32


class ReadinessInput(NamedTuple):
    """Facts about a task that determine its readiness. Ids are ids of tasks; `cancelled` is part of `waiting_for`.

    `deferred_until` is in the future, in milliseconds since the epoch.
    """

    status: str
    is_leased: bool
    attempts: int
    waiting_for: tuple[int, ...]
    running_conflicts: tuple[int, ...]
    deferred_until: int | None
    withheld: int
    cancelled: tuple[int, ...] = ()
    open_subtasks: tuple[int, ...] = ()
    offered_to: str | None = None
    path_conflicts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Blocker:
    """A blocker of a task. `tasks` are the ids of the blocking tasks."""

    code: str
    message: str
    tasks: tuple[int, ...] = ()


_WITHHELD = {
    Withheld.ARCHIVED: Blocker(ARCHIVED, "its project is archived"),
    Withheld.TASK_PAUSED: Blocker("paused", "it is paused"),
    Withheld.PROJECT_PAUSED: Blocker("paused", "its project is paused"),
    Withheld.ALL_PAUSED: Blocker("paused", "all work is paused"),
}


def failed_attempts(attempts: int) -> str:
    """Return a text with the number of attempts that ended by expiry or by a release with `failed`."""
    return "1 failed attempt" if attempts == 1 else f"{attempts} failed attempts"


def readiness_blockers(readiness_input: ReadinessInput, *, max_attempts: int) -> tuple[Blocker, ...]:
    """Return all blockers of the task. A task without blockers is ready."""
    found = list(blockers(readiness_input))
    if readiness_input.status != Status.TODO:
        found.insert(0, Blocker("status", f"status is {readiness_input.status}, not TODO"))
    elif readiness_input.is_leased:
        found.insert(0, Blocker("leased", "it is locked by an agent"))
    if max_attempts and readiness_input.attempts >= max_attempts:
        found.append(Blocker("attempts", f"{failed_attempts(readiness_input.attempts)}; needs review by a person"))
    return tuple(found)


def blockers(readiness_input: ReadinessInput) -> tuple[Blocker, ...]:
    """Return the blockers that do not depend on the status. They also prevent a claim by id."""
    found = [blocker for reason, blocker in _WITHHELD.items() if reason & readiness_input.withheld]
    if Withheld.OFFERED & readiness_input.withheld:
        found.append(Blocker("offered_to", f"it is offered to {readiness_input.offered_to}"))
    open_ids = tuple(task for task in readiness_input.waiting_for if task not in readiness_input.cancelled)
    if open_ids:
        found.append(Blocker("dependencies", f"depends on unfinished {_tasks(open_ids)}", open_ids))
    if readiness_input.cancelled:
        found.append(
            Blocker("cancelled_dependencies", _cancelled(readiness_input.cancelled), readiness_input.cancelled)
        )
    if readiness_input.open_subtasks:
        found.append(open_subtasks_blocker(readiness_input.open_subtasks))
    if readiness_input.deferred_until is not None:
        found.append(Blocker("deferred", f"deferred until {rfc3339(readiness_input.deferred_until)}"))
    if readiness_input.running_conflicts:
        message = f"conflicts with {_tasks(readiness_input.running_conflicts)}, in progress"
        found.append(Blocker("conflicts", message, readiness_input.running_conflicts))
    if readiness_input.path_conflicts:
        message = f"its paths overlap those of {_tasks(readiness_input.path_conflicts)}, in progress"
        found.append(Blocker("paths", message, readiness_input.path_conflicts))
    return tuple(found)


def open_subtasks_blocker(ids: tuple[int, ...]) -> Blocker:
    """Return the blocker of a task with these subtasks that are neither DONE nor CANCELLED."""
    return Blocker(OPEN_SUBTASKS, f"has unfinished sub{_tasks(ids)}", ids)


def not_ready_error(task_id: int, why: tuple[Blocker, ...]) -> NotReady:
    """Return the error for a claim of a task with these blockers."""
    error = NotReady(
        f"task {task_id} is not ready: " + "; ".join(reason.message for reason in why),
        task_id=task_id,
        why_not_ready=[reason.message for reason in why],
        waiting_for=sorted({task for reason in why if reason.code != OPEN_SUBTASKS for task in reason.tasks}),
    )
    if subtasks := [task for reason in why if reason.code == OPEN_SUBTASKS for task in reason.tasks]:
        error.details[OPEN_SUBTASKS] = subtasks
    if cancelled := [task for reason in why if reason.code == "cancelled_dependencies" for task in reason.tasks]:
        error.details["cancelled_dependencies"] = cancelled
    return error


def _cancelled(ids: tuple[int, ...]) -> str:
    return f"depends on CANCELLED {_tasks(ids)}; remove the dependency or reopen {'it' if len(ids) == 1 else 'them'}"


def _tasks(ids: tuple[int, ...]) -> str:
    shown = ", ".join(f"#{task}" for task in ids[:5])
    return (
        f"task {shown}" if len(ids) == 1 else f"tasks {shown}" + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")
    )
