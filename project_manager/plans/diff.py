"""Comparison of a plan with the database. Nothing is written here."""

from collections.abc import Callable
from typing import Any

from project_manager.clock import rfc3339
from project_manager.domain.names import name_key
from project_manager.domain.policies import parse_policy
from project_manager.domain.statuses import Status
from project_manager.domain.task_fields import EPIC_PLAIN, PLAIN, PROJECT_PLAIN
from project_manager.plans.changes import EpicChange, PlanDiff, ProjectChange, TaskChange
from project_manager.plans.diagnostics import Diagnostic
from project_manager.plans.diff_links import LinkComparison
from project_manager.plans.diff_subtasks import SubtaskComparison
from project_manager.plans.reader import Plan, PlannedProject, PlannedTask
from project_manager.plans.references import References, TaskRef
from project_manager.plans.yaml_tree import Position
from project_manager.schemas.commands import Command
from project_manager.services import policies
from project_manager.services.serializers import lease_of
from project_manager.store import bulk, epics, projects
from project_manager.store.epics import EpicRow
from project_manager.store.projects import ProjectRow
from project_manager.store.tasks import TaskRow
from project_manager.store.transaction import Tx

_REPORT_EVERY = 1_000


class Comparison:
    """A comparison of one plan with the database. `diagnostics` are the errors that prevent the import.

    `report` is called periodically with the number of compared tasks and their total.
    """

    def __init__(
        self,
        tx: Tx,
        plan: Plan,
        *,
        overwrite: bool,
        prune: bool,
        report: Callable[[int, int], None] = lambda done, of: None,
    ) -> None:
        self.difference = PlanDiff()
        self.diagnostics: list[Diagnostic] = []
        self._tx = tx
        self._overwrite = overwrite
        self._prune = prune
        self._report = report
        self._compare_projects(plan)
        self._compare_epics(plan)
        self.references = References(tx, {project.name for project in self.difference.projects}, self.diagnostics)
        self._match_tasks(plan)
        self._check_archived()
        self._find_unplanned()
        SubtaskComparison(tx, self.difference, self.references, self.diagnostics).run()
        LinkComparison(tx, self.difference, self.references, self.diagnostics).run(is_readable=not plan.diagnostics)
        report(len(plan.tasks), len(plan.tasks))

    def _compare_projects(self, plan: Plan) -> None:
        present = {row.name: row for row in projects.list_all(self._tx)}
        planned = {project.spec.name: project for project in plan.projects}
        positions = {task.project: task.position for task in reversed(plan.tasks)}
        positions |= {name: project.position for name, project in planned.items()}
        named = {("", name): position for name, position in positions.items()}
        self._check_new_names("project", named, {("", name) for name in present})
        for name in dict.fromkeys([*planned, *positions]):
            project = ProjectChange(name, planned.get(name), present.get(name))
            if project.row is not None:
                project.id = project.row.id
                project.rows = bulk.of_project(self._tx, project.id)
                project.changed = _project_changes(project, project.row)
            self.difference.projects.append(project)

    def _compare_epics(self, plan: Plan) -> None:
        parents = {project.name: project for project in self.difference.projects}
        present = {(row.project_id, row.name): row for row in epics.list_all(self._tx)}
        names = {project.id: project.name for project in parents.values()}
        existing = {(names[parent], name) for parent, name in present if parent in names}
        # Matched rows leave `present`, so that the remaining rows can be pruned.
        for planned in plan.epics:
            project = parents[planned.project]
            row = present.pop((project.id, planned.spec.name), None)
            epic = EpicChange(planned.spec.name, project, planned, row, id=0 if row is None else row.id)
            if row is not None:
                epic.changed = _changes(planned.spec, row, EPIC_PLAIN)
            self.difference.epics.append(epic)
        positions = {(epic.project.name, epic.name): epic.planned.position for epic in self.difference.epics}
        self._check_new_names("epic", positions, existing)
        if self._prune:
            ids = {project.id for project in parents.values() if project.planned is not None}
            self.difference.pruned_epics = [row for row in present.values() if row.project_id in ids]

    def _check_new_names(
        self, kind: str, positions: dict[tuple[str, str], Position], present: set[tuple[str, str]]
    ) -> None:
        """Report each new name with the same key as another name in its scope. A lookup by name would find both."""
        taken = {(scope, name_key(name)): name for scope, name in present}
        for (scope, name), position in positions.items():
            other = taken.setdefault((scope, name_key(name)), name)
            if other != name and (scope, name) not in present:
                message = f"{kind} {name!r} has the same name as {kind} {other!r}"
                self.diagnostics.append(Diagnostic(position, f"{kind}s", message, f"Use `{other}` here too."))

    def _match_tasks(self, plan: Plan) -> None:
        parents = {project.name: project for project in self.difference.projects}
        by_name = {(epic.project.name, epic.name): epic for epic in self.difference.epics}
        names = {epic.id: epic.name for epic in self.difference.epics if epic.id}
        matched = _Matcher(self._tx, self.difference.projects, names).match(plan.tasks)
        for number, planned in enumerate(self._tx.keeping_alive(plan.tasks)):
            if number % _REPORT_EVERY == 0:
                self._report(number, len(plan.tasks))
            row = matched.get(planned)
            epic = None if planned.epic is None else by_name[planned.project, planned.epic]
            # A task without a key in the plan keeps the key of its row, so that references by key still resolve.
            key = planned.external_key or (None if row is None else row.external_key)
            known = TaskRef(planned.project, planned.epic, planned.name, key, 0 if row is None else row.id)
            task = TaskChange(planned, known, parents[planned.project], epic, row)
            if row is not None:
                task.changed = _task_changes(task, row)
                task.status = self._new_status(task, row)
            self.references.add(known)
            self.difference.tasks.append(task)

    def _check_archived(self) -> None:
        """Report new epics and tasks in a project that is archived and stays archived."""
        for project in self.difference.projects:
            if project.row is None or project.row.archived_at is None or project.changed.get("archived") is False:
                continue
            items: list[EpicChange | TaskChange] = [*self.difference.epics, *self.difference.tasks]
            new = [item.planned.position for item in items if item.project is project and item.row is None]
            # One error per project is enough. It points to the first new item.
            if new:
                message = f"project {project.name!r} is archived; no epics or tasks can be added"
                hint = "Set `archived: false` to unarchive it."
                self.diagnostics.append(Diagnostic(min(new), "projects", message, hint))

    def _new_status(self, task: TaskChange, row: TaskRow) -> Status | None:
        """Return the status to write, or None. The status of a task with a lease never changes."""
        status: Status | None = task.planned.values.get("status")
        if not self._overwrite or status in (None, row.status) or lease_of(row, self._tx.now) is not None:
            return None
        rules = parse_policy(_stricter_policy(task.project))
        if status is Status.DONE and not rules.is_empty:
            lacking = policies.missing_of(self._tx, row, rules, policies.current_work(self._tx, row))
            message = f"the policy of project {task.project.name!r} does not allow an import to set DONE"
            message += f"; missing: {'; '.join(lacking)}" if lacking else ""
            hint = "Omit the status, and finish the task as the policy demands."
            self.diagnostics.append(Diagnostic(task.planned.position, "status", message, hint))
        return status

    def _find_unplanned(self) -> None:
        """Register existing tasks that are not in the plan, for pruning or for references."""
        names = {row.id: row.name for row in epics.list_all(self._tx)}
        for project in self.difference.projects:
            for row in self._tx.keeping_alive(project.rows):
                if row.id in self.references.by_id:
                    continue
                known = TaskRef(project.name, names.get(row.epic_id or 0), row.name, row.external_key, row.id)
                if self._prune and project.planned is not None:
                    self.references.add(known, is_pruned=True)
                    self._prune_task(project.planned, known, row)
                else:
                    self.references.add(known)

    def _prune_task(self, project: PlannedProject, known: TaskRef, row: TaskRow) -> None:
        lease = lease_of(row, self._tx.now)
        if lease is not None:
            until = rfc3339(lease.expires_at)
            message = f"prune would delete task #{row.id} {known.path!r}, locked by {lease.holder} until {until}"
            hint = "Keep it in the plan, or wait until it is released."
            self.diagnostics.append(Diagnostic(project.position, "prune", message, hint))
        self.difference.pruned_tasks.append(row)


