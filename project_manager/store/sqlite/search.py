"""Search index of FTS5 tables with the words from `domain/words.py`, written in the transaction of the texts."""

from typing import Any

from sqlalchemy import column, insert, table

from project_manager.domain.words import index_words, query_phrases
from project_manager.store.statement import Statement, bindparams
from project_manager.store.transaction import Tx

TASK_TEXTS = ("name", "description", "external_key")
KNOWLEDGE_TEXTS = ("title", "content", "category", "tags")

tasks_fts = table("tasks_fts", column("rowid"), *[column(name) for name in TASK_TEXTS])
knowledge_fts = table("knowledge_fts", column("rowid"), *[column(name) for name in KNOWLEDGE_TEXTS])


def _replace(index: Any) -> Statement:
    return Statement(insert(index).prefix_with("OR REPLACE").values(bindparams(*index.c.keys())))


_INDEX_TASK = _replace(tasks_fts)
_INDEX_KNOWLEDGE = _replace(knowledge_fts)


def index_task(tx: Tx, task_id: int, name: str, description: str, external_key: str | None) -> None:
    """Replace the indexed words of a task."""
    texts = _words({"name": name, "description": description, "external_key": external_key})
    _INDEX_TASK.run(tx, rowid=task_id, **texts)


def index_knowledge(tx: Tx, knowledge_id: int, title: str, content: str, category: str | None, tags: str) -> None:
    """Replace the indexed words of a knowledge item."""
    texts = _words({"title": title, "content": content, "category": category, "tags": tags})
    _INDEX_KNOWLEDGE.run(tx, rowid=knowledge_id, **texts)


def match_expression(query: str) -> str:
    """Return the FTS5 expression for rows with all words of the query. Without words, it matches no row."""
    phrases = [f'"{" ".join(phrase.words)}"{"*" if phrase.open else ""}' for phrase in query_phrases(query)]
    return " ".join(phrases) or '""'


def _words(texts: dict[str, str | None]) -> dict[str, str]:
    return {name: " ".join(index_words(text)) if text else "" for name, text in texts.items()}
