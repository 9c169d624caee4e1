"""Export of the database as a plan document. Default values are omitted, because the import fills them in.

Content that grows with the database is read during serialization, a few tasks or log entries at a time.
Only names and links of all tasks stay in memory, because any task can be referenced.
"""

import json
from collections.abc import Iterator
from typing import Any

from project_manager.clock import rfc3339
from project_manager.domain.task_fields import INSTANTS, TASK_FIELDS, Field
from project_manager.plans import export_knowledge
from project_manager.plans.export_knowledge import KnowledgeIndex
from project_manager.plans.references import Resolver, TaskRef
from project_manager.schemas.evidence import NewEvidence
from project_manager.services import lookup, resolve
from project_manager.store import bulk, epics, projects, subtasks
from project_manager.store.epics import EpicRow
from project_manager.store.logs import LogRow
from project_manager.store.projects import ProjectRow
from project_manager.store.reviews import SubmissionRow
from project_manager.store.tasks import TaskRow
from project_manager.store.transaction import Tx

_COLUMNS = [field for field in TASK_FIELDS if field.plan and field.column]
_TASK_KEYS = list(
    dict.fromkeys(["name", "external_key", "parent", *(field.name for field in TASK_FIELDS if field.plan)])
)
"""The keys of a task in the order of the plan. The two that identify it come first."""

_EVIDENCE = tuple(NewEvidence.model_fields)


def document(tx: Tx, only: str | None) -> dict[str, Any]:
    """Return the document with projects by id, epics by position and tasks by id.

    `only` is the name of one project, in any case. Long lists are iterators. Consume them in order while `tx` is open.
    Raises ProjectNotFound, Invalid.
    """
    project_id = resolve.project_id_of(tx, None, only)
    chosen = [row for row in projects.list_with_excerpts(tx) if project_id in (None, row.id)]
    return _Export(tx, chosen).document()


