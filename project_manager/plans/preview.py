"""The changes of an import as its response lists them, and the digest by which a client confirms a dry run."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

from project_manager.clock import rfc3339
from project_manager.domain.task_fields import INSTANTS, TASK_FIELDS
from project_manager.plans.changes import EpicChange, PlanDiff, ProjectChange, TaskChange
from project_manager.plans.diff_knowledge import KnowledgeChange
from project_manager.plans.references import TaskRef
from project_manager.schemas.plans import ChangeView, ValueView
from project_manager.store import epics
from project_manager.store.transaction import Tx

VALUES_OF = 500
"""Number of changed resources that the response shows with old and new values. The others have the names of fields."""
_CHARACTERS = 160

_FIELDS = {field.name: field for field in TASK_FIELDS}


class Preview:
    """The changes of an import in order: by kind, then as in the plan. Deletions come last.

    `digest` covers the document, and all changes with their complete old and new values, so it differs if the import
    would write anything else. `document` is the digest of the document. `known` are the tasks that the plan can refer
    to, by id.
    """

    def __init__(
        self, tx: Tx, document: str, difference: PlanDiff, knowledge: list[KnowledgeChange], known: dict[int, TaskRef]
    ) -> None:
        self._tx = tx
        self._known = known
        self._epic_names: dict[int, str] = {}
        self._with_values = 0
        self._hash = hashlib.sha256(document.encode())
        self.changes = [*tx.keeping_alive(self._all(difference, knowledge))]
        self.digest = self._hash.hexdigest()

    def _all(self, difference: PlanDiff, knowledge: list[KnowledgeChange]) -> Iterator[ChangeView]:
        self._epic_names = {row.id: row.name for row in epics.list_all(self._tx)}
        for project in difference.projects:
            values = _of_row(project.row, project.changed)
            yield self._change("project", (project.name, None, None), project, [*project.changed], values)
        for epic in difference.epics:
            values = _of_row(epic.row, epic.changed)
            yield self._change("epic", (epic.project.name, epic.name, None), epic, [*epic.changed], values)
        for task in difference.tasks:
            place = (task.known.project, task.known.epic, task.known.name)
            yield self._change("task", place, task, task.fields, self._of_task(task))
        for item in knowledge:
            of = item.planned.epic
            place = (item.project.name, None if of is None else of.text, item.planned.spec.title)
            yield self._change("knowledge", place, item, item.fields, _of_row(item.row, item.changed))
        projects = {project.id: project.name for project in difference.projects}
        for row in difference.pruned_tasks:
            yield self._deleted("task", projects[row.project_id], None, row.name, row.id)
        for gone in difference.pruned_epics:
            yield self._deleted("epic", projects[gone.project_id], gone.name, gone.name, gone.id)

    def _change(
        self,
        kind: Any,
        place: tuple[str, str | None, str | None],
        item: ProjectChange | EpicChange | TaskChange | KnowledgeChange,
        fields: list[str],
        values: Iterable[tuple[str, str, str]],
    ) -> ChangeView:
        is_new = item.row is None
        change: Any = "created" if is_new else "changed" if fields else "unchanged"
        shown: list[ValueView] = []
        if change == "changed":
            complete = [*values]
            self._with_values += 1
            if self._with_values <= VALUES_OF:
                shown = [ValueView(field, _shortened(old), _shortened(new)) for field, old, new in complete]
            self._add([change, kind, *place, fields, complete])
        else:
            self._add([change, kind, *place])
        path = " / ".join(part for part in place if part is not None)
        return ChangeView(change, kind, path, [] if is_new else fields, place[0], place[1], shown)

    def _deleted(self, kind: Any, project: str, epic: str | None, name: str, row_id: int) -> ChangeView:
        self._add(["deleted", kind, row_id])
        return ChangeView("deleted", kind, f"{project} / {name}", [], project, epic, [])

    def _add(self, part: list[Any]) -> None:
        self._hash.update(json.dumps(part).encode())

    def _of_task(self, task: TaskChange) -> Iterator[tuple[str, str, str]]:
        """Yield the changed fields that have short values, each with its old and new value. Conflicts have none."""
        row = task.row
        if row is None:
            return
        for name, new in task.changed.items():
            if name == "epic_id":
                yield "epic", self._epic_names.get(row.epic_id or 0, ""), "" if new is None else new.name
            else:
                field = _FIELDS[name]
                old = field.from_column(getattr(row, name))
                is_instant = field.kind in INSTANTS
                yield name, _text(old, is_instant=is_instant), _text(new, is_instant=is_instant)
        if task.changes_parent:
            yield "parent", _name(task.old_parent), _name(task.parent)
        if task.depends_on is not None:
            yield "depends_on", self._names(task.old_depends_on), ", ".join(known.name for known in task.depends_on)
        if task.status is not None:
            yield "status", row.status, task.status.value

    def _names(self, ids: list[int]) -> str:
        return ", ".join(self._known[task_id].name if task_id in self._known else f"#{task_id}" for task_id in ids)


def _name(known: TaskRef | None) -> str:
    return "" if known is None else known.name


def _of_row(row: Any, changed: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield each changed field of a project, an epic or knowledge with its old and new value."""
    for name, new in changed.items():
        old = row.archived_at is not None if name == "archived" else getattr(row, name)
        yield name, _text(old), _text(new)


def _text(value: Any, *, is_instant: bool = False) -> str:
    """Return a value as a plan would show it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if is_instant:
        return rfc3339(value)
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _shortened(text: str) -> str:
    return text if len(text) <= _CHARACTERS else f"{text[:_CHARACTERS]}…"
