"""Use cases of tasks: create, read, edit, delete."""

import json
import re
from collections import Counter
from collections.abc import Collection
from typing import Any, NamedTuple

from project_manager.domain.errors import ExternalKeyTaken, HasDependents, Invalid
from project_manager.domain.events.tasks import TaskCreated, TaskDeleted
from project_manager.domain.leases import UnlockReason, lock_held_error
from project_manager.domain.limits import ID_MAXIMUM, LINKS
from project_manager.domain.statuses import CLOSED, Status
from project_manager.domain.task_fields import EDITABLE, PLAIN
from project_manager.schemas import tasks as schemas
from project_manager.schemas.views import DeletedView
from project_manager.services import (
    assumptions,
    links,
    lookup,
    path_reservations,
    paths,
    pauses,
    policies,
    readiness,
    serializers,
    subtasks,
    transitions,
)
from project_manager.services.authorization import check_no_other_holder, check_write, renew_on_write
from project_manager.services.serializers import lease_of
from project_manager.services.statuses import StatusChange, change_status
from project_manager.store import bulk, meta, tasks
from project_manager.store import links as store_links
from project_manager.store.projects import ProjectRow
from project_manager.store.tasks import TaskRow
from project_manager.store.transaction import Tx

_ID = re.compile(r"#*[0-9]+")
_DELETED_AT_ONCE = 500
"""Maximum number of tasks that one statement deletes."""


def create(tx: Tx, command: schemas.CreateTask) -> schemas.TaskView:
    """Create one task in a project, given by id or name.

    A project or epic given by name is created if it does not exist, and listed under `created`. A name that looks like
    a typing error of an existing one is refused. Without either the task goes into the project and the epic of its
    parent, into the project of the first task that it `blocks`, or into the project Inbox. An archived project takes no
    tasks. Dependencies must exist; a cycle is refused and shown in the message. Repeating the call with the same
    request_id returns the first result.
    """
    created: lookup.Created = {}
    project, epic_id = _place(tx, command, command.parent_id, command.blocks, created)
    given = NewLinks(command.depends_on, command.conflicts_with, command.parent_id)
    task_id = add(tx, project, epic_id, command, given)
    _block(tx, task_id, command.blocks)
    _set_new_paths(tx, project.id, {task_id: command.paths})
    return _written(tx, lookup.task(tx, task_id), command.assumptions, created)


def _place(
    tx: Tx,
    command: schemas.CreateTask | schemas.CreateTasks,
    parent_id: int | None,
    blocked: list[int],
    created: lookup.Created,
) -> tuple[ProjectRow, int | None]:
    """Return the project and the epic id for new tasks. Rows that it creates are added to `created`.

    By default they are those of the parent, or the project of the first blocked task.
    """
    project_id = command.project_id
    parent = None if parent_id is None else tasks.get(tx, parent_id)
    if project_id is None and command.project_name is None and command.epic_id is None:
        near = parent or (tasks.get(tx, blocked[0]) if blocked else None)
        project_id = None if near is None else near.project_id
    project = lookup.get_or_create_project(tx, project_id, command.project_name, command.epic_id, created)
    lookup.check_not_archived(project)
    # Null for the epic of a subtask is a choice, so an absent epic differs from it.
    has_epic = not {"epic_id", "epic_name"}.isdisjoint(command.model_fields_set)
    if parent is not None and parent.project_id == project.id and not has_epic:
        return project, parent.epic_id
    epic = lookup.get_or_create_epic(tx, project, command.epic_id, command.epic_name, created)
    return project, None if epic is None else epic.id


def _written(tx: Tx, row: TaskRow, tags: list[str], created: lookup.Created) -> schemas.TaskView:
    """Record the assumptions and return the task, with the recorded assumptions and the created rows if any."""
    task = serializers.task(tx, row)
    if not tags and not created:
        return task
    noted = assumptions.record_with_task(tx, row, tags)
    return schemas.WrittenTaskView(**task, assumptions=noted, created=created)


