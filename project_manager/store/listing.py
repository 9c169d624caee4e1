"""Pages of tasks by filter, and the number of tasks that match.

Filters are a dict from the names in `_condition` to their values. All of them must match.
"""

import json
from functools import lru_cache
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, and_, bindparam, select, text
from sqlalchemy.sql.expression import literal_column

from project_manager.domain.task_fields import PLAIN, Kind
from project_manager.store import pages
from project_manager.store.excerpts import with_excerpt
from project_manager.store.pages import Total
from project_manager.store.sqlite import search
from project_manager.store.statement import Statement, elements, has_labels
from project_manager.store.tables import tasks
from project_manager.store.tasks import COLUMNS, ROW_FIELDS, TaskRow, links, ready_conditions, ready_index
from project_manager.store.transaction import Tx

Order = Literal["id", "claim"]
DescriptionMode = Literal["whole", "lead", "none"]
"""The part of descriptions to read. A lead has EXCERPT_CHARACTERS + 1 characters if the description is longer."""
_TEXT_COLUMN_INDEXES = tuple(ROW_FIELDS.index(field.name) for field in PLAIN if field.kind in (Kind.TEXT, Kind.LINES))
_ROWS: dict[DescriptionMode, Select[Any]] = {
    "whole": select(*COLUMNS, *links()),
    "lead": select(*with_excerpt(COLUMNS), *links()),
    "none": select(*[literal_column("''").label(c.name) if c.name == "description" else c for c in COLUMNS], *links()),
}


def page(
    tx: Tx,
    filters: dict[str, Any],
    *,
    order: Order,
    after: tuple[int, ...] | None,
    limit: int,
    description: DescriptionMode = "whole",
) -> tuple[list[TaskRow], bool]:
    """Return up to `limit` rows after the position `after`, fewer when texts are long, and whether more follow."""
    statement = _page_statement(frozenset(filters), order, after is not None, tx.max_attempts > 0, description)
    values = {**_values(tx, filters), **pages.after(after)}
    return pages.page(tx, TaskRow._make, statement, values, limit, texts=_TEXT_COLUMN_INDEXES)


def count(tx: Tx, filters: dict[str, Any], *, exact: bool) -> Total:
    counter = _counter(frozenset(filters), tx.max_attempts > 0)
    return pages.count(tx, counter, _values(tx, filters), exact=exact)


@lru_cache(maxsize=256)
def _page_statement(
    filters: frozenset[str], order: Order, after: bool, capped: bool, description: DescriptionMode
) -> Statement:
    statement = _ROWS[description].where(*[_condition(name, capped=capped) for name in sorted(filters)])
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
    return Statement(statement.limit(bindparam("limit")))


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
