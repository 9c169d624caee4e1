"""Serializers: rows of the store to views."""

from functools import lru_cache
from operator import itemgetter
from typing import Any

import orjson

from project_manager.clock import rfc3339
from project_manager.domain.leases import Lease, LockView
from project_manager.domain.readiness import Blocker, ReadinessInput, blockers, readiness_blockers
from project_manager.domain.statuses import Status
from project_manager.domain.task_fields import INSTANTS, LISTS, TASK_FIELDS
from project_manager.schemas.epics import EpicView
from project_manager.schemas.leases import LeaseView
from project_manager.schemas.logs import LogView
from project_manager.schemas.projects import ProjectView
from project_manager.schemas.tasks import LinkView, TaskView
from project_manager.store.epics import EpicRow
from project_manager.store.lease_history import LeaseRow
from project_manager.store.logs import LogRow
from project_manager.store.projects import ProjectRow
from project_manager.store.tasks import ROW_FIELDS, TaskRow
from project_manager.store.transaction import Tx

NO_IDS = "[]"

_VIEW = tuple(TaskView.__dataclass_fields__)
# Computed fields take the id at first: they keep their place in the answer, and the row is read in one step.
_view_values = itemgetter(*[ROW_FIELDS.index(name) if name in ROW_FIELDS else 0 for name in _VIEW])
_STORED = [field for field in TASK_FIELDS if field.name in ROW_FIELDS]
_STORED_LISTS = tuple(field.name for field in _STORED if field.kind in LISTS)
_STORED_INSTANTS = tuple(field.name for field in _STORED if field.kind in INSTANTS)


def time_or_none(instant: int | None) -> str | None:
    """Return the instant (milliseconds since the epoch) in RFC 3339 format, or None."""
    return None if instant is None else rfc3339(instant)


def lease_of(row: TaskRow, now: int) -> Lease | None:
    """Return the live lease of the task, or None."""
    if row.lock_holder is None or row.lock_expires_at is None or row.lock_expires_at <= now:
        return None
    return Lease(
        task_id=row.id,
        holder=row.lock_holder,
        fence=row.fence,
        acquired_at=row.lock_acquired_at or 0,
        expires_at=row.lock_expires_at,
        ttl=row.lock_ttl or 0,
        fenced=bool(row.lock_fenced),
        unconfirmed=row.unconfirmed_fence == row.fence,
    )


def live_lease_of(row: TaskRow, now: int) -> Lease:
    """Return the lease of a task that was read or written as held. Raises RuntimeError when it has none."""
    lease = lease_of(row, now)
    if lease is None:
        raise RuntimeError(f"task {row.id} has no live lease")
    return lease


def lock(lease: Lease) -> LockView:
    """Return the lease as JSON has it, in answers and in events."""
    return LockView(
        task_id=lease.task_id,
        holder=lease.holder,
        fence=lease.fence,
        acquired_at=rfc3339(lease.acquired_at),
        expires_at=rfc3339(lease.expires_at),
        ttl_seconds=lease.length // 1000,
    )


def lease(row: LeaseRow) -> LeaseView:
    return LeaseView(
        task_id=row.task_id,
        task_name=row.task_name,
        project_id=row.project_id,
        agent_id=row.agent_id,
        fence=row.fence,
        acquired_at=rfc3339(row.acquired_at),
        expires_at=rfc3339(row.expires_at),
        ended_at=time_or_none(row.ended_at),
        reason=row.reason,  # type: ignore[arg-type]
        status=row.status,
    )


def standing(row: TaskRow, now: int) -> ReadinessInput:
    """Return the facts that decide whether the task is ready."""
    return ReadinessInput(
        task_id=row.id,
        status=Status(row.status),
        is_held=lease_of(row, now) is not None,
        attempts=row.attempts,
        waiting_for=_parse_ids(row.waiting_for),
        running_conflicts=_parse_ids(row.running_conflicts),
        defer_until=row.defer_until,
        archived=bool(row.archived),
        cancelled=_parse_ids(row.cancelled_dependencies),
    )


