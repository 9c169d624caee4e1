"""History of leases: ended ones in `ended_leases`, live ones in `tasks`.

A lease is inserted into `ended_leases` when it ends. So a claim costs the same as without a history.
"""

from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Integer, bindparam, delete, func, insert, null, or_, select, tuple_
from sqlalchemy.sql.expression import literal_column

from project_manager.domain.limits import DELETE_BATCH_SIZE
from project_manager.store import pages
from project_manager.store.pages import Total
from project_manager.store.statement import Statement, bindparams
from project_manager.store.tables import LOST_CONDITION, ended_leases, tasks
from project_manager.store.tasks import TaskRow
from project_manager.store.transaction import Tx


class LeaseRow(NamedTuple):
    """A lease. Times are in milliseconds since the epoch. The last three fields are None until it ends."""

    task_id: int
    fence: int
    agent_id: str
    project_id: int
    task_name: str
    acquired_at: int
    expires_at: int
    ended_at: int | None
    reason: str | None
    status: str | None


_ended = ended_leases.c
_ENDED = [_ended[name] for name in LeaseRow._fields]
_LIVE: list[ColumnElement[Any]] = [
    tasks.c.id,
    tasks.c.fence,
    tasks.c.lock_holder,
    tasks.c.project_id,
    tasks.c.name,
    tasks.c.lock_acquired_at,
    tasks.c.lock_expires_at,
    null(),
    null(),
    null(),
]
_ADD = Statement(insert(ended_leases).values(bindparams(*LeaseRow._fields)))
_oldest = (
    select(_ended.task_id, _ended.fence)
    .where(_ended.ended_at < bindparam("before"))
    .order_by(_ended.ended_at)
    .limit(bindparam("limit"))
)
_DELETE_OLDEST = Statement(delete(ended_leases).where(tuple_(_ended.task_id, _ended.fence).in_(_oldest)))
_OF_FENCE = Statement(select(*_ENDED).where(_ended.task_id == bindparam("task_id"), _ended.fence == bindparam("fence")))
_NEWEST_OF = Statement(
    select(*_ENDED)
    .where(_ended.task_id == bindparam("task_id"), _ended.agent_id == bindparam("agent_id"))
    .order_by(_ended.fence.desc())
    .limit(literal_column("1"))
)
_later = ended_leases.alias("later")
_claimed_again = (
    select(null())
    .select_from(_later)
    .where(_later.c.task_id == _ended.task_id, _later.c.agent_id == _ended.agent_id, _later.c.fence > _ended.fence)
    .exists()
)
_LOST_BY = Statement(
    select(tasks.c.id, tasks.c.name, tasks.c.status)
    .select_from(ended_leases)
    .with_hint(ended_leases, "INDEXED BY ix_ended_leases_lost", "sqlite")
    .join(tasks, tasks.c.id == _ended.task_id)
    .where(
        _ended.agent_id == bindparam("agent_id"),
        _ended.ended_at > bindparam("since"),
        LOST_CONDITION,
        func.coalesce(bindparam("project_id"), tasks.c.project_id) == tasks.c.project_id,
        or_(bindparam("epic_id", type_=Integer).is_(None), tasks.c.epic_id == bindparam("epic_id")),
        tasks.c.status != literal_column("'DONE'"),
        tasks.c.lock_holder.is_distinct_from(_ended.agent_id),
        ~_claimed_again,
    )
    .order_by(_ended.ended_at.desc(), _ended.task_id.desc())
    .limit(bindparam("limit"))
)


def add(tx: Tx, before: TaskRow, *, reason: str, status: str) -> None:
    """Insert the ended lease of `before`, the task row from before the end. `status` is the new status of the task."""
    lease = LeaseRow(
        before.id,
        before.fence,
        before.lock_holder or "",
        before.project_id,
        before.name,
        before.lock_acquired_at or 0,
        before.lock_expires_at or 0,
        tx.now,
        reason,
        status,
    )
    record(tx, lease)


def record(tx: Tx, lease: LeaseRow) -> None:
    """Insert a lease that has ended."""
    _ADD.write_in_order(tx, lease)


def delete_older(tx: Tx, before: int, limit: int = DELETE_BATCH_SIZE) -> int:
    """Delete up to `limit` leases that ended before the instant `before` (milliseconds) and return their number."""
    return _DELETE_OLDEST.run(tx, before=before, limit=limit)


