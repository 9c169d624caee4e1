"""The outbox: events, inserted in the transaction of the change and read in the order of commits."""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import orjson
from sqlalchemy import bindparam, func, select

from project_manager.clock import rfc3339
from project_manager.domain.events.event import Event
from project_manager.domain.events.event_types import OPERATOR_ONLY_TYPES, TASK_TYPES
from project_manager.store import chain, compact_rows, pages
from project_manager.store.chain import Head
from project_manager.store.pages import Total
from project_manager.store.row_inserts import RowInsert
from project_manager.store.seals import Digests
from project_manager.store.statement import Statement, elements
from project_manager.store.tables import events, meta
from project_manager.store.transaction import Tx


class EventRow(NamedTuple):
    """A stored event. `data` is JSON. `token_id` and `request_id` identify its cause, or are None."""

    seq: int
    type: str
    at: int
    actor_id: str
    actor_kind: str
    project_id: int | None
    epic_id: int | None
    task_id: int | None
    data: str
    token_id: int | None = None
    request_id: str | None = None

    def encoded(self, *, traced: bool = False) -> bytes:
        """Return the event as JSON, envelope and fields at one level. `traced` adds the fields for operators."""
        envelope: dict[str, Any] = {
            "seq": self.seq,
            "type": self.type,
            "timestamp": rfc3339(self.at),
            "actor": {"id": self.actor_id, "kind": self.actor_kind},
            "project_id": self.project_id,
            "epic_id": self.epic_id,
            "task_id": self.task_id,
        }
        if traced:
            envelope |= {"token_id": self.token_id, "request_id": self.request_id}
        head = orjson.dumps(envelope)
        is_bare = self.data == "{}" or (not traced and self.type in OPERATOR_ONLY_TYPES)
        return head if is_bare else head[:-1] + b"," + self.data[1:].encode()

    def view(self, *, traced: bool = False) -> dict[str, Any]:
        """Return the event as a dict with the contents of `encoded`."""
        found: dict[str, Any] = orjson.loads(self.encoded(traced=traced))
        return found


class WrittenEvents(NamedTuple):
    """The events of one commit, as rows of the outbox. `first` is the `seq` of the first one."""

    first: int
    rows: list[list[Any]]

    @property
    def last(self) -> int:
        return self.first + len(self.rows) - 1

    def payloads(self, event_type: str) -> list[dict[str, Any]]:
        """Return the payloads of the events of this type."""
        return [orjson.loads(row[_DATA]) for row in self.rows if row[_TYPE] == event_type]

    def event_rows(self) -> list[EventRow]:
        """Return the events as a read of the database returns them. Only the hash chain needs the sealed facts."""
        return [EventRow(seq, *row[:-1]) for seq, row in enumerate(self.rows, self.first)]


_COLUMNS = [events.c[name] for name in EventRow._fields]
_WRITTEN = (*chain.COLUMNS, "hash")
_TYPE, _TASK_ID, _DATA = (chain.COLUMNS.index(name) - 1 for name in ("type", "task_id", "data"))
"""Positions in a row of the outbox, which has no `seq` yet."""
_INSERT = RowInsert(events, _WRITTEN, (16, 4, 2, 1))
_AT_ONCE = 256
"""Number of events between two statements, so that the server does not end the transaction of a large batch as idle."""
_AFTER = Statement(
    select(*_COLUMNS).where(events.c.seq > bindparam("since")).order_by(events.c.seq).limit(bindparam("limit"))
)
_HEAD = Statement(select(func.coalesce(func.max(events.c.seq), select(meta.c.event_floor).scalar_subquery(), 0)))


def add(
    tx: Tx,
    event: Event,
    *,
    project_id: int | None = None,
    epic_id: int | None = None,
    task_id: int | None = None,
    sealed: Digests | None = None,
) -> None:
    """Emit an event of the actor at `tx.now`. It is inserted before the commit.

    The hash chain covers the facts in `sealed`. The public event does not contain them.
    """
    actor = tx.actor
    row = [
        event.type,
        tx.now,
        actor.id,
        actor.kind,
        project_id,
        epic_id,
        task_id,
        orjson.dumps(vars(event)).decode(),
        actor.token_id,
        tx.request_id or None,
        None if sealed is None else orjson.dumps(sealed).decode(),
    ]
    if tx.batch is None:
        write(tx, [row], chain.head(tx))
    else:
        tx.batch.outbox.append(row)


