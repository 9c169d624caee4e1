"""Entries in the logs of tasks."""

import json
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, func, select
from sqlalchemy.sql.expression import literal_column

from project_manager.domain.limits import LOG_LINE_CHARACTERS
from project_manager.store import pages
from project_manager.store.pages import Total
from project_manager.store.row_inserts import RowInsert
from project_manager.store.statement import Statement, is_among
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
_BEGINNINGS = Statement(
    select(
        task_logs.c.id, func.substr(task_logs.c.body, literal_column("1"), literal_column(str(2 * LOG_LINE_CHARACTERS)))
    )
    .where(is_among(task_logs.c.id, "ids"))
    .order_by(task_logs.c.id)
)
_NEWEST_ID = Statement(select(func.max(task_logs.c.id)))


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


@lru_cache(maxsize=4)
def _by_author(by_kind: bool) -> tuple[Statement, Statement]:
    """Return the page and the counter of the entries of one author."""

    def narrowed(statement: Select[Any]) -> Select[Any]:
        statement = statement.where(task_logs.c.author == bindparam("author"), task_logs.c.id >= bindparam("first"))
        return statement.where(task_logs.c.kind == bindparam("kind")) if by_kind else statement

    page = (
        select(*_COLUMNS)
        .where(task_logs.c.id < bindparam("before"))
        .order_by(task_logs.c.id.desc())
        .limit(bindparam("limit"))
    )
    return Statement(narrowed(page)), pages.counter(narrowed(select(task_logs)))


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


def newest_id(tx: Tx) -> int:
    """Return the id of the newest entry of all tasks, or 0."""
    return _NEWEST_ID.value(tx) or 0


def by_author(
    tx: Tx, author: str, limit: int, *, first: int, before: int, kind: str | None = None
) -> tuple[list[LogRow], bool]:
    """Return up to `limit` entries of an author, newest first, and whether more follow.

    Only entries with ids from `first` and below `before` are searched, because no index has the author.
    """
    values = {"author": author, "first": first, "before": before, **({} if kind is None else {"kind": kind})}
    return pages.page(tx, LogRow._make, _by_author(kind is not None)[0], values, limit)


def count_by_author(tx: Tx, author: str, kind: str | None = None, *, first: int, exact: bool) -> Total:
    """Return the number of entries of an author with ids from `first`."""
    values = {"author": author, "first": first, **({} if kind is None else {"kind": kind})}
    return pages.count(tx, _by_author(kind is not None)[1], values, exact=exact)


def beginnings(tx: Tx, ids: Collection[int]) -> list[tuple[int, str]]:
    """Return (id, beginning of the body) of these entries, ordered by id. It has twice the length of a first line."""
    rows = _BEGINNINGS.rows(tx, ids=json.dumps([*ids]))
    return [(row[0], row[1]) for row in rows]


def get(tx: Tx, log_id: int) -> LogRow | None:
    """Return the entry with this id, or None."""
    return _GET.one(tx, LogRow._make, log_id=log_id)
