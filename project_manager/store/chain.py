"""The hash chain over the events.

The `hash` of an event is the SHA-256 of the previous hash (32 bytes) and the other columns as a compact JSON array in
the order of COLUMNS. Before the first event, the previous hash is `meta.floor_hash`: the hash of the newest removed
event, or 32 zero bytes.
"""

import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import orjson
from sqlalchemy import select
from sqlalchemy.sql.expression import literal_column

from project_manager.store.statement import Statement
from project_manager.store.tables import events, meta
from project_manager.store.transaction import Tx

COLUMNS = (
    "seq",
    "type",
    "at",
    "actor_id",
    "actor_kind",
    "project_id",
    "epic_id",
    "task_id",
    "data",
    "token_id",
    "request_id",
    "sealed",
)
GENESIS_HASH = bytes(32)
_HEAD = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})")


class Head(NamedTuple):
    """The `seq` and the hash of the newest event. Retention may have removed the event itself."""

    seq: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash.hex()}"

    @classmethod
    def read(cls, text: str) -> "Head":
        """Parse a head in the form SEQ:HASH. Raises ValueError."""
        found = _HEAD.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is not SEQ:HASH")
        return cls(int(found[1]), bytes.fromhex(found[2]))


_LAST = Statement(select(events.c.seq, events.c.hash).order_by(events.c.seq.desc()).limit(literal_column("1")))
_FLOOR = Statement(select(meta.c.event_floor, meta.c.floor_hash))


def head(tx: Tx) -> Head:
    """Return the head of the chain."""
    return Head._make(_LAST.row(tx) or _FLOOR.row(tx) or (0, GENESIS_HASH))


def floor(tx: Tx) -> Head:
    """Return `seq` and hash of the newest event that retention has removed. `seq` is 0 when there is none."""
    return Head._make(_FLOOR.row(tx) or (0, GENESIS_HASH))


def link(previous: bytes, columns: Sequence[Any]) -> bytes:
    """Return the hash of an event from the previous hash and the columns of the event, in the order of COLUMNS."""
    return sha256(previous + orjson.dumps(columns)).digest()
