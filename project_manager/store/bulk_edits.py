"""The update of some fields of one of many tasks in a transaction."""

import json
from functools import lru_cache
from typing import Any

from sqlalchemy import bindparam, update

from project_manager.domain.reviews import SUBMITTED_FIELDS
from project_manager.store import search
from project_manager.store.statement import Statement, bindparams
from project_manager.store.tables import tasks
from project_manager.store.tasks import TaskRow, to_columns
from project_manager.store.transaction import Tx


def update_fields(tx: Tx, current: TaskRow, values: dict[str, Any]) -> TaskRow:
    """Update the fields in `values`, increment the version, and return the task. It must not be older than `current`.

    It does the same as `tasks.update_row`, but writes fewer columns, and does not wait for the database.
    """
    columns = {**to_columns(tx, values), "version": current.version + 1, "updated_at": tx.now}
    if current.submission_id is not None and not columns.keys().isdisjoint(SUBMITTED_FIELDS):
        columns["submission_id"] = None
    _update(tuple(columns)).write(tx, task_id=current.id, **columns)
    written = current._replace(**columns)
    if not columns.keys().isdisjoint(search.TASK_TEXTS):
        search.index_task(tx, current.id, *[getattr(written, name) for name in search.TASK_TEXTS])
    return written


def as_stored(value: Any) -> Any:
    """Return the value of a field as its column stores it."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value


@lru_cache(maxsize=128)
def _update(columns: tuple[str, ...]) -> Statement:
    return Statement(update(tasks).where(tasks.c.id == bindparam("task_id")).values(bindparams(*columns)))