class _Export:
    """An export that first loads all names and links, and then yields the tasks."""

    def __init__(self, tx: Tx, chosen: list[ProjectRow]) -> None:
        self._tx = tx
        self._projects = chosen
        self._epics: dict[int, list[EpicRow]] = {}
        for epic in epics.list_with_excerpts(tx):
            self._epics.setdefault(epic.project_id, []).append(epic)
        self._dependencies = bulk.dependencies(tx)
        self._conflicts = bulk.conflicts(tx)
        self._parents = subtasks.parents(tx)
        self._known: dict[int, TaskRef] = {}
        self._inside: dict[tuple[int, int | None], list[int]] = {}
        for row in bulk.names(tx):
            self._known[row.id] = TaskRef(row.project, row.epic, row.name, row.external_key, row.id)
            self._inside.setdefault((row.project_id, row.epic_id), []).append(row.id)
        self._titles = KnowledgeIndex(tx)
        self._resolver = self._assign_missing_keys()

    def _assign_missing_keys(self) -> Resolver:
        """Generate a key for each task that a plan could not identify or reference, and return the resolver."""
        twins: dict[tuple[str, str | None, str], list[TaskRef]] = {}
        for known in self._known.values():
            if known.key is None:
                twins.setdefault((known.project, known.epic, known.name), []).append(known)
        # A generated key also changes which references are unique, so the resolver is built after each pass.
        self._generate_keys([known for alike in twins.values() if len(alike) > 1 for known in alike])
        resolver = _resolver_of(self._known)
        linked = {
            other for links in (self._dependencies, self._conflicts) for others in links.values() for other in others
        }
        linked.update(self._titles.tasks)
        linked.update(parent_id for parent_id in self._parents.values() if parent_id in self._known)
        unclear = [self._known[task_id] for task_id in sorted(linked) if self._known[task_id].key is None]
        unclear = [known for known in unclear if resolver.reference(known, known.project) is None]
        if not unclear:
            return resolver
        self._generate_keys(unclear)
        return _resolver_of(self._known)

    def _generate_keys(self, keyless: list[TaskRef]) -> None:
        taken = {(known.project, known.key) for known in self._known.values()}
        for known in keyless:
            key = f"task-{known.task_id}"
            while (known.project, key) in taken:
                key += "-again"
            known.key = key

    def document(self) -> dict[str, Any]:
        spec: dict[str, Any] = {"projects": map(self._project, self._projects) if self._projects else []}
        standalone = any((project.id, None) in self._inside for project in self._projects)
        return spec | ({"standalone_tasks": self._standalone_tasks()} if standalone else {})

    def _standalone_tasks(self) -> Iterator[dict[str, Any]]:
        for project in self._projects:
            for task in self._tasks(project.id, None):
                yield {"project": project.name, **task}

    def _project(self, row: ProjectRow) -> dict[str, Any]:
        spec: dict[str, Any] = {"name": row.name}
        if row.description:
            spec["description"] = lookup.project(self._tx, row.id).description
        if row.archived_at is not None:
            spec["archived"] = True
        if row.policy != "{}":
            spec["policy"] = json.loads(row.policy)
        inside = self._epics.get(row.id)
        spec |= {"epics": map(self._epic, inside)} if inside else {}
        return spec | ({"knowledge": self._knowledge(row)} if row.id in self._titles.ids_by_project else {})

    def _knowledge(self, project: ProjectRow) -> Iterator[dict[str, Any]]:
        names = {epic.id: epic.name for epic in self._epics.get(project.id, ())}
        for row in self._titles.rows(project.id):
            task = None if row.task_id is None else self._reference(self._known[row.task_id], project.name)
            parent = None if row.parent_id is None else self._titles.reference(project.id, row.parent_id)
            yield export_knowledge.item(self._tx, row, names.get(row.epic_id or 0), task, parent)

    def _epic(self, row: EpicRow) -> dict[str, Any]:
        spec: dict[str, Any] = {"name": row.name}
        if row.description:
            spec["description"] = lookup.epic(self._tx, row.id).description
        spec |= {"status": row.status, "position": row.position}
        inside = (row.project_id, row.id) in self._inside
        return spec | ({"tasks": self._tasks(row.project_id, row.id)} if inside else {})

    def _tasks(self, project_id: int, epic_id: int | None) -> Iterator[dict[str, Any]]:
        ids = self._inside.get((project_id, epic_id), [])
        for start in range(0, len(ids), bulk.AT_ONCE):
            some = ids[start : start + bulk.AT_ONCE]
            tables = ("task_logs", "submissions", "assumptions")
            logged, submitted, assumed = [bulk.parents(self._tx, table, "task_id", some) for table in tables]
            for row in bulk.tasks_of(self._tx, some):
                spec = self._task(row)
                if row.id in logged:
                    spec["log"] = map(_entry, bulk.children(self._tx, LogRow, "task_logs", "task_id", row.id))
                if row.id in submitted:
                    found = bulk.children(self._tx, SubmissionRow, "submissions", "task_id", row.id)
                    spec["submissions"] = map(_submission, found)
                if row.id in assumed:
                    spec["assumptions"] = export_knowledge.assumptions(self._tx, row.id)
                yield spec

    def _task(self, row: TaskRow) -> dict[str, Any]:
        parent = None if row.parent_id is None else self._known.get(row.parent_id)
        values = {
            **{field.name: _exported(field, getattr(row, field.name)) for field in _COLUMNS},
            "external_key": self._known[row.id].key,
            "status": row.lock_from or row.status,
            "parent": None if parent is None else self._reference(parent, parent.project),
            "depends_on": self._references(row.id, self._dependencies),
            "conflicts_with": self._references(row.id, self._conflicts),
        }
        return {name: values[name] for name in _TASK_KEYS if values[name] is not None}

    def _references(self, task_id: int, links: dict[int, list[int]]) -> list[str] | None:
        project = self._known[task_id].project
        return sorted(self._reference(self._known[other], project) for other in links.get(task_id, ())) or None

    def _reference(self, known: TaskRef, project: str) -> str:
        return self._resolver.reference(known, project) or known.path


def _resolver_of(known: dict[int, TaskRef]) -> Resolver:
    resolver = Resolver()
    for one in known.values():
        resolver.add(one)
    return resolver


def _exported(field: Field, stored: Any) -> Any:
    """Return the value of a column as plans write it, or None if the import would fill it in."""
    value = field.from_column(stored)
    if value is None or value == field.default:
        return None
    return rfc3339(value) if field.kind in INSTANTS else value


def _entry(row: LogRow) -> dict[str, Any]:
    entry = {"author": row.author, "kind": row.kind, "at": rfc3339(row.created_at), "body": row.body}
    if row.kind != "evidence" or row.details is None:
        return entry
    details = json.loads(row.details)
    return {**entry, "evidence": {name: details[name] for name in _EVIDENCE if details.get(name) is not None}}


def _submission(row: SubmissionRow) -> dict[str, Any]:
    values = {
        "round": row.round,
        "author": row.author,
        "summary": row.summary or None,
        "branch": row.branch,
        "commit": row.commit_id,
        "digest": row.digest,
        "at": rfc3339(row.created_at),
        "verdict": row.verdict,
        "reviewer": row.reviewer,
        "reviewer_kind": row.reviewer_kind,
        "body": row.body,
        "reviewed_at": None if row.reviewed_at is None else rfc3339(row.reviewed_at),
    }
    return {name: value for name, value in values.items() if value is not None}
