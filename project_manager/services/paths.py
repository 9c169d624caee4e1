"""Paths of tasks: store the globs of tasks with the overlaps of new ones.

New globs are compared with the others of their project before the transaction, where possible (`GlobComparison`).
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial

import orjson

from project_manager.domain.errors import Invalid, LeaseForReview
from project_manager.domain.limits import GLOBS_OF_PROJECT, PATHS
from project_manager.domain.names import INBOX
from project_manager.domain.paths import GlobComparison, GlobComparisons, GlobIndex, parse_glob
from project_manager.schemas.leases import RenewTaskLock
from project_manager.schemas.tasks import CreateTask, CreateTasks, UpdateTask
from project_manager.services import lookup, path_reservations, readiness, resolve, transitions
from project_manager.services.serializers import lease_of
from project_manager.store import epics, paths, tasks
from project_manager.store.tasks import TaskRow
from project_manager.store.transaction import Tx

ReadComparisons = Callable[[Tx], GlobComparisons]
"""A read of the globs of projects, which compares new globs with them if they are few."""
NEW_PROJECT = 0
"""The key of the comparison of a project that does not exist yet."""

_COMPARED_BY_READER = 64
"""Number of new globs that a reader compares itself. More are compared on another thread, because it takes longer."""


def compare(tx: Tx, project_id: int, globs: Iterable[str]) -> GlobComparison:
    """Return the globs of the project, to compare new ones with them. Nothing is compared if all are known."""
    wanted = [*dict.fromkeys(globs)]
    if not wanted or len(paths.known(tx, project_id, wanted)) == len(wanted):
        return GlobComparison()
    rows = paths.newer(tx, project_id)
    found = GlobComparison(rows[-1].id if rows else 0, [row.glob for row in rows], wanted)
    return found.compare() if len(found.new) <= _COMPARED_BY_READER else found


def compare_new(command: CreateTask | CreateTasks, _prepared: object = None) -> ReadComparisons | None:
    """Return the read that compares the paths of new tasks, or None if they have none."""
    new = command.tasks if isinstance(command, CreateTasks) else [command]
    globs = [glob for task in new for glob in task.paths]
    return partial(_compare_in_project, command=command, globs=globs) if globs else None


def _compare_in_project(tx: Tx, command: CreateTask | CreateTasks, globs: list[str]) -> GlobComparisons:
    project_id = command.project_id
    if project_id is None and command.project_name is None and command.epic_id is not None:
        epic = epics.get(tx, command.epic_id)
        project_id = None if epic is None else epic.project_id
    elif project_id is None:
        project = resolve.project(tx, command.project_name or INBOX)
        project_id = None if project is None else project.id
    return {project_id or NEW_PROJECT: compare(tx, project_id or NEW_PROJECT, globs)}


def compare_edit(command: UpdateTask | RenewTaskLock, _prepared: object = None) -> ReadComparisons | None:
    """Return the read that compares the new paths of a task, or None if it gets none."""
    if not command.paths or command.task_id is None:
        return None
    return compare_of(command.task_id, command.paths)


def compare_of(task_id: int, globs: list[str]) -> ReadComparisons:
    """Return the read that compares globs with those of the project of a task."""
    return partial(_compare_of_task, task_id=task_id, globs=globs)


def _compare_of_task(tx: Tx, task_id: int, globs: list[str]) -> GlobComparisons:
    row = tasks.get(tx, task_id)
    return {} if row is None else {row.project_id: compare(tx, row.project_id, globs)}


def assign(
    tx: Tx,
    project_id: int,
    globs_by_task: Mapping[int, Collection[str]],
    *,
    new: bool = False,
    comparison: GlobComparison | None = None,
) -> None:
    """Set the globs of tasks of one project. With `new` they have none yet.

    `comparison` is the one from before the transaction, by default that of the project in `tx`. Raises Invalid if the
    project has too many globs.
    """
    globs = [*dict.fromkeys(glob for given in globs_by_task.values() for glob in given)]
    if not globs and new:
        return
    ids = paths.known(tx, project_id, globs) if globs else {}
    added = [glob for glob in globs if glob not in ids]
    if added:
        ids |= _add(tx, project_id, added, comparison or _comparison_of(tx, project_id))
    paths.replace(tx, {task_id: [ids[glob] for glob in given] for task_id, given in globs_by_task.items()}, new=new)


def _add(tx: Tx, project_id: int, globs: list[str], comparison: GlobComparison) -> dict[str, int]:
    """Insert new globs of a project with their overlaps, and return their ids."""
    _check_number(tx, project_id, len(globs))
    overlapping = _overlaps_of_new(tx, project_id, globs, comparison)
    ids = dict(zip(globs, paths.add_globs(tx, project_id, globs), strict=True))
    others = {other for found in overlapping.values() for other in found} - ids.keys()
    all_ids = {**paths.known(tx, project_id, [*others]), **ids} if others else ids
    pairs = {(ids[glob], ids[glob]) for glob in globs}
    for glob, found in overlapping.items():
        for other in found:
            if other in all_ids:  # a glob that no task uses may have been deleted since the comparison
                pairs |= {(ids[glob], all_ids[other]), (all_ids[other], ids[glob])}
    paths.add_overlaps(tx, sorted(pairs))
    return ids


def _overlaps_of_new(tx: Tx, project_id: int, globs: list[str], comparison: GlobComparison) -> dict[str, set[str]]:
    """Return the overlapping globs of each new one. Those of the comparison need only the globs that were added since.

    The comparison lacks globs that the project had at that time and that were deleted since, and all of them if nothing
    was compared before the transaction. They are compared with all globs of the project here.
    """
    added_since = paths.newer(tx, project_id, comparison.newest)
    index = GlobIndex(parse_glob(row.glob) for row in added_since)
    compared = [glob for glob in globs if glob in comparison.overlapping]
    found = {glob: {*comparison.overlapping[glob], *index.overlapping(parse_glob(glob))} for glob in compared}
    if len(compared) == len(globs):
        return found
    rows = added_since if comparison.newest == 0 else paths.newer(tx, project_id)
    index = GlobIndex(parse_glob(glob) for glob in (*[row.glob for row in rows], *compared))
    for glob in tx.keeping_alive(globs):
        if glob not in found:
            found[glob] = {*index.overlapping(parse_glob(glob))}
            index.add(parse_glob(glob))
    return found


def _comparison_of(tx: Tx, project_id: int) -> GlobComparison:
    """Return the comparison from before the transaction, or an empty one."""
    comparisons = tx.glob_comparisons
    return comparisons.get(project_id) or comparisons.get(NEW_PROJECT) or GlobComparison()


def _check_number(tx: Tx, project_id: int, added: int) -> None:
    if paths.count(tx, project_id) + added <= GLOBS_OF_PROJECT:
        return
    paths.delete_unused_of_project(tx, project_id)
    if paths.count(tx, project_id) + added > GLOBS_OF_PROJECT:
        text = f"the tasks of the project would have more than {GLOBS_OF_PROJECT} different paths"
        raise Invalid.of("paths", text, "Use globs of directories, such as `src/api/**`, instead of single files.")


def replace(tx: Tx, row: TaskRow, globs: list[str], comparison: GlobComparison | None = None) -> list[int]:
    """Store the globs of a task with changed paths, and return the tasks that may be ready now.

    A leased task reserves them. Raises PathsReserved, and Invalid for too many globs.
    """
    assign(tx, row.project_id, {row.id: globs}, comparison=comparison)
    path_reservations.unpark_changed(tx, row)
    return path_reservations.reserve_edited(tx, lookup.task(tx, row.id)) if lease_of(row, tx.now) is not None else []


def add_to_leased(tx: Tx, row: TaskRow, globs: Iterable[str]) -> TaskRow:
    """Add paths to a leased task, reserve them, emit `task.updated`, and return the task.

    Raises LeaseForReview, and the errors of `replace`.
    """
    if row.lock_kind is not None:
        message = f"your lease on task {row.id} is for review: it reserves no paths"
        raise LeaseForReview(message, task_id=row.id, fence=row.fence)
    found = with_added(row, globs)
    if len(found) == len(orjson.loads(row.paths)):
        return row
    tasks.update_row(tx, row, {"paths": found})
    freed = replace(tx, row, found)
    written = transitions.emit_edit(tx, row)
    readiness.emit_ready(tx, freed)
    return written


def with_added(row: TaskRow, globs: Iterable[str]) -> list[str]:
    """Return the paths of the task with more globs. Raises Invalid if they are too many."""
    found = [*dict.fromkeys([*orjson.loads(row.paths), *globs])]
    if len(found) > PATHS:
        text = f"task {row.id} would have {len(found)} paths; the limit is {PATHS}"
        raise Invalid.of("paths", text, "Use globs of directories, such as `src/api/**`.")
    return found
