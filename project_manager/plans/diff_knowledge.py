"""Knowledge and assumptions of a plan: comparison with the database, and writing."""

import json
from dataclasses import dataclass, field
from typing import Any

from project_manager.domain.assumptions import parse_tag
from project_manager.domain.events.knowledge import KnowledgeCreated, KnowledgeUpdated
from project_manager.plans.changes import EpicChange, ProjectChange
from project_manager.plans.diagnostics import Diagnostic
from project_manager.plans.diff import Comparison
from project_manager.plans.knowledge_reader import PlanAssumption
from project_manager.plans.reader import ParsedReference, Plan, PlannedKnowledge
from project_manager.plans.references import TaskRef
from project_manager.services import knowledge as knowledge_service
from project_manager.store import bulk, bulk_knowledge, epics, knowledge, seals
from project_manager.store.knowledge import KnowledgeRow
from project_manager.store.transaction import Tx

_SCALAR_FIELDS = ("content", "category", "priority")
_JSON_FIELDS = ("tags", "metadata")


@dataclass(slots=True, eq=False)
class KnowledgeChange:
    """A knowledge item of the plan. `row` is None for a new item. `changed` holds the new values, without links."""

    planned: PlannedKnowledge
    project: ProjectChange
    epic: EpicChange | int | None
    row: KnowledgeRow | None
    changed: dict[str, Any] = field(default_factory=dict)
    task: TaskRef | None = None
    parent: "KnowledgeChange | KnowledgeRow | None" = None
    id: int = 0

    @property
    def path(self) -> str:
        epic = None if self.planned.epic is None else self.planned.epic.text
        return " / ".join(part for part in (self.project.name, epic, self.planned.spec.title) if part)

    @property
    def fields(self) -> list[str]:
        """Return the names of the changed fields, as a plan spells them."""
        spec, row = self.planned.spec.model_fields_set, self.row
        if row is None:
            return []
        names = list(self.changed)
        # A link target without an id is new, so -1 makes it differ from every stored id.
        if "task" in spec and (0 if self.task is None else self.task.task_id or -1) != (row.task_id or 0):
            names.append("task")
        if "parent" in spec and (0 if self.parent is None else self.parent.id or -1) != (row.parent_id or 0):
            names.append("parent")
        return names


