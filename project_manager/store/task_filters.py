"""Filters of lists of tasks: the conditions, and the selections of the ids of the tasks that match.

Filters are a dict from names to values. The names are `labels`, `q`, those of `_OF_ROW`, and the cases of `_condition`.
A task must pass all filters. `resolve` decides which index a selection reads. The selection reads this index in the
order of the list, and tests the other filters on its tasks. So its cost does not grow with the number of all tasks. A
list by status reads the nearest tasks of each project, so its cost grows a little with the number of projects. If no
filter has an index, a list reads all tasks.

`resolve` replaces `labels` and `q` by filters with names that decide how a selection finds their tasks:

    label           read the index of this label
    label_merged    merge the index of this label with that of `label`
    label_0, ..     test each task for the label
    q               read the full-text index
    q_merged        merge the full-text index with the index of `label`
    q_among         compare the full-text index with the ids of the few tasks that pass the other filters
    phrases         read the texts of the few tasks that pass the other filters
"""

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    ColumnElement,
    FromClause,
    Select,
    and_,
    bindparam,
    column,
    func,
    intersect,
    null,
    select,
    tuple_,
)
from sqlalchemy.sql.expression import literal_column

from project_manager.domain.statuses import Status
from project_manager.store import claim_search, pages, ready_tasks, search
from project_manager.store.functions import HasPhrases, IsRowOf, Number, RowsOf
from project_manager.store.labels import by_rarity, has_label
from project_manager.store.readiness import ready_conditions, ready_index
from project_manager.store.statement import Statement, elements, is_among, json_elements
from project_manager.store.tables import READY_INDEX_CONDITION, claimable_labels, projects, task_labels, tasks
from project_manager.store.transaction import Tx

Filters = frozenset[str]
_EVERY_STATUS = json.dumps([status.value for status in Status])
_SCOPE = frozenset({"project_id", "epic_id"})
_OF_STATUS = frozenset({"status", "project_id"})
"""The filters that are in one index with the ids."""
_FEW = frozenset({"ids", "holder"})
"""Filters that few tasks pass. SQLite finds these by id or by an index, and sorts them."""
_INDEXES = (*[frozenset({name}) for name in ("ids", "holder", "epic_id")], _OF_STATUS)
"""The filters of each index. The first index is usually the shortest."""
_SEARCHES = frozenset({"q", "q_among", "q_merged"})
_MERGED = frozenset({"label", "label_merged", "q_merged"})
"""The filters of indexes with the same order, if one of them is merged."""
_ONE: ColumnElement[int] = literal_column("1")
SEVERAL, MANY = 1024, 8192
"""The numbers of tasks up to which the lengths of indexes are compared: first SEVERAL, and MANY if all are longer."""
FREQUENT = 4096
"""Number of tasks that match a search from which on it is merged with a label, as `q_merged`."""
COMMON = 32_768
"""Number of tasks that match a search from which on the texts of few other tasks are read instead, as `phrases`."""
_OF_ROW: dict[str, ColumnElement[bool]] = {
    "priorities": is_among(tasks.c.priority, "priorities"),
    "worked_by": func.coalesce(tasks.c.lock_holder, tasks.c.worked_by) == bindparam("worked_by"),
    "created_by": tasks.c.created_by == bindparam("created_by"),
    "changed_since": tasks.c.updated_at >= bindparam("changed_since"),
    "created_since": tasks.c.created_at >= bindparam("created_since"),
    "created_until": tasks.c.created_at < bindparam("created_until"),
    "completed_since": tasks.c.completed_at >= bindparam("completed_since"),
    "completed_until": tasks.c.completed_at < bindparam("completed_until"),
    "unheld": tasks.c.lock_holder.is_(None),
}
"""The conditions of filters that no index has. They are tested on the tasks of the index of another filter."""
_member = tasks.alias("member")


