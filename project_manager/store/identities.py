"""Agent ids that connections keep, by key."""

from sqlalchemy import ColumnElement, bindparam, delete, insert, select, union_all
from sqlalchemy.sql.expression import literal_column

from project_manager.domain.limits import DELETE_BATCH_SIZE
from project_manager.store.statement import Statement, bindparams
from project_manager.store.tables import agents, tasks, tokens
from project_manager.store.tables_identities import identities
from project_manager.store.transaction import Tx

_FIND = Statement(select(identities.c.agent_id).where(identities.c.key == bindparam("key")))
_ADD = Statement(insert(identities).values(bindparams("key", "agent_id", "created_at")))
_one: ColumnElement[int] = literal_column("1")
_USED = Statement(
    union_all(
        select(_one).where(agents.c.id == bindparam("agent_id")),
        select(_one).where(identities.c.agent_id == bindparam("agent_id")),
        select(_one).where(tasks.c.lock_holder == bindparam("agent_id")),
        select(_one).where(tokens.c.agent_id == bindparam("agent_id"), tokens.c.revoked_at.is_(None)),
        select(_one).where(tokens.c.name == bindparam("agent_id"), tokens.c.revoked_at.is_(None)),
    ).limit(literal_column("1"))
)
_seen_since = (
    select(agents.c.id)
    .where(agents.c.id == identities.c.agent_id, agents.c.last_seen_at >= bindparam("before"))
    .correlate(identities)
    .exists()
)
_oldest = (
    select(identities.c.key)
    .where(identities.c.created_at < bindparam("before"), ~_seen_since)
    .order_by(identities.c.created_at)
    .limit(bindparam("limit"))
)
_DELETE_OLDEST = Statement(delete(identities).where(identities.c.key.in_(_oldest)))


def find(tx: Tx, key: str) -> str | None:
    """Return the agent id of this key, or None."""
    return _FIND.one(tx, lambda row: str(row[0]), key=key)


def add(tx: Tx, key: str, agent_id: str) -> None:
    _ADD.write(tx, key=key, agent_id=agent_id, created_at=tx.now)


def is_used(tx: Tx, agent_id: str) -> bool:
    """Return whether an agent, a lease, a live token or a connection has this id."""
    return _USED.row(tx, agent_id=agent_id) is not None


def delete_older(tx: Tx, before: int, limit: int = DELETE_BATCH_SIZE) -> int:
    """Delete up to `limit` entries from before the instant `before` (milliseconds), and return their number.

    Entries of agents that were seen since then stay.
    """
    return _DELETE_OLDEST.run(tx, before=before, limit=limit)
