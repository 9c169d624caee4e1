"""Use cases of links: the dependencies and the conflicts of a task, with the events of the tasks at the other end."""

import json
from collections.abc import Collection

from project_manager.domain.errors import Invalid
from project_manager.domain.events.tasks import TaskUpdated
from project_manager.domain.graph import find_cycle
from project_manager.domain.limits import LINKS
from project_manager.domain.statuses import CLOSED, Status
from project_manager.services import lookup, subtasks, transitions
from project_manager.services.serializers import lease_of
from project_manager.store import links, tasks
from project_manager.store.tasks import TaskRow
from project_manager.store.transaction import Tx


def set_dependencies(tx: Tx, row: TaskRow, ids: list[int], *, checks_cycle: bool = True) -> None:
    """Replace the dependencies of the task. Raises Invalid for ids of missing tasks, DependencyCycle for a cycle.

    Without `checks_cycle` the caller checks that no task waits for itself.
    """
    check_tasks_exist(tx, "depends_on", ids)
    cycle = find_cycle(row.id, ids, lambda task_id: links.waits_for(tx, task_id)) if checks_cycle else None
    if cycle is not None:
        raise subtasks.cycle_error(row.id, cycle)
    links.set_dependencies(tx, row.id, ids, open_task=Status(row.status) not in CLOSED)


def set_conflicts(tx: Tx, row: TaskRow, ids: list[int]) -> None:
    """Replace the conflicts of the task, in both directions. Raises Invalid."""
    if row.id in ids:
        raise Invalid.of("conflicts_with", f"task {row.id} cannot conflict with itself", "Remove its own id.")
    check_tasks_exist(tx, "conflicts_with", ids)
    before = set(links.conflicts_of(tx, row.id))
    links.set_conflicts(tx, row.id, ids)
    check_number_of_conflicts(tx, ids)
    for other_id in sorted(before ^ set(ids)):
        _emit_conflict_change(tx, lookup.task(tx, other_id), row.id)


def check_number_of_conflicts(tx: Tx, task_ids: Collection[int]) -> None:
    """Check the limit on the conflicts of these tasks. A claim of a task writes an event for each of its conflicts.

    Raises Invalid for a task with too many.
    """
    full = links.with_too_many_conflicts(tx, task_ids, LINKS) if task_ids else None
    if full is not None:
        text = f"task {full} would conflict with more than {LINKS} tasks"
        hint = "A conflict counts for both tasks. Remove conflicts of that task, or use dependencies."
        raise Invalid.of("conflicts_with", text, hint)


def _emit_conflict_change(tx: Tx, other: TaskRow, task_id: int) -> None:
    """Emit `task.updated` for the other task of a changed conflict, and increment its version.

    A leased task keeps its version, so that the next write of its holder does not fail.
    """
    present: list[int] = json.loads(other.conflicts_with)
    previous = sorted({*present} ^ {task_id})
    changes, version = {"conflicts_with": present}, other.version
    if lease_of(other, tx.now) is None:
        tasks.update_row(tx, other, {})
        version += 1
    event = TaskUpdated(changes=changes, previous={"conflicts_with": previous}, version=version)
    transitions.emit(tx, event, other)


def check_tasks_exist(tx: Tx, field: str, ids: list[int]) -> None:
    """Check that all tasks with these ids exist. `field` is that of the error. Raises Invalid."""
    missing = links.missing(tx, ids)
    if missing:
        names = ", ".join(f"#{task_id}" for task_id in missing)
        raise Invalid.of(field, f"`{field}` contains unknown tasks: {names}", "Create them first.")
