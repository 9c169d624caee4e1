"""Agents, with the instants of their first and last activity."""

from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Integer, Select, bindparam, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.expression import literal_column

from project_manager.store import pages
from project_manager.store.pages import Total
from project_manager.store.statement import Statement, bindparams
from project_manager.store.tables import agents, tasks
from project_manager.store.tasks import COLUMNS, TaskRow, with_empty_links
from project_manager.store.transaction import Tx


class AgentRow(NamedTuple):
    """A stored agent. Times are in milliseconds since the epoch."""

    id: str
    kind: str
    first_seen_at: int
    last_seen_at: int


class HeldLease(NamedTuple):
    """A lease of an agent. `expires_at` is in milliseconds since the epoch."""

    task_id: int
    fence: int
    expires_at: int


_COLUMNS = [agents.c[name] for name in AgentRow._fields]
_TOUCH = Statement(
    insert(agents)
    .values(**bindparams("id", "kind"), first_seen_at=bindparam("now"), last_seen_at=bindparam("now"))
    .on_conflict_do_update(index_elements=[agents.c.id], set_={"last_seen_at": bindparam("now"), **bindparams("kind")})
)
_GET = Statement(select(*_COLUMNS).where(agents.c.id == bindparam("agent_id")))
_LEASED_BY = Statement(
    select(*COLUMNS)
    .where(
        tasks.c.lock_holder == bindparam("agent_id"),
        tasks.c.lock_expires_at > bindparam("now"),
        func.coalesce(bindparam("project_id"), tasks.c.project_id) == tasks.c.project_id,
        or_(bindparam("epic_id", type_=Integer).is_(None), tasks.c.epic_id == bindparam("epic_id")),
    )
    .order_by(tasks.c.id)
    .limit(bindparam("limit"))
)
_HOLDERS = Statement(
    select(tasks.c.lock_holder)
    .where(tasks.c.lock_holder.is_not(None), tasks.c.lock_expires_at > bindparam("now"))
    .distinct()
)
_held = tasks.alias("held")
FIRST_LEASES = (
    select(_held.c.id, _held.c.fence, _held.c.lock_expires_at)
    .where(_held.c.lock_holder == bindparam("agent_id"), _held.c.lock_expires_at > bindparam("now"))
    .order_by(_held.c.lock_expires_at)
)
"""The fields of `HeldLease` for the leases of an agent, the earliest expiry first."""
_FIRST_LEASES = Statement(FIRST_LEASES.limit(bindparam("limit")))
_EXPIRING_FIRST = FIRST_LEASES.with_only_columns(_held.c.id).limit(literal_column("5"))
_EXPIRING_FIRST_ROWS = Statement(select(*COLUMNS).where(tasks.c.id.in_(_EXPIRING_FIRST)).order_by(tasks.c.id))


def ending_first(tx: Tx) -> list[TaskRow]:
    """Return the tasks of the actor's five leases that expire first, ordered by id. Links are not filled in."""
    return _EXPIRING_FIRST_ROWS.all(tx, with_empty_links, agent_id=tx.actor.id, now=tx.now)


def touch(tx: Tx) -> None:
    """Insert the transaction's actor, or update its kind and `last_seen_at`."""
    _TOUCH.write(tx, id=tx.actor.id, kind=tx.actor.kind, now=tx.now)


def add(tx: Tx, agent_id: str) -> None:
    """Insert an agent."""
    _TOUCH.write(tx, id=agent_id, kind="agent", now=tx.now)


def get(tx: Tx, agent_id: str) -> AgentRow | None:
    return _GET.one(tx, AgentRow._make, agent_id=agent_id)


def held_leases(tx: Tx, limit: int) -> list[HeldLease]:
    """Return up to `limit` leases of the actor, the earliest expiry first."""
    return _FIRST_LEASES.all(tx, HeldLease._make, agent_id=tx.actor.id, now=tx.now, limit=limit)


def leased_by(
    tx: Tx, agent_id: str, *, project_id: int | None = None, epic_id: int | None = None, limit: int = 100
) -> list[TaskRow]:
    """Return up to `limit` tasks with a live lease of the agent, ordered by id. Links are not filled in."""
    scope = {"project_id": project_id, "epic_id": epic_id}
    return _LEASED_BY.all(tx, with_empty_links, agent_id=agent_id, now=tx.now, limit=limit, **scope)


def holders(tx: Tx) -> frozenset[str]:
    """Return the ids of the agents with a live lease."""
    return frozenset(row[0] for row in _HOLDERS.rows(tx, now=tx.now))


@lru_cache(maxsize=8)
def _listed(active: bool | None, seen: bool) -> tuple[Statement, Statement]:
    holds = (
        select(tasks.c.id)
        .where(tasks.c.lock_holder == agents.c.id, tasks.c.lock_expires_at > bindparam("now"))
        .correlate(agents)
        .exists()
    )

    def narrowed(statement: Select[Any]) -> Select[Any]:
        if seen:
            statement = statement.where(agents.c.last_seen_at >= bindparam("seen_since"))
        return statement if active is None else statement.where(holds if active else ~holds)

    page = select(*_COLUMNS).order_by(agents.c.last_seen_at.desc(), agents.c.id)
    page = page.limit(bindparam("limit")).offset(bindparam("offset"))
    return Statement(narrowed(page)), pages.counter(narrowed(select(agents)))


def page(
    tx: Tx, active: bool | None, seen_since: int | None, *, offset: int, limit: int
) -> tuple[list[AgentRow], bool]:
    """Return a page of agents, the most recently seen first, and whether more follow.

    `active` selects agents with a live lease (True), without one (False), or all (None). `seen_since` selects agents
    seen at or after this instant in milliseconds.
    """
    statement = _listed(active, seen_since is not None)[0]
    return pages.page(tx, AgentRow._make, statement, {"offset": offset, **_values(tx, active, seen_since)}, limit)


def count(tx: Tx, active: bool | None, seen_since: int | None, *, exact: bool) -> Total:
    statement = _listed(active, seen_since is not None)[1]
    return pages.count(tx, statement, _values(tx, active, seen_since), exact=exact)


def _values(tx: Tx, active: bool | None, seen_since: int | None) -> dict[str, int]:
    return {**({} if active is None else {"now": tx.now}), **({} if seen_since is None else {"seen_since": seen_since})}
