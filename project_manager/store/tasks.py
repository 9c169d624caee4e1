"""Statements on tasks: one row, the writes of its fields, counts, and the conditions under which a task is ready."""

import json
from collections import namedtuple
from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Select, bindparam, case, func, null, select, update
from sqlalchemy.sql.expression import UnaryExpression, literal_column
from sqlalchemy.sql.operators import custom_op

from project_manager.domain.reviews import SUBMITTED_FIELDS
from project_manager.domain.task_fields import TASK_FIELDS, Kind
from project_manager.store import search, subtasks
from project_manager.store.functions import GroupedIds, JsonArray
from project_manager.store.paths import path_conflicts
from project_manager.store.row_inserts import RowInsert
from project_manager.store.statement import Row, Statement, bindparams, is_among
from project_manager.store.tables import projects, task_conflicts, task_dependencies, tasks
from project_manager.store.transaction import Tx

LINKS = (
    *("depends_on", "conflicts_with", "waiting_for", "cancelled_dependencies", "running_conflicts"),
    *("open_subtasks", "path_conflicts"),
)
COLUMNS = list(tasks.c)
ROW_FIELDS: tuple[str, ...] = (*tasks.c.keys(), *LINKS, "policy")


class TaskRow(namedtuple("TaskRow", ROW_FIELDS)):  # type: ignore[misc]
    """A stored task: all columns of its table, its links as JSON arrays of ids, and the policy of its project as JSON.

    The annotations are for the type checker. Only columns with rules of their own need one.
    Times are in ms since the epoch. `worked_by` is the agent of the newest lease that has ended, and `worked_seconds`
    the total length of the ended leases for work, in seconds. `unconfirmed_fence` equals `fence` while the lease is
    unconfirmed, which means until the first call of its holder. `submission_id` is the submission that waits for a
    verdict or is approved while the task is in REVIEW, and `rework_id` the one with requested changes.
    """

    __slots__ = ()

    id: int
    project_id: int
    epic_id: int | None
    name: str
    description: str
    status: str
    priority: int
    labels: str
    acceptance: str
    defer_until: int | None
    external_key: str | None
    created_by: str
    created_at: int
    updated_at: int
    completed_at: int | None
    version: int
    fence: int
    attempts: int
    lock_holder: str | None
    lock_acquired_at: int | None
    lock_expires_at: int | None
    lock_ttl: int | None
    lock_fenced: int
    lock_from: str | None
    open_dependencies: int
    unblocks: int
    deferred: int
    withheld: int
    worked_by: str | None
    worked_seconds: int
    unconfirmed_fence: int | None
    lock_kind: str | None
    blocked_by: str | None
    offered_to: str | None
    offered_until: int | None
    offered_reason: str | None
    parent_id: int | None
    submission_id: int | None
    rework_id: int | None
    answer_id: int | None
    completed_by: str | None
    paths: str
    depends_on: str
    conflicts_with: str
    waiting_for: str
    cancelled_dependencies: str
    running_conflicts: str
    open_subtasks: str
    path_conflicts: str
    policy: str


_EMPTY_FIELDS = (*["[]"] * len(LINKS), "{}")


def with_empty_links(row: tuple[Any, ...]) -> TaskRow:
    """Return the row with an empty value for each kind of link, and for the policy, if the statement lacks them."""
    return TaskRow._make((*row, *_EMPTY_FIELDS[len(row) - len(COLUMNS) :]))


EMPTY: ColumnElement[str] = literal_column("'[]'")
_other = tasks.alias("other")


def running_conflicts_of(task_id: ColumnElement[int]) -> Select[Any]:
    """Select the ids of tasks that conflict with the task and have a live lease for work."""
    return (
        select(task_conflicts.c.other_id)
        .join(_other, _other.c.id == task_conflicts.c.other_id)
        .where(
            task_conflicts.c.task_id == task_id,
            _other.c.lock_holder.is_not(None),
            _other.c.lock_kind.is_(None),
            _other.c.lock_expires_at > bindparam("now"),
        )
    )


def has_running_conflict(task_id: ColumnElement[int]) -> ColumnElement[bool]:
    """Return whether a task that conflicts with the task has a live lease for work, for a statement on many tasks.

    The statement reads the leased tasks once, when the first of its tasks has a conflict.
    """
    leased = (
        select(_other.c.id)
        .with_hint(_other, "INDEXED BY ix_tasks_lock_expires_at", "sqlite")
        .where(
            _other.c.lock_holder.is_not(None), _other.c.lock_kind.is_(None), _other.c.lock_expires_at > bindparam("now")
        )
    )
    # Without the unary plus, SQLite can search the conflicts for each leased task.
    other_id: ColumnElement[int] = UnaryExpression(task_conflicts.c.other_id, operator=custom_op("+"))
    return select(null()).where(task_conflicts.c.task_id == task_id, other_id.in_(leased)).exists()