class Query(NamedTuple):
    """The names of the filters of a list, and the parameters of its statements.

    `found` has the ids of the tasks that match, in any order, or None before `listing.find`. If more than TOTAL_MAXIMUM
    match, it has TOTAL_MAXIMUM + 1 of them.
    """

    names: Filters
    values: dict[str, Any]
    found: list[int] | None = None


def resolve(tx: Tx, filters: dict[str, Any]) -> Query:
    """Return the query for these filters. It reads the smallest index, and tests the other filters on its tasks."""
    names = frozenset(filters) - {"labels", "q"}
    values = {name: json.dumps(value) if isinstance(value, list) else value for name, value in filters.items()}
    values = {"status": _EVERY_STATUS, **values, "now": tx.now, "max_attempts": tx.max_attempts}
    smallest = _smallest_index(tx, names, filters, values)
    more = _label_filters(smallest) | _search_filter(tx, smallest, filters.get("q"))
    return Query(names.union(more), values | more)


class _Smallest(NamedTuple):
    """The smallest index of a query.

    `labels` are those of the query, the rarest first. `is_of_label` is true if the index is that of the rarest label.
    `has_few` is true if the index is short.
    """

    labels: list[str]
    is_of_label: bool = True
    has_few: bool = False


def _smallest_index(tx: Tx, names: Filters, filters: dict[str, Any], values: dict[str, Any]) -> _Smallest:
    """Compare the numbers of tasks in the indexes of the filters. Counting ends soon after the end of one index."""
    labels: list[str] = filters.get("labels", [])
    ready = "ready" in names
    index = next((names & index for index in _INDEXES if names & index), None)
    if ready and names.isdisjoint(_FEW):
        # The indexes of ready tasks, and those of their labels, have the projects and epics.
        index = None if labels else names & {"ready", *_SCOPE}
    if bool(index) + len(labels) + ("q" in filters) < 2:
        return _Smallest(labels)
    found = _Smallest(labels)
    for most in (SEVERAL, MANY) if index else (SEVERAL,):
        size = int(_size_of(index).value(tx, **values, most=most + 1)) if index else most + 1
        labels, number = by_rarity(tx, labels, min(size, most) + 1, ready=ready) if labels else (labels, most + 1)
        found = _Smallest(labels, number <= size, min(size, number) <= most)
        if found.has_few:
            break
    return found


def _label_filters(smallest: _Smallest) -> dict[str, str]:
    """Return the labels by the names of their filters. If the index of the rarest one is long, two are merged."""
    labels = {f"label_{place}": label for place, label in enumerate(smallest.labels)}
    if labels and smallest.is_of_label:
        labels["label"] = labels.pop("label_0")
        if "label_1" in labels and not smallest.has_few:
            labels["label_merged"] = labels.pop("label_1")
    return labels


def _search_filter(tx: Tx, smallest: _Smallest, query: str | None) -> dict[str, str]:
    """Return the parameter of the search by the name of its filter."""
    if query is None:
        return {}
    expression = search.match_expression(tx, search.tasks_fts, query)
    if smallest.has_few:
        is_common = search.has_many(tx, expression, COMMON)  # false for a query without words
        return {"phrases": search.phrases(tx, query)} if is_common else {"q_among": expression}
    is_merged = smallest.labels and smallest.is_of_label and search.has_many(tx, expression, FREQUENT)
    return {"q_merged" if is_merged else "q": expression}


@lru_cache(maxsize=16)
def _size_of(index: Filters) -> Statement:
    """Return the statement that counts the entries of an index of `_INDEXES`, or of ready tasks in a scope."""
    return pages.index_counter(_ready_entries(index & _SCOPE) if "ready" in index else matching(index, capped=False))


def counter(filters: Filters, *, capped: bool) -> Statement:
    """Return the statement that counts the tasks that match."""
    return (pages.index_counter if is_of_index(filters) else pages.counter)(matching(filters, capped=capped))


def is_of_index(filters: Filters) -> bool:
    """Return whether the tasks that match are the entries of one index."""
    return not filters or any(filters <= index for index in (*_INDEXES, {"label"}))


