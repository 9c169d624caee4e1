"""First answers by idempotency key, kept in the transaction of their effect."""

from sqlalchemy import bindparam, delete, insert, select

from project_manager.store.compiled import Statement
from project_manager.store.schema import answers
from project_manager.store.transaction import Tx

_FIND = Statement(
    select(answers.c.request_hash, answers.c.body).where(
        answers.c.actor_id == bindparam("actor_id"), answers.c.key == bindparam("key")
    )
)
_KEEP = Statement(
    insert(answers).values(
        actor_id=bindparam("actor_id"),
        key=bindparam("key"),
        request_hash=bindparam("request_hash"),
        body=bindparam("body"),
        created_at=bindparam("now"),
    )
)
_FORGET = Statement(delete(answers).where(answers.c.created_at < bindparam("before")))


def find(tx: Tx, key: str) -> tuple[str, str] | None:
    """(request hash, body) of the actor's first answer under this key."""
    row = _FIND.row(tx, actor_id=tx.actor.id, key=key)
    return None if row is None else (row[0], row[1])


def keep(tx: Tx, key: str, request_hash: str, body: str) -> None:
    _KEEP.run(tx, actor_id=tx.actor.id, key=key, request_hash=request_hash, body=body, now=tx.now)


def forget(tx: Tx, before: int) -> int:
    """Removes answers given before this instant; how many."""
    return _FORGET.run(tx, before=before)
