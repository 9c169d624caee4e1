"""Search for ready tasks in claim order: most urgent, then those that unblock most, then oldest.

A search is a dict with any of `project_id`, `epic_id`, `priority` (the least urgent that matches) and `labels` (a task
needs all). It reads an index of ready tasks, so its cost does not grow with the other tasks.

No index has the tasks with several labels, or with a label in one project. A search by labels therefore looks at a part
of the tasks with one label, and returns the position where it stopped. The next search goes on from there.
"""

import json
from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Any, NamedTuple

import orjson
from sqlalchemy import ColumnElement, Integer, Select, and_, bindparam, case, delete, func, null, select, tuple_
from sqlalchemy.sql.expression import literal_column

from project_manager.store import pages
from project_manager.store.labels import has_all_labels, rarest
from project_manager.store.statement import Row, Statement, elements, json_elements
from project_manager.store.tables import READY_INDEX_CONDITION, claimable_labels, task_logs, tasks
from project_manager.store.tasks import COLUMNS, TaskRow, ready_conditions, ready_index, with_empty_links, written_links
from project_manager.store.transaction import Tx

Search = dict[str, Any]
RARE_LABEL_LIMIT = 100
"""A label with this many ready tasks counts as common. Among common labels, the first one is searched."""
COMPARED_LABELS = 1024
"""Labels that one search by labels compares at most. It looks at this many tasks, divided by the wanted labels."""


class Position(NamedTuple):
    """A position in the claim order of a label."""

    priority: int
    rank: int
    task_id: int


START = Position(-1, 0, 0)


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
    """Return the first ready task in claim order with its facts for the actor, or None when none was found.

    The second value is the position where a search by labels has stopped without a result, or None when it is complete.
    """
    statement = _best(frozenset(search), _has_several_labels(search), tx.max_attempts > 0)
    values = _values(tx, search, after)
    row = statement.row(tx, **values, agent=tx.actor.id)
    if row is not None:
        return _split(row), None
    return None, _read_end_of_part(tx, search, values)


def end_of_part(tx: Tx, search: Search, after: Position) -> Position | None:
    """Return the position where a search by labels after a position stops, or None when it is complete."""
    return _read_end_of_part(tx, search, _values(tx, search, after))


def _read_end_of_part(tx: Tx, search: Search, values: dict[str, Any]) -> Position | None:
    return _end_of_part("priority" in search).one(tx, Position._make, **values) if "labels" in search else None


def ids(tx: Tx, search: Search, limit: int, after: Position = START) -> list[int]:
    """Return the ids of the first ready tasks in claim order, `limit` at most.

    A search by labels looks at the tasks after a position. It may find fewer.
    """
    statement = _ids(frozenset(search), _has_several_labels(search), tx.max_attempts > 0)
    return [row[0] for row in statement.rows(tx, **_values(tx, search, after), limit=limit)]


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
    """The ready tasks that a search finds, read on demand."""

    def __init__(self, search: Search) -> None:
        self._search = search
        self._ids: list[int] = []
        self._at = 0
        self._limit = 1
        self._complete = False

    def first(self, tx: Tx, without: set[int]) -> int | None:
        """Return the id of the first task in claim order that is not in `without`, or None. `without` must only grow.

        Each read has four times the limit of the read before, so most of the cost is that of the last read.
        """
        while True:
            while self._at < len(self._ids):
                if self._ids[self._at] not in without:
                    return self._ids[self._at]
                self._at += 1
            if self._complete:
                return None
            self._ids, self._at = ids(tx, self._search, self._limit), 0
            self._complete = len(self._ids) < self._limit
            self._limit *= 4


def _split(row: Row) -> tuple[TaskRow, ClaimContext]:
    size = len(ClaimContext._fields)
    return with_empty_links(row[:-size]), ClaimContext._make(row[-size:])


def _has_several_labels(search: Search) -> bool:
    return len(search.get("labels", ())) > 1


def _values(tx: Tx, search: Search, after: Position) -> dict[str, Any]:
    values = {**search, "now": tx.now, "max_attempts": tx.max_attempts}
    labels = search.get("labels")
    if labels:
        values["label"] = labels[0] if len(labels) == 1 else rarest(tx, labels, RARE_LABEL_LIMIT, ready=True)[0]
        values["labels"] = json.dumps(labels)
        values["part"] = COMPARED_LABELS // len(labels)
        values |= pages.after(after)
    return values


@lru_cache(maxsize=64)
def _best(names: frozenset[str], several_labels: bool, capped: bool) -> Statement:
    if "labels" in names:
        found = _in_labels(names, several_labels, capped).limit(literal_column("1"))
        return Statement(_ROW.where(tasks.c.id == found.scalar_subquery()))
    ordered = _in_tasks(_ROW, names, capped).limit(literal_column("1"))
    return Statement(ordered.with_for_update(skip_locked=True))


@lru_cache(maxsize=64)
def _ids(names: frozenset[str], several_labels: bool, capped: bool) -> Statement:
    labelled = "labels" in names
    found = _in_labels(names, several_labels, capped) if labelled else _in_tasks(select(tasks.c.id), names, capped)
    return Statement(found.limit(bindparam("limit")))


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


@lru_cache(maxsize=2)
def _end_of_part(with_priority: bool) -> Statement:
    """Return the statement for the position of the last task in a part. It finds no row when no more tasks follow."""
    position = _part_of_label(with_priority).with_only_columns(*[_labelled[name] for name in Position._fields])
    return Statement(position.limit(literal_column("1")).offset(bindparam("part") - literal_column("1")))


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


def _in_tasks(wanted: Select[Any], names: frozenset[str], capped: bool) -> Select[Any]:
    return (
        wanted.where(*ready_conditions(tasks, with_attempt_limit=capped), *_scope(tasks.c, names))
        .with_hint(tasks, ready_index(names), "sqlite")
        .order_by(tasks.c.priority, tasks.c.unblocks.desc(), tasks.c.id)
    )


def _in_labels(names: frozenset[str], several_labels: bool, capped: bool) -> Select[Any]:
    """Select the ids of ready tasks in a part of the tasks with the label `label`.

    With `several_labels`, they have all of `labels`.
    """
    entry = _part_of_label("priority" in names).limit(bindparam("part")).subquery("entry")
    task = tasks.alias("candidate")
    ready = select(null()).where(task.c.id == entry.c.task_id, *ready_conditions(task, with_attempt_limit=capped))
    conditions = _scope(entry.c, names - {"priority"})
    if several_labels:
        conditions.append(has_all_labels(entry, "task_id"))
    return (
        select(entry.c.task_id)
        .where(*conditions, ready.correlate(entry).exists())
        .order_by(entry.c.priority, entry.c.rank, entry.c.task_id)
    )


def _part_of_label(with_priority: bool) -> Select[Any]:
    """Select the ready tasks with the label `label` after a position, in claim order."""
    position = tuple_(_labelled.priority, _labelled.rank, _labelled.task_id)
    after = tuple_(bindparam("after_0"), bindparam("after_1"), bindparam("after_2"))
    scope = _scope(_labelled, frozenset(["priority"])) if with_priority else []
    return (
        select(claimable_labels)
        .where(_labelled.label == bindparam("label"), position > after, *scope)
        .order_by(_labelled.priority, _labelled.rank, _labelled.task_id)
    )


def _scope(columns: Any, names: frozenset[str]) -> list[ColumnElement[bool]]:
    conditions = [columns[name] == bindparam(name) for name in ("project_id", "epic_id") if name in names]
    if "priority" in names:
        conditions.append(columns.priority <= bindparam("priority"))
    return conditions
