"""Filters of lists of tasks: the conditions, and the selections of the ids of the tasks that match.

Filters are a dict from the names in `_condition` to their values. All of them must match. A selection reads the index
of one filter in the order of the list, and tests the other filters on its tasks. So its cost does not grow with the
number of all tasks. A list by status reads the first tasks of each project, so its cost grows with the number of
projects.
"""

import json
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    FromClause,
    Integer,
    Select,
    and_,
    bindparam,
    func,
    null,
    select,
    text,
    tuple_,
    union_all,
)
from sqlalchemy.sql.expression import literal_column

from project_manager.domain.statuses import Status
from project_manager.store import ready_tasks
from project_manager.store.labels import has_all_labels, has_label
from project_manager.store.sqlite import search
from project_manager.store.statement import Statement, elements, json_elements
from project_manager.store.tables import READY_INDEX_CONDITION, claimable_labels, projects, task_labels, tasks
from project_manager.store.tasks import ready_conditions, ready_index
from project_manager.store.transaction import Tx

Filters = frozenset[str]
_EVERY_STATUS = json.dumps([status.value for status in Status])
_SCOPE = frozenset({"project_id", "epic_id"})
_OF_STATUS = frozenset({"status", "project_id"})
"""The filters that are in one index with the ids."""
_LABELS = frozenset({"label", "labels"})
_FEW = frozenset({"ids", "holder"})
"""Filters that few tasks pass. SQLite finds these by id or by an index, and sorts them."""
_ONE: ColumnElement[int] = literal_column("1")
COMMON_LABEL_TASKS = 1000
"""Number of tasks from which a label is common, see `names`."""
_with_this_label = select(null()).where(task_labels.c.label == bindparam("label")).limit(bindparam("limit")).subquery()
_TASKS_WITH_LABEL = Statement(select(func.count()).select_from(_with_this_label))
CLAIM_ORDER = (tasks.c.priority, tasks.c.unblocks.desc(), tasks.c.id)
_member = tasks.alias("member")


def names(tx: Tx, filters: dict[str, Any]) -> Filters:
    """Return the names of the filters.

    A label of many tasks is tested on the tasks of the other filters, if these are in one index. It then has the name
    `common_label`.
    """
    found = frozenset(filters)
    if len(found) > 1 and found - _OF_STATUS == {"label"} and _is_common(tx, filters["label"]):
        return found & _OF_STATUS | {"common_label"}
    return found


def _is_common(tx: Tx, label: str) -> bool:
    return int(_TASKS_WITH_LABEL.value(tx, label=label, limit=COMMON_LABEL_TASKS)) == COMMON_LABEL_TASKS


