"""Search for the next ready tasks in claim order: most urgent, then those that unblock most, then oldest.

A search is a dict with any of `project_id`, `epic_id`, `priority` (the least urgent that matches) and `labels` (a task
needs all). It reads an index in claim order, so its cost does not grow with the other tasks.

An index can have many tasks that a search does not find. They conflict with a leased task, or lack a label. A search
therefore looks at a part of the index, and returns the position where it stopped. The next search goes on from there.
A part is limited by the number of its tasks and of their conflicts. A task that is blocked by paths is taken out of the
index by the first search that reads it (`store/path_reservations.py`).
"""

import json
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, FromClause, Integer, Select, and_, bindparam, case, select, tuple_, union_all
from sqlalchemy.sql.expression import literal_column

from project_manager.domain.readiness import Withheld
from project_manager.store import pages, path_reservations, ready_tasks
from project_manager.store.functions import Number
from project_manager.store.labels import by_rarity, has_all_labels
from project_manager.store.paths import is_blocked_by_paths
from project_manager.store.readiness import ready_conditions, ready_conditions_of_indexed, ready_index
from project_manager.store.ready_tasks import CLAIM_ORDER, ROW_WITH_CONTEXT, ClaimContext, split_context
from project_manager.store.statement import Statement
from project_manager.store.tables import READY_INDEX_CONDITION, claimable_labels, tasks
from project_manager.store.tasks import TaskRow, has_running_conflict, number_of_conflicts
from project_manager.store.transaction import Tx
from project_manager.store.withheld import withhold

Search = dict[str, Any]
RARE_LABEL_LIMIT = 100
"""A label with this many ready tasks counts as common. Among common labels, the first one is searched."""
PART = 128
"""Number of tasks in a part of a search without labels."""
COMPARED_CONFLICTS = 4096
"""A part ends earlier at this number of conflicts of blocked tasks, so that it costs less than 1 ms."""
BLOCKED_TASK = 16
"""Number of conflicts that cost as much as one more blocked task."""
COMPARED_LABELS = 1024
"""Labels that one search by labels compares at most. Its parts have this many tasks, divided by the wanted labels."""
_BY_PATHS = -1
"""Marker of a task that is blocked by paths, in the column for the number of conflicts."""
_ALL = 2**62
"""More than the number of tasks."""


class Position(NamedTuple):
    """A position in the claim order. `rank` is minus the number of tasks that the task unblocks."""

    priority: int
    rank: int
    task_id: int


START = Position(-1, 0, 0)

_labelled = claimable_labels.c


def best(
    tx: Tx, search: Search, after: Position = START
) -> tuple[tuple[TaskRow, ClaimContext] | None, Position | None]:
    """Return the first ready task in a part with its facts for the actor, or None when none was found.

    The second value is the position where the search has stopped without a result, or None when it is complete.
    """
    shape, values = _shape(tx, search, after), _values(tx, search, 1, after)
    if not shape.is_later:
        first = _first(shape).row(tx, **values, agent_id=tx.actor.id)
        if first is None:  # without labels, the index has no tasks
            return None, _end(tx, shape, values) if "labels" in search else None
        if first[-1]:
            return split_context(first[:-1]), None
    found, end = _ready_in_part(tx, shape, values, 1)
    return (ready_tasks.get_with_context(tx, found[0]), None) if found else (None, end)


def part(tx: Tx, search: Search, limit: int, after: Position = START) -> tuple[list[int], Position | None]:
    """Return the ids of the first ready tasks in a part, in claim order, `limit` at most.

    The second value is the position where the search goes on, or None when it is complete.
    """
    return _ready_in_part(tx, _shape(tx, search, after), _values(tx, search, limit, after), limit)


def ids(tx: Tx, search: Search) -> list[int]:
    """Return the ids of all ready tasks in claim order."""
    found: list[int] = []
    after: Position | None = START
    while after is not None:
        in_part, after = part(tx, search, _ALL, after)
        found += in_part
    return found


class Candidates:
    """The ready tasks that a search finds, read on demand.

    The search stops behind a part without ready tasks, because many such parts can follow. `has_stopped` is then true.
    """

    def __init__(self, search: Search) -> None:
        self._search = search
        self._ids: list[int] = []
        self._at = 0
        self._limit = 1
        self._after: Position | None = START
        self.has_stopped = False

    def first(self, tx: Tx, without: set[int]) -> int | None:
        """Return the id of the first task in claim order that is not in `without`, or None. `without` must only grow.

        Each read has four times the limit of the read before, so there are few reads.
        """
        while True:
            while self._at < len(self._ids):
                if self._ids[self._at] not in without:
                    return self._ids[self._at]
                self._at += 1
            if self._after is None or self.has_stopped:
                return None
            self._ids, self._after = part(tx, self._search, self._limit, self._after)
            self._at = 0
            self._limit *= 4
            self.has_stopped = not self._ids and self._after is not None


