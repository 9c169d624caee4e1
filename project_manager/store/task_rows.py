"""Many tasks at once, for lists and the board: the chosen columns of all rows as one JSON array, and their links.

The driver converts a row column by column, which takes longer than all else that a list does with it, and at each row
another thread can take the interpreter. One array for all rows, which orjson parses, takes less than half as long.
`tests/integration/test_task_rows.py` checks that both forms give the same tasks.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Literal, NamedTuple

import orjson
from sqlalchemy import ColumnElement, ScalarSelect, Select, Subquery, and_, bindparam, func, null, select
from sqlalchemy.sql.expression import literal_column

from project_manager.domain.limits import EXCERPT_CHARACTERS
from project_manager.domain.task_fields import LISTS, TASK_FIELDS
from project_manager.store import paths
from project_manager.store.functions import AsJson, GroupedArrays, GroupedIds, GroupedIdsThat, JsonArray, Substring
from project_manager.store.statement import Statement, is_among
from project_manager.store.subtasks import open_by_parent
from project_manager.store.tables import task_conflicts, task_dependencies, tasks
from project_manager.store.tasks import EMPTY, LINKS
from project_manager.store.transaction import Tx

Fields = tuple[str, ...]
"""Names of fields of a task. `id` is the first one."""
Values = list[Any]
"""The values of some fields, then those of EXTRA_COLUMNS. A computed field is null, and a list of ids is empty."""
Descriptions = Literal["whole", "lead"]
"""The part of descriptions to read. A lead has EXCERPT_CHARACTERS + 1 characters if the description is longer."""

EXTRA_COLUMNS = (
    *("lock_holder", "lock_acquired_at", "lock_expires_at", "lock_ttl", "unconfirmed_fence", "lock_kind"),
    *("withheld", "offered_to", "offered_until", "offered_reason"),
)
"""The columns that no field of a task shows as they are."""

_DENSE = 4
"""Links are read by range of ids if the range has at most this many ids for each row, else by id."""
_STORED_LISTS = frozenset(field.name for field in TASK_FIELDS if field.kind in LISTS and field.column)


class TaskLinks(NamedTuple):
    """The ids of the tasks that a task is linked to. The names are those of `TaskRow`."""

    depends_on: tuple[int, ...] = ()
    waiting_for: tuple[int, ...] = ()
    cancelled_dependencies: tuple[int, ...] = ()
    conflicts_with: tuple[int, ...] = ()
    running_conflicts: tuple[int, ...] = ()
    open_subtasks: tuple[int, ...] = ()
    path_conflicts: tuple[int, ...] = ()


NO_LINKS = TaskLinks()
_WITHOUT_LINKS = ("[]", "[]", "[]", "[]")


class Chunk(NamedTuple):
    """The tasks with ids in a range, as the store has them: Values and links as JSON, and two numbers.

    The numbers of live leases and of deferred tasks tell apart chunks that differ only in time. Leases end in the order
    of their rows' `lock_expires_at`, so for equal rows an equal number means the same leases.
    """

    rows: str
    leased: int
    deferred: int
    dependencies: str
    conflicts: str
    subtasks: str
    path_conflicts: str

    def parse(self) -> tuple[list[Values], dict[int, TaskLinks]]:
        """Return the values and the links of the tasks."""
        links = parse_links(self.dependencies, self.conflicts, self.subtasks, self.path_conflicts)
        return orjson.loads(self.rows), links


def chunk(tx: Tx, first: int, last: int, fields: Fields, project_id: int | None) -> Chunk:
    """Return the tasks with ids from `first` to `last`, in one project if `project_id` is given."""
    chosen = {"first": first, "last": last, "now": tx.now}
    if project_id is not None:
        chosen["project_id"] = project_id
    found = _chunk_statement(fields, project_id is not None).row(tx, **chosen, date=tx.date)
    links = (_IN_RANGE if project_id is None else _IN_RANGE_OF_PROJECT).row(tx, **chosen)
    return Chunk(*(found or ("[]", 0, 0)), *(links or _WITHOUT_LINKS))


def first_id(tx: Tx, least: int) -> int | None:
    """Return the lowest id of a task that is not below `least`, or None."""
    found: int | None = _FIRST_ID.value(tx, least=least)
    return found


def spread(tx: Tx, project_id: int) -> tuple[int, int]:
    """Return the number of ids from the first to the last task of a project, and the number of its tasks."""
    first, last, number = _SPREAD.row(tx, project_id=project_id) or (None, None, 0)
    return (0, 0) if first is None or last is None else (last - first + 1, number)


@cache
def _chunk_statement(fields: Fields, in_project: bool) -> Statement:
    number = func.count()
    columns: list[ColumnElement[Any]] = [
        GroupedArrays(array_of(fields, "lead"), tasks.c.id),
        number.filter(tasks.c.lock_expires_at > bindparam("now")),
        number.filter(tasks.c.defer_until > bindparam("date")),
    ]
    statement = select(*columns)
    return Statement(_in_project(statement) if in_project else statement.where(_in_range(tasks.c.id)))


def array_of(fields: Fields, descriptions: Descriptions) -> ColumnElement[str]:
    """Return the column with the Values of a row of tasks as a JSON array."""
    return JsonArray(*[_column(name, descriptions) for name in (*fields, *EXTRA_COLUMNS)])


def _column(name: str, descriptions: Descriptions) -> ColumnElement[Any]:
    if name in LINKS:
        return AsJson(EMPTY)
    if name not in tasks.c:
        return null()
    if name == "description" and descriptions == "lead":
        return Substring(tasks.c.description, 1, EXCERPT_CHARACTERS + 1)
    return AsJson(tasks.c[name]) if name in _STORED_LISTS else tasks.c[name]


def links_of(tx: Tx, ids: Sequence[int]) -> dict[int, TaskLinks]:
    """Return the links of these tasks by id. A task without links is left out."""
    if not ids:
        return {}
    first, last = min(ids), max(ids)
    if last - first < _DENSE * len(ids):
        found = _IN_RANGE.row(tx, first=first, last=last, now=tx.now)
    else:
        found = _BY_ID.row(tx, ids=orjson.dumps(ids).decode(), now=tx.now)
    return parse_links(*(found or _WITHOUT_LINKS))


def parse_links(dependencies: str, conflicts: str, subtasks: str, path_conflicts: str) -> dict[int, TaskLinks]:
    """Return the links of tasks by id. The arguments have the format of `_links`."""
    found = {task_id: TaskLinks(*map(tuple, lists)) for task_id, *lists in orjson.loads(dependencies)}
    for task_id, *lists in orjson.loads(conflicts):
        found[task_id] = TaskLinks(*found.get(task_id, NO_LINKS)[:3], *map(tuple, lists))
    for task_id, ids in orjson.loads(subtasks):
        found[task_id] = found.get(task_id, NO_LINKS)._replace(open_subtasks=tuple(ids))
    for task_id, others in orjson.loads(path_conflicts):
        found[task_id] = found.get(task_id, NO_LINKS)._replace(path_conflicts=tuple(others))
    return found


def _links(is_wanted: Callable[[ColumnElement[int]], ColumnElement[bool]]) -> Statement:
    """Select the dependencies, conflicts, open subtasks and path conflicts, each as an array with one for each task.

    `is_wanted` returns the condition on the id of the task.
    """
    other = tasks.alias("other")
    is_leased = and_(
        other.c.lock_holder.is_not(None), other.c.lock_kind.is_(None), other.c.lock_expires_at > bindparam("now")
    )
    needed = task_dependencies.c.depends_on_id
    dependencies = (
        select(
            task_dependencies.c.task_id,
            GroupedIds(needed).label("depends_on"),
            GroupedIdsThat(needed, other.c.status != literal_column("'DONE'")).label("waiting_for"),
            GroupedIdsThat(needed, other.c.status == literal_column("'CANCELLED'")).label("cancelled"),
        )
        .join(other, other.c.id == task_dependencies.c.depends_on_id)
        .where(is_wanted(task_dependencies.c.task_id))
        .group_by(task_dependencies.c.task_id)
    )
    conflicting = task_conflicts.c.other_id
    conflicts = (
        select(
            task_conflicts.c.task_id,
            GroupedIds(conflicting).label("conflicts_with"),
            GroupedIdsThat(conflicting, is_leased).label("running"),
        )
        .join(other, other.c.id == task_conflicts.c.other_id)
        .where(is_wanted(task_conflicts.c.task_id))
        .group_by(task_conflicts.c.task_id)
    )
    subtasks, blocked = open_by_parent(is_wanted), paths.path_conflicts_by_task(is_wanted)
    return Statement(select(*[_array(links.subquery()) for links in (dependencies, conflicts, subtasks, blocked)]))


def _array(rows: Subquery) -> ScalarSelect[Any]:
    task_id, *lists = rows.c
    return select(GroupedArrays(JsonArray(task_id, *map(AsJson, lists)), task_id)).scalar_subquery()


def _in_range(task_id: ColumnElement[int]) -> ColumnElement[bool]:
    return task_id.between(bindparam("first"), bindparam("last"))


def _in_project(found: Select[Any]) -> Select[Any]:
    """Limit a selection to a range of ids in a project. With an index, SQLite would read the whole project."""
    chosen = (_in_range(tasks.c.id), tasks.c.project_id == bindparam("project_id"))
    return found.where(*chosen).with_hint(tasks, "NOT INDEXED", "sqlite")


_FIRST_ID = Statement(select(func.min(tasks.c.id)).where(tasks.c.id >= bindparam("least")))
_SPREAD = Statement(
    select(func.min(tasks.c.id), func.max(tasks.c.id), func.count()).where(
        tasks.c.project_id == bindparam("project_id")
    )
)
_IN_RANGE = _links(_in_range)
_IN_RANGE_OF_PROJECT = _links(lambda task_id: task_id.in_(_in_project(select(tasks.c.id))))
_BY_ID = _links(lambda task_id: is_among(task_id, "ids"))
