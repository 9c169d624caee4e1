"""Knowledge items, all their versions, and their logs."""

import json
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, ScalarSelect, bindparam, insert, select, text, update
from sqlalchemy.sql.expression import literal_column

from project_manager.store import pages, search
from project_manager.store.functions import GroupedArrays, JsonArray, Substring
from project_manager.store.pages import Total
from project_manager.store.statement import Statement, bindparams, has_labels
from project_manager.store.tables import tasks
from project_manager.store.tables_knowledge import knowledge_items, knowledge_logs, knowledge_versions
from project_manager.store.transaction import Tx

EXCERPTS = 3
"""The number of items of a project that a claim returns."""
EXCERPT = 2001
"""Characters of each content that a claim reads, one more than it returns of all."""


class KnowledgeRow(NamedTuple):
    """A stored item. Times are in milliseconds since the epoch. `tags` and `metadata` are JSON."""

    id: int
    project_id: int
    epic_id: int | None
    task_id: int | None
    parent_id: int | None
    title: str
    content: str
    category: str | None
    tags: str
    priority: int
    active: int
    metadata: str
    version: int
    created_by: str
    created_at: int
    updated_by: str
    updated_at: int


class VersionRow(NamedTuple):
    """The contents of an item at one version. `changed` is a JSON array of field names."""

    knowledge_id: int
    version: int
    epic_id: int | None
    task_id: int | None
    parent_id: int | None
    title: str
    content: str
    category: str | None
    tags: str
    priority: int
    active: int
    metadata: str
    changed: str
    reason: str | None
    author: str
    created_at: int


class KnowledgeLogRow(NamedTuple):
    """An entry in an item's log. `metadata` is JSON."""

    id: int
    knowledge_id: int
    action_type: str
    change_reason: str | None
    author: str
    metadata: str
    created_at: int


class ExcerptRow(NamedTuple):
    """An item with the beginning of its content."""

    id: int
    title: str
    content: str
    priority: int
    updated_at: int

    def rank(self) -> tuple[int, int, int]:
        """Return the position among the items of the project, the most important first."""
        return -self.priority, -self.updated_at, -self.id


WRITABLE = ("epic_id", "task_id", "parent_id", "title", "content", "category", "tags", "priority", "active", "metadata")

_items = knowledge_items
_versions = knowledge_versions
_logs = knowledge_logs
_COLUMNS = [_items.c[name] for name in KnowledgeRow._fields]
_VERSION_COLUMNS = [_versions.c[name] for name in VersionRow._fields]
_LOG_COLUMNS = [_logs.c[name] for name in KnowledgeLogRow._fields]

_GET = Statement(select(*_COLUMNS).where(_items.c.id == bindparam("knowledge_id")))
_ADD = Statement(
    insert(_items)
    .values(
        {
            **bindparams(*WRITABLE),
            "project_id": bindparam("project_id"),
            "version": 1,
            "created_by": bindparam("author"),
            "created_at": bindparam("now"),
            "updated_by": bindparam("author"),
            "updated_at": bindparam("now"),
        }
    )
    .returning(*_COLUMNS)
)
_UPDATE = Statement(
    update(_items)
    .where(_items.c.id == bindparam("knowledge_id"), _items.c.version == bindparam("read_version"))
    .values(
        {
            **bindparams(*WRITABLE),
            "version": _items.c.version + 1,
            "updated_by": bindparam("author"),
            "updated_at": bindparam("now"),
        }
    )
    .returning(*_COLUMNS)
)
_ACTIVE = _items.c.active == literal_column("1")
_TITLED = Statement(
    select(*_COLUMNS)
    .where(_items.c.project_id == bindparam("project_id"), _items.c.title == bindparam("title"), _ACTIVE)
    .order_by(_items.c.id)
    .limit(literal_column("1"))
)
_INSERT_VERSION = Statement(insert(_versions).values(bindparams(*VersionRow._fields)))
_VERSIONS = Statement(
    select(*_VERSION_COLUMNS)
    .where(_versions.c.knowledge_id == bindparam("knowledge_id"), _versions.c.version < bindparam("before"))
    .order_by(_versions.c.version.desc())
    .limit(bindparam("limit"))
)
_ADD_LOG = Statement(insert(_logs).values(bindparams(*KnowledgeLogRow._fields[1:])).returning(*_LOG_COLUMNS))


