"""Search index of FTS5 tables.

FTS5 reads the rows of a word one after another, but it reads and sorts all rows of a prefix first. So a search replaces
a prefix by its words, unless these are many.
"""

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, Select, bindparam, column, func, insert, select, table, text
from sqlalchemy.sql.expression import literal_column

from project_manager.domain.words import Phrase
from project_manager.store.statement import Statement, bindparams
from project_manager.store.transaction import Tx

WORDS_OF_PREFIXES = 64
"""Words by which a query replaces its prefixes. A prefix of more words stays."""
PREFIX_MARK = "*"
"""Marks a prefix in an expression. No word contains it."""


SAMPLE = 256
"""Number of matching tasks that `has_many` reads to estimate the number of all of them."""


class FtsIndex:
    """The virtual tables of FTS5 with a column for each text."""

    def columns(self, texts: Sequence[str]) -> tuple[str, ...]:
        return ("rowid", *texts)

    def row(self, row_id: int, words: dict[str, list[str]]) -> tuple[Any, ...]:
        return (row_id, *[" ".join(of_text) for of_text in words.values()])

    def replace(self, tx: Tx, index: str, row_id: int, words: dict[str, list[str]]) -> None:
        _replace(index, self.columns(tuple(words))).write_in_order(tx, self.row(row_id, words))

    def expression(self, tx: Tx, index: str, phrases: Sequence[Phrase]) -> str:
        limit = WORDS_OF_PREFIXES // max(1, sum(phrase.open for phrase in phrases))
        return " AND ".join(_alternatives(tx, index, phrase, limit) for phrase in phrases) or '""'

    def has_many(self, tx: Tx, expression: str, number: int) -> bool:
        """Return False if at most SAMPLE tasks match.

        If the first SAMPLE matching tasks are among the first tenth of the ids, ten times as many tasks match. For an
        expression with a prefix, return False: FTS5 reads all rows of a prefix first, so an estimate costs as much as
        the search.
        """
        if PREFIX_MARK in expression:
            return False
        return bool(_HAS_MANY.value(tx, q=expression, sample=SAMPLE, ratio=number // SAMPLE))

    def phrases(self, phrases: Sequence[Phrase]) -> str:
        """Return a JSON array. Each phrase starts with a space, and ends with one unless its last word is a prefix."""
        return json.dumps([f" {' '.join(phrase.words)}{'' if phrase.open else ' '}" for phrase in phrases])


@cache
def _replace(index: str, names: tuple[str, ...]) -> Statement:
    row = insert(table(index, *map(column, names))).prefix_with("OR REPLACE")
    return Statement(row.values(bindparams(*names)))


def _alternatives(tx: Tx, index: str, phrase: Phrase, limit: int) -> str:
    """Return the expression for a phrase. An open one becomes up to `limit` phrases, one for each last word."""
    *first, prefix = phrase.words
    if not phrase.open:
        return _quoted(*phrase.words)
    words = [row[0] for row in _words_with_prefix(index).rows(tx, prefix=prefix, limit=limit + 1)]
    if not 0 < len(words) <= limit:
        return f"{_quoted(*phrase.words)}{PREFIX_MARK}"
    return f"({' OR '.join(_quoted(*first, word) for word in words)})"


def _quoted(*words: str) -> str:
    return f'"{" ".join(words)}"'


def _has_many() -> Statement:
    matching: Select[Any] = (
        select(literal_column("rowid")).select_from(table("tasks_fts")).where(text("tasks_fts MATCH :q"))
    )
    behind_sample = matching.limit(literal_column("1")).offset(bindparam("sample")).scalar_subquery()
    last = select(func.max(column("id"))).select_from(table("tasks_fts_content")).scalar_subquery()
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
