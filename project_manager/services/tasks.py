"""Tasks: make, read, edit, move, log, delete."""

import json
from typing import Any

from project_manager.contract import commands, views
from project_manager.contract import cursor as cursors
from project_manager.domain.errors import DependencyCycle, ExternalKeyTaken, HasDependents, Invalid, LockHeld
from project_manager.domain.events import EventType
from project_manager.domain.graph import find_cycle
from project_manager.domain.leases import UnlockReason, check_holder, held_by_another
from project_manager.domain.limits import LEASE_SECONDS_DEFAULT, NAME_CHARACTERS
from project_manager.domain.readiness import not_ready, obstacles
from project_manager.domain.statuses import CLOSED, ENDS_LEASE, Status, check_move
from project_manager.services import finding, leases, moves, presenting
from project_manager.services.presenting import lease_of
from project_manager.store import links, logs, meta, tasks
from project_manager.store.projects import ProjectRow
from project_manager.store.tasks import TaskRow
from project_manager.store.transaction import Tx

_PLAIN = (
    "name",
    "description",
    "priority",
    "defer_until",
    "due_at",
    "estimate_minutes",
    "external_key",
    "epic_id",
)
_LISTS = ("labels", "acceptance")
_FIELDS = (*_PLAIN, *_LISTS, "depends_on", "conflicts_with", "attempts")
_NEEDED_READY = frozenset({Status.IN_PROGRESS, Status.REVIEW, Status.DONE})


def create(tx: Tx, command: commands.CreateTask) -> views.TaskView:
    """Create one task in a project, given by id or name, with its dependencies.

    A project or epic given by name is made if it does not exist; without either the task goes into the
    project Inbox. Dependencies must exist, and a cycle is refused with the cycle in the message. Repeating
    the call with the same request_id returns the first answer.
    """
    project = finding.project_for(tx, command.project_id, command.project_name, command.epic_id)
    epic = finding.epic_for(tx, project, command.epic_id, command.epic_name)
    task_id = add(tx, project, None if epic is None else epic.id, command, command.depends_on)
    return presenting.task(tx, finding.task(tx, task_id))


def create_many(tx: Tx, command: commands.CreateTasks) -> views.CreatedTasksView:
    """Create up to 500 tasks in one step, with dependencies between them by `ref`.

    All or nothing. depends_on takes ids of tasks that exist and refs of tasks in the same request, in any
    order.
    """
    project = finding.project_for(tx, command.project_id, command.project_name, command.epic_id)
    epic = finding.epic_for(tx, project, command.epic_id, command.epic_name)
    _check_refs(command)
    made = [add(tx, project, None if epic is None else epic.id, task, []) for task in command.tasks]
    ids = {task.ref: task_id for task, task_id in zip(command.tasks, made, strict=True) if task.ref is not None}
    for task, task_id in zip(command.tasks, made, strict=True):
        if task.depends_on:
            set_dependencies(tx, finding.task(tx, task_id), [_referred(ref, ids) for ref in task.depends_on])
    items = [presenting.task(tx, finding.task(tx, task_id)) for task_id in made]
    return views.CreatedTasksView(items=items, ids=ids)


def add(tx: Tx, project: ProjectRow, epic_id: int | None, new: commands.NewTask, depends_on: list[int]) -> int:
    """Writes a new task and tells of it; its id."""
    _check_new_status(new.status)
    _check_key(tx, project.id, new.external_key, None)
    values: dict[str, Any] = {name: getattr(new, name) for name in _PLAIN if name != "epic_id"}
    task_id = tasks.add(
        tx,
        {
            **values,
            "project_id": project.id,
            "epic_id": epic_id,
            "status": new.status.value,
            "labels": json.dumps(new.labels, ensure_ascii=False),
            "acceptance": json.dumps(new.acceptance, ensure_ascii=False),
            "created_by": tx.actor.id,
            "completed_at": tx.now if new.status is Status.DONE else None,
            "fence": meta.fence_floor(tx),
            "attempts": 0,
            "open_dependencies": 0,
            "deferred": int(new.defer_until is not None and new.defer_until > tx.now),
            "archived": int(project.archived_at is not None),
        },
    )
    row = finding.task(tx, task_id)
    if depends_on:
        set_dependencies(tx, row, depends_on)
    if new.conflicts_with:
        set_conflicts(tx, row, new.conflicts_with)
    moves.tell(
        tx,
        EventType.TASK_CREATED,
        row,
        name=row.name,
        status=row.status,
        priority=row.priority,
        version=row.version,
    )
    return task_id


