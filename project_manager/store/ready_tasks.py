"""The readiness of given tasks, the facts that a claim reads with a task, and the labels of ready tasks."""

import json
from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import NamedTuple

import orjson
from sqlalchemy import Integer, and_, bindparam, case, delete, func, null, select
from sqlalchemy.sql.expression import literal_column

from project_manager.domain.limits import OTHER_LEASES_WITH_CLAIM
from project_manager.store import knowledge, path_reservations
from project_manager.store.agents import FIRST_LEASES, HeldLease
from project_manager.store.functions import GroupedArrays, JsonArray
from project_manager.store.readiness import ready_conditions
from project_manager.store.statement import Row, Statement, is_among, json_elements
from project_manager.store.tables import READY_INDEX_CONDITION, claimable_labels, task_logs, tasks
from project_manager.store.tasks import COLUMNS, POLICY, TaskRow, with_empty_links, written_links
from project_manager.store.transaction import Tx

CLAIM_ORDER = (tasks.c.priority, tasks.c.unblocks.desc(), tasks.c.id)
MANY_TASKS = 16
"""Number of given tasks from which on their conflicts are compared with a list of all leased tasks."""


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
    has_paths: bool | int
    is_ready: bool | int


class ClaimContext(NamedTuple):
    """Facts about a task for the agent that claims it.

    `entries` is the number of log entries. `handoff_id` is the id of the newest handoff note. `held` are the fields of
    the agent's leases that end first, as JSON arrays. One of them may be on this task. `policy` is the one of the
    project, as JSON. `knowledge` is the column `knowledge.most_important` of the project.
    """

    entries: int
    handoff_id: int | None
    held: str
    policy: str
    knowledge: str

    def held_leases(self) -> list[HeldLease]:
        """Return the agent's leases that end first, one more than a claim reports, and perhaps the one on this task."""
        return [] if self.held == "[]" else [HeldLease._make(lease) for lease in orjson.loads(self.held)]


_log = task_logs.alias("log")
_entries = select(func.count()).select_from(_log).where(_log.c.task_id == tasks.c.id)
_handoff = select(func.max(_log.c.id)).where(_log.c.task_id == tasks.c.id, _log.c.kind == literal_column("'handoff'"))
# One of them may be on this task, and one more shows that a claim does not report all.
_held = FIRST_LEASES.limit(literal_column(str(OTHER_LEASES_WITH_CLAIM + 2))).subquery("first_lease")
_leases = select(GroupedArrays(JsonArray(*_held.c), _held.c.lock_expires_at))
_CONTEXT = (
    _entries.correlate(tasks).scalar_subquery(),
    _handoff.correlate(tasks).scalar_subquery(),
    _leases.scalar_subquery(),
    POLICY,
    knowledge.most_important(tasks.c.project_id),
)
_CONTEXT_OF = Statement(select(*_CONTEXT).where(tasks.c.id == bindparam("task_id")))
ROW_WITH_CONTEXT = select(*COLUMNS, *written_links(), *_CONTEXT)
_WITH_CONTEXT = Statement(ROW_WITH_CONTEXT.where(tasks.c.id == bindparam("task_id")))

_BEHIND = Statement(
    select(*[tasks.c[name] for name in ReadyTask._fields])
    .with_hint(tasks, "NOT INDEXED", "sqlite")
    .where(path_reservations.BEHIND, READY_INDEX_CONDITION)
    .order_by(*CLAIM_ORDER)
)

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


def among(tx: Tx, task_ids: Iterable[int]) -> list[ReadyTask]:
    """Return those of these tasks that are ready, in claim order."""
    ids = [*task_ids]
    statement = _among(tx.max_attempts > 0, len(ids) >= MANY_TASKS)
    return statement.all(tx, ReadyTask._make, ids=json.dumps(ids), now=tx.now, max_attempts=tx.max_attempts)


def behind(tx: Tx, task_id: int) -> list[ReadyTask]:
    """Return the tasks in the index of ready tasks with paths that overlap an ended reservation of the task."""
    return _BEHIND.all(tx, ReadyTask._make, task_id=task_id)


def states(tx: Tx, task_ids: Collection[int]) -> list[TaskState]:
    """Return the states of those of these tasks that exist, in the given order."""
    if not task_ids:
        return []
    statement = _states(tx.max_attempts > 0, len(task_ids) >= MANY_TASKS)
    found = statement.all(tx, TaskState._make, ids=json.dumps([*task_ids]), now=tx.now, max_attempts=tx.max_attempts)
    by_id = {state.id: state for state in found}
    return [by_id[task_id] for task_id in task_ids if task_id in by_id]


def get_with_context(tx: Tx, task_id: int) -> tuple[TaskRow, ClaimContext] | None:
    """Return a task with its facts for the actor, or None when it does not exist."""
    return _WITH_CONTEXT.one(tx, split_context, task_id=task_id, agent_id=tx.actor.id, now=tx.now)


def split_context(row: Row) -> tuple[TaskRow, ClaimContext]:
    """Return the task and its facts from a row of `ROW_WITH_CONTEXT`."""
    size = len(ClaimContext._fields)
    return with_empty_links(row[:-size]), ClaimContext._make(row[-size:])


def drop_labels(tx: Tx, current: TaskRow) -> None:
    """Delete a claimed task from the label index, because no trigger watches the columns that a claim sets."""
    if current.labels != "[]":
        for label in orjson.loads(current.labels):
            _DROP_LABEL.write(tx, label=label, priority=current.priority, unblocks=current.unblocks, task_id=current.id)


def missing_label_entries(tx: Tx, limit: int) -> list[int]:
    """Return the ids of up to `limit` ready tasks that a claim by one of their labels does not find."""
    return [row[0] for row in _UNLISTED.rows(tx, limit=limit)]


def context(tx: Tx, task_id: int) -> ClaimContext:
    """Return the facts about the task for the actor."""
    row = _CONTEXT_OF.row(tx, task_id=task_id, agent_id=tx.actor.id, now=tx.now)
    return ClaimContext(0, None, "[]", "{}", "[]") if row is None else ClaimContext._make(row)


def count_among_todo(tx: Tx, limit: int, project_id: int | None) -> int:
    """Return the number of ready tasks among the first `limit` tasks in TODO, in one project or in all."""
    statement = _count_among_todo(project_id is not None, tx.max_attempts > 0)
    scope = {} if project_id is None else {"project_id": project_id}
    return int(statement.value(tx, **scope, limit=limit, now=tx.now, max_attempts=tx.max_attempts))


@lru_cache(maxsize=4)
def _among(capped: bool, many: bool) -> Statement:
    columns = [tasks.c[name] for name in ReadyTask._fields]
    conditions = ready_conditions(tasks, with_attempt_limit=capped, many=many)
    return Statement(
        select(*columns)
        .with_hint(tasks, "NOT INDEXED", "sqlite")
        .where(is_among(tasks.c.id, "ids"), *conditions)
        .order_by(*CLAIM_ORDER)
    )


@lru_cache(maxsize=4)
def _states(capped: bool, many: bool) -> Statement:
    conditions = and_(*ready_conditions(tasks, with_attempt_limit=capped, many=many))
    ready = case((conditions, literal_column("1")), else_=literal_column("0"))
    columns = [tasks.c[name] for name in TaskState._fields if name in tasks.c]
    has_paths = case((tasks.c.paths != literal_column("'[]'"), literal_column("1")), else_=literal_column("0"))
    return Statement(select(*columns, has_paths, ready).where(is_among(tasks.c.id, "ids")))


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