def of_fence(tx: Tx, task_id: int, fence: int) -> LeaseRow | None:
    """Return the ended lease of the task with this fence, or None."""
    return _OF_FENCE.one(tx, LeaseRow._make, task_id=task_id, fence=fence)


def newest_of(tx: Tx, task_id: int, agent_id: str) -> LeaseRow | None:
    """Return the newest ended lease of the agent on the task, or None."""
    return _NEWEST_OF.one(tx, LeaseRow._make, task_id=task_id, agent_id=agent_id)


def lost_by(
    tx: Tx, agent_id: str, *, since: int, project_id: int | None = None, epic_id: int | None = None, limit: int = 20
) -> list[tuple[int, str, str]]:
    """Return (id, name, status) of tasks that the agent lost after `since` (see LOSS_REASONS), the newest first.

    Tasks that are DONE, or that the agent has claimed again, are left out.
    """
    rows = _LOST_BY.rows(tx, agent_id=agent_id, since=since, project_id=project_id, epic_id=epic_id, limit=limit)
    return [(row[0], row[1], row[2]) for row in rows]


def page_of_live(
    tx: Tx, filters: dict[str, Any], after: tuple[int, int] | None, limit: int
) -> tuple[list[LeaseRow], bool]:
    """Return up to `limit` live leases, the newest first, and whether more follow.

    `after` is (acquired_at, task_id) of the last lease of the previous page.
    """
    statement = _live(frozenset(filters), after is not None)[0]
    position = {} if after is None else {"after_instant": after[0], "after_task": after[1]}
    return pages.page(tx, LeaseRow._make, statement, {**filters, **position}, limit, texts=())


def page_of_ended(
    tx: Tx, filters: dict[str, Any], after: tuple[int, int, int] | None, limit: int
) -> tuple[list[LeaseRow], bool]:
    """Return up to `limit` ended leases, the most recently ended first, and whether more follow.

    `after` is (ended_at, task_id, fence) of the last lease of the previous page.
    """
    statement = _past(frozenset(filters), after is not None)[0]
    position = {} if after is None else dict(zip(("after_instant", "after_task", "after_fence"), after, strict=True))
    return pages.page(tx, LeaseRow._make, statement, {**filters, **position}, limit, texts=())


def count(tx: Tx, filters: dict[str, Any], *, exact: bool) -> Total:
    """Return the number of leases that match `filters`, live and ended."""
    names = frozenset(filters)
    return pages.count_all(tx, (_live(names, False)[1], _past(names, False)[1]), filters, exact=exact)


@lru_cache(maxsize=32)
def _live(filters: frozenset[str], after: bool) -> tuple[Statement, Statement]:
    chosen: list[ColumnElement[bool]] = [tasks.c.lock_holder.is_not(None)]
    if "agent_id" in filters:
        chosen.append(tasks.c.lock_holder == bindparam("agent_id"))
    if "until" in filters:
        chosen.append(tasks.c.lock_acquired_at < bindparam("until"))
    page = (
        select(*_LIVE)
        .where(*chosen)
        .order_by(tasks.c.lock_acquired_at.desc(), tasks.c.id.desc())
        .limit(bindparam("limit"))
    )
    if after:
        place = tuple_(bindparam("after_instant"), bindparam("after_task"))
        page = page.where(tuple_(tasks.c.lock_acquired_at, tasks.c.id) < place)
    return Statement(page), pages.counter(select(tasks).where(*chosen))


@lru_cache(maxsize=32)
def _past(filters: frozenset[str], after: bool) -> tuple[Statement, Statement]:
    chosen: list[ColumnElement[bool]] = []
    if "agent_id" in filters:
        chosen.append(_ended.agent_id == bindparam("agent_id"))
    if "since" in filters:
        chosen.append(_ended.ended_at >= bindparam("since"))
    if "until" in filters:
        chosen.append(_ended.acquired_at < bindparam("until"))
    name = func.coalesce(tasks.c.name, _ended.task_name)
    page = (
        select(*[name if column.name == "task_name" else column for column in _ENDED])
        .select_from(ended_leases.outerjoin(tasks, tasks.c.id == _ended.task_id))
        .where(*chosen)
        .order_by(_ended.ended_at.desc(), _ended.task_id.desc(), _ended.fence.desc())
        .limit(bindparam("limit"))
    )
    if after:
        place = tuple_(bindparam("after_instant"), bindparam("after_task"), bindparam("after_fence"))
        page = page.where(tuple_(_ended.ended_at, _ended.task_id, _ended.fence) < place)
    return Statement(page), pages.counter(select(ended_leases).where(*chosen))