class KnowledgeComparison:
    """A comparison of a plan's knowledge with the database. It needs the comparison of projects, epics and tasks.

    An item matches by title within its epic, or among the items without an epic. Equal titles match in order.
    """

    def __init__(self, tx: Tx, plan: Plan, comparison: Comparison) -> None:
        self.changes: list[KnowledgeChange] = []
        self.diagnostics: list[Diagnostic] = []
        self._tx = tx
        self._comparison = comparison
        self._rows: dict[int, list[KnowledgeRow]] = {}
        if not plan.knowledge:
            return
        difference = comparison.difference
        parents = {project.name: project for project in difference.projects}
        gone = {row.id for row in difference.pruned_epics}
        self._epic_ids = {(row.project_id, row.name): row.id for row in epics.list_all(tx) if row.id not in gone}
        self._epics = {(epic.project.name, epic.name): epic for epic in difference.epics}
        for project_id in {parents[item.project].id for item in plan.knowledge} - {0}:
            self._rows[project_id] = bulk_knowledge.of_project(tx, project_id)
        self._match(plan, parents)
        for change in tx.keeping_alive(self.changes):
            self._link(change)
        self._find_cycles()

    def _match(self, plan: Plan, parents: dict[str, ProjectChange]) -> None:
        free: dict[tuple[int, int | None, str], list[KnowledgeRow]] = {}
        for rows in self._rows.values():
            for row in rows:
                free.setdefault((row.project_id, row.epic_id, row.title), []).append(row)
        for planned in self._tx.keeping_alive(plan.knowledge):
            project = parents[planned.project]
            epic = self._epic(planned, project)
            epic_id = epic.id if isinstance(epic, EpicChange) else epic
            same = free.get((project.id, epic_id, planned.spec.title), []) if epic_id != 0 else []
            change = KnowledgeChange(planned, project, epic, same.pop(0) if same else None)
            if change.row is not None:
                change.id = change.row.id
                change.changed = _changes(planned, change.row)
            self.changes.append(change)

    def _epic(self, planned: PlannedKnowledge, project: ProjectChange) -> EpicChange | int | None:
        if planned.epic is None:
            return None
        epic = self._epics.get((project.name, planned.epic.text)) or self._epic_ids.get((project.id, planned.epic.text))
        if epic is None:
            message = f"`epic`: {planned.epic.text!r} not found in project {project.name!r}"
            self.diagnostics.append(Diagnostic(planned.epic.position, f"{planned.path}.epic", message))
        return epic

    def _link(self, change: KnowledgeChange) -> None:
        planned = change.planned
        if planned.task is not None:
            path = f"{planned.path}.task"
            change.task = self._comparison.references.find(planned.task, change.project.name, path)
            if change.task is not None and change.task.project != change.project.name:
                message = f"`task`: {change.task.path!r} belongs to another project"
                self.diagnostics.append(Diagnostic(planned.task.position, path, message))
        if planned.parent is not None:
            change.parent = self._resolve_parent(change, planned.parent)

    def _resolve_parent(self, change: KnowledgeChange, ref: ParsedReference) -> KnowledgeChange | KnowledgeRow | None:
        # Titles need not be unique, so `#N` refers to an item by its number in the project's list.
        mine = [other for other in self.changes if other.project is change.project]
        number = ref.text[1:]
        found: list[KnowledgeChange | KnowledgeRow]
        if ref.text.startswith("#") and number.isdecimal():
            found = [mine[int(number) - 1]] if 0 < int(number) <= len(mine) else []
        else:
            found = [other for other in mine if other.planned.spec.title == ref.text]
            taken = {other.id for other in mine}
            rows = self._rows.get(change.project.id, ())
            found = found or [row for row in rows if row.title == ref.text and row.id not in taken]
        if len(found) == 1:
            return found[0]
        problem = f"is ambiguous; {len(found)} items match" if found else "not found"
        hint = "Use the title of another item of the project, or `#` and its position in this list."
        message = f"`parent`: {ref.text!r} {problem}"
        self.diagnostics.append(Diagnostic(ref.position, f"{change.planned.path}.parent", message, hint))
        return None

    def _find_cycles(self) -> None:
        """Report the first item that would be its own ancestor. Items without `parent` keep their stored parent."""
        by_id = {change.id: change for change in self.changes if change.id}
        rows = {row.id: row for found in self._rows.values() for row in found}

        def parent_of(item: KnowledgeChange | KnowledgeRow) -> KnowledgeChange | KnowledgeRow | None:
            if isinstance(item, KnowledgeChange):
                if "parent" in item.planned.spec.model_fields_set or item.row is None:
                    return item.parent
                item = item.row
            return None if item.parent_id is None else by_id.get(item.parent_id) or rows[item.parent_id]

        for change in self._tx.keeping_alive(self.changes):
            seen, item = {id(change)}, parent_of(change)
            while item is not None and id(item) not in seen:
                seen.add(id(item))
                item = parent_of(item)
            # The database has no cycles, so every cycle has a link in the plan. The error points to that link.
            if item is change and change.planned.parent is not None:
                message = f"{change.planned.spec.title!r} would become its own ancestor"
                path = f"{change.planned.path}.parent"
                self.diagnostics.append(Diagnostic(change.planned.parent.position, path, message))
                return


def _changes(planned: PlannedKnowledge, row: KnowledgeRow) -> dict[str, Any]:
    spec = planned.spec
    changed = {
        name: getattr(spec, name)
        for name in _SCALAR_FIELDS
        if name in spec.model_fields_set and getattr(spec, name) != getattr(row, name)
    }
    if "active" in spec.model_fields_set and spec.active != bool(row.active):
        changed["active"] = int(spec.active)
    for name in _JSON_FIELDS:
        if name in spec.model_fields_set and getattr(spec, name) != json.loads(getattr(row, name)):
            changed[name] = knowledge_service.to_json(getattr(spec, name))
    return changed


