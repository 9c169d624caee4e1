"""Reads and inserts of knowledge and assumptions with their history, for plans."""

import json
from typing import Any, NamedTuple

from sqlalchemy import bindparam, select, update

from project_manager.store import bulk, search
from project_manager.store.knowledge import KnowledgeRow
from project_manager.store.statement import Statement, is_among
from project_manager.store.tables_knowledge import knowledge_items
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


_items = knowledge_items.c
_TITLES = Statement(select(*[_items[name] for name in TitleRow._fields]).order_by(_items.id))
_ITEMS = Statement(
    select(*[_items[name] for name in KnowledgeRow._fields]).where(is_among(_items.id, "ids")).order_by(_items.id)
)
_OF_PROJECT = Statement(
    select(*[_items[name] for name in KnowledgeRow._fields])
    .where(_items.project_id == bindparam("project_id"))
    .order_by(_items.id)
)
_SET_PARENT = Statement(
    update(knowledge_items).where(_items.id == bindparam("knowledge_id")).values(parent_id=bindparam("above"))
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


def add_item(tx: Tx, values: dict[str, Any]) -> int:
    """Insert an item, index its texts and return its id.

    The caller sets the parent with `set_parent`. When the item is complete, it calls `knowledge.add_version`.
    """
    knowledge_id = bulk.add(tx, "knowledge_items", {**values, "version": 1})
    search.index_knowledge(tx, knowledge_id, *[values[name] for name in search.KNOWLEDGE_TEXTS])
    return knowledge_id


def set_parent(tx: Tx, knowledge_id: int, above: int) -> None:
    """Set the parent of an item to the item `above`."""
    _SET_PARENT.write(tx, knowledge_id=knowledge_id, above=above)
