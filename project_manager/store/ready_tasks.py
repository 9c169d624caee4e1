"""Search for ready tasks in claim order: most urgent, then those that unblock most, then oldest.

A search is a dict with any of `project_id`, `epic_id`, `priority` (the least urgent that matches) and `labels` (a task
needs all). It reads an index in claim order, so its cost does not grow with the other tasks.

An index can have many tasks that a search does not find. They conflict with a leased task, or lack a label. A search
therefore looks at a part of the index, and returns the position where it stopped. The next search goes on from there.
"""

import json
from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Any, NamedTuple

import orjson
from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    Select,
    and_,
    bindparam,
    case,
    delete,
    func,
    null,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.sql.expression import literal_column

from project_manager.store import pages
from project_manager.store.labels import has_all_labels, rarest
from project_manager.store.statement import Row, Statement, elements, json_elements
from project_manager.store.tables import READY_INDEX_CONDITION, claimable_labels, task_logs, tasks
from project_manager.store.tasks import (
    COLUMNS,
    TaskRow,
    ready_conditions,
    ready_conditions_of_indexed,
    ready_index,
    with_empty_links,
    written_links,
)
from project_manager.store.transaction import Tx

Search = dict[str, Any]
RARE_LABEL_LIMIT = 100
"""A label with this many ready tasks counts as common. Among common labels, the first one is searched."""
PART = 128
"""Number of tasks in a part. Together with the search for their conflicts, they cost less than 1 ms."""
COMPARED_LABELS = 1024
"""Labels that one search by labels compares at most. Its parts have this many tasks, divided by the wanted labels."""


class Position(NamedTuple):
    """A position in the claim order. `rank` is minus the number of tasks that the task unblocks."""

    priority: int
    rank: int
    task_id: int


START = Position(-1, 0, 0)
CLAIM_ORDER = (tasks.c.priority, tasks.c.unblocks.desc(), tasks.c.id)


class ReadyTask(NamedTuple):
    """The fields of a ready task that searches compare. `labels` is a JSON array."""

    id: int
    project_id: int
    epic_id: int | None
    priority: int
    labels: str


class TaskState(NamedTuple):
    """The fields of a task that an event of its readiness needs."""

    id: int
    project_id: int
    epic_id: int | None
    status: str
    version: int
    is_ready: bool | int


class ClaimContext(NamedTuple):
    """Facts about a task for the agent that claims it.

    `entries` is the number of log entries. `handoff_id` is the id of the newest handoff note. `holds_others` is true
    when the agent has leases on other tasks.
    """

    entries: int
    handoff_id: int | None
    holds_others: bool | int


_log = task_logs.alias("log")
_others = tasks.alias("others")
_entries = select(func.count()).select_from(_log).where(_log.c.task_id == tasks.c.id)
_handoff = select(func.max(_log.c.id)).where(_log.c.task_id == tasks.c.id, _log.c.kind == literal_column("'handoff'"))
_holds_others = select(null()).where(
    _others.c.lock_holder == bindparam("agent"),
    _others.c.lock_expires_at > bindparam("now"),
    _others.c.id != tasks.c.id,
)
_CONTEXT = (
    _entries.correlate(tasks).scalar_subquery(),
    _handoff.correlate(tasks).scalar_subquery(),
    _holds_others.correlate(tasks).exists(),
)
_CONTEXT_OF = Statement(select(*_CONTEXT).where(tasks.c.id == bindparam("task_id")))
_ROW = select(*COLUMNS, *written_links(), *_CONTEXT)
_WITH_CONTEXT = Statement(_ROW.where(tasks.c.id == bindparam("task_id")))

