"""Search index: a row for each task and each knowledge item, with the words from `domain/words.py`.

A row is written in the transaction of its texts. The databases store words and search for them in different ways, so
each has a SearchIndex in its `search.py`.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from sqlalchemy import ColumnElement, TableClause, bindparam, column, table
from sqlalchemy.sql.expression import literal_column

from project_manager.domain.words import Phrase, index_words, query_phrases
from project_manager.store.functions import Matches
from project_manager.store.tables import tasks
from project_manager.store.tables_knowledge import knowledge_items
from project_manager.store.transaction import Tx

TASK_TEXTS = ("name", "description", "external_key")
KNOWLEDGE_TEXTS = ("title", "content", "category", "tags")

tasks_fts = table("tasks_fts", column("rowid"))
knowledge_fts = table("knowledge_fts", column("rowid"))

INDEXED = {tasks_fts.name: (tasks, TASK_TEXTS), knowledge_fts.name: (knowledge_items, KNOWLEDGE_TEXTS)}
"""The table of each index, and the columns with its texts."""


class SearchIndex(Protocol):
    """The words of rows in the format of one database."""

    def columns(self, texts: Sequence[str]) -> tuple[str, ...]:
        """Return the columns of an index of texts with these names."""

    def row(self, row_id: int, words: dict[str, list[str]]) -> tuple[Any, ...]:
        """Return the values of `columns` for a row with these words, by the names of their texts."""

    def replace(self, tx: Tx, index: str, row_id: int, words: dict[str, list[str]]) -> None:
        """Replace the words of a row, by the names of their texts."""

    def expression(self, tx: Tx, index: str, phrases: Sequence[Phrase]) -> str:
        """Return the expression for the rows that have all these phrases. Without phrases, it matches no row."""

    def has_many(self, tx: Tx, expression: str, number: int) -> bool:
        """Return an estimate, as the function `has_many` does."""

    def phrases(self, phrases: Sequence[Phrase]) -> str:
        """Return the parameter of `HasPhrases` for these phrases."""


def index_task(tx: Tx, task_id: int, name: str, description: str, external_key: str | None) -> None:
    """Replace the indexed words of a task."""
    texts = {"name": name, "description": description, "external_key": external_key}
    _index_of(tx).replace(tx, tasks_fts.name, task_id, _words(texts))


def index_knowledge(tx: Tx, knowledge_id: int, title: str, content: str, category: str | None, tags: str) -> None:
    """Replace the indexed words of a knowledge item."""
    texts = {"title": title, "content": content, "category": category, "tags": tags}
    _index_of(tx).replace(tx, knowledge_fts.name, knowledge_id, _words(texts))


def columns(tx: Tx, texts: Sequence[str]) -> tuple[str, ...]:
    """Return the columns of an index of texts with these names."""
    return _index_of(tx).columns(texts)


def row(tx: Tx, row_id: int, texts: dict[str, str | None]) -> tuple[Any, ...]:
    """Return the values of `columns` for the texts of a row."""
    return _index_of(tx).row(row_id, _words(texts))


def match_expression(tx: Tx, index: TableClause, query: str) -> str:
    """Return the expression for rows with all words of the query, for the parameter of `matches`."""
    return _index_of(tx).expression(tx, index.name, _distinct_phrases(query))


def matches(index: TableClause, parameter: str) -> ColumnElement[bool]:
    """Return the condition that a row of the index matches the expression in this parameter."""
    return Matches(literal_column(index.name), bindparam(parameter))


def has_many(tx: Tx, expression: str, number: int) -> bool:
    """Estimate whether this number of tasks or more match the expression, and reading them all costs too much."""
    return _index_of(tx).has_many(tx, expression, number)


def phrases(tx: Tx, query: str) -> str:
    """Return the parameter of `HasPhrases` for a query. All tasks have the phrases of a query without words."""
    return _index_of(tx).phrases(_distinct_phrases(query))


def _distinct_phrases(query: str) -> list[Phrase]:
    return list(dict.fromkeys(query_phrases(query)))


def _index_of(tx: Tx) -> SearchIndex:
    return tx.connection.dialect.search


def _words(texts: dict[str, str | None]) -> dict[str, list[str]]:
    return {name: index_words(text) if text else [] for name, text in texts.items()}
