"""Search index of FTS5 tables with the words from `domain/words.py`, written in the transaction of the texts.

A trigger inserts each written text into `search_due`, and indexing its words deletes the row. Remaining rows are from a
release that does not split words itself. `index_pending` indexes them.
"""

from typing import Any

from sqlalchemy import bindparam, column, delete, insert, select, table
from sqlalchemy.sql.expression import literal_column

from project_manager.domain.words import index_words, query_phrases
from project_manager.store.statement import Statement
from project_manager.store.tables import search_due, tasks
from project_manager.store.tables_knowledge import knowledge_items
from project_manager.store.transaction import Tx

TASK_TEXTS = ("name", "description", "external_key")
KNOWLEDGE_TEXTS = ("title", "content", "category", "tags")

tasks_fts = table("tasks_fts", column("rowid"), *[column(name) for name in TASK_TEXTS])
knowledge_fts = table("knowledge_fts", column("rowid"), *[column(name) for name in KNOWLEDGE_TEXTS])


def _replace(index: Any) -> Statement:
    return Statement(insert(index).prefix_with("OR REPLACE").values({c.name: bindparam(c.name) for c in index.columns}))


_INDEX_TASK = _replace(tasks_fts)
_INDEX_KNOWLEDGE = _replace(knowledge_fts)
_TASK = Statement(select(*[tasks.c[name] for name in TASK_TEXTS]).where(tasks.c.id == bindparam("id")))
_KNOWLEDGE = Statement(
    select(*[knowledge_items.c[name] for name in KNOWLEDGE_TEXTS]).where(knowledge_items.c.id == bindparam("id"))
)
_PENDING = Statement(
    select(search_due.c.kind, search_due.c.id).order_by(search_due.c.kind, search_due.c.id).limit(bindparam("limit"))
)
_TASK_DONE, _KNOWLEDGE_DONE = [
    Statement(delete(search_due).where(search_due.c.kind == literal_column(kind), search_due.c.id == bindparam("id")))
    for kind in ("'task'", "'knowledge'")
]


def index_task(tx: Tx, task_id: int, name: str, description: str, external_key: str | None) -> None:
    """Replace the indexed words of a task."""
    texts = _words({"name": name, "description": description, "external_key": external_key})
    _INDEX_TASK.run(tx, rowid=task_id, **texts)
    _TASK_DONE.run(tx, id=task_id)


def index_knowledge(tx: Tx, knowledge_id: int, title: str, content: str, category: str | None, tags: str) -> None:
    """Replace the indexed words of a knowledge item."""
    texts = _words({"title": title, "content": content, "category": category, "tags": tags})
    _INDEX_KNOWLEDGE.run(tx, rowid=knowledge_id, **texts)
    _KNOWLEDGE_DONE.run(tx, id=knowledge_id)


def index_pending(tx: Tx, limit: int) -> int:
    """Index up to `limit` texts that an older release has written and return their number."""
    due = _PENDING.rows(tx, limit=limit)
    for kind, row_id in due:
        if kind == "task":
            _catch_up(tx, _TASK, index_task, _TASK_DONE, row_id)
        else:
            _catch_up(tx, _KNOWLEDGE, index_knowledge, _KNOWLEDGE_DONE, row_id)
    return len(due)


def _catch_up(tx: Tx, read: Statement, index: Any, done: Statement, row_id: int) -> None:
    texts = read.row(tx, id=row_id)
    if texts is None:
        done.run(tx, id=row_id)
    else:
        index(tx, row_id, *texts)


def match_expression(query: str) -> str:
    """Return the FTS5 expression for rows with all words of the query. Without words, it matches no row."""
    phrases = [f'"{" ".join(phrase.words)}"{"*" if phrase.open else ""}' for phrase in query_phrases(query)]
    return " ".join(phrases) or '""'


def _words(texts: dict[str, str | None]) -> dict[str, str]:
    return {name: " ".join(index_words(text)) if text else "" for name, text in texts.items()}