_labelled = claimable_labels.c
_DROP_LABEL = Statement(
    delete(claimable_labels).where(
        _labelled.label == bindparam("label"),
        _labelled.priority == bindparam("priority"),
        _labelled.rank == -bindparam("unblocks", type_=Integer),
        _labelled.task_id == bindparam("task_id"),
    )
)
_own_label = json_elements(tasks.c.labels).alias("own_label")
_listed = select(null()).where(
    _labelled.label == _own_label.c.value,
    _labelled.priority == tasks.c.priority,
    _labelled.rank == -tasks.c.unblocks,
    _labelled.task_id == tasks.c.id,
    _labelled.project_id == tasks.c.project_id,
    _labelled.epic_id.is_not_distinct_from(tasks.c.epic_id),
)
_UNLISTED = Statement(
    select(tasks.c.id)
    .where(
        READY_INDEX_CONDITION, select(_own_label.c.value).where(~_listed.correlate(tasks, _own_label).exists()).exists()
    )
    .order_by(tasks.c.id)
    .limit(bindparam("limit"))
)


def best(
    tx: Tx, search: Search, after: Position = START
) -> tuple[tuple[TaskRow, ClaimContext] | None, Position | None]:
    """Return the first ready task in a part with its facts for the actor, or None when none was found.

    The second value is the position where the search has stopped without a result, or None when it is complete.
    """
    shape = _shape(tx, search, after)
    if "labels" not in search and not shape.is_later:
        first = _first(shape).row(tx, **search, now=tx.now, max_attempts=tx.max_attempts, agent=tx.actor.id)
        if first is None:
            return None, None
        if first[-1]:
            return _split(first[:-1]), None
    values = _values(tx, search, 1, after)
    row = _best(shape).row(tx, **values, agent=tx.actor.id)
    if row is not None:
        return _split(row), None
    return None, _end_of_part(shape).one(tx, Position._make, **values)


def part(tx: Tx, search: Search, limit: int, after: Position = START) -> tuple[list[int], Position | None]:
    """Return the ids of the first ready tasks in a part, in claim order, `limit` at most.

    The second value is the position where the search goes on, or None when it is complete.
    """
    shape, values = _shape(tx, search, after), _values(tx, search, limit, after)
    found = _positions(shape).all(tx, Position._make, **values, limit=limit)
    is_full = len(found) == limit
    end = found[-1] if is_full else _end_of_part(shape).one(tx, Position._make, **values)
    return [position.task_id for position in found], end


def ids(tx: Tx, search: Search, limit: int) -> list[int]:
    """Return the ids of the first ready tasks in claim order, `limit` at most. They are in the first part."""
    return part(tx, search, limit)[0]


def among(tx: Tx, task_ids: Iterable[int]) -> list[ReadyTask]:
    """Return those of these tasks that are ready, in claim order."""
    statement = _among(tx.max_attempts > 0)
    return statement.all(tx, ReadyTask._make, ids=json.dumps([*task_ids]), now=tx.now, max_attempts=tx.max_attempts)


def states(tx: Tx, task_ids: Collection[int]) -> list[TaskState]:
    """Return the states of those of these tasks that exist, in the given order."""
    if not task_ids:
        return []
    statement = _states(tx.max_attempts > 0)
    found = statement.all(tx, TaskState._make, ids=json.dumps([*task_ids]), now=tx.now, max_attempts=tx.max_attempts)
    by_id = {state.id: state for state in found}
    return [by_id[task_id] for task_id in task_ids if task_id in by_id]


def get_with_context(tx: Tx, task_id: int) -> tuple[TaskRow, ClaimContext] | None:
    """Return a task with its facts for the actor, or None when it does not exist."""
    return _WITH_CONTEXT.one(tx, _split, task_id=task_id, agent=tx.actor.id, now=tx.now)


def drop_labels(tx: Tx, current: TaskRow) -> None:
    """Delete a claimed task from the label index, because no trigger watches the columns that a claim sets."""
    if current.labels != "[]":
        for label in orjson.loads(current.labels):
            _DROP_LABEL.run(tx, label=label, priority=current.priority, unblocks=current.unblocks, task_id=current.id)


def missing_label_entries(tx: Tx, limit: int) -> list[int]:
    """Return the ids of up to `limit` ready tasks that a claim by one of their labels does not find."""
    return [row[0] for row in _UNLISTED.rows(tx, limit=limit)]


def context(tx: Tx, task_id: int) -> ClaimContext:
    """Return the facts about the task for the actor."""
    row = _CONTEXT_OF.row(tx, task_id=task_id, agent=tx.actor.id, now=tx.now)
    return ClaimContext(0, None, False) if row is None else ClaimContext._make(row)