def add_compact_rows(tx: Tx, rows: list[list[Any]]) -> None:
    """Add the present compact row of its task to each event of a task. A deleted task has the row `null`."""
    about_tasks = [row for row in rows if row[_TYPE] in TASK_TYPES]
    for start in range(0, len(about_tasks), _AT_ONCE):
        chunk = about_tasks[start : start + _AT_ONCE]
        found = compact_rows.encoded(tx, {row[_TASK_ID] for row in chunk})
        for row in chunk:
            row[_DATA] = f'{row[_DATA][:-1]},"task":{found.get(row[_TASK_ID], "null")}}}'


def write(tx: Tx, rows: list[list[Any]], head: Head) -> Head:
    """Insert events in this order behind `head`, many per statement, and return the new head."""
    for start in range(0, len(rows), _AT_ONCE):
        head = _write(tx, rows[start : start + _AT_ONCE], head)
    return head


def _write(tx: Tx, rows: list[list[Any]], head: Head) -> Head:
    seq, link = head
    values: list[Any] = []
    for row in rows:
        seq += 1
        columns = (seq, *row)
        link = chain.link(link, columns)
        values += columns
        values.append(link)
    _INSERT.write(tx, values)
    return Head(seq, link)


def after(tx: Tx, since: int, limit: int) -> list[EventRow]:
    """Return up to `limit` events after `since`, in the order of `seq`."""
    return _AFTER.all(tx, EventRow._make, since=since, limit=limit)


def all_after(tx: Tx, since: int, *, number: int, characters: int) -> list[EventRow] | None:
    """Return all events after `since`, or None for more than `number` events or `characters` of data."""
    rows: list[EventRow] = []
    size = 0
    for found in _AFTER.each(tx, since=since, limit=number + 1):
        row = EventRow._make(found)
        size += len(row.data)
        if len(rows) == number or size > characters:
            return None
        rows.append(row)
    return rows


def head(tx: Tx) -> int:
    """Return the last `seq` that was assigned, or 0 when there is none. Retention may have removed its event."""
    return int(_HEAD.value(tx))


@lru_cache(maxsize=8)
def _selected(filters: frozenset[str]) -> Statement:
    statement = (
        select(*_COLUMNS).where(events.c.seq > bindparam("since")).order_by(events.c.seq).limit(bindparam("limit"))
    )
    if "types" in filters:
        statement = statement.where(events.c.type.in_(elements("types")))
    if "project_id" in filters:
        here = events.c.project_id == bindparam("project_id")
        statement = statement.where(here | events.c.project_id.is_(None))
    return Statement(statement)


def selected(
    tx: Tx, since: int, limit: int, *, types: list[str], project_id: int | None
) -> tuple[list[EventRow], bool]:
    """Return up to `limit` events after `since`, and whether more follow. Long data makes the page shorter.

    An empty `types` selects all types. A `project_id` also selects events without a project. None selects all.
    """
    values: dict[str, Any] = {}
    if types:
        values["types"] = json.dumps(types)
    if project_id is not None:
        values["project_id"] = project_id
    return pages.page(tx, EventRow._make, _selected(frozenset(values)), {"since": since, **values}, limit)


@lru_cache(maxsize=2)
def _of_task(typed: bool) -> tuple[Statement, Statement]:
    """Return the page and the counter of the events of a task, of some types if `typed`."""
    here = [events.c.task_id == bindparam("task_id")]
    if typed:
        here.append(events.c.type.in_(elements("types")))
    page = select(*_COLUMNS).where(*here, events.c.seq > bindparam("after")).order_by(events.c.seq)
    return Statement(page.limit(bindparam("limit"))), pages.counter(select(events).where(*here))


def of_task(
    tx: Tx, task_id: int, after_seq: int, limit: int, *, types: Sequence[str] = ()
) -> tuple[list[EventRow], bool]:
    """Return up to `limit` events of a task after `after_seq`, fewer when data is long, and whether more follow.

    An empty `types` selects all types.
    """
    values = {**_task_values(task_id, types), "after": after_seq}
    return pages.page(tx, EventRow._make, _of_task(bool(types))[0], values, limit)


def count_of_task(tx: Tx, task_id: int, *, types: Sequence[str] = (), exact: bool) -> Total:
    return pages.count(tx, _of_task(bool(types))[1], _task_values(task_id, types), exact=exact)


def _task_values(task_id: int, types: Sequence[str]) -> dict[str, Any]:
    return {"task_id": task_id, **({"types": json.dumps([*types])} if types else {})}