def matching(filters: Filters, *, capped: bool) -> Select[Any]:
    """Select the ids of the tasks that match, in any order. `capped` limits the failed attempts of ready tasks."""
    if "q_merged" in filters or ("label_merged" in filters and filters.isdisjoint(_SEARCHES)):
        return _merged(filters, capped)
    if filters & _SEARCHES:
        return _in_search(filters, capped)
    if {"label", "ready"} <= filters:
        return _with_label_of_ready(filters, capped)
    if "label" in filters:
        return _with_label(filters, capped)
    return _in_tasks(filters, capped)


def first_by_id(filters: Filters, *, after: bool, capped: bool) -> Select[Any]:
    """Select the first `limit` tasks that match in the order of ids. With `after`, they follow the id `after_0`.

    If the filters have ranges, the ids are at most `last`.
    """
    if has_ranges(filters):
        first = _first_of_ready_groups if "ready" in filters else _first_of_statuses
        return first(filters, after=after, capped=capped)
    if filters & _SEARCHES:
        return _first(_in_search(filters, capped), after=after)
    if "label" in filters and filters.isdisjoint(_FEW):
        return _first(_with_label(filters, capped), after=after)
    return _first(matching(filters, capped=capped), after=after)


def has_ranges(filters: Filters) -> bool:
    """Return whether the index consists of several ranges, each with its ids in order.

    The ranges are a status in a project, or the ready tasks of equal rank.
    """
    if filters & (_SEARCHES | _FEW):
        return False
    return "ready" in filters or (filters.isdisjoint({"label", "epic_id"}) and bool(filters & _OF_STATUS))


def first_by_claim(filters: Filters, *, after: bool, capped: bool) -> Select[Any]:
    """Select the first `limit` tasks that match in the order of claims. With `after`, they follow this position.

    A position is `after_0`, `after_1` and `after_2`: the priority, minus the number of tasks it unblocks, and the id.
    """
    if {"label", "ready"} <= filters:
        return _first_with_label_of_ready(_with_label_of_ready(filters, capped), after=after)
    if after:
        columns = (tasks.c.priority, tasks.c.unblocks, tasks.c.id.label("task_id"))
        first = claim_search.later(_in_tasks(filters, capped).with_only_columns(*columns), "limit")
        return first.with_only_columns(first.selected_columns.task_id)
    return _in_tasks(filters, capped).order_by(*ready_tasks.CLAIM_ORDER).limit(bindparam("limit"))


def _first_with_label_of_ready(found: Select[Any], *, after: bool) -> Select[Any]:
    """Limit a selection from the labels of ready tasks to the first tasks in the order of claims."""
    entry = claimable_labels.c
    if after:
        position = tuple_(*[bindparam(f"after_{number}") for number in range(3)])
        found = found.where(tuple_(entry.priority, entry.rank, entry.task_id) > position)
    return found.order_by(entry.priority, entry.rank, entry.task_id).limit(bindparam("limit"))


def _in_tasks(filters: Filters, capped: bool) -> Select[Any]:
    found = select(tasks.c.id).where(*_conditions(filters, capped)).correlate(None)
    if "ids" in filters:
        return found.with_hint(tasks, "NOT INDEXED", "sqlite")
    is_hinted = "ready" in filters and "holder" not in filters
    return found.with_hint(tasks, ready_index(filters), "sqlite") if is_hinted else found


def _in_search(filters: Filters, capped: bool) -> Select[Any]:
    (name,) = filters & _SEARCHES
    found = _matches(name)
    others = filters - _SEARCHES
    if name == "q_among":
        # With the plus, FTS5 does not search once for each id.
        return found.where(literal_column("+tasks_fts.rowid").in_(matching(others, capped=capped)))
    return found.where(*_passes(search.tasks_fts, "rowid", others, capped))


def _matches(name: str) -> Select[Any]:
    """Select the ids of the tasks that match the search of the filter `name`."""
    return select(search.tasks_fts.c.rowid).where(search.matches(search.tasks_fts, name))


