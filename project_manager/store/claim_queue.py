"""The claim queue: waiters in the order of their arrival, across all instances."""

import json
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, insert, select, update

from project_manager.store.ready_tasks import Search
from project_manager.store.statement import Statement, bindparams, elements
from project_manager.store.tables import waiters
from project_manager.store.tasks import TaskRow
from project_manager.store.transaction import Tx

WAITER_TTL_MS = 11_000
"""Time that a waiter stays in the queue without a heartbeat of its process. A process sends one every 5 s."""


class Waiter(NamedTuple):
    """A waiter in the claim queue, with its filters. `labels` is a JSON array."""

    id: int
    agent_id: str
    project_id: int | None
    epic_id: int | None
    labels: str
    priority: int | None

    @property
    def filter_key(self) -> tuple[object, ...]:
        """Return the filters as a key, equal for waiters that accept the same tasks."""
        return self[2:]

    def search(self) -> Search:
        """Return the filters as a search for ready tasks."""
        chosen: Search = {
            name: getattr(self, name)
            for name in ("project_id", "epic_id", "priority")
            if getattr(self, name) is not None
        }
        if self.labels != "[]":
            chosen["labels"] = json.loads(self.labels)
        return chosen


class Queue:
    """The live waiters, in the order of their arrival."""

    def __init__(self, found: list[Waiter]) -> None:
        self.waiters: list[Waiter] = []
        self._by_label: dict[str | None, dict[tuple[object, ...], Search]] = {}
        for waiter in found:
            self.add(waiter)

    def add(self, waiter: Waiter) -> None:
        """Append a waiter."""
        self.waiters.append(waiter)
        search = waiter.search()
        first = search["labels"][0] if "labels" in search else None
        self._by_label.setdefault(first, {})[waiter.filter_key] = search

    def accepts(self, task: TaskRow) -> bool:
        """Return whether any waiter accepts the task."""
        if not self.waiters:
            return False
        labels: list[str] = json.loads(task.labels)
        # Searches are grouped by their first label, so that a long queue needs few comparisons.
        return any(
            _accepts(search, task, labels)
            for label in (None, *labels)
            for search in self._by_label.get(label, {}).values()
        )


def _accepts(search: Search, task: TaskRow, labels: list[str]) -> bool:
    return (
        all(search[name] == getattr(task, name) for name in ("project_id", "epic_id") if name in search)
        and task.priority <= search.get("priority", task.priority)
        and set(search.get("labels", ())) <= set(labels)
    )


_COLUMNS = [waiters.c[name] for name in Waiter._fields]
_LIVE = Statement(select(*_COLUMNS).where(waiters.c.expires_at > bindparam("now")).order_by(waiters.c.id))
_AFTER = Statement(
    select(waiters.c.id).where(waiters.c.id > bindparam("waiter_id"), waiters.c.expires_at > bindparam("now")).limit(1)
)
_INSERT = Statement(
    insert(waiters)
    .values(bindparams("agent_id", "project_id", "epic_id", "labels", "priority", "expires_at"))
    .returning(waiters.c.id)
)
_DELETE = Statement(delete(waiters).where(waiters.c.id == bindparam("waiter_id")).returning(*_COLUMNS))
_HEARTBEAT = Statement(
    update(waiters).where(waiters.c.id.in_(elements("waiter_ids"))).values(expires_at=bindparam("expires_at"))
)
_EXPIRED = Statement(select(waiters.c.id).where(waiters.c.expires_at <= bindparam("now")))
_DELETE_ALL = Statement(delete(waiters))


def queue(tx: Tx) -> Queue:
    """Return the claim queue. A batch reads it once, and again after `dequeue` or a rollback."""
    if tx.batch is None:
        return _read(tx)
    if tx.batch.queue is None:
        tx.batch.queue = _read(tx)
    found: Queue = tx.batch.queue
    return found


def _read(tx: Tx) -> Queue:
    return Queue(_LIVE.all(tx, Waiter._make, now=tx.now))


def after(tx: Tx, waiter_id: int) -> bool:
    """Return whether a live waiter is behind `waiter_id`."""
    return _AFTER.row(tx, waiter_id=waiter_id, now=tx.now) is not None


def enqueue(tx: Tx, search: Search) -> Waiter:
    """Append the actor to the queue and return its waiter."""
    filters: dict[str, Any] = {
        "project_id": search.get("project_id"),
        "epic_id": search.get("epic_id"),
        "labels": json.dumps(search.get("labels", [])),
        "priority": search.get("priority"),
    }
    waiter_id = int(_INSERT.value(tx, agent_id=tx.actor.id, expires_at=tx.now + WAITER_TTL_MS, **filters))
    waiter = Waiter(id=waiter_id, agent_id=tx.actor.id, **filters)
    if tx.batch is not None and tx.batch.queue is not None:
        tx.batch.queue.add(waiter)
    return waiter


def dequeue(tx: Tx, waiter_id: int) -> Waiter | None:
    """Remove a waiter from the queue and return it. Return None when it is not in the queue."""
    _invalidate_cache(tx)
    return _DELETE.one(tx, Waiter._make, waiter_id=waiter_id)


def _invalidate_cache(tx: Tx) -> None:
    if tx.batch is not None:
        tx.batch.queue = None


def heartbeat(tx: Tx, waiter_ids: list[int]) -> None:
    """Set the expiry of these waiters to WAITER_TTL_MS from now."""
    _HEARTBEAT.run(tx, waiter_ids=json.dumps(waiter_ids), expires_at=tx.now + WAITER_TTL_MS)


def expired(tx: Tx) -> list[int]:
    """Return the ids of waiters with an expired heartbeat."""
    return [row[0] for row in _EXPIRED.rows(tx, now=tx.now)]


def clear(tx: Tx) -> None:
    """Delete all waiters. The caller must be the only process on the database."""
    _DELETE_ALL.run(tx)
