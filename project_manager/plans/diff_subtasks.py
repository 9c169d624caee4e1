"""Parents of tasks in a plan: comparison with the database."""

from collections import Counter
from collections.abc import Iterable

from project_manager.domain.limits import SUBTASK_LEVELS, SUBTASKS
from project_manager.domain.statuses import CLOSED, Status
from project_manager.plans.changes import PlanDiff, TaskChange
from project_manager.plans.diagnostics import Diagnostic
from project_manager.plans.references import References, TaskRef
from project_manager.plans.yaml_tree import Position
from project_manager.store.transaction import Tx


class SubtaskComparison:
    """A comparison of the parents of planned tasks with the database. It needs the comparison of all tasks."""

    def __init__(self, tx: Tx, difference: PlanDiff, references: References, diagnostics: list[Diagnostic]) -> None:
        self._tx = tx
        self._difference = difference
        self._references = references
        self._diagnostics = diagnostics
        self._planned = {task.known: task for task in tx.keeping_alive(difference.tasks)}
        self._parents: dict[TaskRef, TaskRef] = {}

    def run(self) -> None:
        """Collect the parents that differ, set the level of each task, and report errors."""
        self._read_stored()
        for task in self._tx.keeping_alive(self._difference.tasks):
            if "parent" in task.planned.values:
                self._compare(task)
        if not self._parents:
            return
        self._check_pruned()
        self._check_statuses()
        self._check_numbers()
        self._check_levels()

    def _read_stored(self) -> None:
        by_id = self._references.by_id
        for project in self._difference.projects:
            for row in self._tx.keeping_alive(project.rows):
                if row.parent_id is not None and row.id in by_id and row.parent_id in by_id:
                    self._parents[by_id[row.id]] = by_id[row.parent_id]

    def _compare(self, task: TaskChange) -> None:
        ref, parent = task.planned.parent, None
        if ref is not None:
            parent = self._references.find(ref, task.known.project, f"{task.planned.path}.parent")
            if parent is None:
                return
            if parent.project != task.known.project:
                message = f"the parent {parent.path!r} is in another project"
                self._report(task, message, "A parent must be in the project of its subtasks.")
                return
        present = self._parents.pop(task.known, None)
        if parent is not None:
            self._parents[task.known] = parent
        task.changes_parent = parent is not present
        task.parent, task.old_parent = parent, present

    def _check_pruned(self) -> None:
        """Report pruned tasks with subtasks that stay."""
        pruned = {row.id for row in self._difference.pruned_tasks}
        planned = {project.name: project.planned for project in self._difference.projects}
        for child, parent in self._tx.keeping_alive(self._parents.items()) if pruned else ():
            project = planned.get(parent.project)
            if parent.task_id in pruned and child.task_id not in pruned and project is not None:
                message = (
                    f"prune would delete task #{parent.task_id} {parent.path!r}, but {child.path!r} is its subtask"
                )
                hint = "Keep the task in the plan, or give the subtask another parent."
                self._diagnostics.append(Diagnostic(project.position, "prune", message, hint))

    def _check_statuses(self) -> None:
        """Report DONE tasks with subtasks that are open after the import."""
        rows = {row.id: row.status for project in self._difference.projects for row in project.rows}
        for child, parent in self._tx.keeping_alive(self._parents.items()):
            if self._status(parent, rows) is not Status.DONE or self._status(child, rows) in CLOSED:
                continue
            task = self._planned.get(child) or self._planned.get(parent)
            if task is not None:
                message = f"{parent.name!r} would be DONE, but its subtask {child.name!r} would be open"
                self._report(task, message, "Set the subtask to DONE or CANCELLED, or leave the parent open.", "status")

    def _status(self, known: TaskRef, rows: dict[int, str]) -> Status:
        task = self._planned.get(known)
        if task is None or task.row is not None:
            return (task and task.status) or Status(rows[known.task_id])
        status: Status = task.planned.with_defaults()["status"]
        return status

    def _check_numbers(self) -> None:
        full = {parent for parent, number in Counter(self._parents.values()).items() if number > SUBTASKS}
        for parent in full:
            task = next((task for task in self._changed() if task.parent is parent), None)
            if task is not None:
                self._report(task, f"{parent.name!r} would have more than {SUBTASKS} subtasks", "Use an epic for them.")

    def _check_levels(self) -> None:
        """Set the level of each planned task, and report changed parents of tasks below the limit of levels."""
        for known in self._tx.keeping_alive(self._parents):
            path = [known]
            while len(path) <= SUBTASK_LEVELS and path[-1] in self._parents:
                path.append(self._parents[path[-1]])
            if known in self._planned:
                self._planned[known].level = len(path)
            if len(path) <= SUBTASK_LEVELS or len({*path}) < len(path):  # LinkComparison reports cycles
                continue
            task = next((self._planned[one] for one in path if one in self._planned), None)
            changed = next((self._planned[one] for one in path if self._changes(one)), task)
            if changed is not None:
                message = f"{known.name!r} would have more than {SUBTASK_LEVELS} levels with its parents"
                self._report(changed, message, "Choose a parent with fewer parents of its own.")

    def _changes(self, known: TaskRef) -> bool:
        return known in self._planned and self._planned[known].changes_parent

    def _changed(self) -> Iterable[TaskChange]:
        return (task for task in self._difference.tasks if task.changes_parent)

    def _report(self, task: TaskChange, message: str, hint: str, key: str = "parent") -> None:
        ref = task.planned.parent
        position: Position = task.planned.position if ref is None else ref.position
        self._diagnostics.append(Diagnostic(position, f"{task.planned.path}.{key}", message, hint))