def write(tx: Tx, changes: list[KnowledgeChange]) -> None:
    """Write the items, new ones first. Requires that projects, epics and tasks are written."""
    new = [change for change in changes if change.row is None]
    changed = [(change, change.fields) for change in changes if change.row is not None and change.fields]
    for change in new:
        change.id = bulk_knowledge.add_item(tx, _new_values(tx, change))
    # A parent can be a new item further down, so parents are set in a second pass.
    for change in new:
        if change.parent is not None:
            bulk_knowledge.set_parent(tx, change.id, change.parent.id)
    for change in new:
        row = knowledge.get(tx, change.id)
        if row is None:
            raise RuntimeError(f"knowledge {change.id} was deleted within its own transaction")
        knowledge.add_version(tx, row)
        for entry in change.planned.spec.log:
            bulk.add(
                tx,
                "knowledge_logs",
                {
                    "knowledge_id": row.id,
                    "action_type": entry.action_type,
                    "change_reason": entry.change_reason,
                    "author": entry.author,
                    "metadata": knowledge_service.to_json(entry.metadata),
                    "created_at": entry.at,
                },
            )
        sealed = seals.stored(tx, "knowledge_logs", "knowledge_id", row.id) if change.planned.spec.log else None
        event = KnowledgeCreated(**knowledge_service.event_fields(row))
        knowledge_service.emit(tx, event, row, sealed=sealed)
    for change, fields in changed:
        _update(tx, change, fields)


def _new_values(tx: Tx, change: KnowledgeChange) -> dict[str, Any]:
    spec = change.planned.spec
    created_by = spec.created_by or tx.actor.id
    created_at = tx.now if spec.created_at is None else spec.created_at
    return {
        "project_id": change.project.id,
        "epic_id": change.epic.id if isinstance(change.epic, EpicChange) else change.epic,
        "task_id": None if change.task is None else change.task.task_id,
        "title": spec.title,
        **{name: getattr(spec, name) for name in _SCALAR_FIELDS},
        **{name: knowledge_service.to_json(getattr(spec, name)) for name in _JSON_FIELDS},
        "active": int(spec.active),
        "created_by": created_by,
        "created_at": created_at,
        "updated_by": spec.updated_by or created_by,
        "updated_at": created_at if spec.updated_at is None else spec.updated_at,
    }


def _update(tx: Tx, change: KnowledgeChange, fields: list[str]) -> None:
    values = dict(change.changed)
    if "task" in fields:
        values["task_id"] = None if change.task is None else change.task.task_id
    if "parent" in fields:
        values["parent_id"] = None if change.parent is None else change.parent.id
    row = None if change.row is None else knowledge.update_row(tx, change.row, values, reason="imported")
    if row is None:
        raise RuntimeError(f"knowledge {change.id} changed within its own transaction")
    event = KnowledgeUpdated(**knowledge_service.event_fields(row), changed=list(values))
    knowledge_service.emit(tx, event, row)


def write_assumptions(tx: Tx, planned: list[PlanAssumption], task_id: int) -> None:
    """Insert the assumptions on a new task, with their verdicts."""
    for entry in planned:
        tag_type, text = parse_tag(entry.text)
        assumption_id = bulk.add(
            tx,
            "assumptions",
            {
                "task_id": task_id,
                "type": tag_type,
                "text": text,
                "file_path": entry.file_path,
                "line_number": entry.line_number,
                "code_snippet": entry.code_snippet,
                "author": entry.author or tx.actor.id,
                "created_at": tx.now if entry.at is None else entry.at,
            },
        )
        for verdict in entry.verdicts:
            bulk.add(
                tx,
                "assumption_verdicts",
                {
                    "assumption_id": assumption_id,
                    "verdict": verdict.verdict.value,
                    "confidence": verdict.confidence,
                    "reason": verdict.reason,
                    "reviewer": verdict.reviewer,
                    "created_at": verdict.at,
                },
            )
