"""Use cases of subtasks: set the parent of a task, and keep the counters of its parents."""

from collections.abc import Collection, Iterable

from project_manager.domain.errors import DependencyCycle, HasDependents, Invalid, TaskNotFound
from project_manager.domain.graph import find_any_cycle, find_cycle
from project_manager.domain.limits import SUBTASK_LEVELS, SUBTASKS
from project_manager.domain.statuses import CLOSED, Status
from project_manager.services import lookup, readiness, transitions
from project_manager.services.authorization import check_no_other_holder
from project_manager.store import links, subtasks
from project_manager.store.tasks import TaskRow
from project_manager.store.transaction import Tx


def set_parent(tx: Tx, row: TaskRow, parent_id: int | None, *, checks_cycle: bool = True) -> None:
    """Set the parent of a task, and the counters of the old and the new parent.

    Emit `task.ready` or `task.not_ready` for a parent that became ready or is no longer ready. Without `checks_cycle`
    the caller checks that no task waits for itself. Raises Invalid, DependencyCycle, LockHeld, ParentDone.
    """
    if parent_id == row.parent_id:
        return
    if parent_id is not None:
        _check_parent(tx, row, parent_id, checks_cycle=checks_cycle)
    subtasks.set_parent(tx, row.id, parent_id)
    if Status(row.status) in CLOSED:
        return
    if row.parent_id is not None and subtasks.adjust_open(tx, row.parent_id, -1):
        readiness.emit_ready(tx, [row.parent_id])
    if parent_id is not None:
        transitions.add_open_subtask(tx, parent_id)


def _check_parent(tx: Tx, row: TaskRow, parent_id: int, *, checks_cycle: bool) -> None:
    try:
        parent = lookup.task(tx, parent_id)
    except TaskNotFound:
        raise _error(f"task {parent_id} not found", "Send the id of a task of the same project.") from None
    if parent.project_id != row.project_id:
        message = f"task {parent_id} is in project {parent.project_id}, not {row.project_id}"
        raise _error(message, "A parent must be in the project of its subtasks.")
    cycle = find_cycle(parent_id, [row.id], lambda task_id: links.waits_for(tx, task_id)) if checks_cycle else None
    if cycle is not None:
        raise cycle_error(parent_id, cycle)
    check_no_other_holder(tx, parent)
    transitions.check_parent_open(tx, row, Status(row.status), parent_id)
    levels = _levels_above(tx, parent_id) + _levels_below(tx, row.id)
    if levels > SUBTASK_LEVELS:
        message = f"parents and subtasks would have {levels} levels; the limit is {SUBTASK_LEVELS}"
        raise _error(message, "Choose a parent with fewer parents of its own.")
    if subtasks.number_of(tx, parent_id) >= SUBTASKS:
        raise _error(f"task {parent_id} would have more than {SUBTASKS} subtasks", "Use an epic for so many tasks.")


def check_deleted(tx: Tx, rows: Collection[TaskRow], deleted: Collection[int]) -> None:
    """Check that the subtasks of these rows are among the tasks `deleted`. Raises HasDependents."""
    left = sorted(subtasks.of_any(tx, [row.id for row in rows]).difference(deleted))
    if not left:
        return
    parent_id = subtasks.parent_of(tx, left[0])
    own = [task_id for task_id in left if subtasks.parent_of(tx, task_id) == parent_id]
    names = ", ".join(f"#{task_id}" for task_id in own[:5]) + (f" and {len(own) - 5} more" if len(own) > 5 else "")
    message = f"task {parent_id} has sub{'task' if len(own) == 1 else 'tasks'} {names}"
    raise HasDependents(message, hint="Delete them first, or give them another parent.", tasks=own)


def check_no_cycle(tx: Tx, task_ids: Iterable[int]) -> None:
    """Check that none of these tasks waits for a task that waits for itself. Raises DependencyCycle."""
    cycle = find_any_cycle(task_ids, lambda task_id: links.waits_for(tx, task_id))
    if cycle is not None:
        raise cycle_error(cycle[0], cycle)


def cycle_error(task_id: int, cycle: list[int]) -> DependencyCycle:
    """Return the error for a task that would wait for itself. It waits for its dependencies and its subtasks."""
    path = " -> ".join(f"#{link}" for link in cycle)
    return DependencyCycle(f"task {task_id} would depend on itself: {path}", cycle=cycle)


def _levels_above(tx: Tx, task_id: int) -> int:
    """Return the number of levels from the topmost parent down to this task, at most one above the limit."""
    levels, above = 0, task_id
    while levels <= SUBTASK_LEVELS:
        levels += 1
        parent_id = subtasks.parent_of(tx, above)
        if parent_id is None:
            break
        above = parent_id
    return levels


def _levels_below(tx: Tx, task_id: int) -> int:
    """Return the number of levels from this task down to its lowest subtasks, at most one above the limit."""
    levels, level = 0, {task_id}
    while level and levels <= SUBTASK_LEVELS:
        levels += 1
        level = subtasks.of_any(tx, level)
    return levels


def _error(message: str, hint: str) -> Invalid:
    return Invalid.of("parent_id", message, hint)
