"""Dependencies and conflicts of a plan: comparison with the database."""

from collections import Counter
from itertools import islice, pairwise

from project_manager.domain.cycles import cycles, format_cycle
from project_manager.domain.limits import LINKS
from project_manager.domain.statuses import CLOSED, Status
from project_manager.plans.changes import PlanDiff, TaskChange
from project_manager.plans.diagnostics import Diagnostic
from project_manager.plans.reader import ParsedReference
from project_manager.plans.references import References, TaskRef
from project_manager.plans.yaml_tree import Position
from project_manager.store import bulk, subtasks
from project_manager.store.transaction import Tx

_CYCLES = 10


class LinkComparison:
    """A comparison of the links of planned tasks with the database. It needs the comparison of all tasks."""

    def __init__(self, tx: Tx, difference: PlanDiff, references: References, diagnostics: list[Diagnostic]) -> None:
        self._tx = tx
        self._difference = difference
        self._references = references
        self._diagnostics = diagnostics

    def run(self, *, is_readable: bool) -> None:
        """Collect the links that differ, and report errors. `is_readable` is whether the whole plan could be read."""
        tasks = self._difference.tasks
        depending = [task for task in tasks if "depends_on" in task.planned.values]
        conflicting = [task for task in tasks if "conflicts_with" in task.planned.values]
        # Without links or pruning there is no need to read all dependencies of the database.
        has_links = depending or conflicting or any(task.changes_parent for task in tasks)
        if not has_links and not self._difference.pruned_tasks:
            return
        self._dependencies = bulk.dependencies(self._tx)
        self._compare_dependencies(depending)
        self._compare_conflicts(conflicting)
        self._check_pruned()
        self._find_cycles(is_readable=is_readable)

    def _compare_dependencies(self, named: list[TaskChange]) -> None:
        for task in self._tx.keeping_alive(named):
            task.refs = self._find_all(task, "depends_on", task.planned.depends_on)
            wanted = list(dict.fromkeys(known for _, known in task.refs))
            present = [] if task.row is None else self._dependencies.get(task.row.id, [])
            same = sorted(known.task_id for known in wanted) == present
            task.depends_on = None if same and all(known.task_id for known in wanted) else wanted
            task.old_depends_on = present

    def _find_all(
        self, task: TaskChange, key: str, refs: tuple[ParsedReference, ...]
    ) -> list[tuple[ParsedReference, TaskRef]]:
        found = []
        for ref in refs:
            known = self._references.find(ref, task.known.project, f"{task.planned.path}.{key}")
            if known is task.known and key == "conflicts_with":
                message = f"{task.known.name!r} cannot conflict with itself"
                self._diagnostics.append(Diagnostic(ref.position, f"{task.planned.path}.{key}", message))
            elif known is not None:
                found.append((ref, known))
        return found

    def _compare_conflicts(self, named: list[TaskChange]) -> None:
        """Find the pairs to add and to remove. A pair stays if one task names the other, or neither lists conflicts."""
        if not named:
            return
        present = bulk.conflicts(self._tx)
        found = {
            task: self._find_all(task, "conflicts_with", task.planned.conflicts_with)
            for task in self._tx.keeping_alive(named)
        }
        wanted = {task: [known for _, known in refs] for task, refs in found.items()}
        # Conflicts are symmetric, but a plan may list a pair at only one task. Unordered pairs cover both cases.
        pairs = {frozenset((task.known, other)) for task, others in wanted.items() for other in others}
        made: set[frozenset[TaskRef]] = set()
        for task, others in self._tx.keeping_alive(wanted.items()):
            mine = set() if task.row is None else set(present.get(task.row.id, []))
            for other in others:
                if other.task_id not in mine or not task.known.task_id:
                    made.add(frozenset((task.known, other)))
                    task.conflicts = True
            for other_id in mine:
                known = self._references.by_id.get(other_id)
                if known is None or frozenset((task.known, known)) not in pairs:
                    task.conflicts = True
                    self._difference.old_conflicts.append((task.known.task_id, other_id))
        self._difference.new_conflicts = [(one, other) for one, other in made]
        self._check_number_of_conflicts(found, present)

    def _check_number_of_conflicts(
        self, found: dict[TaskChange, list[tuple[ParsedReference, TaskRef]]], present: dict[int, list[int]]
    ) -> None:
        """Report tasks with more than LINKS conflicts, at the last reference that makes a conflict of each."""
        added = Counter(known for pair in self._difference.new_conflicts for known in pair)
        gone = {frozenset(pair) for pair in self._difference.old_conflicts}  # both tasks may list a pair
        removed = Counter(task_id for pair in gone for task_id in pair)
        full = {
            known
            for known, number in added.items()
            if number + len(present.get(known.task_id, ())) - removed[known.task_id] > LINKS
        }
        if not full:
            return
        last = {
            known: (ref, task) for task, refs in found.items() for ref, other in refs for known in (task.known, other)
        }
        for known, (ref, task) in last.items():
            if known not in full:
                continue
            message = f"{known.name!r} would conflict with more than {LINKS} tasks"
            hint = "A conflict counts for both tasks. Remove conflicts of that task, or use dependencies."
            self._diagnostics.append(Diagnostic(ref.position, f"{task.planned.path}.conflicts_with", message, hint))

    def _check_pruned(self) -> None:
        """Report pruned tasks that open tasks depend on."""
        rows = {row.id: row for row in self._difference.pruned_tasks}
        if not rows:
            return
        planned = {project.id: project.planned for project in self._difference.projects if project.planned is not None}
        # A planned `depends_on` replaces all links of its task, so its old links to pruned tasks do not count.
        settled = {
            task.row.id for task in self._difference.tasks if task.row is not None and task.depends_on is not None
        }
        closed = {
            row.id for project in self._difference.projects for row in project.rows if Status(row.status) in CLOSED
        }
        for task_id, others in self._tx.keeping_alive(self._dependencies.items()):
            lost = [other for other in others if other in rows]
            if not lost or task_id in rows or task_id in settled:
                continue
            self._difference.waiting_for_pruned.append(task_id)
            if task_id not in closed:
                row = rows[lost[0]]
                path = self._references.by_id[row.id].path
                message = f"prune would delete task #{row.id} {path!r}, but task #{task_id} depends on it"
                hint = "Remove that dependency first, or keep the task in the plan."
                self._diagnostics.append(Diagnostic(planned[row.project_id].position, "prune", message, hint))

    def _find_cycles(self, *, is_readable: bool) -> None:
        """Report cycles. A task waits for its dependencies and its subtasks."""
        changing = [task for task in self._difference.tasks if task.depends_on or task.parent is not None]
        if not changing:
            return
        numbers: dict[TaskRef, int] = {}
        for task in self._tx.keeping_alive(self._difference.tasks):
            numbers[task.known] = task.known.task_id or -len(numbers) - 1
        # With other errors, stored links are ignored: the plan may replace them in a part that could not be read.
        is_complete = is_readable and not self._diagnostics
        edges: dict[int, list[int]] = dict(self._dependencies) if is_complete else {}
        parents = subtasks.parents(self._tx) if is_complete else {}
        for task in self._tx.keeping_alive(self._difference.tasks):
            number = numbers[task.known]
            if task.refs or task.depends_on is not None:
                edges[number] = [numbers.get(known, known.task_id) for _, known in task.refs]
            if task.changes_parent:
                parents.pop(number, None)
            if task.changes_parent and task.parent is not None:
                parents[number] = numbers.get(task.parent, task.parent.task_id)
        for child, parent in self._tx.keeping_alive(parents.items()):
            edges[parent] = [*edges.get(parent, ()), child]
        found = [*islice(cycles(edges, self._tx.keep_alive), _CYCLES)]
        places = _places(changing, numbers) if found else {}
        for cycle in found:
            place = next((places[edge] for edge in pairwise(cycle) if edge in places), None)
            if place is not None:
                self._report_cycle(place, cycle, numbers)

    def _report_cycle(self, place: tuple[Position, str], cycle: list[int], numbers: dict[TaskRef, int]) -> None:
        names = {
            number: repr(known.name)
            for number, known in [*self._references.by_id.items(), *((n, k) for k, n in numbers.items())]
        }
        path = format_cycle(cycle, lambda number: names.get(number, f"#{number}"))
        message = f"dependency cycle: {path}"
        hint = "Remove one of the dependencies in the cycle."
        self._diagnostics.append(Diagnostic(*place, message, hint))


def _places(changing: list[TaskChange], numbers: dict[TaskRef, int]) -> dict[tuple[int, int], tuple[Position, str]]:
    """Return the position and the path of each planned link, by the task that waits and the one that it waits for."""
    found: dict[tuple[int, int], tuple[Position, str]] = {}
    for task in changing:
        number = numbers[task.known]
        if task.depends_on:
            for ref, known in task.refs:
                found.setdefault(
                    (number, numbers.get(known, known.task_id)), (ref.position, f"{task.planned.path}.depends_on")
                )
        if task.parent is not None and task.planned.parent is not None:
            edge = (numbers.get(task.parent, task.parent.task_id), number)
            found.setdefault(edge, (task.planned.parent.position, f"{task.planned.path}.parent"))
    return found