def claim_blockers_of(tx: Tx, row: TaskRow) -> tuple[Blocker, ...]:
    """Return the reasons that refuse a claim of the task by id."""
    present = standing(row, tx.now)
    if present.status is Status.TODO:
        return readiness_blockers(present, now=tx.date, max_attempts=tx.max_attempts)
    return blockers(present, now=tx.date)


def task(tx: Tx, row: TaskRow) -> TaskView:
    return TaskView(*task_fields(tx, row).values())


def task_fields(tx: Tx, row: TaskRow) -> dict[str, Any]:
    """Return the fields of a TaskView as a dict, for large lists."""
    lease = lease_of(row, tx.now)
    deferred = row.defer_until if row.defer_until is not None and row.defer_until > tx.date else None
    why = _why_not_ready(
        row.status,
        lease is not None,
        row.attempts,
        tx.max_attempts,
        row.waiting_for,
        row.running_conflicts,
        deferred,
        row.archived,
        row.cancelled_dependencies,
    )
    view = dict(zip(_VIEW, _view_values(row), strict=True))
    for name in _STORED_LISTS:
        if view[name] == NO_IDS:
            view[name] = []
        else:
            view[name] = orjson.loads(view[name])
    for name in _STORED_INSTANTS:
        if view[name] is not None:
            view[name] = rfc3339(view[name])
    view["lock"] = None if lease is None else lock(lease)
    view["worked_by"] = row.lock_holder or row.worked_by
    view["ready"] = not why
    view["why_not_ready"] = list(why)
    return view


@lru_cache(maxsize=4096)
def _why_not_ready(
    status: str,
    held: bool,
    attempts: int,
    max_attempts: int,
    waiting_for: str,
    running_conflicts: str,
    deferred: int | None,
    archived: int,
    cancelled: str,
) -> tuple[str, ...]:
    """Return the messages of the blockers.

    They are cached: few combinations are in use, and computing them costs more than the rest of a task. `deferred` is
    an instant in the future, so that `now` can be 0.
    """
    template = ReadinessInput(
        task_id=0,
        status=Status(status),
        is_held=held,
        attempts=attempts,
        waiting_for=_parse_ids(waiting_for),
        running_conflicts=_parse_ids(running_conflicts),
        defer_until=deferred,
        archived=bool(archived),
        cancelled=_parse_ids(cancelled),
    )
    return tuple(reason.message for reason in readiness_blockers(template, now=0, max_attempts=max_attempts))


def project(row: ProjectRow, counts: dict[str, int]) -> ProjectView:
    return ProjectView(
        id=row.id,
        name=row.name,
        description=row.description,
        version=row.version,
        created_at=rfc3339(row.created_at),
        updated_at=rfc3339(row.updated_at),
        archived_at=time_or_none(row.archived_at),
        tasks={status.value: counts[status.value] for status in Status if status.value in counts},
    )


def epic(row: EpicRow) -> EpicView:
    return EpicView(
        id=row.id,
        project_id=row.project_id,
        name=row.name,
        description=row.description,
        status=row.status,
        position=row.position,
        version=row.version,
        created_at=rfc3339(row.created_at),
        updated_at=rfc3339(row.updated_at),
    )


def log(row: LogRow) -> LogView:
    return LogView(row.id, row.task_id, row.author, row.kind, row.body, rfc3339(row.created_at))


def links(found: list[tuple[int, str, str]]) -> list[LinkView]:
    return [LinkView(*link) for link in found]


def chosen(view: TaskView, names: list[str]) -> dict[str, Any]:
    """Return only these fields of a task. `holder` and `expires_at` are taken from its lock."""
    values: dict[str, Any] = {}
    for name in names:
        if name in ("holder", "expires_at"):
            values[name] = None if view.lock is None else getattr(view.lock, name)
        else:
            values[name] = getattr(view, name)
    return values


def _parse_list(text: str) -> list[Any]:
    if text == NO_IDS:
        return []
    found: list[Any] = orjson.loads(text)
    return found


def _parse_ids(text: str) -> tuple[int, ...]:
    return () if text == NO_IDS else tuple(orjson.loads(text))
