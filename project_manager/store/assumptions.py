"""Assumptions on tasks, and their verdicts. Rows are inserted and never updated."""

from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, bindparam, func, insert, select

from project_manager.domain.assumptions import WITHOUT_VERDICT
from project_manager.store import pages
from project_manager.store.pages import Total
from project_manager.store.statement import Statement, bindparams
from project_manager.store.tables_knowledge import assumption_verdicts, assumptions
from project_manager.store.transaction import Tx


class VerdictRow(NamedTuple):
    """A stored verdict. `created_at` is in milliseconds."""

    id: int
    verdict: str
    confidence: int
    reason: str
    reviewer: str
    created_at: int


class AssumptionRow(NamedTuple):
    """A stored assumption. `verdict` is its newest verdict, or None. `verdicts` is the number of its verdicts."""

    id: int
    task_id: int
    type: str
    text: str
    file_path: str | None
    line_number: int | None
    code_snippet: str | None
    author: str
    created_at: int
    verdict: VerdictRow | None
    verdicts: int


_assumptions = assumptions
_STORED = [name for name in AssumptionRow._fields if name in _assumptions.c]
_verdicts = assumption_verdicts
_newest = _verdicts.alias("newest")
_VERDICT_COLUMNS = [_verdicts.c[name] for name in VerdictRow._fields]
_VERDICT_COUNT = (
    select(func.count())
    .select_from(_verdicts)
    .where(_verdicts.c.assumption_id == _assumptions.c.id)
    .correlate(_assumptions)
    .scalar_subquery()
)
_NEWEST_ID = (
    select(func.max(_verdicts.c.id))
    .where(_verdicts.c.assumption_id == _assumptions.c.id)
    .correlate(_assumptions)
    .scalar_subquery()
)
_ROW = select(
    *[_assumptions.c[name] for name in _STORED],
    _VERDICT_COUNT.label("verdicts"),
    *[_newest.c[name].label(f"newest_{name}") for name in VerdictRow._fields],
).select_from(_assumptions.outerjoin(_newest, _newest.c.id == _NEWEST_ID))

_ADD = Statement(insert(_assumptions).values(bindparams(*_STORED[1:])).returning(_assumptions.c.id))
_GET = Statement(
    _ROW.where(_assumptions.c.task_id == bindparam("task_id"), _assumptions.c.id == bindparam("assumption_id"))
)
_ADD_VERDICT = Statement(
    insert(_verdicts).values(bindparams("assumption_id", *VerdictRow._fields[1:])).returning(*_VERDICT_COLUMNS)
)
_HISTORY = Statement(
    select(*_VERDICT_COLUMNS)
    .where(_verdicts.c.assumption_id == bindparam("assumption_id"))
    .order_by(_verdicts.c.id.desc())
)


def _row(row: tuple[Any, ...]) -> AssumptionRow:
    stored, (verdicts, *newest) = row[: len(_STORED)], row[len(_STORED) :]
    return AssumptionRow._make((*stored, None if newest[0] is None else VerdictRow._make(newest), verdicts))


def add(tx: Tx, task_id: int, values: dict[str, Any]) -> int:
    """Insert an assumption and return its id."""
    return int(_ADD.value(tx, task_id=task_id, author=tx.actor.id, created_at=tx.now, **values))


def get(tx: Tx, task_id: int, assumption_id: int) -> AssumptionRow | None:
    return _GET.one(tx, _row, task_id=task_id, assumption_id=assumption_id)


def add_verdict(tx: Tx, assumption_id: int, verdict: str, confidence: int, reason: str) -> VerdictRow:
    """Insert a verdict as the newest one and return it."""
    row = _ADD_VERDICT.row(
        tx,
        assumption_id=assumption_id,
        verdict=verdict,
        confidence=confidence,
        reason=reason,
        reviewer=tx.actor.id,
        created_at=tx.now,
    )
    return VerdictRow._make(row or ())


def history(tx: Tx, assumption_id: int) -> list[VerdictRow]:
    """Return all verdicts on the assumption, newest first."""
    return _HISTORY.all(tx, VerdictRow._make, assumption_id=assumption_id)


def _verdict_condition(verdict: str | None) -> list[ColumnElement[bool]]:
    if verdict is None:
        return []
    return [_newest.c.id.is_(None) if verdict == WITHOUT_VERDICT else _newest.c.verdict == bindparam("verdict")]


@lru_cache(maxsize=8)
def _listed(verdict: str | None) -> tuple[Statement, Statement]:
    found = _ROW.where(_assumptions.c.task_id == bindparam("task_id"), *_verdict_condition(verdict))
    page = (
        found.where(_assumptions.c.id < bindparam("before"))
        .order_by(_assumptions.c.id.desc())
        .limit(bindparam("limit"))
    )
    return Statement(page), pages.counter(found)


def page(
    tx: Tx, task_id: int, verdict: str | None = None, *, before: int, limit: int
) -> tuple[list[AssumptionRow], bool]:
    """Return a page of a task's assumptions with ids below `before`, and whether more follow.

    `verdict` selects by the newest verdict. WITHOUT_VERDICT selects assumptions without one, and None selects all.
    """
    return pages.page(tx, _row, _listed(verdict)[0], {**_filters(task_id, verdict), "before": before}, limit)


def count(tx: Tx, task_id: int, verdict: str | None = None, *, exact: bool) -> Total:
    return pages.count(tx, _listed(verdict)[1], _filters(task_id, verdict), exact=exact)


def _filters(task_id: int, verdict: str | None) -> dict[str, Any]:
    named = {} if verdict in (None, WITHOUT_VERDICT) else {"verdict": verdict}
    return {"task_id": task_id, **named}