class _Matcher:
    """A matcher of planned tasks to rows: by external_key, otherwise by name within the epic."""

    def __init__(self, tx: Tx, parents: list[ProjectChange], epic_names: dict[int, str]) -> None:
        self._tx = tx
        self._by_key: dict[tuple[str, str], TaskRow] = {}
        self._by_name: dict[tuple[str, str | None, str], list[TaskRow]] = {}
        for project in parents:
            for row in tx.keeping_alive(project.rows):
                if row.external_key is not None:
                    self._by_key[project.name, row.external_key] = row
                epic = None if row.epic_id is None else epic_names.get(row.epic_id, "")
                self._by_name.setdefault((project.name, epic, row.name), []).append(row)

    def match(self, planned: list[PlannedTask]) -> dict[PlannedTask, TaskRow]:
        matched: dict[PlannedTask, TaskRow] = {}
        for task in self._tx.keeping_alive(planned):
            key = task.external_key
            if key is not None and (task.project, key) in self._by_key:
                matched[task] = self._by_key[task.project, key]
        taken = {row.id for row in matched.values()}
        for task in self._tx.keeping_alive(planned):
            if task not in matched and (row := self._named(task, taken)) is not None:
                matched[task] = row
                taken.add(row.id)
        return matched

    def _named(self, task: PlannedTask, taken: set[int]) -> TaskRow | None:
        """Return the oldest unmatched row with that name, or None. A task with a key takes only rows without one."""
        free = [row for row in self._by_name.get((task.project, task.epic, task.name), []) if row.id not in taken]
        keyless = [row for row in free if row.external_key is None]
        return next(iter(keyless if task.external_key is not None else [*keyless, *free]), None)


