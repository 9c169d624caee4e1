"""Search index of tables with a `tsvector`, which is written as words and positions.

The server's own parsers and dictionaries are not used. Their words depend on the version and the locale of the server.
"""

from collections.abc import Sequence
from functools import cache
from itertools import count

from sqlalchemy import bindparam, cast, column, table
from sqlalchemy.dialects.postgresql import TSVECTOR, insert

from project_manager.domain.words import Phrase
from project_manager.store.statement import Statement
from project_manager.store.transaction import Tx

LAST_POSITION = 16_383
"""PostgreSQL gives this position to each word behind it."""


class TsvectorIndex:
    """The tables with the words of a row in the column `words`."""

    def replace(self, tx: Tx, index: str, row_id: int, words: dict[str, list[str]]) -> None:
        _replace(index).run(tx, rowid=row_id, words=_vector(words))

    def expression(self, tx: Tx, index: str, phrases: Sequence[Phrase]) -> str:
        return _expression(phrases)

    def has_many(self, tx: Tx, expression: str, number: int) -> bool:
        """Return False. The server itself estimates how many rows match, and chooses the order of its reads."""
        return False

    def phrases(self, phrases: Sequence[Phrase]) -> str:
        return _expression(phrases)


def _vector(words: dict[str, list[str]]) -> str:
    """Return the words with their positions. A position is free between two texts, so that no phrase spans them."""
    positions = count(1)
    placed: dict[str, list[int]] = {}
    for of_text in words.values():
        for word, position in zip(of_text, positions, strict=False):
            if position <= LAST_POSITION:
                placed.setdefault(word, []).append(position)
            else:
                placed.setdefault(word, [LAST_POSITION])
    return " ".join(f"{_quoted(word)}:{','.join(map(str, at))}" for word, at in placed.items())


def _expression(phrases: Sequence[Phrase]) -> str:
    """Return a `tsquery`. The empty one of no phrases matches no row."""
    return " & ".join(map(_phrase, phrases))


def _phrase(phrase: Phrase) -> str:
    words = " <-> ".join(map(_quoted, phrase.words))
    return f"({words}{':*' if phrase.open else ''})"


def _quoted(word: str) -> str:
    return "'{}'".format(word.replace("\\", "\\\\").replace("'", "''"))


@cache
def _replace(index: str) -> Statement:
    words = cast(bindparam("words"), TSVECTOR)
    row = insert(table(index, column("rowid"), column("words"))).values(rowid=bindparam("rowid"), words=words)
    return Statement(row.on_conflict_do_update(index_elements=["rowid"], set_={"words": words}))