def number_of_conflicts(task_id: ColumnElement[int]) -> ColumnElement[int]:
    """Return the number of tasks that conflict with the task."""
    return select(func.count()).select_from(task_conflicts).where(task_conflicts.c.task_id == task_id).scalar_subquery()


def written_links() -> list[ColumnElement[Any]]:
    """Return the columns `depends_on` and `conflicts_with`."""
    depends_on = (
        select(GroupedIds(task_dependencies.c.depends_on_id))
        .where(task_dependencies.c.task_id == tasks.c.id)
        .correlate(tasks)
        .scalar_subquery()
    )
    conflicts = (
        select(GroupedIds(task_conflicts.c.other_id))
        .where(task_conflicts.c.task_id == tasks.c.id)
        .correlate(tasks)
        .scalar_subquery()
    )
    return [depends_on.label("depends_on"), conflicts.label("conflicts_with")]


def _dependencies_that(condition: ColumnElement[bool]) -> ColumnElement[str]:
    """Return a column with the ids of dependencies that meet the condition on `_other`. It is `[]` if none is open."""
    ids = (
        select(GroupedIds(task_dependencies.c.depends_on_id))
        .join(_other, _other.c.id == task_dependencies.c.depends_on_id)
        .where(task_dependencies.c.task_id == tasks.c.id, condition)
        .correlate(tasks)
        .scalar_subquery()
    )
    return case((tasks.c.open_dependencies > 0, ids), else_=EMPTY)


def links() -> list[ColumnElement[Any]]:
    """Return the columns of all kinds of links, in the order of `TaskRow`."""
    running = (
        running_conflicts_of(tasks.c.id)
        .with_only_columns(GroupedIds(task_conflicts.c.other_id))
        .correlate(tasks)
        .scalar_subquery()
    )
    return [
        *written_links(),
        _dependencies_that(_other.c.status != literal_column("'DONE'")).label("waiting_for"),
        _dependencies_that(_other.c.status == literal_column("'CANCELLED'")).label("cancelled_dependencies"),
        running.label("running_conflicts"),
        case((tasks.c.open_dependencies > 0, subtasks.open_ids(tasks)), else_=EMPTY).label("open_subtasks"),
        path_conflicts(),
    ]


# `||` makes a plain text of each array of ids, so that it stays one in the JSON array.
POLICY = select(projects.c.policy).where(projects.c.id == tasks.c.project_id).correlate(tasks).scalar_subquery()
_ROW = select(JsonArray(*COLUMNS, *[ids.op("||")(literal_column("''")) for ids in links()], POLICY))
_GET = Statement(_ROW.where(tasks.c.id == bindparam("task_id")))
_GET_ALL = Statement(_ROW.where(is_among(tasks.c.id, "ids")).order_by(tasks.c.id))
_BY_KEY = Statement(
    _ROW.where(tasks.c.project_id == bindparam("project_id"), tasks.c.external_key == bindparam("external_key"))
)
WRITABLE = [
    "deferred",
    *(field.name for field in TASK_FIELDS if field.editable and field.column and field.kind is not Kind.TASK),
]
"""The columns that an edit writes. `subtasks.set_parent` writes the parent, with the counters of both parents."""
_GIVEN = ("project_id", "status", "created_by", "created_at", "completed_at", "completed_by", "fence", "withheld")
_INITIAL = {"version": 1, "lock_fenced": 0, "open_dependencies": 0, "unblocks": 0}
_INSERTED = [name for name in ROW_FIELDS if name in {*WRITABLE, *_GIVEN, *_INITIAL, "updated_at"}]
"""Columns of a new task, in the order of the table."""
_INSERT = RowInsert(tasks, _INSERTED, returns_ids=True)
_UPDATE = Statement(
    update(tasks)
    .where(
        tasks.c.id == bindparam("task_id"),
        tasks.c.version == bindparam("read_version"),
        tasks.c.fence == bindparam("read_fence"),
        tasks.c.lock_holder.is_not_distinct_from(bindparam("read_holder")),
    )
    .values({**bindparams(*WRITABLE, "submission_id"), "version": tasks.c.version + 1, "updated_at": bindparam("now")})
)
_DEFERRED_DUE = Statement(
    select(tasks.c.id)
    .where(tasks.c.deferred == literal_column("1"), tasks.c.defer_until <= bindparam("now"))
    .order_by(tasks.c.defer_until)
    .limit(bindparam("limit"))
)
_UNDEFER = Statement(update(tasks).where(tasks.c.id == bindparam("task_id")).values(deferred=0))
_NAMED = Statement(
    select(tasks.c.id, tasks.c.name, tasks.c.status).where(is_among(tasks.c.id, "ids")).order_by(tasks.c.id)
)
_IN_EPIC = Statement(select(tasks.c.id).where(tasks.c.epic_id == bindparam("epic_id")))
_IN_PROJECT = Statement(select(tasks.c.id).where(tasks.c.project_id == bindparam("project_id")))


