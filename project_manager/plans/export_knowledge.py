"""Knowledge and assumptions in plan format, read a few rows at a time."""

import json
from collections.abc import Iterator
from typing import Any

from project_manager.clock import rfc3339
from project_manager.store import bulk_knowledge
from project_manager.store.knowledge import KnowledgeRow
from project_manager.store.transaction import Tx

AT_ONCE = 16


class KnowledgeIndex:
    """An index of all knowledge items by title, for an export."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self.ids_by_project: dict[int, list[int]] = {}
        self.tasks: list[int] = []
        self._title: dict[int, str] = {}
        self._number: dict[int, int] = {}
        self._known: dict[tuple[int, str], int] = {}
        for row in bulk_knowledge.titles(tx):
            mine = self.ids_by_project.setdefault(row.project_id, [])
            mine.append(row.id)
            self._number[row.id] = len(mine)
            self._title[row.id] = row.title
            self._known[row.project_id, row.title] = self._known.get((row.project_id, row.title), 0) + 1
            if row.task_id is not None:
                self.tasks.append(row.task_id)

    def reference(self, project_id: int, knowledge_id: int) -> str:
        """Return the item's title, or `#` and its number if the title is ambiguous or begins with `#`."""
        title = self._title[knowledge_id]
        if self._known[project_id, title] > 1 or title.startswith("#"):
            return f"#{self._number[knowledge_id]}"
        return title

    def rows(self, project_id: int) -> Iterator[KnowledgeRow]:
        """Yield the knowledge rows of a project, read `AT_ONCE` at a time."""
        ids = self.ids_by_project.get(project_id, [])
        for start in range(0, len(ids), AT_ONCE):
            yield from bulk_knowledge.items(self._tx, ids[start : start + AT_ONCE])


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
    kept = {name: value for name, value in entry.items() if value is not None}
    logged = bool(bulk_knowledge.log_after(tx, row.id, 0, 1))
    return kept | ({"log": _log(tx, row.id)} if logged else {})


def _log(tx: Tx, knowledge_id: int) -> Iterator[dict[str, Any]]:
    last = 0
    while some := bulk_knowledge.log_after(tx, knowledge_id, last, AT_ONCE):
        last = some[-1].id
        for row in some:
            entry = {
                "action_type": row.action_type,
                "change_reason": row.change_reason,
                "author": row.author,
                "metadata": None if row.metadata == "{}" else row.metadata,
                "at": rfc3339(row.created_at),
            }
            yield {name: value for name, value in entry.items() if value is not None}


def assumptions(tx: Tx, task_id: int) -> Iterator[dict[str, Any]]:
    """Yield the assumptions on a task in plan format."""
    last = 0
    while some := bulk_knowledge.assumptions_after(tx, task_id, last, AT_ONCE):
        last = some[-1].id
        for row in some:
            entry = {
                "text": f"#{row.type}: {row.text}",
                "file_path": row.file_path,
                "line_number": row.line_number,
                "code_snippet": row.code_snippet,
                "author": row.author,
                "at": rfc3339(row.created_at),
            }
            kept = {name: value for name, value in entry.items() if value is not None}
            judged = bool(bulk_knowledge.verdicts_after(tx, row.id, 0, 1))
            yield kept | ({"verdicts": _verdicts(tx, row.id)} if judged else {})


def _verdicts(tx: Tx, assumption_id: int) -> Iterator[dict[str, Any]]:
    last = 0
    while some := bulk_knowledge.verdicts_after(tx, assumption_id, last, AT_ONCE):
        last = some[-1].id
        for row in some:
            yield {
                "verdict": row.verdict,
                "confidence": row.confidence,
                "reason": row.reason,
                "reviewer": row.reviewer,
                "at": rfc3339(row.created_at),
            }
