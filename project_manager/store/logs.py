"""Entries in the logs of tasks."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from sqlalchemy import bindparam, select

from project_manager.store import pages
from project_manager.store.pages import Total
from project_manager.store.row_inserts import RowInsert
from project_manager.store.statement import Statement
from project_manager.store.tables import task_logs
from project_manager.store.transaction import Tx


class LogRow(NamedTuple):
    """A stored log entry. `created_at` is in milliseconds. `details` is a JSON object for some kinds."""

    id: int
    task_id: int
    author: str
    kind: str
    body: str
    created_at: int
    details: str | None = None


_COLUMNS = [task_logs.c[name] for name in LogRow._fields]
_INSERT = RowInsert(task_logs, LogRow._fields[1:], returns_ids=True)
_GET = Statement(select(*_COLUMNS).where(task_logs.c.id == bindparam("log_id")))


@lru_cache(maxsize=8)
def _newest(by_kind: bool) -> Statement:
    statement = (
        select(*_COLUMNS)
        .where(task_logs.c.task_id == bindparam("task_id"), task_logs.c.id < bindparam("before"))
        .order_by(task_logs.c.id.desc())
        .limit(bindparam("limit"))
    )
    return Statement(statement.where(task_logs.c.kind == bindparam("kind")) if by_kind else statement)


@lru_cache(maxsize=8)
def _count(by_kind: bool) -> Statement:
    statement = select(task_logs).where(task_logs.c.task_id == bindparam("task_id"))
    return pages.counter(statement.where(task_logs.c.kind == bindparam("kind")) if by_kind else statement)


def add(tx: Tx, task_id: int, author: str, kind: str, body: str, details: str | None = None) -> LogRow:
    (entry,) = add_all(tx, [(task_id, body)], author, kind, details)
    return entry


def add_all(
    tx: Tx, bodies: Sequence[tuple[int, str]], author: str, kind: str, details: str | None = None
) -> list[LogRow]:
    """Insert an entry for each pair of task id and body, many per statement, and return the entries in this order."""
    rows = [(task_id, author, kind, body, tx.now, details) for task_id, body in bodies]
    ids = _INSERT.ids(tx, [value for row in rows for value in row])
    return [LogRow(log_id, *row) for log_id, row in zip(ids, rows, strict=True)]


def newest(tx: Tx, task_id: int, limit: int, *, before: int, kind: str | None = None) -> tuple[list[LogRow], bool]:
    """Return up to `limit` entries with an id below `before`, newest first, and whether more follow.

    Long texts make the page shorter.
    """
    values = {} if kind is None else {"kind": kind}
    return pages.page(
        tx, LogRow._make, _newest(kind is not None), {"task_id": task_id, "before": before, **values}, limit
    )


def count(tx: Tx, task_id: int, kind: str | None = None, *, exact: bool) -> Total:
    values = {} if kind is None else {"kind": kind}
    return pages.count(tx, _count(kind is not None), {"task_id": task_id, **values}, exact=exact)


def get(tx: Tx, log_id: int) -> LogRow | None:
    """Return the entry with this id, or None."""
    return _GET.one(tx, LogRow._make, log_id=log_id)
