"""Pages of tasks by filter, and the number of tasks that match. `task_filters` has the filters."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

import orjson
from sqlalchemy import Select, bindparam, select

from project_manager.domain.limits import ID_MAXIMUM, PAGE_CHARACTERS, TOTAL_MAXIMUM
from project_manager.domain.task_fields import PLAIN, Kind
from project_manager.store import pages, ready_tasks, task_filters
from project_manager.store.functions import GroupedIds, JoinedArrays
from project_manager.store.pages import Total
from project_manager.store.statement import Statement
from project_manager.store.tables import tasks
from project_manager.store.task_filters import Query
from project_manager.store.task_rows import Fields, Values, array_of
from project_manager.store.transaction import Tx

Order = Literal["id", "claim"]
_ORDERS: dict[Order, tuple[Any, ...]] = {"id": (tasks.c.id,), "claim": ready_tasks.CLAIM_ORDER}
_BLOCK = 64
"""Maximum number of rows with long texts that one statement reads, so that they need little memory."""
_NEAR = 1024
"""Number of ids behind the position of a page that a list looks among first. For a common status, they are enough."""
_TEXTS = frozenset(field.name for field in PLAIN if field.kind is Kind.TEXT)
_LINES = frozenset(field.name for field in PLAIN if field.kind is Kind.LINES)


def find(tx: Tx, query: Query) -> Query:
    """Return the query with the ids of its tasks, so that page and total need one search. One index needs none."""
    if task_filters.is_of_index(query.names):
        return query
    statement = _matching_statement(query.names, tx.max_attempts > 0)
    return query._replace(found=orjson.loads(statement.value(tx, **query.values, limit=TOTAL_MAXIMUM + 1)))


def first_ids(tx: Tx, query: Query, limit: int) -> list[int]:
    """Return the ids of up to `limit` tasks that match, in any order."""
    statement = _matching_statement(query.names, tx.max_attempts > 0)
    found: list[int] = orjson.loads(statement.value(tx, **query.values, limit=limit))
    return found


def page(
    tx: Tx, query: Query, fields: Fields, *, order: Order, after: tuple[int, ...] | None, limit: int
) -> tuple[list[Values], bool]:
    """Return up to `limit` rows after the position `after`, and whether more follow.

    `fields` include those that `position` reads. The page ends early, after one row or more, when its texts reach
    PAGE_CHARACTERS.
    """
    names, values, _ = query
    ids = _first_ids(tx, query, after, limit + 1) if order == "id" else None
    if ids is not None:
        names, values = frozenset({"ids"}), {"ids": json.dumps(ids)}
    rows: list[Values] = []
    size = 0
    block_size = limit + 1 if (_TEXTS | _LINES).isdisjoint(fields) else _BLOCK
    while True:
        wanted = min(block_size, limit + 1 - len(rows))
        statement = _page_statement(names, fields, order, after is not None, tx.max_attempts > 0)
        block = statement.value(tx, **values, **pages.after(after), limit=wanted) or b"[]"
        found = orjson.loads(block)
        rows += found
        size += len(block)  # at least the characters of the texts
        fitting = limit
        if size >= PAGE_CHARACTERS:
            fitting, size = _fitting(fields, rows)
        kept = min(fitting, limit)
        if kept < len(rows) or len(found) < wanted:
            return rows[:kept], kept < len(rows)
        after = position(order, dict(zip(fields, rows[-1], strict=False)))
        # Rows with long texts are read only as far as they fit, if they are as long as those before.
        block_size = max(1, min(_BLOCK, (PAGE_CHARACTERS - size) * len(rows) // max(size, 1) + 1))


def _first_ids(tx: Tx, query: Query, after: tuple[int, ...] | None, limit: int) -> list[int] | None:
    """Return the first `limit` ids after a position, or None if the statement of the page finds them in order.

    An index of ranges has the first ids of each range, and most of these are not among the first of all. So it looks
    among the next _NEAR ids first. If it finds some, their number suggests how far the second look has to go. The third
    look has no limit.
    """
    names, values, found = query
    start = after[0] if after else 0
    if found is not None and len(found) <= TOTAL_MAXIMUM:
        return sorted(task_id for task_id in found if task_id > start)[:limit]
    if not task_filters.has_ranges(names):
        return None
    first = _first_ids_statement(names, tx.max_attempts > 0)

    def up_to(last: int) -> list[int]:
        values_of_look = {**values, "after_0": start, "last": min(last, ID_MAXIMUM), "limit": limit}
        ids: list[int] = orjson.loads(first.value(tx, **values_of_look))
        return ids

    ids = up_to(start + _NEAR)
    if 0 < len(ids) < limit:
        ids = up_to(start + 2 * _NEAR * limit // len(ids))
    return ids if len(ids) == limit else up_to(ID_MAXIMUM)


def position(order: Order, task: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the position of a task in the order."""
    return (task["id"],) if order == "id" else (task["priority"], -task["unblocks"], task["id"])


def _fitting(fields: Fields, rows: list[Values]) -> tuple[int, int]:
    """Return the number of rows until their texts reach PAGE_CHARACTERS, and the characters of these texts."""
    texts = [place for place, name in enumerate(fields) if name in _TEXTS]
    lines = [place for place, name in enumerate(fields) if name in _LINES]
    size = 0
    for number, row in enumerate(rows):
        if size >= PAGE_CHARACTERS:
            return number, size
        size += sum(len(row[place]) for place in texts) + sum(len(line) for place in lines for line in row[place])
    return len(rows), size


def count(tx: Tx, query: Query, *, exact: bool, maximum: int = TOTAL_MAXIMUM) -> Total:
    """Return the number of tasks that match: all of them if `exact`, else at most `maximum` (up to TOTAL_MAXIMUM).

    It reads nothing if `find` has found the tasks.
    """
    if query.found is not None and not (exact and len(query.found) > TOTAL_MAXIMUM):
        return Total.of(len(query.found), maximum)
    counter = _counter(query.names, tx.max_attempts > 0)
    return pages.count(tx, counter, query.values, exact=exact, maximum=maximum)


@lru_cache(maxsize=256)
def _page_statement(filters: frozenset[str], fields: Fields, order: Order, after: bool, capped: bool) -> Statement:
    """Return the statement that selects rows as `task_rows.array_of` does, as one array in UTF-8."""
    row = array_of(fields, "whole").label("row")
    select_first = task_filters.first_by_id if order == "id" else task_filters.first_by_claim
    first = select_first(filters, after=after, capped=capped)
    if first.get_final_froms() == [tasks]:
        rows = first.with_only_columns(row)
    else:  # another table has the order, or the tasks are sorted, which takes less time for their ids
        rows = select(row).where(tasks.c.id.in_(first)).order_by(*_ORDERS[order]).limit(bindparam("limit"))
    return Statement(select(JoinedArrays(rows.subquery().c.row)))


@lru_cache(maxsize=64)
def _first_ids_statement(filters: frozenset[str], capped: bool) -> Statement:
    return _array(task_filters.first_by_id(filters, after=True, capped=capped))


@lru_cache(maxsize=256)
def _matching_statement(filters: frozenset[str], capped: bool) -> Statement:
    return _array(task_filters.matching(filters, capped=capped).limit(bindparam("limit")))


def _array(ids: Select[Any]) -> Statement:
    """Return the statement that selects ids as a JSON array."""
    (task_id,) = ids.subquery().c
    return Statement(select(GroupedIds(task_id)))


@lru_cache(maxsize=256)
def _counter(filters: frozenset[str], capped: bool) -> Statement:
    return task_filters.counter(filters, capped=capped)
