"""Tokens. Only the hash of a secret is stored."""

from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.sql.expression import literal_column

from project_manager.store import pages
from project_manager.store.pages import Total
from project_manager.store.statement import Statement, bindparams
from project_manager.store.tables import tokens
from project_manager.store.transaction import Tx


class TokenRow(NamedTuple):
    """A stored token. Times are in milliseconds since the epoch."""

    id: int
    name: str
    role: str
    agent_id: str | None
    created_at: int
    revoked_at: int | None
    attests: int


_COLUMNS = [tokens.c[name] for name in TokenRow._fields]
_BY_HASH = Statement(select(*_COLUMNS).where(tokens.c.hash == bindparam("hash"), tokens.c.revoked_at.is_(None)))
_BY_NAME = Statement(select(*_COLUMNS).where(tokens.c.name == bindparam("name"), tokens.c.revoked_at.is_(None)))
_BOUND = Statement(
    select(tokens.c.id)
    .where(tokens.c.agent_id == bindparam("agent_id"), tokens.c.revoked_at.is_(None))
    .limit(literal_column("1"))
)
_GET = Statement(select(*_COLUMNS).where(tokens.c.id == bindparam("token_id")))
_PAGE = Statement(
    select(*_COLUMNS).where(tokens.c.id > bindparam("after")).order_by(tokens.c.id).limit(bindparam("limit"))
)
_COUNTER = pages.counter(select(tokens))
_COUNT = Statement(select(func.count()).select_from(tokens))
_LIVE = Statement(select(func.count()).select_from(tokens).where(tokens.c.revoked_at.is_(None)))
_ADD = Statement(
    insert(tokens)
    .values(**bindparams("name", "role", "agent_id", "hash", "created_at", "attests"))
    .returning(*_COLUMNS)
)
_REVOKE = Statement(
    update(tokens).where(tokens.c.id == bindparam("token_id")).values(revoked_at=bindparam("now")).returning(*_COLUMNS)
)
_CLEAR = Statement(delete(tokens))


def get_by_hash(tx: Tx, digest: str) -> TokenRow | None:
    """Return the token with this hash that is not revoked, or None."""
    return _BY_HASH.one(tx, TokenRow._make, hash=digest)


def get_by_name(tx: Tx, name: str) -> TokenRow | None:
    """Return the token with this name that is not revoked, or None."""
    return _BY_NAME.one(tx, TokenRow._make, name=name)


def is_bound(tx: Tx, agent_id: str) -> bool:
    """Return whether a token that is not revoked is bound to this agent id."""
    return _BOUND.row(tx, agent_id=agent_id) is not None


def get(tx: Tx, token_id: int) -> TokenRow | None:
    return _GET.one(tx, TokenRow._make, token_id=token_id)


def page(tx: Tx, *, after: int, limit: int) -> tuple[list[TokenRow], bool]:
    """Return up to `limit` tokens with an id above `after`, and whether more follow."""
    return pages.page(tx, TokenRow._make, _PAGE, {"after": after}, limit)


def count(tx: Tx, *, exact: bool) -> Total:
    return pages.count(tx, _COUNTER, {}, exact=exact)


def count_all(tx: Tx) -> int:
    """Return the number of all tokens, revoked ones included."""
    return int(_COUNT.value(tx))


def count_live(tx: Tx) -> int:
    """Return the number of tokens that are not revoked."""
    return int(_LIVE.value(tx))


def add(tx: Tx, name: str, role: str, agent_id: str | None, digest: str, *, attests: bool) -> TokenRow:
    values = {"name": name, "role": role, "agent_id": agent_id, "hash": digest, "attests": int(attests)}
    return TokenRow._make(_ADD.row(tx, **values, created_at=tx.now) or ())


def revoke(tx: Tx, token_id: int) -> TokenRow:
    return TokenRow._make(_REVOKE.row(tx, token_id=token_id, now=tx.now) or ())


def clear(tx: Tx) -> int:
    """Delete all tokens and return their number."""
    return _CLEAR.run(tx)
