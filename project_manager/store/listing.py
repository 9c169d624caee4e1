"""Pages of tasks by filter, and the number of tasks that match.

Filters are a dict from the names in `_condition` to their values. All of them must match.
"""

import json
from functools import lru_cache
from typing import Any, Literal

import orjson
from sqlalchemy import ColumnElement, and_, bindparam, func, select, text

from project_manager.domain.limits import PAGE_CHARACTERS
from project_manager.domain.task_fields import PLAIN, Kind
from project_manager.store import pages
from project_manager.store.pages import Total
from project_manager.store.sqlite import search
from project_manager.store.statement import Statement, elements, has_labels
from project_manager.store.tables import tasks
from project_manager.store.task_rows import Fields, Values, array_of
from project_manager.store.tasks import ready_conditions, ready_index
from project_manager.store.transaction import Tx

Order = Literal["id", "claim"]
_BLOCK = 64
"""Number of rows that one statement reads. A page of rows with long texts ends after a block, to save memory."""
_TEXTS = frozenset(field.name for field in PLAIN if field.kind is Kind.TEXT)
_LINES = frozenset(field.name for field in PLAIN if field.kind is Kind.LINES)


def page(
    tx: Tx, filters: dict[str, Any], fields: Fields, *, order: Order, after: tuple[int, ...] | None, limit: int
) -> tuple[list[Values], bool]:
    """Return up to `limit` rows after the position `after`, and whether more follow.

    `fields` have those of the position. The page ends early, after one row or more, when its texts reach
    PAGE_CHARACTERS.
    """
    rows: list[Values] = []
    characters = 0
    while True:
        wanted = min(_BLOCK, limit + 1 - len(rows))
        statement = _page_statement(frozenset(filters), fields, order, after is not None, tx.max_attempts > 0)
        block = statement.value(tx, **_values(tx, filters), **pages.after(after), limit=wanted) or ""
        found = orjson.loads(f"[{block}]")
        rows += found
        characters += len(block)
        fitting = limit if characters < PAGE_CHARACTERS else min(limit, _fitting(fields, rows))
        if fitting < len(rows) or len(found) < wanted:
            return rows[:fitting], fitting < len(rows)
        after = position(order, fields, rows[-1])


def position(order: Order, fields: Fields, row: Values) -> tuple[int, ...]:
    """Return the position of a row in the order."""
    view = dict(zip(fields, row, strict=False))
    return (view["id"],) if order == "id" else (view["priority"], -view["unblocks"], view["id"])


def _fitting(fields: Fields, rows: list[Values]) -> int:
    """Return the number of rows until their texts reach PAGE_CHARACTERS."""
    texts = [place for place, name in enumerate(fields) if name in _TEXTS]
    lines = [place for place, name in enumerate(fields) if name in _LINES]
    size = 0
    for number, row in enumerate(rows):
        if size >= PAGE_CHARACTERS:
            return number
        size += sum(len(row[place]) for place in texts) + sum(len(line) for place in lines for line in row[place])
    return len(rows)


def count(tx: Tx, filters: dict[str, Any], *, exact: bool) -> Total:
    counter = _counter(frozenset(filters), tx.max_attempts > 0)
    return pages.count(tx, counter, _values(tx, filters), exact=exact)


@lru_cache(maxsize=256)
def _page_statement(filters: frozenset[str], fields: Fields, order: Order, after: bool, capped: bool) -> Statement:
    """Return the statement that selects rows as `task_rows.array_of` does, joined by commas."""
    conditions = [_condition(name, capped=capped) for name in sorted(filters)]
    statement = select(array_of(fields, "whole").label("row")).where(*conditions)
    if order == "claim":
        if "ready" in filters:
            statement = statement.with_hint(tasks, ready_index(filters), "sqlite")
        statement = statement.order_by(tasks.c.priority, tasks.c.unblocks.desc(), tasks.c.id)
        if after:
            statement = statement.where(
                text("(tasks.priority, -tasks.unblocks, tasks.id) > (:after_0, :after_1, :after_2)")
            )
    else:
        statement = statement.order_by(tasks.c.id)
        if after:
            statement = statement.where(tasks.c.id > bindparam("after_0"))
    rows = statement.limit(bindparam("limit")).subquery()
    return Statement(select(func.group_concat(rows.c.row)))


@lru_cache(maxsize=256)
def _counter(filters: frozenset[str], capped: bool) -> Statement:
    conditions = [_condition(name, capped=capped) for name in sorted(filters)]
    return pages.counter(select(tasks).where(*conditions))


def _condition(name: str, *, capped: bool) -> ColumnElement[bool]:
    match name:
        case "project_id" | "epic_id":
            return tasks.c[name] == bindparam(name)
        case "status":
            return tasks.c.status.in_(elements("status"))
        case "ids":
            return tasks.c.id.in_(elements("ids"))
        case "labels":
            return has_labels(tasks.c.labels)
        case "holder":
            return (tasks.c.lock_holder == bindparam("holder")) & (tasks.c.lock_expires_at > bindparam("now"))
        case "unheld":
            return tasks.c.lock_holder.is_(None)
        case "q":
            return tasks.c.id.in_(select(search.tasks_fts.c.rowid).where(text("tasks_fts MATCH :q")))
        case "ready":
            return and_(*ready_conditions(tasks, with_attempt_limit=capped))
        case "not_ready":
            return ~and_(*ready_conditions(tasks, with_attempt_limit=capped))
    raise KeyError(name)


def _values(tx: Tx, filters: dict[str, Any]) -> dict[str, Any]:
    values = {name: json.dumps(value) if isinstance(value, list) else value for name, value in filters.items()}
    if "q" in values:
        values["q"] = search.match_expression(values["q"])
    return {**values, "now": tx.now, "max_attempts": tx.max_attempts}
