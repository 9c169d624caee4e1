"""Comparison of a plan with the database. Nothing is written here."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

from project_manager.clock import rfc3339
from project_manager.domain.cycles import cycles, format_cycle
from project_manager.domain.names import name_key
from project_manager.domain.statuses import CLOSED, Status
from project_manager.plans.diagnostics import Diagnostic
from project_manager.plans.reader import ParsedReference, Plan, PlannedEpic, PlannedProject, PlannedTask
from project_manager.plans.references import Resolver, TaskRef
from project_manager.plans.yaml_tree import Position
from project_manager.services.serializers import lease_of
from project_manager.store import bulk, epics, projects
from project_manager.store.epics import EpicRow
from project_manager.store.projects import ProjectRow
from project_manager.store.tasks import TaskRow
from project_manager.store.transaction import Tx

_FIELDS = ("description", "priority", "defer_until", "due_at", "estimate_minutes", "external_key")
_LISTS = ("labels", "acceptance")
_CYCLES = 10


@dataclass(slots=True, eq=False)
class ProjectChange:
    """A project of the plan. `row` is None for a new project. `changed` holds the new values."""

    name: str
    planned: PlannedProject | None
    row: ProjectRow | None
    changed: dict[str, Any] = field(default_factory=dict)
    id: int = 0


@dataclass(slots=True, eq=False)
class EpicChange:
    name: str
    project: ProjectChange
    planned: PlannedEpic
    row: EpicRow | None
    changed: dict[str, Any] = field(default_factory=dict)
    id: int = 0


@dataclass(slots=True, eq=False)
class TaskChange:
    """A task of the plan. `depends_on` and `status` are None if unchanged. `refs` are the dependencies as written."""

    planned: PlannedTask
    reference: TaskRef
    project: ProjectChange
    epic: EpicChange | None
    row: TaskRow | None
    changed: dict[str, Any] = field(default_factory=dict)
    depends_on: list[TaskRef] | None = None
    refs: list[tuple[ParsedReference, TaskRef]] = field(default_factory=list)
    conflicts: bool = False
    status: Status | None = None

    @property
    def fields(self) -> list[str]:
        """Return the names of the changed fields, as a plan spells them."""
        names = ["epic" if name == "epic_id" else name for name in self.changed]
        names += ["depends_on"] if self.depends_on is not None else []
        names += ["conflicts_with"] if self.conflicts else []
        return names + (["status"] if self.status is not None else [])

    @property
    def changes_status_only(self) -> bool:
        """Return whether only the status changes. The transition then writes the row and emits its own event."""
        return self.fields == ["status"]


@dataclass(slots=True)
class PlanDiff:
    """The complete difference. Conflicts are pairs. Pruned rows exist in the database but not in the plan."""

    projects: list[ProjectChange] = field(default_factory=list)
    epics: list[EpicChange] = field(default_factory=list)
    tasks: list[TaskChange] = field(default_factory=list)
    new_conflicts: list[tuple[TaskRef, TaskRef]] = field(default_factory=list)
    old_conflicts: list[tuple[int, int]] = field(default_factory=list)
    pruned_tasks: list[TaskRow] = field(default_factory=list)
    pruned_epics: list[EpicRow] = field(default_factory=list)
    waiting_for_pruned: list[int] = field(default_factory=list)


class Comparison:
    """A comparison of one plan with the database.

    `faults` are the errors that prevent the import.
    `unknown` holds each error about an unknown task, together with its reference.
    """

    def __init__(self, tx: Tx, plan: Plan, *, overwrite: bool, prune: bool) -> None:
        self.difference = PlanDiff()
        self.faults: list[Diagnostic] = []
        self.unresolved_references: list[tuple[Diagnostic, str]] = []
        self._tx = tx
        self._overwrite = overwrite
        self._prune = prune
        self._resolver = Resolver()
        self._elsewhere_loaded = False
        self._by_id: dict[int, TaskRef] = {}
        self._rows: dict[str, list[TaskRow]] = {}
        self._compare_projects(plan)
        self._compare_epics(plan)
        self._match_tasks(plan)
        self._check_archived()
        self._find_unplanned()
        self._resolve()
        self._find_cycles(plan)

    def _compare_projects(self, plan: Plan) -> None:
        present = {row.name: row for row in projects.everything(self._tx)}
        planned = {project.said.name: project for project in plan.projects}
        places = {task.project: task.place for task in reversed(plan.tasks)}
        places |= {name: project.place for name, project in planned.items()}
        self._check_new_names(
            "project", {("", name): place for name, place in places.items()}, {("", name) for name in present}
        )
        for name in dict.fromkeys([*planned, *places]):
            project = ProjectChange(name, planned.get(name), present.get(name))
            if project.row is not None:
                project.id = project.row.id
                self._rows[name] = bulk.of_project(self._tx, project.id)
                project.changed = _project_changes(project, project.row)
            self.difference.projects.append(project)

    def _compare_epics(self, plan: Plan) -> None:
        parents = {project.name: project for project in self.difference.projects}
        present = {(row.project_id, row.name): row for row in epics.everything(self._tx)}
        names = {project.id: project.name for project in parents.values()}
        known = {(names[parent], name) for parent, name in present if parent in names}
        # Matched rows leave `present`, so that the remaining rows can be pruned.
        for planned in plan.epics:
            project = parents[planned.project]
            row = present.pop((project.id, planned.said.name), None)
            epic = EpicChange(planned.said.name, project, planned, row, id=0 if row is None else row.id)
            if row is not None:
                epic.changed = _epic_changes(planned, row)
            self.difference.epics.append(epic)
        places = {(epic.project.name, epic.name): epic.planned.place for epic in self.difference.epics}
        self._check_new_names("epic", places, known)
        if self._prune:
            ids = {project.id for project in parents.values() if project.planned is not None}
            self.difference.pruned_epics = [row for row in present.values() if row.project_id in ids]

    def _check_new_names(
        self, kind: str, places: dict[tuple[str, str], Position], present: set[tuple[str, str]]
    ) -> None:
        """Report each new name with the same key as another name in its scope. A lookup of either would find both."""
        taken = {(scope, name_key(name)): name for scope, name in present}
        for (scope, name), place in places.items():
            other = taken.setdefault((scope, name_key(name)), name)
            if other != name and (scope, name) not in present:
                words = f"{kind} {name!r} has the same name as {kind} {other!r}"
                self.faults.append(Diagnostic(place, f"{kind}s", words, f"Use `{other}` here too."))

    def _match_tasks(self, plan: Plan) -> None:
        parents = {project.name: project for project in self.difference.projects}
        homes = {(epic.project.name, epic.name): epic for epic in self.difference.epics}
        names = {epic.id: epic.name for epic in self.difference.epics if epic.id}
        matched = _Matcher(self._rows, names).match(plan.tasks)
        for planned in plan.tasks:
            row = matched.get(planned)
            epic = None if planned.epic is None else homes[planned.project, planned.epic]
            # A task without a key in the plan keeps the key of its row, so that references by key still resolve.
            key = planned.spec.external_key or (None if row is None else row.external_key)
            known = TaskRef(planned.project, planned.epic, planned.name, key, 0 if row is None else row.id)
            task = TaskChange(planned, known, parents[planned.project], epic, row)
            if row is not None:
                self._by_id[row.id] = known
                task.changed = _task_changes(task, row)
                task.status = self._new_status(task, row)
            self._resolver.add(known)
            self.difference.tasks.append(task)

    def _check_archived(self) -> None:
        """Report new epics and tasks in a project that is archived and stays archived."""
        for project in self.difference.projects:
            if project.row is None or project.row.archived_at is None or project.changed.get("archived") is False:
                continue
            new = [epic.planned.place for epic in self.difference.epics if epic.project is project and epic.row is None]
            new += [
                task.planned.place for task in self.difference.tasks if task.project is project and task.row is None
            ]
            # One error per project is enough. It points to the first new item.
            if new:
                words = f"project {project.name!r} is archived; no epics or tasks can be added"
                self.faults.append(Diagnostic(min(new), "projects", words, "Set `archived: false` to unarchive it."))

    def _new_status(self, task: TaskChange, row: TaskRow) -> Status | None:
        """Return the status to write, or None. The status of a task with a lease never changes."""
        said = task.planned.spec
        if not self._overwrite or "status" not in said.model_fields_set or lease_of(row, self._tx.now) is not None:
            return None
        return said.status if said.status != row.status else None

    def _find_unplanned(self) -> None:
        """Register existing tasks that are not in the plan, for pruning or for references."""
        names = {row.id: row.name for row in epics.everything(self._tx)}
        for project in self.difference.projects:
            for row in self._rows.get(project.name, []):
                if row.id in self._by_id:
                    continue
                known = TaskRef(project.name, names.get(row.epic_id or 0), row.name, row.external_key, row.id)
                self._by_id[row.id] = known
                if self._prune and project.planned is not None:
                    self._prune_task(project.planned, known, row)
                else:
                    self._resolver.add(known)

    def _prune_task(self, project: PlannedProject, known: TaskRef, row: TaskRow) -> None:
        lease = lease_of(row, self._tx.now)
        if lease is not None:
            until = rfc3339(lease.expires_at)
            words = f"prune would delete task #{row.id} {known.path!r}, locked by {lease.holder} until {until}"
            self.faults.append(
                Diagnostic(project.place, "prune", words, "Keep it in the plan, or wait until it is released.")
            )
        self.difference.pruned_tasks.append(row)

    def _resolve(self) -> None:
        """Resolve references to tasks, then keep only the links that differ from the database."""
        named = [
            task
            for task in self.difference.tasks
            if task.planned.spec.model_fields_set & {"depends_on", "conflicts_with"}
        ]
        # Without links or pruning there is no need to read all dependencies of the database.
        if not named and not self.difference.pruned_tasks:
            return
        self._dependencies = bulk.dependencies(self._tx)
        for task in named:
            if "depends_on" in task.planned.spec.model_fields_set:
                task.refs = self._find_all(task, "depends_on", task.planned.depends_on)
                wanted = list(dict.fromkeys(known for _, known in task.refs))
                present = [] if task.row is None else self._dependencies.get(task.row.id, [])
                same = sorted(known.task_id for known in wanted) == present
                task.depends_on = None if same and all(known.task_id for known in wanted) else wanted
        self._compare_conflicts([task for task in named if "conflicts_with" in task.planned.spec.model_fields_set])
        self._check_pruned()

    def _find_all(
        self, task: TaskChange, key: str, refs: list[ParsedReference]
    ) -> list[tuple[ParsedReference, TaskRef]]:
        found = []
        for ref in refs:
            known = self.find_task(ref, task.reference.project, f"{task.planned.path}.{key}")
            if known is task.reference and key == "conflicts_with":
                self.faults.append(
                    Diagnostic(
                        ref.place, f"{task.planned.path}.{key}", f"{task.reference.name!r} cannot conflict with itself"
                    )
                )
            elif known is not None:
                found.append((ref, known))
        return found

    def find_task(self, ref: ParsedReference, project: str, path: str) -> TaskRef | None:
        """Return the referenced task as seen from `project`, or None after recording an error at `path`."""
        found = self._resolver.find(ref.text, project)
        if not found and not self._elsewhere_loaded:
            self._load_other_projects()
            found = self._resolver.find(ref.text, project)
        if len(found) == 1:
            return found[0]
        self.faults.append(self._report_ambiguous(ref, path, found))
        return None

    def _report_ambiguous(self, ref: ParsedReference, path: str, found: list[TaskRef]) -> Diagnostic:
        if found:
            meant = ", ".join(
                repr(known.path) + (f" (external_key {known.key})" if known.key else "") for known in found[:5]
            )
            hint = "Use `Epic / Task`, `Project / Epic / Task`, or the external_key of the task."
            return Diagnostic(ref.place, path, f"{ref.text!r} is ambiguous; {len(found)} tasks match: {meant}", hint)
        key = path.rpartition(".")[2]
        words = f"`{key}`: task {ref.text!r} not found in the plan or the database"
        fault = Diagnostic(ref.place, path, words, "Use `Project / Task` for tasks of another project.")
        self.unresolved_references.append((fault, ref.text))
        return fault

    def task_names(self) -> Iterator[str]:
        """Yield the names of all known tasks, as candidates for suggestions."""
        known = chain(self._by_id.values(), (task.reference for task in self.difference.tasks))
        return (task.name for task in known)

    def _load_other_projects(self) -> None:
        self._elsewhere_loaded = True
        mine = {project.name for project in self.difference.projects}
        for row in bulk.names(self._tx):
            if row.project not in mine:
                known = TaskRef(row.project, row.epic, row.name, row.external_key, row.id)
                self._by_id[row.id] = known
                self._resolver.add(known)

    def _compare_conflicts(self, named: list[TaskChange]) -> None:
        """Find the conflict pairs to add and to remove.

        A pair stays if neither of its tasks lists conflicts in the plan, or if one task names the other.
        """
        if not named:
            return
        present = bulk.conflicts(self._tx)
        wanted = {
            task: [known for _, known in self._find_all(task, "conflicts_with", task.planned.conflicts_with)]
            for task in named
        }
        # Conflicts are symmetric, but a plan may list a pair at only one task. Unordered pairs cover both cases.
        pairs = {frozenset((task.reference, other)) for task, others in wanted.items() for other in others}
        made: set[frozenset[TaskRef]] = set()
        for task, others in wanted.items():
            mine = set() if task.row is None else set(present.get(task.row.id, []))
            for other in others:
                if other.task_id not in mine or not task.reference.task_id:
                    made.add(frozenset((task.reference, other)))
                    task.conflicts = True
            for other_id in mine:
                known = self._by_id.get(other_id)
                if known is None or frozenset((task.reference, known)) not in pairs:
                    task.conflicts = True
                    self.difference.old_conflicts.append((task.reference.task_id, other_id))
        self.difference.new_conflicts = [(one, other) for one, other in made]

    def _check_pruned(self) -> None:
        """Report pruned tasks that open tasks depend on."""
        pruned_ids = {row.id for row in self.difference.pruned_tasks}
        if not pruned_ids:
            return
        places = {
            project.id: project.planned.place for project in self.difference.projects if project.planned is not None
        }
        rows = {row.id: row for row in self.difference.pruned_tasks}
        # A planned `depends_on` replaces all links of its task, so its old links to pruned tasks do not count.
        settled = {
            task.row.id for task in self.difference.tasks if task.row is not None and task.depends_on is not None
        }
        closed = {row.id for rows in self._rows.values() for row in rows if Status(row.status) in CLOSED}
        for task_id, others in self._dependencies.items():
            lost = [other for other in others if other in pruned_ids]
            if not lost or task_id in pruned_ids or task_id in settled:
                continue
            self.difference.waiting_for_pruned.append(task_id)
            if task_id not in closed:
                row = rows[lost[0]]
                words = (
                    f"prune would delete task #{row.id} {self._by_id[row.id].path!r}, but task #{task_id} depends on it"
                )
                self.faults.append(
                    Diagnostic(
                        places[row.project_id],
                        "prune",
                        words,
                        "Remove that dependency first, or keep the task in the plan.",
                    )
                )

    def _find_cycles(self, plan: Plan) -> None:
        changing = [task for task in self.difference.tasks if task.depends_on]
        if not changing:
            return
        numbers: dict[TaskRef, int] = {}
        for task in self.difference.tasks:
            numbers[task.reference] = task.reference.task_id or -len(numbers) - 1
        # With other errors, stored links are ignored: the plan may replace them in a part that could not be read.
        edges: dict[int, list[int]] = {} if plan.faults or self.faults else dict(self._dependencies)
        for task in self.difference.tasks:
            if task.refs or task.depends_on is not None:
                edges[numbers[task.reference]] = [numbers.get(known, known.task_id) for _, known in task.refs]
        tasks = {numbers[task.reference]: task for task in changing}
        for cycle in islice(cycles(edges), _CYCLES):
            start = next((number for number in cycle if number in tasks), None)
            if start is not None:
                self._report_cycle(tasks[start], cycle, numbers)

    def _report_cycle(self, task: TaskChange, cycle: list[int], numbers: dict[TaskRef, int]) -> None:
        names = {
            number: repr(known.name) for number, known in [*self._by_id.items(), *((n, k) for k, n in numbers.items())]
        }
        path = format_cycle(cycle, lambda number: names.get(number, f"#{number}"))
        following = cycle[cycle.index(numbers[task.reference]) + 1]
        place = next(ref.place for ref, known in task.refs if numbers.get(known, known.task_id) == following)
        words = f"dependency cycle: {path}"
        self.faults.append(
            Diagnostic(place, f"{task.planned.path}.depends_on", words, "Remove one of the dependencies in the cycle.")
        )


class _Matcher:
    """A matcher of planned tasks to rows, by external_key, else by name within the epic."""

    def __init__(self, rows: dict[str, list[TaskRow]], epic_names: dict[int, str]) -> None:
        self._by_key: dict[tuple[str, str], TaskRow] = {}
        self._by_name: dict[tuple[str, str | None, str], list[TaskRow]] = {}
        for project, found in rows.items():
            for row in found:
                if row.external_key is not None:
                    self._by_key[project, row.external_key] = row
                epic = None if row.epic_id is None else epic_names.get(row.epic_id, "")
                self._by_name.setdefault((project, epic, row.name), []).append(row)

    def match(self, planned: list[PlannedTask]) -> dict[PlannedTask, TaskRow]:
        matched: dict[PlannedTask, TaskRow] = {}
        for task in planned:
            key = task.spec.external_key
            if key is not None and (task.project, key) in self._by_key:
                matched[task] = self._by_key[task.project, key]
        taken = {row.id for row in matched.values()}
        for task in planned:
            if task not in matched and (row := self._named(task, taken)) is not None:
                matched[task] = row
                taken.add(row.id)
        return matched

    def _named(self, task: PlannedTask, taken: set[int]) -> TaskRow | None:
        """Return the oldest unmatched row with that name, or None.

        A planned task with a key matches only rows without a key. One without a key prefers rows without a key.
        """
        free = [row for row in self._by_name.get((task.project, task.epic, task.name), []) if row.id not in taken]
        keyless = [row for row in free if row.external_key is None]
        if task.spec.external_key is not None or keyless:
            return keyless[0] if keyless else None
        return free[0] if free else None


def _project_changes(project: ProjectChange, row: ProjectRow) -> dict[str, Any]:
    if project.planned is None:
        return {}
    said = project.planned.said
    changed: dict[str, Any] = {}
    if "description" in said.model_fields_set and said.description != row.description:
        changed["description"] = said.description
    if "archived" in said.model_fields_set and said.archived != (row.archived_at is not None):
        changed["archived"] = said.archived
    return changed


def _epic_changes(planned: PlannedEpic, row: EpicRow) -> dict[str, Any]:
    said = planned.said
    names = [name for name in ("description", "status", "position") if name in said.model_fields_set]
    return {
        name: getattr(said, name)
        for name in names
        if getattr(said, name) is not None and getattr(said, name) != getattr(row, name)
    }


def _task_changes(task: TaskChange, row: TaskRow) -> dict[str, Any]:
    said = task.planned.spec
    changed: dict[str, Any] = {}
    if said.name != row.name:
        changed["name"] = said.name
    # A new epic still has id 0, like no epic, so it needs its own check.
    if (row.epic_id or 0) != (0 if task.epic is None else task.epic.id) or (task.epic is not None and not task.epic.id):
        changed["epic_id"] = task.epic
    for name in _FIELDS:
        if name in said.model_fields_set and getattr(said, name) != getattr(row, name):
            changed[name] = getattr(said, name)
    for name in _LISTS:
        if name in said.model_fields_set and getattr(said, name) != json.loads(getattr(row, name)):
            changed[name] = getattr(said, name)
    return changed