def set_dependencies(tx: Tx, row: TaskRow, ids: list[int]) -> None:
    """Replaces what the task depends on. Raises Invalid for ids that no task has, DependencyCycle for a cycle."""
    _check_exist(tx, "depends_on", ids)
    cycle = find_cycle(row.id, ids, lambda task_id: links.dependencies_of(tx, task_id))
    if cycle is not None:
        path = " -> ".join(f"#{task_id}" for task_id in cycle)
        raise DependencyCycle(f"task {row.id} would wait for itself: {path}", cycle=cycle)
    links.set_dependencies(tx, row.id, ids, open_task=Status(row.status) not in CLOSED)


def set_conflicts(tx: Tx, row: TaskRow, ids: list[int]) -> None:
    """Replaces what the task must not run together with, in both directions."""
    if row.id in ids:
        raise _invalid("conflicts_with", f"task {row.id} cannot conflict with itself")
    _check_exist(tx, "conflicts_with", ids)
    links.set_conflicts(tx, row.id, ids)


def get(tx: Tx, command: commands.GetTask) -> views.TaskView:
    """Read one task: fields, lock, whether it is ready and why not."""
    return presenting.task(tx, finding.task(tx, command.task_id))


def details(tx: Tx, command: commands.GetTaskDetails) -> views.TaskDetailsView:
    """Read one task in full before you work on it: description, criteria, dependencies, what waits for it, and
    its log.

    The log is newest first, handoff notes and failed attempts of others included; older entries with
    before=logs_before.
    """
    row = finding.task(tx, command.task_id)
    project = finding.project(tx, row.project_id)
    epic = None if row.epic_id is None else finding.epic(tx, row.epic_id)
    entries = logs.newest(tx, row.id, command.log_limit + 1, before=command.before or 2**62)
    shown = _within_budget(entries[: command.log_limit], command.budget_tokens)
    return views.TaskDetailsView(
        task_id=row.id,
        task=presenting.task(tx, row),
        project=views.NamedView(project.id, project.name),
        epic=None if epic is None else views.NamedView(epic.id, epic.name),
        dependencies=presenting.links(tasks.named(tx, links.dependencies_of(tx, row.id))),
        dependents=presenting.links(links.dependents_of(tx, row.id)),
        logs=[presenting.log(entry) for entry in shown],
        logs_before=shown[-1].id if shown and len(shown) < len(entries) else None,
    )


def update(tx: Tx, command: commands.UpdateTask) -> views.TaskView:
    """Edit a task's fields: name, description, priority, labels, criteria, dependencies, dates; add a log entry.

    Only the fields that are sent change; lists are replaced whole. While an agent holds the task only that
    agent (and people) may edit it. With `version` the edit is refused if somebody changed the task since. A
    `status` moves it as update_task_status does.
    """
    finding.check_force(tx, command.force)
    row = finding.task(tx, command.task_id)
    finding.check_version("task", row.version, command.version)
    _check_writer(tx, row, command.fence)
    changes = {name: getattr(command, name) for name in _FIELDS if name in command.model_fields_set}
    if not changes and command.status is None and command.log_entry is None:
        raise _invalid(
            "(body)",
            "nothing to change: send at least one field",
            hint=f"The fields are {', '.join(_FIELDS)}.",
        )
    if changes:
        row = _edit(tx, row, changes)
    if command.log_entry:
        moves.note(tx, row, tx.actor.id, "progress", command.log_entry)
    row = _renewed_by_writing(tx, row, command.fence)
    if command.status is not None:
        row = _move(tx, row, command.status, fence=command.fence, reopen=command.reopen, force=command.force)
    return presenting.task(tx, finding.task(tx, row.id))


def update_status(tx: Tx, command: commands.UpdateTaskStatus) -> views.StatusChangedView:
    """Set a task's status: DONE when finished, REVIEW for a look, BLOCKED when stuck. Ends your lease, except
    IN_PROGRESS.

    The holder sends its fence. On a task that nobody holds it is one call: lease, write, let go (IN_PROGRESS
    keeps the lease). Finished work is left only with reopen=true. A person must send force=true to move a
    task that an agent holds.
    """
    finding.check_force(tx, command.force)
    row = finding.task(tx, command.task_id)
    if command.note:
        _check_writer(tx, row, command.fence)
        moves.note(tx, row, tx.actor.id, "progress", command.note)
    moved = _move(tx, row, command.status, fence=command.fence, reopen=command.reopen, force=command.force)
    lease = lease_of(moved, tx.now)
    shown = finding.task(tx, moved.id)
    return views.StatusChangedView(
        success=True,
        message=f"task {row.id} is {moved.status}"
        + ("" if lease is None else f", held by {lease.holder} with fence {lease.fence}"),
        task_id=row.id,
        agent_id=tx.actor.id,
        status=moved.status,
        previous_status=row.status,
        lock_released=lease is None,
        task=presenting.task(tx, shown),
        lock=None if lease is None else presenting.lock(lease),
    )


