"""Search index of FTS5 tables with the words from `domain/words.py`, written in the transaction of the texts.

FTS5 reads the rows of a word one after another, but it reads and sorts all rows of a prefix first. So a search replaces
a prefix by its words, unless these are many.
"""

import json
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, Select, bindparam, column, func, insert, null, select, table, text
from sqlalchemy.sql.expression import literal_column

from project_manager.domain.words import Phrase, index_words, query_phrases
from project_manager.store.statement import Statement, bindparams, json_elements
from project_manager.store.transaction import Tx

TASK_TEXTS = ("name", "description", "external_key")
KNOWLEDGE_TEXTS = ("title", "content", "category", "tags")

WORDS_OF_PREFIXES = 64
"""Words by which a query replaces its prefixes. A prefix of more words stays."""
PREFIX_MARK = "*"
"""Marks a prefix in an expression. No word contains it."""

tasks_fts = table("tasks_fts", column("rowid"), *[column(name) for name in TASK_TEXTS])
knowledge_fts = table("knowledge_fts", column("rowid"), *[column(name) for name in KNOWLEDGE_TEXTS])

SAMPLE = 256
"""Number of matching tasks that `has_many` reads to estimate the number of all of them."""
_words_of_task = table("tasks_fts_content", column("id"), *[column(f"c{place}") for place in range(len(TASK_TEXTS))])
"""The indexed words of each text, with a space between two words. No text is NULL."""


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


def match_expression(tx: Tx, index: Any, query: str) -> str:
    """Return the FTS5 expression for rows with all words of the query. Without words, it matches no row."""
    wanted = _distinct_phrases(query)
    limit = WORDS_OF_PREFIXES // max(1, sum(phrase.open for phrase in wanted))
    return " AND ".join(_alternatives(tx, index, phrase, limit) for phrase in wanted) or '""'


def has_many(tx: Tx, expression: str, number: int) -> bool:
    """Estimate whether this number of tasks or more match the expression. Return False if at most SAMPLE match.

    If the first SAMPLE matching tasks are among the first tenth of the ids, ten times as many tasks match. For an
    expression with a prefix, return False: FTS5 reads all rows of a prefix first, so an estimate costs as much as the
    search.
    """
    if PREFIX_MARK in expression:
        return False
    return bool(_HAS_MANY.value(tx, q=expression, sample=SAMPLE, ratio=number // SAMPLE))


def phrases(query: str) -> str:
    """Return the parameter `phrases` of `has_phrases` for a query. All tasks have the phrases of a query without words.

    Each phrase starts with a space, and ends with one unless its last word is a prefix.
    """
    wanted = _distinct_phrases(query)
    return json.dumps([f" {' '.join(phrase.words)}{'' if phrase.open else ' '}" for phrase in wanted])


def has_phrases(task_id: ColumnElement[int]) -> Select[None]:
    """Return a selection that has a row if the task with this id has all `phrases`. Use it with `exists`.

    It reads the texts of the task. For a few tasks, that takes less time than a read of all tasks with a common word.
    """
    phrase = json_elements(bindparam("phrases")).alias("phrase")
    # Two spaces between the texts keep a phrase within one of them.
    texts: ColumnElement[str] = literal_column("' ' || c0 || '  ' || c1 || '  ' || c2 || ' '")
    missing = select(null()).select_from(phrase).where(func.instr(texts, phrase.c.value) == literal_column("0"))
    return select(null()).where(_words_of_task.c.id == task_id, ~missing.correlate(_words_of_task).exists())


def _distinct_phrases(query: str) -> list[Phrase]:
    return list(dict.fromkeys(query_phrases(query)))


def _alternatives(tx: Tx, index: Any, phrase: Phrase, limit: int) -> str:
    """Return the expression for a phrase. An open one becomes up to `limit` phrases, one for each last word."""
    *first, prefix = phrase.words
    if not phrase.open:
        return _quoted(*phrase.words)
    words = [row[0] for row in _words_with_prefix(index.name).rows(tx, prefix=prefix, limit=limit + 1)]
    if not 0 < len(words) <= limit:
        return f"{_quoted(*phrase.words)}{PREFIX_MARK}"
    return f"({' OR '.join(_quoted(*first, word) for word in words)})"


def _quoted(*words: str) -> str:
    return f'"{" ".join(words)}"'


def _has_many() -> Statement:
    matching = select(tasks_fts.c.rowid).where(text("tasks_fts MATCH :q"))
    behind_sample = matching.limit(literal_column("1")).offset(bindparam("sample")).scalar_subquery()
    last = select(func.max(_words_of_task.c.id)).scalar_subquery()
    return Statement(select(behind_sample * bindparam("ratio") < last))


_HAS_MANY = _has_many()


@cache
def _words_with_prefix(index: str) -> Statement:
    """Return the statement that selects up to `limit` words with a prefix. Each step of the recursion seeks one."""
    words = table(f"{index}_words", column("term"))
    prefix: ColumnElement[str] = bindparam("prefix")

    def next_word(least: ColumnElement[str]) -> ScalarSelect[Any]:
        return select(words.c.term).where(words.c.term >= least).limit(literal_column("1")).scalar_subquery()

    def has_prefix(word: ColumnElement[str]) -> ColumnElement[bool]:
        return func.substr(word, literal_column("1"), func.length(prefix)) == prefix

    found = select(next_word(prefix).label("word")).cte("found", recursive=True)
    # Words do not contain the character 1. With it, a word sorts behind itself and in front of all longer words.
    behind = found.c.word.op("||")(literal_column("char(1)"))
    found = found.union_all(select(next_word(behind)).where(has_prefix(found.c.word)))
    return Statement(select(found.c.word).where(has_prefix(found.c.word)).limit(bindparam("limit")))


def _words(texts: dict[str, str | None]) -> dict[str, str]:
    return {name: " ".join(index_words(text)) if text else "" for name, text in texts.items()}