def _stricter_policy(project: ProjectChange) -> str:
    """Return the policy that the plan sets, unless it sets none, else the present one. Imports relax no policy."""
    planned: str = project.changed.get("policy", "{}")
    present = "{}" if project.row is None else project.row.policy
    return present if parse_policy(planned).is_empty else planned


def _project_changes(project: ProjectChange, row: ProjectRow) -> dict[str, Any]:
    if project.planned is None:
        return {}
    spec = project.planned.spec
    changed = _changes(spec, row, PROJECT_PLAIN)
    if "policy" in spec.model_fields_set and (policy := policies.stored(spec.policy)) != row.policy:
        changed["policy"] = policy
    if "archived" in spec.model_fields_set and spec.archived != (row.archived_at is not None):
        changed["archived"] = spec.archived
    return changed


def _changes(spec: Command, row: ProjectRow | EpicRow, names: tuple[str, ...]) -> dict[str, Any]:
    """Return the values that the plan sets and that differ from the row."""
    return {
        name: value
        for name in names
        if name in spec.model_fields_set and (value := getattr(spec, name)) not in (None, getattr(row, name))
    }


def _task_changes(task: TaskChange, row: TaskRow) -> dict[str, Any]:
    values = task.planned.values
    changed: dict[str, Any] = {}
    # A new epic still has id 0, like no epic, so it needs its own check.
    if (row.epic_id or 0) != (0 if task.epic is None else task.epic.id) or (task.epic is not None and not task.epic.id):
        changed["epic_id"] = task.epic
    for field in PLAIN:
        if field.name in values and (value := values[field.name]) != field.from_column(getattr(row, field.name)):
            changed[field.name] = value
    return changed
