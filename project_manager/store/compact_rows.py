"""Compact rows of tasks, as their events contain them."""

import json
from collections.abc import Collection
from functools import cache
from typing import Any

import orjson
from sqlalchemy import ColumnElement, and_, bindparam, case, func, select
from sqlalchemy.sql.expression import literal_column

from project_manager.domain.events.event import COMPACT_ROW_BYTES
from project_manager.domain.task_fields import COMPACT
from project_manager.store.readiness import ready_conditions
from project_manager.store.statement import Statement, is_among
from project_manager.store.tables import tasks
from project_manager.store.transaction import Tx

_LIVE = tasks.c.lock_expires_at > bindparam("now")


def encoded(tx: Tx, task_ids: Collection[int]) -> dict[int, str]:
    """Return the compact rows of the existing tasks as JSON, by id. A row that is too long is `null`."""
    statement = _rows(tx.max_attempts > 0)
    rows = statement.rows(tx, ids=json.dumps([*task_ids]), now=tx.now, max_attempts=tx.max_attempts)
    return {row[0]: _encode(dict(zip(COMPACT, row[1:], strict=True))) for row in rows}


def _encode(fields: dict[str, Any]) -> str:
    fields["ready"] = fields["ready"] == 1
    row = orjson.dumps(fields)
    return row.decode() if len(row) <= COMPACT_ROW_BYTES else "null"


@cache
def _rows(capped: bool) -> Statement:
    computed: dict[str, ColumnElement[Any]] = {
        "ready": case((and_(*ready_conditions(tasks, with_attempt_limit=capped)), literal_column("1"))),
        "holder": case((_LIVE, tasks.c.lock_holder)),
        "worked_by": func.coalesce(tasks.c.lock_holder, tasks.c.worked_by),
    }
    columns = [computed.get(name, tasks.c.get(name)) for name in COMPACT]
    return Statement(select(tasks.c.id, *columns).where(is_among(tasks.c.id, "ids")))