def delete(tx: Tx, command: commands.DeleteTask) -> views.DeletedView:
    """Delete a task with its log. Its events stay.

    Refused while other open tasks depend on it, and while an agent holds it unless `force` is sent.
    """
    finding.check_force(tx, command.force)
    row = finding.task(tx, command.task_id)
    finding.check_version("task", row.version, command.version)
    waiting = [link for link in links.dependents_of(tx, row.id) if Status(link[2]) not in CLOSED]
    if waiting:
        ids = [link[0] for link in waiting]
        raise HasDependents(f"tasks {', '.join(f'#{task_id}' for task_id in ids)} depend on task {row.id}", tasks=ids)
    lease = lease_of(row, tx.now)
    if lease is not None and not command.force:
        raise held_by_another(lease)
    erase(tx, row)
    return views.DeletedView(success=True, deleted="task", id=row.id, name=row.name, tasks=1)


def erase(tx: Tx, row: TaskRow) -> None:
    """Removes the task, ends its lease, and tells of both."""
    if row.lock_holder is not None:
        moves.tell(
            tx,
            EventType.TASK_UNLOCKED,
            row,
            agent_id=row.lock_holder,
            reason=UnlockReason.DELETED.value,
            status=row.status,
        )
    freed = links.conflicts_of(tx, row.id) if row.lock_holder is not None else []
    if Status(row.status) not in CLOSED:
        links.shift_unblocks(tx, row.id, -1)
    tasks.remove(tx, row.id)
    moves.tell(tx, EventType.TASK_DELETED, row, name=row.name)
    moves.tell_if_ready(tx, freed)


def list_tasks(tx: Tx, command: commands.ListTasks) -> views.Page[Any]:
    """List or search tasks with filters; use get_available_tasks for what may be claimed now.

    By id. `q` searches names and descriptions for all of its words. `fields` chooses columns, `compact` a
    short row.
    """
    filters: dict[str, Any] = {}
    for name in ("project_id", "epic_id", "holder", "q", "ids"):
        if getattr(command, name) is not None:
            filters[name] = getattr(command, name)
    if command.label is not None:
        filters["labels"] = [command.label]
    if command.status:
        filters["status"] = [status.value for status in command.status]
    if command.ready is not None:
        filters["ready" if command.ready else "not_ready"] = True
    return _page(tx, filters, command.cursor, command.limit, order="id", columns=command.fields)


def get_available(tx: Tx, command: commands.GetAvailableTasks) -> views.Page[Any]:
    """List what may be claimed now, best first, without taking anything; claim_next_task takes the best one at
    once.

    With `status` it looks through those statuses instead, leaving out what somebody holds unless
    include_locked is set.
    """
    filters: dict[str, Any] = {}
    for name in ("project_id", "epic_id"):
        if getattr(command, name) is not None:
            filters[name] = getattr(command, name)
    if command.labels:
        filters["labels"] = command.labels
    if command.status and command.status != [Status.TODO]:
        filters["status"] = [status.value for status in command.status]
        if not command.include_locked:
            filters["unheld"] = True
    else:
        filters["ready"] = True
    return _page(tx, filters, command.cursor, command.limit, order="claim", columns=["compact"])


def add_log(tx: Tx, command: commands.AddTaskLog) -> views.LogView:
    """Report on a task: progress, evidence, a comment, or a handoff note for whoever takes it next.

    While an agent holds the task only that agent (and people) may write; the holder's entry also renews its
    lease.
    """
    row = finding.task(tx, command.task_id)
    if command.kind != "comment":
        _check_writer(tx, row, command.fence)
    entry = moves.note(tx, row, tx.actor.id, command.kind, command.body)
    _renewed_by_writing(tx, row, command.fence)
    return presenting.log(entry)


def list_logs(tx: Tx, command: commands.ListTaskLogs) -> views.Page[views.LogView]:
    """Read a task's log, newest first."""
    from_id = _position(command.cursor, {"task_id": command.task_id, "kind": command.kind}, 1)
    row = finding.task(tx, command.task_id)
    found = logs.newest(tx, row.id, command.limit + 1, before=from_id[0] if from_id else 2**62, kind=command.kind)
    more = len(found) > command.limit
    shown = found[: command.limit]
    cursor = _cursor((shown[-1].id,), {"task_id": command.task_id, "kind": command.kind}) if more else None
    return views.Page([presenting.log(entry) for entry in shown], cursor, logs.count(tx, row.id, command.kind))