def most_important(project_id: ColumnElement[int]) -> ScalarSelect[Any]:
    """Return the first EXCERPTS active items of a project as a column: a JSON array with an array like ExcerptRow each.

    The order of the array is not defined. A content is cut after EXCERPT characters.
    """
    first = (
        select(
            _items.c.id, _items.c.title, Substring(_items.c.content, 1, EXCERPT), _items.c.priority, _items.c.updated_at
        )
        .where(_items.c.project_id == project_id, _ACTIVE)
        .order_by(_items.c.priority.desc(), _items.c.updated_at.desc(), _items.c.id.desc())
        .limit(literal_column(str(EXCERPTS)))
        .correlate(tasks)
        .subquery("important")
    )
    return select(GroupedArrays(JsonArray(*first.c), first.c.id)).scalar_subquery()


_MOST_IMPORTANT = Statement(select(most_important(bindparam("project_id"))))


def most_important_of(tx: Tx, project_id: int) -> str:
    """Return the column `most_important` of a project."""
    found: str = _MOST_IMPORTANT.value(tx, project_id=project_id)
    return found


def titled(tx: Tx, project_id: int, title: str) -> KnowledgeRow | None:
    """Return the oldest active item of the project with this title, or None."""
    return _TITLED.one(tx, KnowledgeRow._make, project_id=project_id, title=title)


def get(tx: Tx, knowledge_id: int) -> KnowledgeRow | None:
    return _GET.one(tx, KnowledgeRow._make, knowledge_id=knowledge_id)


def add(tx: Tx, project_id: int, values: dict[str, Any], *, reason: str | None) -> KnowledgeRow:
    """Insert an item and its first version, and return the item."""
    added = _ADD.row(tx, project_id=project_id, author=tx.actor.id, now=tx.now, **values)
    row = KnowledgeRow._make(added or ())
    _index(tx, row)
    add_version(tx, row, reason=reason)
    return row


def update_row(tx: Tx, current: KnowledgeRow, values: dict[str, Any], *, reason: str | None) -> KnowledgeRow | None:
    """Update the item `current` with `values`, insert the new version, and return the new row.

    Return None when the row has changed since it was read.
    """
    fields = {**{name: getattr(current, name) for name in WRITABLE}, **values}
    row = _UPDATE.row(
        tx, **fields, knowledge_id=current.id, read_version=current.version, author=tx.actor.id, now=tx.now
    )
    if row is None:
        return None
    written = KnowledgeRow._make(row)
    if any(getattr(written, name) != getattr(current, name) for name in search.KNOWLEDGE_TEXTS):
        _index(tx, written)
    add_version(tx, written, changed=list(values), reason=reason)
    return written


def _index(tx: Tx, row: KnowledgeRow) -> None:
    search.index_knowledge(tx, row.id, *[getattr(row, name) for name in search.KNOWLEDGE_TEXTS])


def add_version(tx: Tx, row: KnowledgeRow, *, changed: list[str] | None = None, reason: str | None = None) -> None:
    """Insert the row as its present version. Without `changed`, all fields with a value count as changed."""
    if changed is None:
        changed = [name for name in WRITABLE if getattr(row, name) is not None]
    _INSERT_VERSION.write(
        tx,
        **{name: getattr(row, name) for name in WRITABLE},
        knowledge_id=row.id,
        version=row.version,
        changed=json.dumps(changed),
        reason=reason,
        author=row.updated_by,
        created_at=row.updated_at,
    )


def versions(tx: Tx, knowledge_id: int, limit: int, *, before: int) -> tuple[list[VersionRow], bool]:
    """Return up to `limit` versions with a number below `before`, newest first, and whether more follow.

    Long texts make the page shorter.
    """
    return pages.page(tx, VersionRow._make, _VERSIONS, {"knowledge_id": knowledge_id, "before": before}, limit)


