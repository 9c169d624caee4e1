"""Structured evidence in the logs of tasks."""

import json
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.sql.expression import literal_column

from project_manager.domain.evidence import Evidence, Source
from project_manager.store.statement import Statement, is_among
from project_manager.store.tables import task_logs
from project_manager.store.transaction import Tx

ENTRIES_READ = 1000
"""The newest entries of evidence that a policy considers, so that a long log costs little."""
_OF_TASK = Statement(
    select(task_logs.c.id, task_logs.c.details)
    .where(
        task_logs.c.task_id == bindparam("task_id"),
        task_logs.c.kind == literal_column("'evidence'"),
        task_logs.c.details.is_not(None),
    )
    .order_by(task_logs.c.id.desc())
    .limit(bindparam("limit"))
)
_AUTHORS = Statement(select(task_logs.c.id, task_logs.c.author).where(is_among(task_logs.c.id, "ids")))


def of_task(tx: Tx, task_id: int) -> list[Evidence]:
    """Return the newest structured evidence of the task, the oldest first."""
    rows = _OF_TASK.rows(tx, task_id=task_id, limit=ENTRIES_READ)
    return [_evidence(log_id, json.loads(details)) for log_id, details in reversed(rows)]


def _evidence(log_id: int, details: dict[str, Any]) -> Evidence:
    """Return the evidence of a log entry from its details."""
    optional = {name: details[name] for name in Evidence._field_defaults if name in details}
    return Evidence(log_id, details["fence"], Source(details["source"]), **optional)


def authors_of(tx: Tx, log_ids: list[int]) -> dict[int, str]:
    """Return the authors of log entries by the ids of the entries."""
    return {row[0]: row[1] for row in _AUTHORS.rows(tx, ids=json.dumps(log_ids))}
