"""Numbers of tasks by status."""

import json
from typing import Any

from sqlalchemy import bindparam, func, null, select
from sqlalchemy.sql.expression import literal_column

from project_manager.domain.statuses import Status
from project_manager.store.functions import AsNumber, GroupedArrays, JsonArray
from project_manager.store.statement import Statement, json_elements
from project_manager.store.tables import tasks
from project_manager.store.transaction import Tx

_COUNTS = Statement(select(tasks.c.status, func.count()).group_by(tasks.c.status))
_project = json_elements(bindparam("project_ids")).alias("project")
_project_id = AsNumber(_project.c.value)
_status = json_elements(bindparam("statuses")).alias("status")
_number = (
    select(func.count())
    .select_from(tasks)
    .where(tasks.c.status == _status.c.value, tasks.c.project_id == _project_id)
    .correlate(_project, _status)
)
_COUNTS_BY_PROJECT = Statement(
    select(GroupedArrays(JsonArray(_project_id, _status.c.value, _number.scalar_subquery()), _project_id))
)
# This condition lets SQLite use the index over status and project_id.
_EVERY_STATUS = tasks.c.status.in_([literal_column(f"'{status}'") for status in Status])
_COUNTS_IN_PROJECT = Statement(
    select(tasks.c.status, func.count())
    .where(_EVERY_STATUS, tasks.c.project_id == bindparam("project_id"))
    .group_by(tasks.c.status)
)


def _counts_up_to_limit(in_project: bool) -> Statement:
    status = json_elements(bindparam("statuses")).alias("counted_status")
    of_status = select(null()).where(tasks.c.status == status.c.value).correlate(status).limit(bindparam("limit"))
    if in_project:
        of_status = of_status.where(tasks.c.project_id == bindparam("project_id"))
    number = select(func.count()).select_from(of_status.subquery()).scalar_subquery()
    return Statement(select(status.c.value, number))


_COUNTS_UP_TO_LIMIT = _counts_up_to_limit(in_project=False)
_COUNTS_IN_PROJECT_UP_TO_LIMIT = _counts_up_to_limit(in_project=True)
_COMPLETED_SINCE = Statement(select(func.count()).select_from(tasks).where(tasks.c.completed_at >= bindparam("since")))


def counts(tx: Tx) -> dict[str, int]:
    """Return the number of tasks by status."""
    return {row[0]: row[1] for row in _COUNTS.rows(tx)}


def counts_in_project(tx: Tx, project_id: int) -> dict[str, int]:
    """Return the number of tasks of a project by status."""
    return {row[0]: row[1] for row in _COUNTS_IN_PROJECT.rows(tx, project_id=project_id)}


def counts_up_to(tx: Tx, limit: int, project_id: int | None) -> dict[str, int]:
    """Return the number of tasks by status, in one project or in all. Counting a status ends at `limit`."""
    values: dict[str, Any] = {"statuses": json.dumps([*Status]), "limit": limit}
    if project_id is None:
        rows = _COUNTS_UP_TO_LIMIT.rows(tx, **values)
    else:
        rows = _COUNTS_IN_PROJECT_UP_TO_LIMIT.rows(tx, **values, project_id=project_id)
    return {row[0]: row[1] for row in rows if row[1]}


def counts_by_project(tx: Tx, project_ids: list[int]) -> dict[int, dict[str, int]]:
    """Return the number of tasks of these projects, by project id and status.

    A statement with GROUP BY reads the same entries of the index, and takes longer for each of them.
    """
    counted = _COUNTS_BY_PROJECT.value(tx, project_ids=json.dumps(project_ids), statuses=json.dumps([*Status]))
    found: dict[int, dict[str, int]] = {project_id: {} for project_id in project_ids}
    for project_id, status, number in json.loads(counted):
        if number:
            found[project_id][status] = number
    return found


def completed_since(tx: Tx, since: int) -> int:
    """Return the number of tasks completed at or after the instant `since` (milliseconds)."""
    return int(_COMPLETED_SINCE.value(tx, since=since))
