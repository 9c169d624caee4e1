"""Who waits for a task, in the order of coming, across all instances."""

import json
from typing import NamedTuple

from sqlalchemy import bindparam, delete, insert, select, update

from project_manager.domain.limits import ID_MAXIMUM
from project_manager.store.compiled import Statement, each
from project_manager.store.schema import waiters
from project_manager.store.transaction import Shared, Tx

PLACE_MS = 11_000
"""How long a place in the queue is kept without a word: two heartbeats of its process, and some."""


class Waiter(NamedTuple):
    """A place in the queue and what it waits for; `labels` is a JSON array."""

    id: int
    agent_id: str
    project_id: int | None
    epic_id: int | None
    labels: str
    priority: int | None

    @property
    def wish(self) -> tuple[object, ...]:
        """The same for all who want the same."""
        return self[2:]

    def filters(self) -> dict[str, object]:
        chosen: dict[str, object] = {
            name: getattr(self, name)
            for name in ("project_id", "epic_id", "priority")
            if getattr(self, name) is not None
        }
        if self.labels != "[]":
            chosen["labels"] = json.loads(self.labels)
        return chosen


_BEFORE = Statement(
    select(*[waiters.c[name] for name in Waiter._fields])
    .where(waiters.c.id < bindparam("ticket"), waiters.c.expires_at > bindparam("now"))
    .order_by(waiters.c.id)
)
_AFTER = Statement(
    select(waiters.c.id).where(waiters.c.id > bindparam("ticket"), waiters.c.expires_at > bindparam("now")).limit(1)
)
_ENTER = Statement(
    insert(waiters)
    .values(
        agent_id=bindparam("agent_id"),
        project_id=bindparam("project_id"),
        epic_id=bindparam("epic_id"),
        labels=bindparam("labels"),
        priority=bindparam("priority"),
        expires_at=bindparam("expires_at"),
    )
    .returning(waiters.c.id)
)
_LEAVE = Statement(delete(waiters).where(waiters.c.id == bindparam("ticket")))
_STAY = Statement(
    update(waiters)
    .where(waiters.c.id.in_(select(each(bindparam("tickets")).c.value)))
    .values(expires_at=bindparam("expires_at"))
)
_GONE = Statement(select(*[waiters.c[name] for name in Waiter._fields]).where(waiters.c.expires_at <= bindparam("now")))
_FORGET_ALL = Statement(delete(waiters))


def before(tx: Tx, ticket: int) -> list[Waiter]:
    """Those who came before `ticket` and wait still."""
    shared = tx.shared or Shared()
    if shared.queue is None:
        shared.queue = [Waiter._make(row) for row in _BEFORE.rows(tx, ticket=ID_MAXIMUM, now=tx.now)]
    return [waiter for waiter in shared.queue if waiter.id < ticket]


def after(tx: Tx, ticket: int) -> bool:
    """Whether anybody who came after `ticket` waits still."""
    return _AFTER.row(tx, ticket=ticket, now=tx.now) is not None


def enter(
    tx: Tx,
    agent_id: str,
    *,
    project_id: int | None,
    epic_id: int | None,
    labels: list[str],
    priority: int | None,
) -> int:
    _forget_queue(tx)
    return int(
        _ENTER.value(
            tx,
            agent_id=agent_id,
            project_id=project_id,
            epic_id=epic_id,
            labels=json.dumps(labels),
            priority=priority,
            expires_at=tx.now + PLACE_MS,
        )
    )


def leave(tx: Tx, ticket: int) -> None:
    _forget_queue(tx)
    _LEAVE.run(tx, ticket=ticket)


def _forget_queue(tx: Tx) -> None:
    if tx.shared is not None:
        tx.shared.queue = None


def stay(tx: Tx, tickets: list[int]) -> None:
    """Those who have these tickets wait still."""
    _STAY.run(tx, tickets=json.dumps(tickets), expires_at=tx.now + PLACE_MS)


def gone(tx: Tx) -> list[Waiter]:
    """Those of whom nobody has said lately that they wait: their process is gone."""
    return [Waiter._make(row) for row in _GONE.rows(tx, now=tx.now)]


def forget_all(tx: Tx) -> None:
    """For a process that is alone: nobody can be waiting."""
    _FORGET_ALL.run(tx)
