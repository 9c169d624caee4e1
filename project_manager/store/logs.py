"""Entries in the logs of tasks."""

from functools import lru_cache
from typing import NamedTuple

from sqlalchemy import bindparam, insert, select

from project_manager.store import pages
from project_manager.store.pages import Total
from project_manager.store.statement import Statement, bindparams
from project_manager.store.tables import task_logs
from project_manager.store.transaction import Tx


class LogRow(NamedTuple):
    """A stored log entry. `created_at` is in milliseconds."""

    id: int
    task_id: int
    author: str
    kind: str
    body: str
    created_at: int


_COLUMNS = [task_logs.c[name] for name in LogRow._fields]
_ADD = Statement(insert(task_logs).values(bindparams(*LogRow._fields[1:])).returning(task_logs.c.id))


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


def add(tx: Tx, task_id: int, author: str, kind: str, body: str) -> LogRow:
    log_id = int(_ADD.value(tx, task_id=task_id, author=author, kind=kind, body=body, created_at=tx.now))
    return LogRow(log_id, task_id, author, kind, body, tx.now)


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
