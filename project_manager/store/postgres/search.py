"""Search index of tables with the words of each row as a `tsvector`, and with its texts.

The server's own parsers and dictionaries are not used. Their words depend on the version and the locale of the server.
A `tsvector` has no positions here, because PostgreSQL keeps only the first of them (256 for each word). So phrases are
compared with the texts of the rows that have all their words.
"""

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import bindparam, cast, column, table
from sqlalchemy.dialects.postgresql import TSVECTOR, insert

from project_manager.domain.words import Phrase
from project_manager.store.statement import Statement
from project_manager.store.transaction import Tx

WORD_BYTES = 2046
"""Maximum length of a word of a `tsvector`. The beginning of a longer word is indexed. Queries are shorter."""


class TsvectorIndex:
    """The tables with the columns `words` and `texts`. In `texts`, a space is between two words, and two between texts.

    An expression is a JSON object with the words as a `tsquery`, and the phrases of several words as parts of `texts`.
    """

    def columns(self, texts: Sequence[str]) -> tuple[str, ...]:
        return ("rowid", "words", "texts")

    def row(self, row_id: int, words: dict[str, list[str]]) -> tuple[Any, ...]:
        texts = "".join(f" {' '.join(of_text)} " for of_text in words.values())
        distinct = dict.fromkeys(word for of_text in words.values() for word in of_text)
        return row_id, " ".join(map(_quoted, distinct)), texts

    def replace(self, tx: Tx, index: str, row_id: int, words: dict[str, list[str]]) -> None:
        _replace(index).write_in_order(tx, self.row(row_id, words))

    def expression(self, tx: Tx, index: str, phrases: Sequence[Phrase]) -> str:
        return self.phrases(phrases)

    def has_many(self, tx: Tx, expression: str, number: int) -> bool:
        """Return False. The server itself estimates how many rows match, and chooses the order of its reads."""
        return False

    def phrases(self, phrases: Sequence[Phrase]) -> str:
        parts = [_part(phrase) for phrase in phrases if len(phrase.words) > 1]
        # The empty query of no words matches no row.
        return json.dumps({"words": " & ".join(map(_query, phrases)), "parts": parts})


def _query(phrase: Phrase) -> str:
    """Return the words of a phrase as a `tsquery`."""
    return " & ".join(map(_quoted, phrase.words)) + (":*" if phrase.open else "")


def _part(phrase: Phrase) -> str:
    """Return the phrase as a part of a text. It begins with a space, and ends with one unless its last word is open."""
    return f" {' '.join(phrase.words)}{'' if phrase.open else ' '}"


def _quoted(word: str) -> str:
    indexed = word if len(word) * 4 <= WORD_BYTES else word.encode()[:WORD_BYTES].decode(errors="ignore")
    return "'{}'".format(indexed.replace("\\", "\\\\").replace("'", "''"))


@cache
def _replace(index: str) -> Statement:
    values = {"rowid": bindparam("rowid"), "words": cast(bindparam("words"), TSVECTOR), "texts": bindparam("texts")}
    row = insert(table(index, *map(column, values))).values(values)
    return Statement(
        row.on_conflict_do_update(index_elements=["rowid"], set_={"words": values["words"], "texts": values["texts"]})
    )
