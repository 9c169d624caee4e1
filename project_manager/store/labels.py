"""Check of the table of the labels of tasks, which triggers maintain."""

from sqlalchemy import bindparam, null, select, union

from project_manager.store.statement import Statement, json_elements
from project_manager.store.tables import task_labels, tasks
from project_manager.store.transaction import Tx

_label = json_elements(tasks.c.labels).alias("label")
_listed = select(null()).where(task_labels.c.task_id == tasks.c.id, task_labels.c.label == _label.c.value)
_missing = select(tasks.c.id).where(select(_label.c.value).where(~_listed.correlate(tasks, _label).exists()).exists())
_owned = (
    select(_label.c.value)
    .select_from(tasks)
    .where(tasks.c.id == task_labels.c.task_id, _label.c.value == task_labels.c.label)
)
_foreign = select(task_labels.c.task_id).where(~_owned.correlate(task_labels).exists())
_WRONG = Statement(union(_missing, _foreign).order_by("id").limit(bindparam("limit")))


def find_wrong(tx: Tx, limit: int) -> list[int]:
    """Return the ids of up to `limit` tasks with entries in the table that differ from their labels."""
    return [row[0] for row in _WRONG.rows(tx, limit=limit)]
