"""Import and export of plans: projects with their epics, tasks and knowledge, written as one document."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any

from project_manager.domain.errors import Invalid, PreviewOutdated
from project_manager.domain.events.plans import ImportFinished
from project_manager.domain.events.tasks import TaskCreated
from project_manager.domain.hints import did_you_mean
from project_manager.domain.names import suggestion
from project_manager.domain.paths import GlobComparison, GlobComparisons
from project_manager.domain.policies import CompletedBy, parse_policy
from project_manager.domain.readiness import Withheld
from project_manager.domain.statuses import CLOSED, Status
from project_manager.domain.task_fields import PLAIN
from project_manager.plans import diff_knowledge, export, preview, progress, reader, writer
from project_manager.plans.changes import EpicChange, PlanDiff, ProjectChange, TaskChange
from project_manager.plans.diagnostics import Diagnostic, plan_error
from project_manager.plans.diff import Comparison
from project_manager.plans.diff_knowledge import KnowledgeComparison
from project_manager.schemas.epics import DeleteEpic
from project_manager.schemas.plans import ExportPlan, ImportPlan, ImportView
from project_manager.services import (
    epics,
    lookup,
    path_reservations,
    paths,
    pauses,
    policies,
    projects,
    readiness,
    resolve,
    transitions,
)
from project_manager.services.links import check_number_of_conflicts
from project_manager.services.tasks import delete_tasks
from project_manager.store import bulk, events, meta, seals, subtasks, tasks
from project_manager.store.tasks import TaskRow
from project_manager.store.transaction import Tx

_REPORT_EVERY = 100
_SUGGESTIONS = 10
_SEALED_AT_ONCE = 250
_CREATED_AT_ONCE = 32


def read_plan(command: ImportPlan, request_id: str) -> reader.Plan:
    """Parse the document into a plan with its errors, without access to the database."""
    report = progress.listener_of(request_id)
    lines = command.document.count("\n") + 1
    return reader.read(command.document, command.source, lambda line: report("Reading", line, lines))


def compare_paths(_command: ImportPlan, prepared: reader.Plan) -> paths.ReadComparisons | None:
    """Return the read that compares the paths of the plan, or None if it has none."""
    globs: dict[str, list[str]] = {}
    for task in prepared.tasks:
        if found := task.values.get("paths"):
            globs.setdefault(task.project, []).extend(found)
    return partial(_compare_in_projects, globs=globs) if globs and not prepared.diagnostics else None


def _compare_in_projects(tx: Tx, globs: dict[str, list[str]]) -> GlobComparisons:
    comparisons: dict[int | str, GlobComparison] = {}
    for name, wanted in tx.keeping_alive(globs.items()):
        row = resolve.project(tx, name)
        comparisons[name if row is None else row.id] = paths.compare(
            tx, paths.NEW_PROJECT if row is None else row.id, wanted
        )
    return comparisons


def import_plan(tx: Tx, command: ImportPlan, prepared: reader.Plan) -> ImportView:
    """Import a plan: projects, epics and tasks with their dependencies, and knowledge, written in YAML or JSON.

    The import is atomic: any error prevents it, and all errors are listed with line and column.
    A repeated import changes only fields that differ. Existing tasks keep their status, lease and log.
    `status` overwrite also sets the statuses of tasks without a lease.
    Only `prune` deletes. `dry_run` lists the changes without writing them. With its digest as `expected`, the import
    writes exactly these changes or none.
    """
    report = progress.listener_of(tx.request_id)
    comparison = Comparison(
        tx, prepared, overwrite=command.status == "overwrite", prune=command.prune, report=partial(report, "Comparing")
    )
    knowledge = KnowledgeComparison(tx, prepared, comparison)
    if prepared.diagnostics or comparison.diagnostics or knowledge.diagnostics:
        raise _plan_error(
            command.source, comparison, [*prepared.diagnostics, *comparison.diagnostics, *knowledge.diagnostics]
        )
    difference = comparison.difference
    found = preview.Preview(tx, prepared.digest, difference, knowledge.changes, comparison.references.by_id)
    if command.expected not in (None, found.digest):
        raise PreviewOutdated("the import would now make other changes than its dry run; nothing was written")
    numbers = Counter(change.change for change in tx.keeping_alive(found.changes))
    view = ImportView(
        dry_run=command.dry_run,
        digest=found.digest,
        created=numbers["created"],
        changed=numbers["changed"],
        unchanged=numbers["unchanged"],
        deleted=numbers["deleted"],
        changes=found.changes,
    )
    if not command.dry_run:
        PlanWriter(tx, difference, partial(report, "Writing")).run()
        diff_knowledge.write(tx, knowledge.changes)
        _emit_finished(tx, command, difference, view)
    return view


def _plan_error(source: str, comparison: Comparison, found: list[Diagnostic]) -> Invalid:
    """Return the exception that lists the errors.

    Suggestions are added after the transaction, because comparing names takes time.
    """
    error = plan_error(source, found)

    def suggest(_tx: Tx) -> None:
        for diagnostic, reference in comparison.references.unresolved_references[:_SUGGESTIONS]:
            near = suggestion(reference, comparison.references.names())
            if near is not None:
                diagnostic.message += did_you_mean(near)
                diagnostic.hint = ""
        error.replace(plan_error(source, found))

    error.suggest = suggest
    return error


def export_plan(tx: Tx, command: ExportPlan) -> Iterator[str]:
    """Export one project or all of them as a plan for import_plan: fields, links, statuses, logs, knowledge.

    Equal content always gives equal bytes. The plan omits leases, events, agents, tokens, ids and versions.
    """
    yield from writer.serialize(export.document(tx, command.project), command.format)


def _emit_finished(tx: Tx, command: ImportPlan, difference: PlanDiff, view: ImportView) -> None:
    only = difference.projects[0].id if len(difference.projects) == 1 else None
    event = ImportFinished(command.source, view.created, view.changed, view.unchanged, view.deleted)
    events.add(tx, event, project_id=only)


class PlanWriter:
    """A writer of a difference to the database.

    New tasks are inserted before all links, which need their ids. Counters are updated once, after all links.
    """

    def __init__(self, tx: Tx, difference: PlanDiff, report: Callable[[int, int], None]) -> None:
        self._tx = tx
        self._difference = difference
        self._report = report
        self._new = [task for task in tx.keeping_alive(difference.tasks) if task.row is None]
        self._changed = [task for task in tx.keeping_alive(difference.tasks) if task.row is not None and task.fields]
        self._done = 0
        self._fence = meta.fence_floor(tx)
        self._recount: set[int] = set()
        self._flags: dict[int, int] = {}
        self._with_changed_paths: list[int] = []

    def run(self) -> None:
        # The order matters: links need the ids of new tasks, and transitions need the final counters.
        difference = self._difference
        for project in difference.projects:
            self._write_project(project)
        for epic in difference.epics:
            self._write_epic(epic)
        for start in range(0, len(self._new), _CREATED_AT_ONCE):
            self._create(self._new[start : start + _CREATED_AT_ONCE])
        before = {task.known.task_id: lookup.task(self._tx, task.known.task_id) for task in self._changed}
        for task in self._changed:
            self._edit(task, before[task.known.task_id])
            self._advance()
        affected = self._unchanged_affected(before.keys())
        ready = readiness.ready_among(self._tx, affected)
        self._link()
        freed = self._set_paths(before)
        freed += delete_tasks(self._tx, [row.id for row in difference.pruned_tasks])
        for epic_row in difference.pruned_epics:
            epics.delete(self._tx, DeleteEpic(epic_id=epic_row.id, force=False))
        bulk.recount(self._tx, sorted(self._recount))
        self._emit_tasks(before)
        self._set_statuses()
        path_reservations.park_blocked(self._tx, self._with_changed_paths)
        readiness.emit_not_ready(self._tx, ready)
        readiness.emit_ready(self._tx, sorted({*freed, *affected} - before.keys() - set(ready)))
        readiness.emit_ready(self._tx, [row.id for row in before.values() if not readiness.is_ready(self._tx, row)])

    def _unchanged_affected(self, changed: Collection[int]) -> list[int]:
        """Return the existing tasks with a new or removed conflict or subtask, without those in `changed`."""
        pairs = [(one.task_id, other.task_id) for one, other in self._difference.new_conflicts]
        new = {task.known.task_id for task in self._new}
        ends = {task_id for pair in (*pairs, *self._difference.old_conflicts) for task_id in pair}
        parents = {known.task_id for task in self._reparented() for known in (task.parent, task.old_parent) if known}
        return sorted((ends | parents) - new - set(changed))

    def _reparented(self) -> Iterator[TaskChange]:
        """Yield the tasks with another parent than before."""
        return (task for task in self._tx.keeping_alive(self._difference.tasks) if task.changes_parent)

    def _advance(self) -> None:
        """Report progress. Each task is written once and emits its events once."""
        self._done += 1
        total = 2 * (len(self._new) + len(self._changed))
        if self._done % _REPORT_EVERY == 0 or self._done == total:
            self._report(self._done, total)

    def _write_project(self, project: ProjectChange) -> None:
        tx, spec = self._tx, None if project.planned is None else project.planned.spec
        if project.row is None:
            project.row = lookup.create_project(tx, project.name, "" if spec is None else spec.description)
            project.id = project.row.id
            if spec is not None and (spec.archived or spec.policy is not None):
                values = {"policy": policies.stored(spec.policy)}
                project.row = projects.write(tx, project.row, values, archived=spec.archived or None)
        elif project.changed:
            # `archived` is no plain field: its column holds a time, and each task has a copy of the flag.
            values = {name: value for name, value in project.changed.items() if name != "archived"}
            project.row = projects.write(tx, project.row, values, archived=project.changed.get("archived"))

    def _write_epic(self, epic: EpicChange) -> None:
        tx, spec = self._tx, epic.planned.spec
        if epic.row is None:
            epic.row = lookup.create_epic(tx, epic.project.id, epic.name, spec.description, spec.status, spec.position)
            epic.id = epic.row.id
        elif epic.changed:
            epic.row = epics.write(tx, epic.row, epic.changed)

    def _create(self, new: list[TaskChange]) -> None:
        for task, task_id in zip(new, tasks.add_all(self._tx, [self._new_row(task) for task in new]), strict=True):
            task.known.task_id = task_id
            spec = task.planned.with_defaults()
            for entry in spec["log"]:
                values = {"author": entry.author, "kind": entry.kind, "body": entry.body, "created_at": entry.at}
                details = None if entry.evidence is None else entry.evidence.details()
                bulk.write(self._tx, "task_logs", {"task_id": task_id, **values, "details": details})
            for submission in spec["submissions"]:
                bulk.write(self._tx, "submissions", {"task_id": task_id, **submission.row()})
            diff_knowledge.write_assumptions(self._tx, spec["assumptions"], task_id)
            self._advance()

    def _new_row(self, task: TaskChange) -> dict[str, Any]:
        spec, now = task.planned.with_defaults(), self._tx.now
        completed_at = now if spec["completed_at"] is None else spec["completed_at"]
        row = task.project.row
        archived = Withheld.ARCHIVED if row is not None and row.archived_at is not None else 0
        return {
            **{field.name: spec[field.name] for field in PLAIN},
            "project_id": task.project.id,
            "epic_id": None if task.epic is None else task.epic.id,
            "status": spec["status"].value,
            "created_by": spec["created_by"] or self._tx.actor.id,
            "created_at": now if spec["created_at"] is None else spec["created_at"],
            "completed_at": completed_at if spec["status"] is Status.DONE else None,
            "completed_by": CompletedBy.IMPORT.value
            if spec["status"] is Status.DONE and self._has_policy(task)
            else None,
            "fence": self._fence,
            "attempts": spec["attempts"],
            "withheld": int(self._pause_flags(task.project.id) | archived),
        }

    def _pause_flags(self, project_id: int) -> int:
        """Return the flags of the pauses of the project and of all work."""
        if project_id not in self._flags:
            self._flags[project_id] = pauses.flags_of_new_task(self._tx, project_id)
        return self._flags[project_id]

    def _has_policy(self, task: TaskChange) -> bool:
        return task.project.row is not None and not parse_policy(task.project.row.policy).is_empty

    def _edit(self, task: TaskChange, row: TaskRow) -> None:
        """Write the changed fields. A change of links alone also writes the row, to increment its version."""
        values = dict(task.changed)
        if "epic_id" in values:
            values["epic_id"] = None if task.epic is None else task.epic.id
        if not task.changes_status_only:
            tasks.update_row(self._tx, row, values)

    def _set_paths(self, before: dict[int, TaskRow]) -> list[int]:
        """Store the globs of new and changed tasks, and return the tasks that may be ready now."""
        tx, freed = self._tx, list[int]()
        new: dict[tuple[int, str], dict[int, list[str]]] = {}
        for task in tx.keeping_alive(self._new):
            if globs := task.planned.with_defaults()["paths"]:
                new.setdefault((task.project.id, task.project.name), {})[task.known.task_id] = globs
        for (project_id, name), globs_by_task in new.items():
            paths.assign(tx, project_id, globs_by_task, new=True, comparison=self._comparison_of(project_id, name))
            path_reservations.park_blocked(tx, globs_by_task)
        for task in tx.keeping_alive(self._changed):
            if "paths" in task.changed:
                found = self._comparison_of(task.project.id, task.project.name)
                self._with_changed_paths.append(task.known.task_id)
                freed += paths.replace(tx, before[task.known.task_id], task.changed["paths"], found)
        return freed

    def _comparison_of(self, project_id: int, name: str) -> GlobComparison | None:
        return self._tx.glob_comparisons.get(project_id) or self._tx.glob_comparisons.get(name)

    def _link(self) -> None:
        difference = self._difference
        links = {
            task.known.task_id: sorted(known.task_id for known in task.depends_on)
            for task in self._tx.keeping_alive(difference.tasks)
            if task.depends_on is not None
        }
        present = bulk.dependencies(self._tx) if links else {}
        bulk.replace_dependencies(self._tx, links)
        for task_id, others in self._tx.keeping_alive(links.items()):
            self._recount.update((task_id, *others, *present.get(task_id, ())))
        for one, other in difference.old_conflicts:
            bulk.drop_conflict(self._tx, one, other)
        bulk.add_conflicts(self._tx, [(first.task_id, second.task_id) for first, second in difference.new_conflicts])
        check_number_of_conflicts(self._tx, {one.task_id for pair in difference.new_conflicts for one in pair})
        self._recount.update(difference.waiting_for_pruned)
        for task in self._reparented():
            subtasks.set_parent(self._tx, task.known.task_id, None if task.parent is None else task.parent.task_id)
            self._recount.update(known.task_id for known in (task.parent, task.old_parent) if known is not None)

    def _emit_tasks(self, before: dict[int, TaskRow]) -> None:
        for start in range(0, len(self._new), _SEALED_AT_ONCE):
            created = self._new[start : start + _SEALED_AT_ONCE]
            sealed = seals.digests_of_new_tasks(self._tx, [task.known.task_id for task in created])
            for task in created:
                self._advance()
                self._emit_created(task, sealed[task.known.task_id])
        for task in self._changed:
            self._advance()
            if not task.changes_status_only:
                transitions.emit_edit(self._tx, before[task.known.task_id])

    def _emit_created(self, task: TaskChange, sealed: seals.Digests) -> None:
        spec = task.planned.with_defaults()
        events.add(
            self._tx,
            TaskCreated(name=spec["name"], status=spec["status"].value, priority=spec["priority"], version=1),
            project_id=task.project.id,
            epic_id=None if task.epic is None else task.epic.id,
            task_id=task.known.task_id,
            sealed=sealed,
        )

    def _set_statuses(self) -> None:
        """Set the statuses in an order in which no DONE task has an open subtask at any time."""
        changing = [task for task in self._changed if task.status is not None]
        if any(task.level > 1 for task in changing):
            closing = sorted((task for task in changing if task.status in CLOSED), key=lambda task: -task.level)
            opening = sorted((task for task in changing if task.status not in CLOSED), key=lambda task: task.level)
            changing = [*opening, *closing]
        for task in changing:
            row = lookup.task(self._tx, task.known.task_id)
            status = Status(task.status or row.status)
            transitions.set_status(self._tx, row, status, attempts=task.planned.with_defaults()["attempts"])