def create_many(tx: Tx, command: schemas.CreateTasks) -> schemas.CreatedTasksView:
    """Create many tasks; parent and depends_on take ids, or refs.

    At most 500, all or nothing. A ref names another task of this request, in any order. Without a project the tasks go
    into the project and the epic of the first parent that exists, or into the project Inbox.
    """
    created: lookup.Created = {}
    _check_refs(command)
    refs = {task.ref for task in command.tasks}
    parent = next((task.parent for task in command.tasks if task.parent is not None and task.parent not in refs), None)
    project, epic_id = _place(tx, command, None if parent is None else _resolve_ref(parent, {}), [], created)
    made = [_add_one_of(tx, project, epic_id, task, number) for number, task in enumerate(command.tasks)]
    new = dict(zip(made, command.tasks, strict=True))
    links.set_new_conflicts(tx, {task_id: task.conflicts_with for task_id, task in new.items()})
    _set_new_paths(tx, project.id, {task_id: task.paths for task_id, task in new.items()})
    ids = {task.ref: task_id for task_id, task in new.items() if task.ref is not None}
    for task_id, task in new.items():
        if task.parent is not None:
            parent_id = _resolve_ref(task.parent, ids)
            subtasks.set_parent(tx, lookup.task(tx, task_id), parent_id, checks_cycle=parent_id == task_id)
        if task.depends_on:
            needed = dict.fromkeys(_resolve_ref(ref, ids) for ref in task.depends_on)
            links.set_dependencies(tx, lookup.task(tx, task_id), list(needed), checks_cycle=task_id in needed)
    subtasks.check_no_cycle(tx, made)  # once, because each search can read all tasks
    items = [serializers.task(tx, lookup.task(tx, task_id)) for task_id in made]
    return schemas.CreatedTasksView(items=items, ids=ids, created=created)


class NewLinks(NamedTuple):
    """The links of a new task to existing ones."""

    depends_on: list[int]
    conflicts_with: list[int]
    parent_id: int | None


_NO_LINKS = NewLinks([], [], None)


def add(tx: Tx, project: ProjectRow, epic_id: int | None, new: schemas.NewTask, given: NewLinks = _NO_LINKS) -> int:
    """Insert a task, emit `task.created`, and return its id.

    Raises Invalid, PolicyUnmet, ExternalKeyTaken, DependencyCycle, LockHeld, ParentDone.
    """
    if new.status in (Status.IN_PROGRESS, Status.REVIEW, Status.BLOCKED):
        hint = "Create it as TODO or BACKLOG, then update it."
        raise Invalid.of("status", f"a new task cannot be {new.status}", hint)
    if new.status is Status.DONE:
        policies.check_new(project.policy, new.name, new.acceptance)
    check_key(tx, project.id, new.external_key, None)
    task_id = tasks.add(
        tx,
        {
            **{field.name: getattr(new, field.name) for field in PLAIN},
            "project_id": project.id,
            "epic_id": epic_id,
            "status": new.status.value,
            "created_by": tx.actor.id,
            "created_at": tx.now,
            "completed_at": tx.now if new.status is Status.DONE else None,
            "completed_by": None,
            "fence": meta.fence_floor(tx),
            "attempts": 0,
            "withheld": pauses.flags_of_new_task(tx, project.id),
        },
    )
    row = lookup.task(tx, task_id)
    if given.depends_on:
        links.set_dependencies(tx, row, given.depends_on)
    if given.conflicts_with:
        links.set_conflicts(tx, row, given.conflicts_with)
    if given.parent_id is not None:
        subtasks.set_parent(tx, row, given.parent_id)
    created = TaskCreated(name=row.name, status=row.status, priority=row.priority, version=row.version)
    transitions.emit(tx, created, row)
    return task_id


def _add_one_of(tx: Tx, project: ProjectRow, epic_id: int | None, new: schemas.NewTask, number: int) -> int:
    """Insert the task with this index in `tasks` like `add`. The field of an error begins with `tasks.` and the index.

    Its links are set later, when all tasks exist.
    """
    try:
        return add(tx, project, epic_id, new)
    except Invalid as error:
        raise error.within(f"tasks.{number}") from None


def _set_new_paths(tx: Tx, project_id: int, globs_by_task: dict[int, list[str]]) -> None:
    """Store the paths of new tasks."""
    paths.assign(tx, project_id, globs_by_task, new=True)
    path_reservations.park_blocked(tx, [task_id for task_id, globs in globs_by_task.items() if globs])


def _block(tx: Tx, task_id: int, ids: list[int]) -> None:
    """Make the task a dependency of the tasks `ids`, with `task.updated` for each. Raises Invalid, LockHeld."""
    links.check_tasks_exist(tx, "blocks", ids)
    for other_id in ids:
        other = lookup.task(tx, other_id)
        check_no_other_holder(tx, other)
        wanted = _merged_links("blocks", other, [task_id], [])
        if wanted is not None:
            edit(tx, other, {"depends_on": wanted}, checks_cycle=other_id == task_id)
    if ids:
        subtasks.check_no_cycle(tx, [task_id])  # once, because each search can read all tasks


