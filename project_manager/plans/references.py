"""References to tasks in a plan.

Within its project a task is referenced by external key, by name, or by epic and name. References from other projects
add the project.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

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
    """A resolver of references. Key, name, `Epic/Name` and `Project/..` take precedence in this order."""

    def __init__(self) -> None:
        self._near: dict[tuple[str, int, str], list[TaskRef]] = {}
        self._far: dict[tuple[int, str], list[TaskRef]] = {}

    def add(self, known: TaskRef) -> None:
        """Register the task under every form of reference to it."""
        for rank, form in _spellings(known):
            self._near.setdefault((known.project, rank, form), []).append(known)
            self._far.setdefault((rank, f"{_folded(known.project)}/{form}"), []).append(known)

    def find(self, text: str, project: str) -> list[TaskRef]:
        """Return all tasks that match the reference from `project`. A valid reference matches exactly one."""
        form = _folded(text)
        for rank in _RANKS:
            if found := self._near.get((project, rank, form)):
                return found
        for rank in _RANKS:
            if found := self._far.get((rank, form)):
                return found
        return []

    def reference(self, known: TaskRef, project: str) -> str | None:
        """Return the shortest reference that matches only this task from `project`, or None."""
        forms = [form for _, form in _spellings(known)] if known.project == project else []
        forms += [f"{known.project}/{form}" for _, form in _spellings(known)]
        return next((form for form in forms if self.find(form, project) == [known]), None)


def _spellings(known: TaskRef) -> Iterator[tuple[int, str]]:
    if known.key is not None:
        yield 0, _folded(known.key)
    yield 1, _folded(known.name)
    if known.epic is not None:
        yield 2, f"{_folded(known.epic)}/{_folded(known.name)}"


def _folded(text: str) -> str:
    return _SLASH.sub("/", text.strip())