def _page(
    tx: Tx, filters: dict[str, Any], cursor: str | None, limit: int, *, order: str, columns: list[str] | None
) -> views.Page[Any]:
    names = _columns(columns)
    after = _position(cursor, filters, 3 if order == "claim" else 1)
    rows = tasks.page(tx, filters, order=order, after=after, limit=limit + 1)
    shown, more = rows[:limit], len(rows) > limit
    items = [presenting.task(tx, row) for row in shown]
    last = None
    if more:
        end = shown[-1]
        last = _cursor((end.priority, -end.unblocks, end.id) if order == "claim" else (end.id,), filters)
    chosen: list[Any] = items if names is None else [presenting.chosen(item, names) for item in items]
    return views.Page(chosen, last, tasks.count(tx, filters))


def _columns(names: list[str] | None) -> list[str] | None:
    if not names:
        return None
    if names == ["compact"]:
        return list(presenting.COMPACT)
    known = {*views.TaskView.__dataclass_fields__, "holder", "expires_at"}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise _invalid(
            "fields",
            f"`fields` has no column {unknown[0]!r}",
            hint=f"The columns are {', '.join(sorted(known))}.",
        )
    return names


def _position(cursor: str | None, filters: dict[str, Any], length: int) -> tuple[int, ...] | None:
    return None if cursor is None else cursors.read(cursor, filters, length)


def _cursor(position: tuple[int, ...], filters: dict[str, Any]) -> str:
    return cursors.write(position, filters)


def _edit(tx: Tx, row: TaskRow, changes: dict[str, Any]) -> TaskRow:
    """Writes changed fields and links, and tells which."""
    _refuse_null(changes)
    before = presenting.task(tx, row)
    if "epic_id" in changes and changes["epic_id"] is not None:
        finding.epic_for(tx, finding.project(tx, row.project_id), changes["epic_id"], None)
    if "external_key" in changes:
        _check_key(tx, row.project_id, changes["external_key"], row.id)
    values = {name: changes[name] for name in (*_PLAIN, "attempts") if name in changes}
    values.update({name: json.dumps(changes[name], ensure_ascii=False) for name in _LISTS if name in changes})
    if "defer_until" in changes:
        values["deferred"] = int(changes["defer_until"] is not None and changes["defer_until"] > tx.now)
    if not tasks.write(tx, row, values):
        raise RuntimeError(f"task {row.id} moved within its own transaction")
    if "depends_on" in changes:
        set_dependencies(tx, row, changes["depends_on"])
    if "conflicts_with" in changes:
        set_conflicts(tx, row, changes["conflicts_with"])
    written = finding.task(tx, row.id)
    after = presenting.task(tx, written)
    changed = {name: getattr(after, name) for name in changes if getattr(before, name) != getattr(after, name)}
    previous = {name: getattr(before, name) for name in changed}
    moves.tell(tx, EventType.TASK_UPDATED, written, changes=changed, previous=previous, version=written.version)
    if not moves.is_ready(tx, row):
        moves.tell_if_ready(tx, [row.id])
    return written


def _move(tx: Tx, row: TaskRow, target: Status, *, fence: int | None, reopen: bool, force: bool) -> TaskRow:
    lease = lease_of(row, tx.now)
    forced = force and lease is not None and lease.holder != tx.actor.id
    if not forced:
        _check_mover(tx, row, fence)
    check_move(Status(row.status), target, reopen=reopen, task_id=row.id)
    attempts = 0 if target is Status.DONE or not tx.actor.is_agent else row.attempts
    if lease is not None:
        return _move_held(tx, row, target, fence=fence, forced=forced, attempts=attempts)
    if target is Status.IN_PROGRESS and tx.actor.is_agent:
        return _take_up(tx, row)
    if target.value == row.status:
        return row
    if tx.actor.is_agent and target in _NEEDED_READY and Status(row.status) not in CLOSED:
        why = obstacles(presenting.standing(row, tx.now), now=tx.now)
        if why:
            raise not_ready(row.id, why)
    placed = moves.set_status(tx, row, target, attempts=attempts, fence_step=int(tx.actor.is_agent))
    moves.tell_if_ready(tx, [row.id])
    return placed