def _merged_links(field: str, row: TaskRow, added: list[int], removed: list[int]) -> list[int] | None:
    """Return the dependencies of the task after the change, or None if they stay the same. Raises Invalid."""
    present: list[int] = json.loads(row.depends_on)
    wanted = [task_id for task_id in dict.fromkeys([*present, *added]) if task_id not in removed]
    if len(wanted) > LINKS:
        hint = "Remove dependencies that are DONE with remove_depends_on."
        raise Invalid.of(field, f"task {row.id} would depend on more than {LINKS} tasks", hint)
    return None if wanted == present else wanted


def get(tx: Tx, command: schemas.GetTask) -> schemas.TaskView:
    """Read one task: fields, lock, whether it is ready and why not."""
    return serializers.task(tx, lookup.task(tx, command.task_id))


def update(tx: Tx, command: schemas.UpdateTask) -> schemas.TaskView:
    """Edit a task: only the fields that are sent change, and lists are replaced whole.

    add_depends_on and remove_depends_on change the list of dependencies. `blocks` adds this task to the dependencies of
    other tasks. Only the holder of a leased task (and people) may edit it. With `version` the edit is refused if the
    task has changed since. `status` works as in update_task_status.
    """
    lookup.check_force(tx, command.force)
    row = lookup.task(tx, command.task_id)
    lookup.check_version("task", row.version, command.version)
    check_write(tx, row, command.fence, force=command.force)
    changes = {name: getattr(command, name) for name in EDITABLE if name in command.model_fields_set}
    _change_links(command, row, changes)
    if command.model_fields_set.issubset(schemas.CONTROL_FIELDS):
        fields = [name for name in schemas.UpdateTask.model_fields if name not in schemas.CONTROL_FIELDS]
        raise Invalid.of("(body)", "nothing to change: send at least one field", f"The fields are {', '.join(fields)}.")
    if changes:
        row = edit(tx, row, changes)
    _block(tx, row.id, command.blocks)
    if command.log_entry:
        transitions.note(tx, row, tx.actor.id, "progress", command.log_entry)
    row = renew_on_write(tx, row, command.fence)
    if command.status is not None:
        change = StatusChange(
            command.status,
            fence=command.fence,
            reopen=command.reopen,
            force=command.force,
            summary=command.log_entry or "",
        )
        row, _ = change_status(tx, row, change)
    return _written(tx, lookup.task(tx, row.id), command.assumptions, {})


def _change_links(command: schemas.UpdateTask, row: TaskRow, changes: dict[str, Any]) -> None:
    """Set `depends_on` of the changes to the present ids, with the added and without the removed. Raises Invalid."""
    sent = sorted({"add_depends_on", "remove_depends_on"} & command.model_fields_set)
    if not sent:
        return
    if "depends_on" in changes:
        hint = "Send depends_on to replace the list, or add_depends_on and remove_depends_on to change it."
        raise Invalid.of(sent[0], f"`{sent[0]}` cannot be sent with `depends_on`", hint)
    wanted = _merged_links(sent[0], row, command.add_depends_on, command.remove_depends_on)
    if wanted is not None:
        changes["depends_on"] = wanted


def delete(tx: Tx, command: schemas.DeleteTask) -> DeletedView:
    """Delete a task with its log. Its events stay.

    Refused while it has subtasks or other open tasks depend on it, and while it is leased unless `force` is sent.
    """
    lookup.check_force(tx, command.force)
    row = lookup.task(tx, command.task_id)
    lookup.check_version("task", row.version, command.version)
    waiting = [link for link in store_links.dependents_of(tx, row.id) if Status(link[2]) not in CLOSED]
    if waiting:
        ids = [link[0] for link in waiting]
        names = ", ".join(f"#{task_id}" for task_id in ids)
        raise HasDependents(f"task {row.id} is a dependency of {names}", tasks=ids)
    lease = lease_of(row, tx.now)
    if lease is not None and not command.force:
        raise lock_held_error(lease)
    readiness.emit_ready(tx, delete_tasks(tx, [row.id]))
    return DeletedView(success=True, deleted="task", id=row.id, name=row.name, tasks=1)


def delete_tasks(tx: Tx, ids: Collection[int]) -> list[int]:
    """Delete tasks with their leases, and emit events. Return the ids of other tasks that may be ready now.

    Raises HasDependents if a task has a subtask that is not among them.
    """
    ordered, freed = sorted(ids), set[int]()
    deleted = frozenset(ordered)
    for start in range(0, len(ordered), _DELETED_AT_ONCE):
        freed |= _delete_some(tx, bulk.tasks_of(tx, ordered[start : start + _DELETED_AT_ONCE]), deleted)
    return sorted(freed - deleted)


