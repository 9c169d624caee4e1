"""The claim queue: waiters in the order of their arrival, across all instances."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, insert, select, update

from project_manager.store import pauses
from project_manager.store.claim_search import Search
from project_manager.store.ready_tasks import ReadyTask
from project_manager.store.statement import Statement, bindparams, is_among
from project_manager.store.tables import waiters
from project_manager.store.tasks import TaskRow
from project_manager.store.transaction import Tx

FilterKey = tuple[Any, ...]

_NO_GROUP: tuple[str, Any] = ("", None)

WAITER_TTL_MS = 11_000
"""Time that a waiter stays in the queue without a heartbeat of its process. A process sends one every 5 s."""


class Waiter(NamedTuple):
    """A waiter in the claim queue, with its filters. `labels` is a JSON array.

    `expires_at` is in milliseconds since the epoch, as of the read. Heartbeats move it.
    """

    id: int
    agent_id: str
    project_id: int | None
    epic_id: int | None
    labels: str
    priority: int | None
    expires_at: int

    @property
    def filter_key(self) -> FilterKey:
        """Return the filters as a key, equal for waiters that accept the same tasks."""
        return self[2:6]

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
    """The live waiters by id, in the order of their arrival, without those of paused agents.

    The queue must be read again at `valid_until`.
    """

    def __init__(self, found: list[Waiter]) -> None:
        self.waiters: dict[int, Waiter] = {}
        self.valid_until = sys.maxsize
        self._numbers: Counter[FilterKey] = Counter()
        self._groups: dict[tuple[str, Any], dict[FilterKey, Search]] = {}
        for waiter in found:
            self.add(waiter)

    @property
    def number_of_filters(self) -> int:
        """Return the number of different filters."""
        return len(self._numbers)

    def add(self, waiter: Waiter) -> None:
        """Append a waiter."""
        self.waiters[waiter.id] = waiter
        self.valid_until = min(self.valid_until, waiter.expires_at)
        self._numbers[waiter.filter_key] += 1
        if self._numbers[waiter.filter_key] == 1:
            search = waiter.search()
            self._groups.setdefault(_group(search), {})[waiter.filter_key] = search

    def remove(self, waiter: Waiter) -> None:
        """Remove a waiter that may be in the queue."""
        if self.waiters.pop(waiter.id, None) is None:
            return
        self._numbers[waiter.filter_key] -= 1
        if not self._numbers[waiter.filter_key]:
            del self._numbers[waiter.filter_key]
            del self._groups[_group(waiter.search())][waiter.filter_key]

    def filters_that_accept(self, task: TaskRow | ReadyTask) -> Iterator[FilterKey]:
        """Return the keys of all filters of waiters that accept the task."""
        if not self.waiters:
            return
        labels: list[str] = json.loads(task.labels)
        # Filters are grouped by their narrowest field, so that a long queue needs few comparisons.
        names = [("label", label) for label in labels]
        for group in (*names, ("epic_id", task.epic_id), ("project_id", task.project_id), _NO_GROUP):
            for key, search in self._groups.get(group, {}).items():
                if _accepts(search, task, labels):
                    yield key

    def accepts(self, task: TaskRow | ReadyTask) -> bool:
        """Return whether any waiter accepts the task."""
        return any(True for _ in self.filters_that_accept(task))


def _group(search: Search) -> tuple[str, Any]:
    """Return the group of a filter: its first label, else its epic, else its project."""
    if "labels" in search:
        return "label", search["labels"][0]
    return next(((name, search[name]) for name in ("epic_id", "project_id") if name in search), _NO_GROUP)


def search_accepts(search: Search, task: ReadyTask) -> bool:
    """Return whether the filters of a search accept the task."""
    return _accepts(search, task, json.loads(task.labels))


def _accepts(search: Search, task: TaskRow | ReadyTask, labels: list[str]) -> bool:
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
_OF_AGENT = Statement(
    select(*_COLUMNS)
    .where(waiters.c.agent_id == bindparam("agent_id"), waiters.c.expires_at > bindparam("now"))
    .order_by(waiters.c.id)
)
_WAITING_AGENTS = Statement(select(waiters.c.agent_id).where(waiters.c.expires_at > bindparam("now")).distinct())
_DELETE = Statement(delete(waiters).where(waiters.c.id == bindparam("waiter_id")).returning(*_COLUMNS))
_HEARTBEAT = Statement(
    update(waiters).where(is_among(waiters.c.id, "waiter_ids")).values(expires_at=bindparam("expires_at"))
)
_EXPIRED = Statement(select(waiters.c.id).where(waiters.c.expires_at <= bindparam("now")))
_DELETE_ALL = Statement(delete(waiters))


def queue(tx: Tx) -> Queue:
    """Return the claim queue.

    It is kept until a rollback, a heartbeat, a commit of another process or the first expiry.
    """
    if tx.batch is None:
        return _read(tx)
    if tx.batch.queue is None or tx.batch.queue.valid_until <= tx.now:
        tx.batch.queue = _read(tx)
    found: Queue = tx.batch.queue
    return found


def _read(tx: Tx) -> Queue:
    paused = pauses.paused_agents(tx)
    return Queue([waiter for waiter in _LIVE.all(tx, Waiter._make, now=tx.now) if waiter.agent_id not in paused])


def of_agent(tx: Tx, agent_id: str) -> list[Waiter]:
    """Return the live waiters of an agent, also if it is paused, in the order of their arrival."""
    return _OF_AGENT.all(tx, Waiter._make, agent_id=agent_id, now=tx.now)


def waiting_agents(tx: Tx) -> frozenset[str]:
    """Return the ids of all agents with a live waiter, also of paused ones."""
    return frozenset(row[0] for row in _WAITING_AGENTS.rows(tx, now=tx.now))


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
    fields = {"agent_id": tx.actor.id, "expires_at": tx.now + WAITER_TTL_MS, **filters}
    waiter = Waiter(id=int(_INSERT.value(tx, **fields)), **fields)
    if tx.batch is not None and tx.batch.queue is not None and tx.actor.id not in pauses.paused_agents(tx):
        tx.batch.queue.add(waiter)
    return waiter


def dequeue(tx: Tx, waiter_id: int) -> Waiter | None:
    """Remove a waiter from the queue and return it. Return None when it is not in the queue."""
    waiter = _DELETE.one(tx, Waiter._make, waiter_id=waiter_id)
    if waiter is not None and tx.batch is not None and tx.batch.queue is not None:
        tx.batch.queue.remove(waiter)
    return waiter


def heartbeat(tx: Tx, waiter_ids: list[int]) -> None:
    """Set the expiry of these waiters to WAITER_TTL_MS from now. It may bring back expired ones."""
    _HEARTBEAT.run(tx, waiter_ids=json.dumps(waiter_ids), expires_at=tx.now + WAITER_TTL_MS)
    if tx.batch is not None:
        tx.batch.queue = None


def expired(tx: Tx) -> list[int]:
    """Return the ids of waiters with an expired heartbeat."""
    return [row[0] for row in _EXPIRED.rows(tx, now=tx.now)]


def clear(tx: Tx) -> None:
    """Delete all waiters. The caller must be the only process on the database."""
    _DELETE_ALL.run(tx)