def _move_held(tx: Tx, row: TaskRow, target: Status, *, fence: int | None, forced: bool, attempts: int) -> TaskRow:
    if target is Status.IN_PROGRESS and not forced:
        return moves.renew(tx, row, ttl=row.lock_ttl or 0, fenced=fence is not None)
    reason = UnlockReason.FORCED if forced else UnlockReason.AUTO_RELEASE
    placed = moves.end(tx, row, target, reason, attempts=attempts)
    if target not in ENDS_LEASE:
        moves.tell_if_ready(tx, [row.id])
    return placed


def _take_up(tx: Tx, row: TaskRow) -> TaskRow:
    """IN_PROGRESS in one call: the same rules as a claim by name."""
    if Status(row.status) in CLOSED:
        row = moves.set_status(tx, row, Status.TODO, attempts=0)
        row = finding.task(tx, row.id)
    leases.check_takable(tx, row)
    return moves.take(tx, row, ttl=LEASE_SECONDS_DEFAULT * 1000)


def _check_mover(tx: Tx, row: TaskRow, fence: int | None) -> None:
    lease = lease_of(row, tx.now)
    if not tx.actor.is_agent and lease is not None and lease.holder != tx.actor.id and fence is None:
        held = held_by_another(lease)
        raise LockHeld(held.message, hint="Send force=true to take it away from its holder.", **held.details)
    check_holder(lease, tx.actor.id, fence, task_id=row.id, current_fence=row.fence)


def _check_writer(tx: Tx, row: TaskRow, fence: int | None) -> None:
    """Agents write about a held task only under its lease; people may always add to it."""
    if tx.actor.is_agent or fence is not None:
        check_holder(lease_of(row, tx.now), tx.actor.id, fence, task_id=row.id, current_fence=row.fence)


def _renewed_by_writing(tx: Tx, row: TaskRow, fence: int | None) -> TaskRow:
    lease = lease_of(row, tx.now)
    if lease is None or lease.holder != tx.actor.id:
        return row
    return moves.renew(tx, row, ttl=lease.ttl, fenced=fence is not None)


def _check_new_status(status: Status) -> None:
    if status in (Status.IN_PROGRESS, Status.REVIEW, Status.BLOCKED):
        raise _invalid("status", f"a new task cannot be {status}", hint="Create it as TODO or BACKLOG, then move it.")


def _check_key(tx: Tx, project_id: int, key: str | None, task_id: int | None) -> None:
    found = None if key is None else tasks.by_external_key(tx, project_id, key)
    if found is not None and found.id != task_id:
        raise ExternalKeyTaken(
            f"task {found.id} has the external_key {key!r} already", task_id=found.id, external_key=key
        )


def _check_exist(tx: Tx, field: str, ids: list[int]) -> None:
    missing = links.missing(tx, ids)
    if missing:
        names = ", ".join(f"#{task_id}" for task_id in missing)
        raise _invalid(field, f"`{field}` names tasks that do not exist: {names}", hint="Create them first.")


def _check_refs(command: commands.CreateTasks) -> None:
    refs = [task.ref for task in command.tasks if task.ref is not None]
    faults = []
    for number, task in enumerate(command.tasks):
        if task.ref is not None and refs.count(task.ref) > 1:
            faults.append({"field": f"tasks.{number}.ref", "message": f"ref {task.ref!r} is used twice", "hint": ""})
        faults += [
            {
                "field": f"tasks.{number}.depends_on",
                "message": f"{ref!r} is neither an id nor a ref of this request",
                "hint": "",
            }
            for ref in task.depends_on
            if ref not in refs and not ref.lstrip("#").isdigit()
        ]
    if faults:
        raise Invalid("; ".join(fault["message"] for fault in faults[:20]), faults=faults)


def _referred(ref: str, ids: dict[str, int]) -> int:
    return ids[ref] if ref in ids else int(ref.lstrip("#"))


def _refuse_null(changes: dict[str, Any]) -> None:
    empty = [name for name in ("name",) if changes.get(name, "x") == ""]
    if empty:
        raise _invalid("name", "`name` is empty")


def _invalid(field: str, message: str, *, hint: str = "") -> Invalid:
    return Invalid(message, hint=hint, faults=[{"field": field, "message": message, "hint": hint}])


def _within_budget(entries: list[logs.LogRow], tokens: int | None) -> list[logs.LogRow]:
    if tokens is None:
        return entries
    room, kept = tokens * 4, []
    for entry in entries:
        room -= len(entry.body) + NAME_CHARACTERS // 2
        if room < 0 and kept:
            break
        kept.append(entry)
    return kept
