"""Conditions on the tables of the labels of tasks, and the check of one of them. Triggers maintain the tables."""

import json

from sqlalchemy import ColumnElement, FromClause, Select, Table, bindparam, null, select, union

from project_manager.store.functions import Number
from project_manager.store.pages import number_up_to
from project_manager.store.statement import Statement, json_elements
from project_manager.store.tables import claimable_labels, task_labels, tasks
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


def _by_rarity(table: Table) -> Statement:
    """Return the statement that selects labels and the number of their rows in the table, the smallest first.

    Counting ends at `limit`.
    """
    wanted = json_elements(bindparam("labels")).alias("wanted")
    found = table.alias("counted")
    entries = select(found).where(found.c.label == wanted.c.value).correlate(wanted)
    number = number_up_to(entries, bindparam("limit", type_=Number)).label("number")
    return Statement(select(wanted.c.value, number).order_by(number))


_BY_RARITY = _by_rarity(task_labels)
_BY_RARITY_OF_READY = _by_rarity(claimable_labels)
_WRONG = Statement(union(_missing, _foreign).order_by("id").limit(bindparam("limit")))


def find_wrong(tx: Tx, limit: int) -> list[int]:
    """Return the ids of up to `limit` tasks with entries in `task_labels` that differ from their labels."""
    return [row[0] for row in _WRONG.rows(tx, limit=limit)]


def by_rarity(tx: Tx, labels: list[str], limit: int, *, ready: bool = False) -> tuple[list[str], int]:
    """Return the labels in the order of their numbers of tasks, or ready tasks, and the smallest of these numbers.

    Counting ends at `limit`.
    """
    statement = _BY_RARITY_OF_READY if ready else _BY_RARITY
    rows = statement.rows(tx, labels=json.dumps(labels), limit=limit)
    return [row[0] for row in rows], rows[0][1]


def has_label(task_id: ColumnElement[int], label: ColumnElement[str]) -> Select[None]:
    """Return a selection that has a row if the task with this id has the label. Use it with `exists`."""
    same = task_labels.alias("same")
    return select(null()).where(same.c.label == label, same.c.task_id == task_id)


def has_all_labels(source: FromClause, task_id: str) -> ColumnElement[bool]:
    """Return the condition that the task with the id in this column of `source` has all labels of `labels`."""
    wanted = json_elements(bindparam("labels")).alias("wanted")
    present = has_label(source.c[task_id], wanted.c.value).correlate(source, wanted).exists()
    return ~select(null()).select_from(wanted).where(~present).correlate(source).exists()
