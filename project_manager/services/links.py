"""Use cases of links: the dependencies and the conflicts of a task, with the events of the tasks at the other end."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence, Set

from project_manager.domain.errors import Invalid
from project_manager.domain.events.tasks import TaskUpdated
from project_manager.domain.graph import find_cycle
from project_manager.domain.limits import LINKS
from project_manager.domain.statuses import CLOSED, Status
from project_manager.services import subtasks, transitions
from project_manager.services.serializers import lease_of
from project_manager.store import bulk, links, tasks
from project_manager.store.tasks import TaskRow
from project_manager.store.transaction import Tx

_READ_AT_ONCE = 128
"""Maximum number of tasks with their links that one statement reads."""


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
    _check_conflicts(tx, "conflicts_with", row.id, ids)
    before = set(links.conflicts_of(tx, row.id))
    links.set_conflicts(tx, row.id, ids)
    check_number_of_conflicts(tx, ids)
    _emit_conflict_changes(tx, {other_id: {row.id} for other_id in before ^ set(ids)})


def set_new_conflicts(tx: Tx, ids_by_task: dict[int, list[int]]) -> None:
    """Set the conflicts of the new tasks of a request, in its order, in both directions. Raises Invalid.

    Emit one event for each other task, because an event contains all its conflicts. One event for each pair would need
    quadratic work.
    """
    added: dict[int, set[int]] = {}
    for number, (task_id, ids) in enumerate(ids_by_task.items()):
        if ids:
            _check_conflicts(tx, f"tasks.{number}.conflicts_with", task_id, ids)
        for other_id in ids:
            added.setdefault(other_id, set()).add(task_id)
    bulk.add_conflicts(tx, {(min(pair), max(pair)) for pair in _pairs(ids_by_task)})
    check_number_of_conflicts(tx, {*added, *ids_by_task}, [(task_id, *ids) for task_id, ids in ids_by_task.items()])
    _emit_conflict_changes(tx, added)


def _pairs(ids_by_task: Mapping[int, Collection[int]]) -> Iterator[tuple[int, int]]:
    return ((task_id, other_id) for task_id, ids in ids_by_task.items() for other_id in ids)


def _check_conflicts(tx: Tx, field: str, task_id: int, ids: list[int]) -> None:
    """Check that these tasks exist and that none is the task itself. Raises Invalid."""
    if task_id in ids:
        raise Invalid.of(field, f"task {task_id} cannot conflict with itself", "Remove its own id.")
    check_tasks_exist(tx, field, ids)


def check_number_of_conflicts(tx: Tx, task_ids: Collection[int], new: Sequence[Collection[int]] | None = None) -> None:
    """Check the limit on the conflicts of these tasks. A claim of a task writes an event for each of its conflicts.

    `new` has, for each new task of a request, its id and those of its conflicts. It gives the index of the task for
    the field of the error. Raises Invalid for a task with too many conflicts.
    """
    full = links.with_too_many_conflicts(tx, task_ids, LINKS) if task_ids else None
    if full is None:
        return
    number = None if new is None else next(number for number, ids in enumerate(new) if full in ids)
    field = "conflicts_with" if number is None else f"tasks.{number}.conflicts_with"
    text = f"task {full} would conflict with more than {LINKS} tasks"
    hint = "A conflict counts for both tasks. Remove conflicts of that task, or use dependencies."
    raise Invalid.of(field, text, hint)


def _emit_conflict_changes(tx: Tx, changed: Mapping[int, Set[int]]) -> None:
    """Emit `task.updated` for each task in `changed`, and increment its version.

    `changed` maps the id of a task to the ids of its added and removed conflicts. A leased task keeps its version, so
    that the next write of its holder does not fail.
    """
    ids = sorted(changed)
    for start in range(0, len(ids), _READ_AT_ONCE):
        for row in tasks.get_all(tx, ids[start : start + _READ_AT_ONCE]):
            _emit_conflict_change(tx, row, changed[row.id])


def _emit_conflict_change(tx: Tx, other: TaskRow, changed: Set[int]) -> None:
    present: list[int] = json.loads(other.conflicts_with)
    previous = sorted({*present} ^ changed)
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
