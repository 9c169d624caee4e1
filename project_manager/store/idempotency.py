"""Responses by idempotency key, for replay. Each is inserted in the transaction of its request."""

import json
from collections.abc import Iterable

from sqlalchemy import bindparam, delete, insert, select, tuple_
from sqlalchemy.sql.expression import literal_column

from project_manager.domain.limits import DELETE_BATCH_SIZE
from project_manager.store.functions import JsonItem
from project_manager.store.statement import Statement, bindparams, json_elements
from project_manager.store.tables import answers
from project_manager.store.transaction import Tx

_FIND = Statement(
    select(answers.c.request_hash, answers.c.body).where(
        answers.c.actor_id == bindparam("actor_id"), answers.c.key == bindparam("key")
    )
)
_INSERT = Statement(insert(answers).values(bindparams("actor_id", "key", "request_hash", "body", "created_at")))
_FIND_MANY = Statement(
    select(answers.c.actor_id, answers.c.key)
    .select_from(_asked := json_elements(bindparam("asked")).alias("asked"))
    .join(
        answers,
        (answers.c.actor_id == JsonItem(_asked.c.value, literal_column("0")))
        & (answers.c.key == JsonItem(_asked.c.value, literal_column("1"))),
    )
)
_oldest = (
    select(answers.c.actor_id, answers.c.key)
    .where(answers.c.created_at < bindparam("before"))
    .order_by(answers.c.created_at)
    .limit(bindparam("limit"))
)
_DELETE_OLDEST = Statement(delete(answers).where(tuple_(answers.c.actor_id, answers.c.key).in_(_oldest)))


def find(tx: Tx, key: str) -> tuple[str, str] | None:
    """Return (request hash, body) of the actor's response under this key, or None."""
    row = _FIND.row(tx, actor_id=tx.actor.id, key=key)
    return None if row is None else (row[0], row[1])


def find_present(tx: Tx, asked: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return the pairs of actor id and key that have a stored response."""
    return {(row[0], row[1]) for row in _FIND_MANY.rows(tx, asked=json.dumps(list(asked)))}


def add(tx: Tx, key: str, request_hash: str, body: str) -> None:
    """Insert the response to the actor's request under this key."""
    _INSERT.write(tx, actor_id=tx.actor.id, key=key, request_hash=request_hash, body=body, created_at=tx.now)


def delete_older(tx: Tx, before: int, limit: int = DELETE_BATCH_SIZE) -> int:
    """Delete up to `limit` responses from before the instant `before` (milliseconds) and return their number."""
    return _DELETE_OLDEST.run(tx, before=before, limit=limit)
