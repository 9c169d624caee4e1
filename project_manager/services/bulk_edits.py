"""The use case that edits many tasks in one transaction, and returns the request that undoes the edit."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from project_manager.domain.actors import Role
from project_manager.domain.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    PreconditionFailed,
    ProjectManagerError,
    RoleRequired,
    SelectionChanged,
    TaskNotFound,
)
from project_manager.domain.limits import BODY_BYTES, BULK_TASKS, REFUSED_SHOWN
from project_manager.domain.statuses import CLOSED
from project_manager.schemas.bulk_edits import EditedTasksView, EditTasks, RefusedTaskView, TaskChanges, TaskEdit
from project_manager.schemas.tasks import TaskFilters
from project_manager.services import listing, lookup, paths, readiness, transitions
from project_manager.services.task_changes import LINKED, Editor, Former
from project_manager.store import listing as store_listing
from project_manager.store import logs, task_filters
from project_manager.store import tasks as store_tasks
from project_manager.store.tasks import TaskRow
from project_manager.store.transaction import Tx, savepoint, trusting_changes

_READ_AT_ONCE = 128
_ENVELOPE_BYTES, _ITEM_BYTES = 1024, 128
"""Most bytes of the request that undoes an edit, and of each of its tasks, without the former values."""
_REFUSALS = (Conflict, Forbidden, Invalid, NotFound, PreconditionFailed)
"""Errors of a single edit. They refuse one task, and the others change."""


def select_tasks(tx: Tx, command: EditTasks) -> list[int]:
    """Return the ids of the tasks that match the filter, one more than the limit if it matches too many.

    It runs on a reader before the transaction, because a search can take long.
    """
    if "filter" not in command.model_fields_set:
        return []
    try:
        query = task_filters.resolve(tx, listing.filters_of(tx, command.filter))
    except NotFound:  # the use case raises it, unless it repeats a stored response
        return []
    return sorted(store_listing.first_ids(tx, query, BULK_TASKS + 1))


def compare_globs(command: EditTasks, prepared: list[int]) -> paths.ReadComparisons | None:
    """Return the read that compares the new paths of a task, or None if it gets none."""
    edits = [_Edit(item.id, item) for item in command.tasks]
    edits += [_Edit(task_id, command.changes) for task_id in (*command.ids, *prepared)]
    first = edits[0] if len(edits) == 1 else None  # more of them cannot change paths
    return None if first is None or not first.changes.paths else paths.compare_of(first.task_id, first.changes.paths)


class _Edit(NamedTuple):
    """The changes of one task."""

    task_id: int
    changes: TaskChanges

    @property
    def version(self) -> int | None:
        """The version at which the changes apply, or None for any."""
        return self.changes.version if isinstance(self.changes, TaskEdit) else None


@dataclass(slots=True)
class _Outcome:
    """The result of the edit so far. `after` has the changed tasks, and `former` their values before, by task id.

    `size` is the number of bytes of the request that restores them, at most.
    """

    unchanged: int = 0
    refused: list[RefusedTaskView] = field(default_factory=list)
    refused_total: int = 0
    changed_since: list[int] = field(default_factory=list)
    after: dict[int, TaskRow] = field(default_factory=dict)
    former: dict[int, Former] = field(default_factory=dict)
    size: int = _ENVELOPE_BYTES

    def add_former(self, row: TaskRow, former: Former) -> None:
        """Add the former values of a task. Raises Invalid if the request that restores them would be too large."""
        self.former[row.id] = {"former_version": row.version, **former}
        self.size += len(orjson.dumps(former)) + _ITEM_BYTES
        if self.size > BODY_BYTES:
            message = "the former texts of the tasks are too long for the request that restores them"
            raise Invalid.of("(body)", message, "Change fewer tasks at once.")

    def refuse(self, task_id: int, name: str, error: ProjectManagerError) -> None:
        """Count a task that cannot take the change, and describe it if it is among the first ones."""
        self.refused_total += 1
        if len(self.refused) < REFUSED_SHOWN:
            self.refused.append(RefusedTaskView(task_id, name, error.code, error.message))


class _RolledBack(Exception):
    def __init__(self, view: EditedTasksView) -> None:
        self.view = view


def bulk_edit(tx: Tx, command: EditTasks, prepared: list[int]) -> EditedTasksView:
    """Edit many tasks in one transaction, by ids, by a filter, or with other values for each task.

    At most 500 tasks. Each task takes the change by the rules of an edit of this task alone. A task that cannot take it
    is refused with its reason, and the others change. `undo` in the response is the body of the request that restores
    the former values. It leaves tasks alone that have changed since. `dry_run` counts, and changes nothing.
    Dependencies, conflicts, parents and paths are changed in a request for a single task.
    """
    lookup.check_force(tx, command.force)
    edits = _edits(tx, command, prepared)
    if not command.dry_run:
        return _edit_all(tx, command, edits)
    try:
        with savepoint(tx):
            raise _RolledBack(_edit_all(tx, command, edits))
    except _RolledBack as done:
        return done.view


def _edits(tx: Tx, command: EditTasks, prepared: list[int]) -> list[_Edit]:
    """Return the changes of each selected task. Raises Invalid, SelectionChanged, EpicNotFound."""
    sent = [name for name in ("ids", "filter", "tasks") if name in command.model_fields_set]
    if len(sent) != 1:
        hint = "Send one of `ids`, `filter` and `tasks`."
        raise Invalid.of(sent[1] if sent else "ids", "one selection of tasks is required", hint)
    if sent == ["tasks"]:
        edits = _own_changes(command)
    else:
        if "changes" not in command.model_fields_set:
            raise Invalid.of("changes", "`changes` is missing", "Send the fields to change in `changes`.")
        ids = command.ids if sent == ["ids"] else _matching(tx, command.filter, prepared)
        edits = [_Edit(task_id, command.changes) for task_id in ids]
    if command.expected is not None and command.expected != len(edits):
        message = f"the request selects {len(edits)} tasks, not {command.expected}"
        raise SelectionChanged(message, matched=len(edits), expected=command.expected)
    _check_changes(tx, command, edits)
    return edits


def _own_changes(command: EditTasks) -> list[_Edit]:
    if "changes" in command.model_fields_set:
        hint = "Put the changes into each entry of `tasks`."
        raise Invalid.of("changes", "`changes` cannot be sent with `tasks`", hint)
    edits = {item.id: _Edit(item.id, item) for item in command.tasks}
    if len(edits) < len(command.tasks):
        raise Invalid.of("tasks", "`tasks` contains a task twice", "Send each task once.")
    return [*edits.values()]


def _matching(tx: Tx, filters: TaskFilters, prepared: list[int]) -> list[int]:
    """Return those of the tasks that a reader has found that still match. Their texts are not searched again."""
    wanted = listing.filters_of(tx, filters)
    if len(prepared) > BULK_TASKS:
        hint = "Add filters, such as a status or an epic, or change the tasks in parts with `ids`."
        raise Invalid.of("filter", f"`filter` matches more than {BULK_TASKS} tasks, the limit of one edit", hint)
    if not prepared:
        lookup.check_scope(tx, wanted)
        return []
    query = task_filters.resolve(tx, {**{name: wanted[name] for name in wanted if name != "q"}, "ids": prepared})
    return sorted(store_listing.first_ids(tx, query, BULK_TASKS))


def _check_changes(tx: Tx, command: EditTasks, edits: list[_Edit]) -> None:
    """Check the changes that no task can take. Raises Invalid, EpicNotFound, RoleRequired."""
    if "tasks" not in command.model_fields_set:
        _check(tx, "changes", command.changes, len(edits))
        _check_size("changes", len(command.changes.model_dump_json(exclude_unset=True)), len(edits))
        if command.changes.epic_id is not None:
            lookup.epic(tx, command.changes.epic_id)
    for place, item in enumerate(command.tasks):
        _check(tx, f"tasks.{place}", item, len(edits))
    _check_size("note", len(command.note or ""), len(edits))


def _check_size(field: str, size: int, number: int) -> None:
    """Check that texts for many tasks together are no longer than a request with a text for each. Raises Invalid."""
    if size * number > BODY_BYTES:
        hint = "Change fewer tasks at once, or send a shorter text."
        raise Invalid.of(field, f"`{field}` is too long for {number} tasks: 1 MiB together is the limit", hint)


def _check(tx: Tx, where: str, changes: TaskChanges, number: int) -> None:
    """Check the changes at this place of the request, for this number of tasks. Raises Invalid."""
    given = changes.model_fields_set
    linked = next((name for name in LINKED if name in given), None)
    if linked is not None and number > 1:
        hint = "Send one task for each change of dependencies, conflicts, parents and paths."
        raise Invalid.of(f"{where}.{linked}", f"`{linked}` can be changed for one task at a time", hint)
    if "assigned_to" in given and tx.actor.role < Role.OPERATOR:
        role = tx.actor.role.name.lower()
        raise RoleRequired("`assigned_to` needs the role operator", role=role, required="operator")


def _edit_all(tx: Tx, command: EditTasks, edits: list[_Edit]) -> EditedTasksView:
    outcome = _Outcome()
    rows = _read(tx, [edit.task_id for edit in edits])
    with readiness.emitted_once(tx) as ready_later, trusting_changes(tx):
        editor = Editor(tx, ready_later, force=command.force, note=command.note or "")
        for edit in _ordered(edits, rows):
            row = rows.get(edit.task_id)
            if row is None:
                outcome.refuse(edit.task_id, "", TaskNotFound(f"task {edit.task_id} not found"))
            elif edit.version not in (None, row.version):
                outcome.changed_since.append(row.id)
            else:
                _edit_one(editor, row, edit.changes, outcome)
        _add_notes(tx, command, outcome)
    changed = sorted(outcome.after)
    return EditedTasksView(
        dry_run=command.dry_run,
        matched=len(edits),
        changed=len(changed),
        unchanged=outcome.unchanged,
        refused_total=outcome.refused_total,
        refused=outcome.refused,
        changed_since=sorted(outcome.changed_since),
        tasks=changed,
        undo=None if command.dry_run else _undo(command, outcome),
    )


def _edit_one(editor: Editor, row: TaskRow, changes: TaskChanges, outcome: _Outcome) -> None:
    """Change one task, and record the outcome."""
    try:
        written, former = editor.change(row, changes)
    except _REFUSALS as error:
        outcome.refuse(row.id, row.name, error)
        return
    if written.version == row.version:
        outcome.unchanged += 1
        return
    outcome.after[row.id] = written
    if former:
        outcome.add_former(row, former)


def _read(tx: Tx, ids: list[int]) -> dict[int, TaskRow]:
    found: dict[int, TaskRow] = {}
    for start in range(0, len(ids), _READ_AT_ONCE):
        found |= {row.id: row for row in store_tasks.get_all(tx, ids[start : start + _READ_AT_ONCE])}
    return found


def _ordered(edits: list[_Edit], rows: dict[int, TaskRow]) -> list[_Edit]:
    """Return the edits in an order in which no DONE task has an open subtask at any time.

    Tasks are opened from the parents down, and then closed from the subtasks up.
    """
    if all(row.parent_id not in rows for row in rows.values()):
        return edits

    def level(edit: _Edit) -> int:
        depth, row = 0, rows.get(edit.task_id)
        while row is not None and row.parent_id is not None:
            depth, row = depth + 1, rows.get(row.parent_id)
        return depth

    opening = sorted((edit for edit in edits if edit.changes.status not in CLOSED), key=level)
    closing = sorted((edit for edit in edits if edit.changes.status in CLOSED), key=level, reverse=True)
    return [*opening, *closing]


def _add_notes(tx: Tx, command: EditTasks, outcome: _Outcome) -> None:
    """Add the note to the log of each changed task."""
    if not command.note or not outcome.after:
        return
    changed = [outcome.after[task_id] for task_id in sorted(outcome.after)]
    entries = logs.add_all(tx, [(row.id, command.note) for row in changed], tx.actor.id, "progress")
    for row, entry in zip(changed, entries, strict=True):
        transitions.emit_logged(tx, row, entry)


def _undo(command: EditTasks, outcome: _Outcome) -> dict[str, Any] | None:
    """Return the request that restores the former values, or None."""
    items = [
        {"id": task_id, "version": outcome.after[task_id].version, **former}
        for task_id, former in sorted(outcome.former.items())
    ]
    if not items:
        return None
    body: dict[str, Any] = {"tasks": items}
    if command.agent_id is not None:
        body["agent_id"] = command.agent_id
    return body
