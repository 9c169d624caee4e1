"""Changes that the import of a plan makes, before anything is written."""

from dataclasses import dataclass, field
from typing import Any

from project_manager.domain.statuses import Status
from project_manager.plans.reader import ParsedReference, PlannedEpic, PlannedProject, PlannedTask
from project_manager.plans.references import TaskRef
from project_manager.store.epics import EpicRow
from project_manager.store.projects import ProjectRow
from project_manager.store.tasks import TaskRow


@dataclass(slots=True, eq=False)
class ProjectChange:
    """A project of the plan, with its new values and its tasks in the database. `row` is None for a new project."""

    name: str
    planned: PlannedProject | None
    row: ProjectRow | None
    changed: dict[str, Any] = field(default_factory=dict)
    rows: list[TaskRow] = field(default_factory=list)
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
    """A task of the plan. `depends_on` and `status` are None if unchanged. `refs` are the dependencies as written.

    `old_depends_on` are the ids of the present ones, if the plan lists dependencies. `parent` and `old_parent` are set
    if `changes_parent`. `level` is 1 for a task without a parent.
    """

    planned: PlannedTask
    known: TaskRef
    project: ProjectChange
    epic: EpicChange | None
    row: TaskRow | None
    changed: dict[str, Any] = field(default_factory=dict)
    depends_on: list[TaskRef] | None = None
    old_depends_on: list[int] = field(default_factory=list)
    refs: list[tuple[ParsedReference, TaskRef]] = field(default_factory=list)
    conflicts: bool = False
    parent: TaskRef | None = None
    old_parent: TaskRef | None = None
    changes_parent: bool = False
    level: int = 1
    status: Status | None = None

    @property
    def fields(self) -> list[str]:
        """Return the names of the changed fields, as a plan spells them."""
        names = ["epic" if name == "epic_id" else name for name in self.changed]
        names += ["parent"] if self.changes_parent else []
        names += ["depends_on"] if self.depends_on is not None else []
        names += ["conflicts_with"] if self.conflicts else []
        return names + (["status"] if self.status is not None else [])

    @property
    def changes_status_only(self) -> bool:
        """Return whether only the status changes. The transition then writes the row and emits its own event."""
        return self.fields == ["status"]


@dataclass(slots=True)
class PlanDiff:
    """The complete difference. Conflicts are pairs of tasks. Pruned rows exist in the database but not in the plan."""

    projects: list[ProjectChange] = field(default_factory=list)
    epics: list[EpicChange] = field(default_factory=list)
    tasks: list[TaskChange] = field(default_factory=list)
    new_conflicts: list[tuple[TaskRef, TaskRef]] = field(default_factory=list)
    old_conflicts: list[tuple[int, int]] = field(default_factory=list)
    pruned_tasks: list[TaskRow] = field(default_factory=list)
    pruned_epics: list[EpicRow] = field(default_factory=list)
    waiting_for_pruned: list[int] = field(default_factory=list)
