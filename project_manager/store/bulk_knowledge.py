"""Reads and inserts of knowledge and assumptions with their history, for plans."""

import json
from typing import Any, NamedTuple

from sqlalchemy import bindparam, insert, select, update

from project_manager.store.assumptions import VerdictRow
from project_manager.store.knowledge import WRITABLE, KnowledgeLogRow, KnowledgeRow, VersionRow
from project_manager.store.sqlite import search
from project_manager.store.statement import Statement, bound, elements
from project_manager.store.tables_knowledge import (
    assumption_verdicts,
    assumptions,
    knowledge_items,
    knowledge_logs,
    knowledge_versions,
)
from project_manager.store.transaction import Tx


class TitleRow(NamedTuple):
    """The ids and the title needed to refer to a knowledge item, and the id of its task."""

    id: int
    project_id: int
    title: str
    task_id: int | None


class AssumptionRecord(NamedTuple):
    """A stored assumption without verdicts. `created_at` is in milliseconds."""

    id: int
    task_id: int
    type: str
    text: str
    file_path: str | None
    line_number: int | None
    code_snippet: str | None
    author: str
    created_at: int


_items, _logs, _assumptions, _verdicts = knowledge_items.c, knowledge_logs.c, assumptions.c, assumption_verdicts.c
_HISTORY_FIELDS = ("created_by", "created_at", "updated_by", "updated_at")

_TITLES = Statement(select(*[_items[name] for name in TitleRow._fields]).order_by(_items.id))
_ITEMS = Statement(
    select(*[_items[name] for name in KnowledgeRow._fields]).where(_items.id.in_(elements("ids"))).order_by(_items.id)
)
_OF_PROJECT = Statement(
    select(*[_items[name] for name in KnowledgeRow._fields])
    .where(_items.project_id == bindparam("project_id"))
    .order_by(_items.id)
)
_LOG_AFTER = Statement(
    select(*[_logs[name] for name in KnowledgeLogRow._fields])
    .where(_logs.knowledge_id == bindparam("knowledge_id"), _logs.id > bindparam("after"))
    .order_by(_logs.id)
    .limit(bindparam("limit"))
)
_ASSUMPTIONS_AFTER = Statement(
    select(*[_assumptions[name] for name in AssumptionRecord._fields])
    .where(_assumptions.task_id == bindparam("task_id"), _assumptions.id > bindparam("after"))
    .order_by(_assumptions.id)
    .limit(bindparam("limit"))
)
_ASSUMED = Statement(select(_assumptions.task_id).where(_assumptions.task_id.in_(elements("ids"))).distinct())
_VERDICTS_AFTER = Statement(
    select(*[_verdicts[name] for name in VerdictRow._fields])
    .where(_verdicts.assumption_id == bindparam("assumption_id"), _verdicts.id > bindparam("after"))
    .order_by(_verdicts.id)
    .limit(bindparam("limit"))
)
_ADD_ITEM = Statement(
    insert(knowledge_items)
    .values(bound("project_id", *WRITABLE, *_HISTORY_FIELDS) | {"version": 1})
    .returning(_items.id)
)
_SET_PARENT = Statement(
    update(knowledge_items).where(_items.id == bindparam("knowledge_id")).values(parent_id=bindparam("above"))
)
_KEEP = Statement(insert(knowledge_versions).values(bound(*VersionRow._fields)))
_ADD_LOG = Statement(insert(knowledge_logs).values(bound(*KnowledgeLogRow._fields[1:])))
_ADD_ASSUMPTION = Statement(insert(assumptions).values(bound(*AssumptionRecord._fields[1:])).returning(_assumptions.id))
_ADD_VERDICT = Statement(
    insert(assumption_verdicts).values({"assumption_id": bindparam("assumption_id")} | bound(*VerdictRow._fields[1:]))
)


def titles(tx: Tx) -> list[TitleRow]:
    """Return the titles of all items, ordered by id."""
    return _TITLES.all(tx, TitleRow._make)


def items(tx: Tx, ids: list[int]) -> list[KnowledgeRow]:
    """Return the items with these ids, ordered by id."""
    return _ITEMS.all(tx, KnowledgeRow._make, ids=json.dumps(ids))


def of_project(tx: Tx, project_id: int) -> list[KnowledgeRow]:
    """Return all items of a project, inactive ones included, ordered by id."""
    return _OF_PROJECT.all(tx, KnowledgeRow._make, project_id=project_id)


def log_after(tx: Tx, knowledge_id: int, after: int, limit: int) -> list[KnowledgeLogRow]:
    """Return up to `limit` log entries of an item with an id above `after`, oldest first."""
    return _LOG_AFTER.all(tx, KnowledgeLogRow._make, knowledge_id=knowledge_id, after=after, limit=limit)


def tasks_with_assumptions(tx: Tx, task_ids: list[int]) -> set[int]:
    """Return the subset of `task_ids` that has assumptions."""
    return {row[0] for row in _ASSUMED.rows(tx, ids=json.dumps(task_ids))}


def assumptions_after(tx: Tx, task_id: int, after: int, limit: int) -> list[AssumptionRecord]:
    """Return up to `limit` assumptions on a task with an id above `after`, oldest first."""
    return _ASSUMPTIONS_AFTER.all(tx, AssumptionRecord._make, task_id=task_id, after=after, limit=limit)


def verdicts_after(tx: Tx, assumption_id: int, after: int, limit: int) -> list[VerdictRow]:
    """Return up to `limit` verdicts on an assumption with an id above `after`, oldest first."""
    return _VERDICTS_AFTER.all(tx, VerdictRow._make, assumption_id=assumption_id, after=after, limit=limit)


def add_item(tx: Tx, values: dict[str, Any]) -> int:
    """Insert an item, index its texts and return its id. Call `add_first_version` when the item is complete.

    `values` contain its authors and instants. `set_parent` sets its parent.
    """
    knowledge_id = int(_ADD_ITEM.value(tx, parent_id=None, **values))
    search.index_knowledge(tx, knowledge_id, *[values[name] for name in search.KNOWLEDGE_TEXTS])
    return knowledge_id


def set_parent(tx: Tx, knowledge_id: int, above: int) -> None:
    """Set the parent of an item to the item `above`."""
    _SET_PARENT.run(tx, knowledge_id=knowledge_id, above=above)


def add_first_version(tx: Tx, row: KnowledgeRow) -> None:
    """Insert the contents of a new item as its first version."""
    said = {name: getattr(row, name) for name in WRITABLE}
    changed = json.dumps([name for name in WRITABLE if said[name] is not None])
    past = {"author": row.updated_by, "created_at": row.updated_at, "reason": None}
    _KEEP.run(tx, **said, **past, knowledge_id=row.id, version=row.version, changed=changed)


def add_log(tx: Tx, values: dict[str, Any]) -> None:
    """Insert a log entry of an item, with its author and instant."""
    _ADD_LOG.run(tx, **values)


def add_assumption(tx: Tx, values: dict[str, Any]) -> int:
    """Insert an assumption, with its author and instant, and return its id."""
    return int(_ADD_ASSUMPTION.value(tx, **values))


def add_verdict(tx: Tx, assumption_id: int, values: dict[str, Any]) -> None:
    """Insert a verdict on an assumption, with its reviewer and instant."""
    _ADD_VERDICT.run(tx, assumption_id=assumption_id, **values)