class _Shape(NamedTuple):
    """The properties of a search that decide its statements."""

    names: frozenset[str]
    has_several_labels: bool
    is_later: bool
    is_capped: bool


def _shape(tx: Tx, search: Search, after: Position) -> _Shape:
    return _Shape(frozenset(search), len(search.get("labels", ())) > 1, after != START, tx.max_attempts > 0)


def _values(tx: Tx, search: Search, limit: int, after: Position) -> dict[str, Any]:
    """Return the parameters of the statements. A part grows with the number of wanted tasks."""
    values: dict[str, Any] = {**search, "now": tx.now, "max_attempts": tx.max_attempts, **pages.after(after)}
    size = PART
    labels = search.get("labels")
    if labels:
        size = COMPARED_LABELS // len(labels)
        rare = labels[0] if len(labels) == 1 else by_rarity(tx, labels, RARE_LABEL_LIMIT, ready=True)[0][0]
        values |= {"label": rare, "labels": json.dumps(labels)}
    return {**values, "part": size - 1 + limit}


def _ready_in_part(tx: Tx, shape: _Shape, values: dict[str, Any], limit: int) -> tuple[list[int], Position | None]:
    """Return the ids of ready tasks in a part, and the position where the search goes on.

    It parks the tasks that are blocked by paths, so that the next search does not read them again.
    """
    parked: list[int] = []
    found, end = _read_part(tx, shape, values, limit, parked)
    if parked:
        path_reservations.park(tx, parked)
        withhold(tx, parked, Withheld.PATHS)
    return found, end


def _read_part(
    tx: Tx, shape: _Shape, values: dict[str, Any], limit: int, blocked_by_paths: list[int]
) -> tuple[list[int], Position | None]:
    """Return the result of `_ready_in_part`, and add the tasks to park to `blocked_by_paths`.

    A search that has found one task to park reads the whole part, so that few searches have to park tasks.
    """
    found: list[int] = []
    end: Position | None = None
    compared = 0
    rows = _tasks_in_part(shape).each(tx, **values)
    for number, (priority, rank, task_id, conflicts) in enumerate(rows, start=1):
        if conflicts == _BY_PATHS:
            blocked_by_paths.append(task_id)
        elif conflicts is not None:
            compared += BLOCKED_TASK + conflicts
        elif end is None:
            found.append(task_id)
        if end is None and (len(found) == limit or compared >= COMPARED_CONFLICTS or number == values["part"]):
            end = Position(priority, rank, task_id)
        # The result is complete. The rest of the part only matters for the tasks to park.
        if end is not None and (not blocked_by_paths or compared >= COMPARED_CONFLICTS):
            break
    return found, end or _end(tx, shape, values)


def _end(tx: Tx, shape: _Shape, values: dict[str, Any]) -> Position | None:
    """Return the position of the last task in a part, or None if the part has fewer tasks."""
    return _end_of_part(shape).one(tx, Position._make, **values)


@lru_cache(maxsize=64)
def _first(shape: _Shape) -> Statement:
    """Return the statement for the first task in the index with its facts, and whether it is ready.

    The first task is ready for nearly all claims, and this statement costs less than the search in a part.
    """
    is_ready = and_(*ready_conditions_of_indexed(tasks, with_attempt_limit=shape.is_capped))
    wanted = ROW_WITH_CONTEXT.add_columns(is_ready)
    if "labels" in shape.names:
        found = _in_part(wanted, shape, _part(shape).subquery("entry"))
    else:
        found = _indexed(wanted, shape).order_by(*CLAIM_ORDER)
    return Statement(found.limit(literal_column("1")))


@lru_cache(maxsize=64)
def _tasks_in_part(shape: _Shape) -> Statement:
    """Return the statement for the positions of the tasks in a part that are ready, or blocked by other leases only.

    The last column is the number of conflicts of a blocked task, _BY_PATHS, or NULL for a ready task. SQLite does not
    sort the tasks, so those behind the last row read cost nothing.
    """
    entry = _part(shape).subquery("entry")
    conflicts = case(
        (is_blocked_by_paths(tasks), literal_column(str(_BY_PATHS))),
        (has_running_conflict(tasks.c.id), number_of_conflicts(tasks.c.id)),
    )
    return Statement(_in_part(select(*_position(entry.c), conflicts), shape, entry))