def _with_label(filters: Filters, capped: bool) -> Select[Any]:
    chosen = task_labels.c.label == bindparam("label")
    return select(task_labels.c.task_id).where(chosen, *_passes(task_labels, "task_id", filters - {"label"}, capped))


def _with_label_of_ready(filters: Filters, capped: bool) -> Select[Any]:
    entry = claimable_labels.c
    scope = [entry[name] == bindparam(name) for name in sorted(filters & _SCOPE)]
    others = _passes(claimable_labels, "task_id", filters - _SCOPE - {"label"}, capped)
    return select(entry.task_id).where(entry.label == bindparam("label"), *scope, *others)


def _merged(filters: Filters, capped: bool) -> Select[Any]:
    """Select from the tasks in all indexes of `_MERGED` filters. SQLite merges their entries."""
    index, order = task_labels, ["task_id"]
    if "ready" in filters and "q_merged" not in filters:
        index, order = claimable_labels, ["priority", "rank", "task_id"]
    scope = filters & _SCOPE & frozenset(index.c.keys())
    of_scope = [index.c[name] == bindparam(name) for name in sorted(scope)]
    entries = select(*[index.c[name] for name in order]).where(*of_scope)
    found = [entries.where(index.c.label == bindparam(name)) for name in sorted(filters & _MERGED - {"q_merged"})]
    if "q_merged" in filters:
        found.append(_matches("q_merged"))
    merged = intersect(*found).order_by(*order).subquery("merged")
    return select(merged.c.task_id).where(*_passes(merged, "task_id", filters - scope - _MERGED, capped))


def _first(found: Select[Any], *, after: bool) -> Select[Any]:
    (task_id,) = found.selected_columns
    if after:
        found = found.where(task_id > bindparam("after_0"))
    return found.order_by(task_id).limit(bindparam("limit"))


def _first_of_statuses(filters: Filters, *, after: bool, capped: bool) -> Select[Any]:
    """Select the first ids of each status in each project, and the first of these.

    The index has the ids in order only within a status and a project.
    """
    status = json_elements(bindparam("status")).alias("wanted_status")
    ranges: list[FromClause] = [status]
    project_id: ColumnElement[Any] = bindparam("project_id")
    if "project_id" not in filters:
        ranges.append(projects)
        project_id = projects.c.id
    others = _conditions(filters - _OF_STATUS, capped)
    within = select(tasks.c.id).where(tasks.c.status == status.c.value, tasks.c.project_id == project_id, *others)
    within = within.with_hint(tasks, "INDEXED BY ix_tasks_status_project_id", "sqlite")
    return _first_of_ranges(ranges, _first(within, after=after))


def _first_of_ready_groups(filters: Filters, *, after: bool, capped: bool) -> Select[Any]:
    """Select the first ids of each group of ready tasks of equal rank, and the first of these.

    The indexes of ready tasks and of their labels are in the order of claims. They have the ids in order only within a
    group.
    """
    if "label" in filters:
        groups, entry = _ready_groups_with_label(), claimable_labels.c
        of_group = (entry.priority == groups.c.priority, entry.rank == groups.c.rank)
    else:
        groups = _ready_groups(filters & _SCOPE)
        of_group = (tasks.c.priority == groups.c.priority, tasks.c.unblocks == -groups.c.rank)
    found = _with_label_of_ready if "label" in filters else _in_tasks
    return _first_of_ranges([groups], _first(found(filters, capped).where(*of_group), after=after))


def _ready_groups(scope: Filters) -> CTE:
    """Return the groups of ready tasks."""
    ready = _ready_entries(scope).order_by(tasks.c.priority, tasks.c.unblocks.desc()).limit(_ONE)
    return _groups(ready, tasks.c.priority, lambda rank: tasks.c.unblocks < -rank)