def values(tx: Tx, filters: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of the selections with these filters."""
    found = {name: json.dumps(value) if isinstance(value, list) else value for name, value in filters.items()}
    if "q" in filters:
        found["q"] = search.match_expression(tx, search.tasks_fts, filters["q"])
    if "labels" in filters:
        found["label"] = ready_tasks.rarest_label(tx, filters["labels"])
    return {"status": _EVERY_STATUS, **found, "now": tx.now, "max_attempts": tx.max_attempts}


def matching(filters: Filters, *, capped: bool) -> Select[Any]:
    """Select the ids of the tasks that match, in any order. `capped` limits the failed attempts of ready tasks."""
    if "q" in filters:
        found = search.tasks_fts
        return select(found.c.rowid).where(
            text("tasks_fts MATCH :q"), *_passes(found, "rowid", filters - {"q"}, capped)
        )
    if filters & _LABELS and "ready" in filters:
        return _with_label_of_ready(filters, capped)
    if filters & _LABELS:
        return _with_label(filters, capped)
    return _in_tasks(filters, capped)


def first_by_id(filters: Filters, *, after: bool, capped: bool) -> Select[Any]:
    """Select the first `limit` tasks that match in the order of ids. With `after`, they follow the id `after_0`."""
    if "q" in filters or filters & _FEW:
        return _first(matching(filters, capped=capped), after=after)
    if filters & _LABELS:
        return _first(_with_label(filters, capped), after=after)
    if "ready" in filters:
        return _first_of_ready_groups(filters, after=after, capped=capped)
    if "epic_id" not in filters and filters & _OF_STATUS:
        return _first_of_statuses(filters, after=after, capped=capped)
    return _first(matching(filters, capped=capped), after=after)


def first_by_claim(filters: Filters, *, after: bool, capped: bool) -> Select[Any]:
    """Select the first `limit` tasks that match in the order of claims. With `after`, they follow this position.

    A position is `after_0`, `after_1` and `after_2`: the priority, minus the number of tasks it unblocks, and the id.
    """
    if filters & _LABELS and "ready" in filters:
        return _first_with_label_of_ready(_with_label_of_ready(filters, capped), after=after)
    if after:
        return _first_of_later_ranges(_in_tasks(filters, capped))
    return _in_tasks(filters, capped).order_by(*CLAIM_ORDER).limit(bindparam("limit"))


def _first_with_label_of_ready(found: Select[Any], *, after: bool) -> Select[Any]:
    """Limit a selection from the labels of ready tasks to the first tasks in the order of claims."""
    entry = claimable_labels.c
    if after:
        position = tuple_(*[bindparam(f"after_{number}") for number in range(3)])
        found = found.where(tuple_(entry.priority, entry.rank, entry.task_id) > position)
    return found.order_by(entry.priority, entry.rank, entry.task_id).limit(bindparam("limit"))


def _first_of_later_ranges(found: Select[Any]) -> Select[Any]:
    """Select the first tasks after a position in the order of claims, from the three ranges of the index behind it.

    For one comparison of the three columns, SQLite would read the index from the priority on.
    """
    priority: ColumnElement[int] = bindparam("after_0")
    unblocks = -bindparam("after_1", type_=Integer)
    ranges = (
        (tasks.c.priority == priority, tasks.c.unblocks == unblocks, tasks.c.id > bindparam("after_2")),
        (tasks.c.priority == priority, tasks.c.unblocks < unblocks),
        (tasks.c.priority > priority,),
    )
    ranked = found.with_only_columns(tasks.c.priority, tasks.c.unblocks, tasks.c.id)
    parts = [
        select(ranked.where(*chosen).order_by(*CLAIM_ORDER).limit(bindparam("limit")).subquery()) for chosen in ranges
    ]
    later = union_all(*parts).subquery("later").c
    return select(later.id).order_by(later.priority, later.unblocks.desc(), later.id).limit(bindparam("limit"))


def _in_tasks(filters: Filters, capped: bool) -> Select[Any]:
    found = select(tasks.c.id).where(*_conditions(filters, capped)).correlate(None)
    is_hinted = "ready" in filters and not filters & _FEW
    return found.with_hint(tasks, ready_index(filters), "sqlite") if is_hinted else found


def _with_label(filters: Filters, capped: bool) -> Select[Any]:
    chosen = task_labels.c.label == bindparam("label")
    return select(task_labels.c.task_id).where(chosen, *_passes(task_labels, "task_id", filters - {"label"}, capped))


def _with_label_of_ready(filters: Filters, capped: bool) -> Select[Any]:
    entry = claimable_labels.c
    scope = [entry[name] == bindparam(name) for name in sorted(filters & _SCOPE)]
    if "labels" in filters:
        scope.append(has_all_labels(claimable_labels, "task_id"))
    others = _passes(claimable_labels, "task_id", filters - _LABELS - _SCOPE, capped)
    return select(entry.task_id).where(entry.label == bindparam("label"), *scope, *others)


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

    The index of ready tasks is in the order of claims. It has the ids in order only within a group.
    """
    groups = _ready_groups(filters & _SCOPE)
    of_group = (tasks.c.priority == groups.c.priority, tasks.c.unblocks == groups.c.unblocks)
    return _first_of_ranges([groups], _first(matching(filters, capped=capped).where(*of_group), after=after))


def _ready_groups(scope: Filters) -> CTE:
    """Return the distinct pairs of `priority` and `unblocks` of ready tasks. Each step seeks the next pair."""

    def best(*columns: ColumnElement[Any], after: tuple[ColumnElement[bool], ...] = ()) -> Select[Any]:
        found = select(*columns).where(READY_INDEX_CONDITION, *_conditions(scope, False), *after).limit(_ONE)
        return found.with_hint(tasks, ready_index(scope), "sqlite").order_by(tasks.c.priority, tasks.c.unblocks.desc())

    groups = select(best(tasks.c.priority, tasks.c.unblocks).subquery("best")).cte("ready_groups", recursive=True)
    same_priority = (tasks.c.priority == groups.c.priority, tasks.c.unblocks < groups.c.unblocks)
    next_priority = (tasks.c.priority > groups.c.priority,)
    following = [
        best(tasks.c.id, after=after).correlate(groups).scalar_subquery() for after in (same_priority, next_priority)
    ]
    return groups.union_all(
        select(_member.c.priority, _member.c.unblocks)
        .select_from(groups)
        .join(_member, _member.c.id == func.coalesce(*following))
    )


def _first_of_ranges(ranges: list[FromClause], within: Select[Any]) -> Select[Any]:
    """Select the first ids of the selection `within` each of the ranges, in the order of ids."""
    first = _member.c.id.in_(within.correlate(*ranges))
    return _first(select(_member.c.id).select_from(*ranges).where(first).correlate(None), after=False)


def _passes(source: FromClause, task_id: str, filters: Filters, capped: bool) -> list[ColumnElement[bool]]:
    """Return the condition that the task with the id in this column of `source` passes the filters."""
    if not filters:
        return []
    task = select(null()).where(tasks.c.id == source.c[task_id], *_conditions(filters, capped))
    return [task.correlate(source).exists()]


def _conditions(filters: Filters, capped: bool) -> list[ColumnElement[bool]]:
    return [_condition(name, capped=capped) for name in sorted(filters)]


def _condition(name: str, *, capped: bool) -> ColumnElement[bool]:
    match name:
        case "project_id" | "epic_id":
            return tasks.c[name] == bindparam(name)
        case "status":
            return tasks.c.status.in_(elements("status"))
        case "ids":
            return tasks.c.id.in_(elements("ids"))
        case "label" | "common_label":
            return has_label(tasks.c.id, bindparam("label")).correlate(tasks).exists()
        case "labels":
            return has_all_labels(tasks, "id")
        case "holder":
            return (tasks.c.lock_holder == bindparam("holder")) & (tasks.c.lock_expires_at > bindparam("now"))
        case "unheld":
            return tasks.c.lock_holder.is_(None)
        case "ready":
            return and_(*ready_conditions(tasks, with_attempt_limit=capped))
        case "not_ready":
            return ~and_(*ready_conditions(tasks, with_attempt_limit=capped))
    raise KeyError(name)