@lru_cache(maxsize=64)
def _end_of_part(shape: _Shape) -> Statement:
    """Return the statement for the position of the last task in a part. It finds no row if the part has fewer tasks."""
    entry = _part(shape)
    last = entry.with_only_columns(*_position(entry.selected_columns)).limit(literal_column("1"))
    return Statement(last.offset(bindparam("part", type_=Number) - literal_column("1")))


def _in_part(wanted: Select[Any], shape: _Shape, entry: FromClause) -> Select[Any]:
    """Select from the tasks in a part that are ready, or blocked by other leases only. They have all of `labels`."""
    conditions = ready_conditions(tasks, with_attempt_limit=shape.is_capped, conflicts=False)
    if "labels" in shape.names:
        conditions += _scope(entry.c, shape.names - {"priority"})
    if shape.has_several_labels:
        conditions.append(has_all_labels(entry, "task_id"))
    return (
        wanted.where(tasks.c.id == entry.c.task_id, *conditions)
        .with_hint(tasks, "NOT INDEXED", "sqlite")
        .order_by(*_order(entry.c))
    )


def _part(shape: _Shape) -> Select[Any]:
    """Select the next `part` tasks in claim order from the index, or from the tasks with the label `label`."""
    if "labels" in shape.names:
        return _with_label(shape.names).limit(bindparam("part"))
    found = _indexed(select(tasks.c.priority, tasks.c.unblocks, tasks.c.id.label("task_id")), shape)
    return later(found, "part") if shape.is_later else found.order_by(*CLAIM_ORDER).limit(bindparam("part"))


def _indexed(wanted: Select[Any], shape: _Shape) -> Select[Any]:
    """Select from the tasks in the index that the filters of a search without labels accept."""
    found = wanted.where(READY_INDEX_CONDITION, *_scope(tasks.c, shape.names))
    return found.with_hint(tasks, ready_index(shape.names), "sqlite")


def _with_label(names: frozenset[str]) -> Select[Any]:
    """Select the ready tasks with the label `label` after a position, in claim order."""
    position = tuple_(_labelled.priority, _labelled.rank, _labelled.task_id)
    after = tuple_(bindparam("after_0"), bindparam("after_1"), bindparam("after_2"))
    return (
        select(claimable_labels)
        .where(_labelled.label == bindparam("label"), position > after, *_scope(_labelled, names & {"priority"}))
        .order_by(_labelled.priority, _labelled.rank, _labelled.task_id)
    )


def later(found: Select[Any], limit: str) -> Select[Any]:
    """Select the first tasks after a position in claim order, from the three ranges of the index behind it.

    The selection has the columns of CLAIM_ORDER, with the id as `task_id`. `limit` is the name of the parameter for
    the number of tasks. For one comparison of the three columns, SQLite would read the index from the priority on.
    """
    priority: ColumnElement[int] = bindparam("after_0")
    unblocks = -bindparam("after_1", type_=Integer)
    ranges = (
        (tasks.c.priority == priority, tasks.c.unblocks == unblocks, tasks.c.id > bindparam("after_2")),
        (tasks.c.priority == priority, tasks.c.unblocks < unblocks),
        (tasks.c.priority > priority,),
    )
    merged = union_all(*[found.where(*each) for each in ranges])
    first = merged.order_by(*_order(merged.selected_columns)).limit(bindparam(limit)).subquery("later")
    return select(first).order_by(*_order(first.c))


def _order(entry: Any) -> list[ColumnElement[Any]]:
    """Return the claim order of the entries of an index. They have `unblocks`, and those of labels have `rank`."""
    rank = entry.rank if "rank" in entry else entry.unblocks.desc()
    return [entry.priority, rank, entry.task_id]


def _position(entry: Any) -> list[ColumnElement[Any]]:
    """Return the columns of `Position` from the entries of an index."""
    rank = entry.rank if "rank" in entry else -entry.unblocks
    return [entry.priority, rank, entry.task_id]


def _scope(columns: Any, names: frozenset[str]) -> list[ColumnElement[bool]]:
    conditions = [columns[name] == bindparam(name) for name in ("project_id", "epic_id") if name in names]
    if "priority" in names:
        conditions.append(columns.priority <= bindparam("priority"))
    return conditions