def _ready_entries(scope: Filters) -> Select[Any]:
    """Select the entries of the index of ready tasks. It also has tasks in conflict or without attempts left."""
    found = select(tasks.c.id).where(READY_INDEX_CONDITION, *_conditions(scope, False))
    return found.with_hint(tasks, ready_index(scope), "sqlite")


def _ready_groups_with_label() -> CTE:
    """Return the groups of ready tasks with the label `label`."""
    entry = claimable_labels.c
    ready = select(entry.task_id).where(entry.label == bindparam("label")).limit(_ONE)
    return _groups(ready.order_by(entry.priority, entry.rank), entry.priority, lambda rank: entry.rank > rank)


def _groups(
    best: Select[Any], priority: ColumnElement[int], is_behind: Callable[[ColumnElement[int]], ColumnElement[bool]]
) -> CTE:
    """Return the distinct pairs of `priority` and `rank` (minus `unblocks`) of tasks. Each step seeks the next pair.

    `best` selects the id of the first task in the order of an index. `priority` is a column of this index, and
    `is_behind` returns the condition that an entry is behind a rank.
    """
    pair = (_member.c.priority.label("priority"), (-_member.c.unblocks).label("rank"))
    groups = select(*pair).where(_member.c.id == best.scalar_subquery()).cte("ready_groups", recursive=True)
    # For one comparison of both columns, SQLite would read the index from the priority on.
    same_priority = best.where(priority == groups.c.priority, is_behind(groups.c.rank))
    next_priority = best.where(priority > groups.c.priority)
    following = [found.correlate(groups).scalar_subquery() for found in (same_priority, next_priority)]
    # UNION ends the recursion even if the entry of a task is out of date.
    return groups.union(select(*pair).select_from(groups).join(_member, _member.c.id == func.coalesce(*following)))


def _first_of_ranges(ranges: list[FromClause], within: Select[Any]) -> Select[Any]:
    """Select the first ids of the selection `within` each of the ranges, in the order of ids."""
    (task_id,) = within.selected_columns
    of_range = within.where(task_id <= bindparam("last")).correlate(*ranges).scalar_subquery()
    # PostgreSQL names the column of a function like the function.
    rows = RowsOf(of_range).table_valued(column("id", Number)).alias("id")
    found = select(rows.c.id).select_from(*ranges, rows).where(IsRowOf(rows.c.id, of_range))
    return _first(found.correlate(None), after=False)


def _passes(source: FromClause, task_id: str, filters: Filters, capped: bool) -> list[ColumnElement[bool]]:
    """Return the conditions that the task with the id in this column of `source` passes the filters.

    The labels are tested first, without a read of the task.
    """
    labels = sorted(name for name in filters if name.startswith("label"))
    found = [has_label(source.c[task_id], bindparam(name)) for name in labels]
    others = filters.difference(labels)
    if others:
        found.append(select(null()).where(tasks.c.id == source.c[task_id], *_conditions(others, capped)))
    return [rows.correlate(source).exists() for rows in found]


def _conditions(filters: Filters, capped: bool) -> list[ColumnElement[bool]]:
    return [_condition(name, capped=capped) for name in sorted(filters)]


def _condition(name: str, *, capped: bool) -> ColumnElement[bool]:
    if name.startswith("label"):
        return has_label(tasks.c.id, bindparam(name)).correlate(tasks).exists()
    if name in _OF_ROW:
        return _OF_ROW[name]
    match name:
        case "project_id" | "epic_id":
            return tasks.c[name] == bindparam(name)
        case "status":
            return tasks.c.status.in_(elements("status"))
        case "ids":
            return is_among(tasks.c.id, "ids")
        case "holder":
            return (tasks.c.lock_holder == bindparam("holder")) & (tasks.c.lock_expires_at > bindparam("now"))
        case "phrases":
            return HasPhrases(tasks.c.id, bindparam("phrases"))
        case "ready":
            return and_(*ready_conditions(tasks, with_attempt_limit=capped))
        case "not_ready":
            return ~and_(*ready_conditions(tasks, with_attempt_limit=capped))
    raise KeyError(name)