def count_among_todo(tx: Tx, limit: int, project_id: int | None) -> int:
    """Return the number of ready tasks among the first `limit` tasks in TODO, in one project or in all."""
    statement = _count_among_todo(project_id is not None, tx.max_attempts > 0)
    scope = {} if project_id is None else {"project_id": project_id}
    return int(statement.value(tx, **scope, limit=limit, now=tx.now, max_attempts=tx.max_attempts))


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


def _split(row: Row) -> tuple[TaskRow, ClaimContext]:
    size = len(ClaimContext._fields)
    return with_empty_links(row[:-size]), ClaimContext._make(row[-size:])


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
        rare = labels[0] if len(labels) == 1 else rarest(tx, labels, RARE_LABEL_LIMIT, ready=True)[0]
        values |= {"label": rare, "labels": json.dumps(labels)}
    return {**values, "part": size - 1 + limit}


@lru_cache(maxsize=64)
def _first(shape: _Shape) -> Statement:
    """Return the statement for the first task in the index with its facts, and whether it is ready.

    The first task is ready for nearly all claims, and this statement costs less than the search in a part.
    """
    is_ready = and_(*ready_conditions_of_indexed(tasks, with_attempt_limit=shape.is_capped))
    return Statement(_indexed(_ROW.add_columns(is_ready), shape).order_by(*CLAIM_ORDER).limit(literal_column("1")))


@lru_cache(maxsize=64)
def _best(shape: _Shape) -> Statement:
    entry = _part(shape).subquery("entry")
    return Statement(_in_part(_ROW, shape, entry).limit(literal_column("1")))


@lru_cache(maxsize=64)
def _positions(shape: _Shape) -> Statement:
    entry = _part(shape).subquery("entry")
    return Statement(_in_part(select(*_position(entry.c)), shape, entry).limit(bindparam("limit")))


@lru_cache(maxsize=64)
def _end_of_part(shape: _Shape) -> Statement:
    """Return the statement for the position of the last task in a part. It finds no row when no more tasks follow."""
    entry = _part(shape)
    last = entry.with_only_columns(*_position(entry.selected_columns)).limit(literal_column("1"))
    return Statement(last.offset(bindparam("part") - literal_column("1")))


@lru_cache(maxsize=2)
def _among(capped: bool) -> Statement:
    columns = [tasks.c[name] for name in ReadyTask._fields]
    conditions = ready_conditions(tasks, with_attempt_limit=capped)
    return Statement(
        select(*columns)
        .with_hint(tasks, "NOT INDEXED", "sqlite")
        .where(tasks.c.id.in_(elements("ids")), *conditions)
        .order_by(tasks.c.priority, tasks.c.unblocks.desc(), tasks.c.id)
    )


@lru_cache(maxsize=2)
def _states(capped: bool) -> Statement:
    ready = case(
        (and_(*ready_conditions(tasks, with_attempt_limit=capped)), literal_column("1")), else_=literal_column("0")
    )
    columns = [tasks.c[name] for name in TaskState._fields if name != "is_ready"]
    return Statement(select(*columns, ready).where(tasks.c.id.in_(elements("ids"))))


@lru_cache(maxsize=4)
def _count_among_todo(in_project: bool, capped: bool) -> Statement:
    todo = select(tasks.c.id).where(tasks.c.status == literal_column("'TODO'"))
    if in_project:
        todo = todo.where(tasks.c.project_id == bindparam("project_id"))
    first = todo.limit(bindparam("limit")).subquery("todo")
    task = tasks.alias("candidate")
    ready = ready_conditions(task, with_attempt_limit=capped)
    found = select(func.count()).select_from(first.join(task, task.c.id == first.c.id)).where(*ready)
    return Statement(found.with_hint(task, "NOT INDEXED", "sqlite"))  # the statistics favor the index of statuses


def _in_part(wanted: Select[Any], shape: _Shape, entry: FromClause) -> Select[Any]:
    """Select from the ready tasks in a part. With several labels, they have all of `labels`."""
    conditions = ready_conditions(tasks, with_attempt_limit=shape.is_capped)
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