def _delete_some(tx: Tx, rows: list[TaskRow], deleted: frozenset[int]) -> set[int]:
    """Delete `rows`, a part of the tasks `deleted`, and return the ids of all tasks that it may have made ready."""
    subtasks.check_deleted(tx, rows, deleted)
    conflicting = store_links.conflicts_of_any(tx, [row.id for row in rows if row.lock_holder is not None])
    parents = {row.parent_id for row in rows if row.parent_id is not None and Status(row.status) not in CLOSED}
    waiting = bulk.dependents_of_any(tx, [row.id for row in rows if row.status != Status.DONE])
    needed = bulk.dependencies_of_any(tx, [row.id for row in rows if Status(row.status) not in CLOSED])
    pauses.end_of_tasks(tx, rows)
    blocked = [task_id for row in rows if row.lock_holder is not None for task_id in path_reservations.release(tx, row)]
    bulk.delete_tasks(tx, [row.id for row in rows])
    bulk.recount(tx, sorted((waiting | needed | parents) - deleted))
    for row in rows:
        if row.lock_holder is not None:
            transitions.close_lease(tx, row, row, UnlockReason.DELETED)
        transitions.emit(tx, TaskDeleted(name=row.name), row)
    return {*conflicting, *waiting, *parents, *blocked}


def edit(tx: Tx, row: TaskRow, changes: dict[str, Any], *, checks_cycle: bool = True) -> TaskRow:
    """Write the changed fields and links, emit `task.updated`, and return the task.

    Without `checks_cycle` the caller checks that no task waits for itself.
    """
    if "epic_id" in changes and changes["epic_id"] is not None:
        lookup.get_or_create_epic(tx, lookup.project(tx, row.project_id), changes["epic_id"], None)
    if "external_key" in changes:
        check_key(tx, row.project_id, changes["external_key"], row.id)
    tasks.update_row(tx, row, {name: value for name, value in changes.items() if name in tasks.WRITABLE})
    if "depends_on" in changes:
        links.set_dependencies(tx, row, changes["depends_on"], checks_cycle=checks_cycle)
    if "conflicts_with" in changes:
        links.set_conflicts(tx, row, changes["conflicts_with"])
    if "parent_id" in changes:
        subtasks.set_parent(tx, row, changes["parent_id"])
    freed = None if "paths" not in changes else paths.replace(tx, row, changes["paths"])
    written = transitions.emit_edit(tx, row)
    # The edit may have removed a blocker of this task, and a removed conflict may free other tasks.
    if not readiness.is_ready(tx, row):
        readiness.emit_ready(tx, [row.id])
    elif freed is not None:
        path_reservations.park_blocked(tx, [row.id])
    readiness.emit_ready(tx, freed or [])
    if row.lock_holder is not None:
        readiness.emit_ready(tx, sorted({*json.loads(row.conflicts_with)} - {*json.loads(written.conflicts_with)}))
    return written


def check_key(tx: Tx, project_id: int, key: str | None, task_id: int | None) -> None:
    found = None if key is None else tasks.get_by_external_key(tx, project_id, key)
    if found is not None and found.id != task_id:
        raise ExternalKeyTaken(
            f"external_key {key!r} is already used by task {found.id}", task_id=found.id, external_key=key
        )


def _check_refs(command: schemas.CreateTasks) -> None:
    # All field errors are collected, so that the client can correct the whole request at once.
    refs = Counter(task.ref for task in command.tasks if task.ref is not None)
    unknown_hint = "Send the id of a task, or the ref of another task of this request."
    errors = []
    for number, task in enumerate(command.tasks):
        if task.ref is not None and refs[task.ref] > 1:
            errors.append((f"tasks.{number}.ref", f"duplicate ref {task.ref!r}", "Send unique refs."))
        named = [("depends_on", ref) for ref in task.depends_on]
        named += [] if task.parent is None else [("parent", task.parent)]
        errors += [
            (f"tasks.{number}.{field}", f"{ref!r} is not a task id or a ref of this request", unknown_hint)
            for field, ref in named
            if ref not in refs and not _is_id(ref)
        ]
    if errors:
        raise Invalid.of_all(errors)


def _is_id(ref: str) -> bool:
    return _ID.fullmatch(ref) is not None and int(ref.lstrip("#")) <= ID_MAXIMUM


def _resolve_ref(ref: str, ids: dict[str, int]) -> int:
    return ids[ref] if ref in ids else int(ref.lstrip("#"))