def add_log(tx: Tx, knowledge_id: int, action_type: str, change_reason: str | None, metadata: str) -> KnowledgeLogRow:
    row = _ADD_LOG.row(
        tx,
        knowledge_id=knowledge_id,
        action_type=action_type,
        change_reason=change_reason,
        author=tx.actor.id,
        metadata=metadata,
        created_at=tx.now,
    )
    return KnowledgeLogRow._make(row or ())


@lru_cache(maxsize=2)
def _logged(by_action: bool) -> tuple[Statement, Statement]:
    conditions = [_logs.c.knowledge_id == bindparam("knowledge_id")]
    if by_action:
        conditions.append(_logs.c.action_type == bindparam("action_type"))
    page = (
        select(*_LOG_COLUMNS)
        .where(*conditions, _logs.c.id < bindparam("before"))
        .order_by(_logs.c.id.desc())
        .limit(bindparam("limit"))
    )
    return Statement(page), pages.counter(select(_logs).where(*conditions))


def logs(tx: Tx, filters: dict[str, Any], *, before: int, limit: int) -> tuple[list[KnowledgeLogRow], bool]:
    """Return a page of an item's log with ids below `before`, and whether more follow.

    `filters` has the `knowledge_id`, and optionally an `action_type`.
    """
    statement = _logged("action_type" in filters)[0]
    return pages.page(tx, KnowledgeLogRow._make, statement, {**filters, "before": before}, limit)


def count_logs(tx: Tx, filters: dict[str, Any], *, exact: bool) -> Total:
    return pages.count(tx, _logged("action_type" in filters)[1], filters, exact=exact)


def _condition(name: str) -> ColumnElement[bool]:
    match name:
        case "project_id" | "task_id" | "parent_id" | "category":
            return _items.c[name] == bindparam(name)
        case "knowledge_id":
            return _items.c.id == bindparam("knowledge_id")
        case "epic_id":
            return (_items.c.epic_id == bindparam("epic_id")) | _items.c.epic_id.is_(None)
        case "labels":
            return has_labels(_items.c.tags)
        case "active":
            return _ACTIVE
        case "q":
            return _items.c.id.in_(
                select(search.knowledge_fts.c.rowid).where(search.matches(search.knowledge_fts, "q"))
            )
    raise KeyError(name)


@lru_cache(maxsize=256)
def _listed(filters: frozenset[str], after: bool) -> tuple[Statement, Statement]:
    conditions = [_condition(name) for name in sorted(filters)]
    page = (
        select(*_COLUMNS)
        .where(*conditions)
        .order_by(_items.c.priority.desc(), _items.c.updated_at.desc(), _items.c.id.desc())
        .limit(bindparam("limit"))
    )
    if after:
        place = "(knowledge_items.priority, knowledge_items.updated_at, knowledge_items.id)"
        page = page.where(text(f"{place} < (:after_0, :after_1, :after_2)"))
    return Statement(page), pages.counter(select(_items).where(*conditions))


def page(
    tx: Tx, filters: dict[str, Any], *, after: tuple[int, ...] | None, limit: int
) -> tuple[list[KnowledgeRow], bool]:
    """Return a page of items by priority (5 first) and last change, and whether more follow.

    The filter `epic_id` also matches items without an epic. The filter `labels` matches tags.
    """
    statement = _listed(frozenset(filters), after is not None)[0]
    return pages.page(tx, KnowledgeRow._make, statement, {**_values(tx, filters), **pages.after(after)}, limit)


def count(tx: Tx, filters: dict[str, Any], *, exact: bool) -> Total:
    return pages.count(tx, _listed(frozenset(filters), False)[1], _values(tx, filters), exact=exact)


def _values(tx: Tx, filters: dict[str, Any]) -> dict[str, Any]:
    values = {name: json.dumps(value) if isinstance(value, list) else value for name, value in filters.items()}
    if "q" in values:
        values["q"] = search.match_expression(tx, search.knowledge_fts, values["q"])
    return values