def get(tx: Tx, task_id: int) -> TaskRow | None:
    return _GET.one(tx, _from_array, task_id=task_id, now=tx.now)


def get_all(tx: Tx, ids: list[int]) -> list[TaskRow]:
    """Return the existing tasks with these ids, ordered by id."""
    return _GET_ALL.all(tx, _from_array, ids=json.dumps(ids), now=tx.now)


def get_by_external_key(tx: Tx, project_id: int, external_key: str) -> TaskRow | None:
    return _BY_KEY.one(tx, _from_array, project_id=project_id, external_key=external_key, now=tx.now)


def _from_array(row: Row) -> TaskRow:
    """Return the row from one JSON array. The conversion of each column by the driver takes a third longer."""
    return TaskRow._make(orjson.loads(row[0]))


def add(tx: Tx, values: dict[str, Any]) -> int:
    """Insert a task without links, index its texts and return its id.

    `values` also have the columns of `_GIVEN`.
    """
    return add_all(tx, [values])[0]


def add_all(tx: Tx, rows: Sequence[dict[str, Any]]) -> list[int]:
    """Insert tasks like `add`, many per statement, and return their ids in the same order."""
    ids = _INSERT.ids(tx, [value for row in rows for value in _new_row(tx, row)])
    for task_id, row in zip(ids, rows, strict=True):
        search.index_task(tx, task_id, *[row[name] for name in search.TASK_TEXTS])
    return ids


def _new_row(tx: Tx, values: dict[str, Any]) -> list[Any]:
    columns = {**_INITIAL, **to_columns(tx, values), "updated_at": tx.now}
    return [columns[name] for name in _INSERTED]


def update_row(tx: Tx, current: TaskRow, values: dict[str, Any]) -> None:
    """Update the fields in `values` and increment the version. A change of a submitted field voids the submission.

    Raises RuntimeError when version, fence or holder have changed since `current`.
    """
    fields = {**{name: getattr(current, name) for name in WRITABLE}, **to_columns(tx, values)}
    is_submitted = all(fields[name] == getattr(current, name) for name in SUBMITTED_FIELDS)
    written = _UPDATE.run(
        tx,
        **fields,
        submission_id=current.submission_id if is_submitted else None,
        task_id=current.id,
        read_version=current.version,
        read_fence=current.fence,
        read_holder=current.lock_holder,
        now=tx.now,
    )
    if not written:
        raise RuntimeError(f"task {current.id} changed within its own transaction")
    if any(fields[name] != getattr(current, name) for name in search.TASK_TEXTS):
        search.index_task(tx, current.id, *[fields[name] for name in search.TASK_TEXTS])


def to_columns(tx: Tx, values: dict[str, Any]) -> dict[str, Any]:
    """Return the values as their columns store them, with the flag `deferred` when `defer_until` is among them."""
    stored = {
        name: json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value
        for name, value in values.items()
    }
    if "defer_until" in values:
        stored["deferred"] = int(values["defer_until"] is not None and values["defer_until"] > tx.date)
    return stored


def due_deferred(tx: Tx, limit: int) -> list[int]:
    """Return the ids of up to `limit` deferred tasks with a `defer_until` that has passed, the earliest first."""
    return [row[0] for row in _DEFERRED_DUE.rows(tx, now=tx.date, limit=limit)]


def undefer(tx: Tx, task_id: int) -> None:
    """Clear the flag `deferred` of a task."""
    _UNDEFER.write(tx, task_id=task_id)


def named(tx: Tx, ids: list[int]) -> list[tuple[int, str, str]]:
    """Return (id, name, status) of the existing tasks with these ids, ordered by id."""
    return [(row[0], row[1], row[2]) for row in _NAMED.rows(tx, ids=json.dumps(ids))]


def ids_in_epic(tx: Tx, epic_id: int) -> list[int]:
    return [row[0] for row in _IN_EPIC.rows(tx, epic_id=epic_id)]


def ids_in_project(tx: Tx, project_id: int) -> list[int]:
    return [row[0] for row in _IN_PROJECT.rows(tx, project_id=project_id)]
