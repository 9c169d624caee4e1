"""Knowledge and assumptions in plan format, read a few rows at a time."""

import json
from collections.abc import Iterator
from typing import Any

from project_manager.clock import rfc3339
from project_manager.store import bulk, bulk_knowledge
from project_manager.store.assumptions import VerdictRow
from project_manager.store.knowledge import KnowledgeLogRow, KnowledgeRow
from project_manager.store.transaction import Tx


class KnowledgeIndex:
    """Ids, titles and tasks of all knowledge items, for the references of an export."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self.ids_by_project: dict[int, list[int]] = {}
        self.tasks: list[int] = []
        self._title: dict[int, str] = {}
        self._number: dict[int, int] = {}
        self._title_counts: dict[tuple[int, str], int] = {}
        for row in bulk_knowledge.titles(tx):
            mine = self.ids_by_project.setdefault(row.project_id, [])
            mine.append(row.id)
            self._number[row.id] = len(mine)
            self._title[row.id] = row.title
            self._title_counts[row.project_id, row.title] = self._title_counts.get((row.project_id, row.title), 0) + 1
            if row.task_id is not None:
                self.tasks.append(row.task_id)

    def reference(self, project_id: int, knowledge_id: int) -> str:
        """Return the item's title, or `#` and its number if the title is ambiguous or begins with `#`."""
        title = self._title[knowledge_id]
        if self._title_counts[project_id, title] > 1 or title.startswith("#"):
            return f"#{self._number[knowledge_id]}"
        return title

    def rows(self, project_id: int) -> Iterator[KnowledgeRow]:
        """Yield the knowledge rows of a project, read a few at a time."""
        ids = self.ids_by_project.get(project_id, [])
        for start in range(0, len(ids), bulk.AT_ONCE):
            yield from bulk_knowledge.items(self._tx, ids[start : start + bulk.AT_ONCE])


def item(tx: Tx, row: KnowledgeRow, epic: str | None, task: str | None, parent: str | None) -> dict[str, Any]:
    """Return a knowledge item in plan format."""
    entry = {
        "title": row.title,
        "epic": epic,
        "task": task,
        "parent": parent,
        "category": row.category,
        "tags": json.loads(row.tags) or None,
        "priority": row.priority or None,
        "active": None if row.active else False,
        "metadata": None if row.metadata == "{}" else row.metadata,
        "created_by": row.created_by,
        "created_at": rfc3339(row.created_at),
        "updated_by": row.updated_by,
        "updated_at": rfc3339(row.updated_at),
        "content": row.content,
    }
    logged = bool(bulk.parents(tx, "knowledge_logs", "knowledge_id", [row.id]))
    return _without_none(entry) | ({"log": _log(tx, row.id)} if logged else {})


def _without_none(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if value is not None}


def _log(tx: Tx, knowledge_id: int) -> Iterator[dict[str, Any]]:
    for row in bulk.children(tx, KnowledgeLogRow, "knowledge_logs", "knowledge_id", knowledge_id):
        entry = {
            "action_type": row.action_type,
            "change_reason": row.change_reason,
            "author": row.author,
            "metadata": None if row.metadata == "{}" else row.metadata,
            "at": rfc3339(row.created_at),
        }
        yield _without_none(entry)


def assumptions(tx: Tx, task_id: int) -> Iterator[dict[str, Any]]:
    """Yield the assumptions on a task in plan format."""
    for row in bulk.children(tx, bulk_knowledge.AssumptionRecord, "assumptions", "task_id", task_id):
        entry = {
            "text": f"#{row.type}: {row.text}",
            "file_path": row.file_path,
            "line_number": row.line_number,
            "code_snippet": row.code_snippet,
            "author": row.author,
            "at": rfc3339(row.created_at),
        }
        judged = bool(bulk.parents(tx, "assumption_verdicts", "assumption_id", [row.id]))
        yield _without_none(entry) | ({"verdicts": _verdicts(tx, row.id)} if judged else {})


def _verdicts(tx: Tx, assumption_id: int) -> Iterator[dict[str, Any]]:
    for row in bulk.children(tx, VerdictRow, "assumption_verdicts", "assumption_id", assumption_id):
        yield {
            "verdict": row.verdict,
            "confidence": row.confidence,
            "reason": row.reason,
            "reviewer": row.reviewer,
            "at": rfc3339(row.created_at),
        }
