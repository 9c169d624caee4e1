"""References to tasks in a plan: external key, name, or epic and name; for other projects, the project comes first."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from project_manager.plans.diagnostics import Diagnostic
from project_manager.plans.reader import ParsedReference
from project_manager.store import bulk
from project_manager.store.transaction import Tx

_SLASH = re.compile(r"\s*/\s*")
_RANKS = (0, 1, 2)


@dataclass(slots=True, eq=False)
class TaskRef:
    """A task that can be referenced. `task_id` is 0 until the task is inserted."""

    project: str
    epic: str | None
    name: str
    key: str | None
    task_id: int = 0

    @property
    def path(self) -> str:
        return " / ".join(part for part in (self.project, self.epic, self.name) if part is not None)


class Resolver:
    """A resolver of references. Key, name, `Epic/Name` and `Project/..` take precedence in this order.

    Each form of reference has an index, which is built at its first use: most plans use one or two of the six.
    """

    def __init__(self, iterate: Callable[[list[TaskRef]], Iterable[TaskRef]] = iter) -> None:
        """`iterate` returns an iterator over the tasks of an index. It can keep the transaction open meanwhile."""
        self._iterate = iterate
        self._known: list[TaskRef] = []
        self._indexes: dict[tuple[int, bool], _Index] = {}

    def add(self, known: TaskRef) -> None:
        """Register the task under every form of reference to it."""
        self._known.append(known)
        self._indexes.clear()

    def find(self, text: str, project: str) -> list[TaskRef]:
        """Return all tasks that match the reference from `project`. A valid reference matches exactly one."""
        form = _folded(text)
        for rank in _RANKS:
            if found := self._index(rank, with_project=False).get((project, form)):
                return found if isinstance(found, list) else [found]
        for rank in _RANKS:
            if found := self._index(rank, with_project=True).get(form):
                return found if isinstance(found, list) else [found]
        return []

    def _index(self, rank: int, *, with_project: bool) -> "_Index":
        index = self._indexes.get((rank, with_project))
        if index is None:
            index = self._indexes[rank, with_project] = {}
            for known in self._iterate(self._known):
                form = _spelling(known, rank)
                if form is not None:
                    _enter(index, f"{_folded(known.project)}/{form}" if with_project else (known.project, form), known)
        return index

    def reference(self, known: TaskRef, project: str) -> str | None:
        """Return the shortest reference that matches only this task from `project`, or None."""
        forms = [*_spellings(known)] if known.project == project else []
        forms += [f"{known.project}/{form}" for form in _spellings(known)]
        return next((form for form in forms if self.find(form, project) == [known]), None)


class References:
    """The references of a plan, with an error for each that does not name exactly one task.

    The tasks of projects other than `projects` are read when needed. `unresolved_references` holds each error about an
    unknown task, with its reference.
    """

    def __init__(self, tx: Tx, projects: set[str], diagnostics: list[Diagnostic]) -> None:
        self.by_id: dict[int, TaskRef] = {}
        self.unresolved_references: list[tuple[Diagnostic, str]] = []
        self._tx = tx
        self._projects = projects
        self._diagnostics = diagnostics
        self._new: list[TaskRef] = []
        self._resolver = Resolver(tx.keeping_alive)
        self._has_read_others = False

    def add(self, known: TaskRef, *, is_pruned: bool = False) -> None:
        """Register a task. References do not find a task that the import deletes."""
        if known.task_id:
            self.by_id[known.task_id] = known
        else:
            self._new.append(known)
        if not is_pruned:
            self._resolver.add(known)

    def find(self, ref: ParsedReference, project: str, path: str) -> TaskRef | None:
        """Return the referenced task as seen from `project`, or None after recording an error at `path`."""
        found = self._resolver.find(ref.text, project)
        if not found and not self._has_read_others:
            self._read_others()
            found = self._resolver.find(ref.text, project)
        if len(found) == 1:
            return found[0]
        self._diagnostics.append(self._resolution_error(ref, path, found))
        return None

    def names(self) -> Iterator[str]:
        """Yield the names of all known tasks, as candidates for suggestions."""
        return (known.name for known in chain(self.by_id.values(), self._new))

    def _read_others(self) -> None:
        self._has_read_others = True
        for row in self._tx.keeping_alive(bulk.names(self._tx)):
            if row.project not in self._projects:
                self.add(TaskRef(row.project, row.epic, row.name, row.external_key, row.id))

    def _resolution_error(self, ref: ParsedReference, path: str, found: list[TaskRef]) -> Diagnostic:
        if found:
            meant = ", ".join(
                repr(known.path) + (f" (external_key {known.key})" if known.key else "") for known in found[:5]
            )
            hint = "Use `Epic / Task`, `Project / Epic / Task`, or the external_key of the task."
            return Diagnostic(ref.position, path, f"{ref.text!r} is ambiguous; {len(found)} tasks match: {meant}", hint)
        key = path.rpartition(".")[2]
        message = f"`{key}`: task {ref.text!r} not found in the plan or the database"
        diagnostic = Diagnostic(ref.position, path, message, "Use `Project / Task` for tasks of another project.")
        self.unresolved_references.append((diagnostic, ref.text))
        return diagnostic


_Index = dict[str | tuple[str, str], TaskRef | list[TaskRef]]
"""Tasks by reference. A list only where several tasks have the same one, because a list for each takes more memory."""


def _enter(index: _Index, form: str | tuple[str, str], known: TaskRef) -> None:
    present = index.setdefault(form, known)
    if isinstance(present, list):
        present.append(known)
    elif present is not known:
        index[form] = [present, known]


def _spellings(known: TaskRef) -> Iterator[str]:
    return (form for rank in _RANKS if (form := _spelling(known, rank)) is not None)


def _spelling(known: TaskRef, rank: int) -> str | None:
    """Return the folded form of a reference: the key for rank 0, the name for 1, `Epic/Name` for 2, if there is one."""
    if rank == 0:
        return None if known.key is None else _folded(known.key)
    if rank == 1:
        return _folded(known.name)
    return None if known.epic is None else f"{_folded(known.epic)}/{_folded(known.name)}"


def _folded(text: str) -> str:
    return _SLASH.sub("/", text.strip())
