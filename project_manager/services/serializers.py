"""Serializers: rows of the store to views."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar, cast

import orjson

from project_manager.clock import rfc3339
from project_manager.domain.leases import Lease, LockView
from project_manager.domain.readiness import Blocker, ReadinessInput, blockers, readiness_blockers
from project_manager.domain.statuses import Status
from project_manager.domain.task_fields import INSTANTS, LISTS, TASK_FIELDS
from project_manager.schemas.epics import EpicView
from project_manager.schemas.logs import LogView
from project_manager.schemas.projects import ProjectView
from project_manager.schemas.tasks import TASK_FIELD_NAMES, LinkView, TaskView
from project_manager.store.epics import EpicRow
from project_manager.store.logs import LogRow
from project_manager.store.projects import ProjectRow
from project_manager.store.task_rows import EXTRA_COLUMNS, Fields, TaskLinks, Values
from project_manager.store.tasks import ROW_FIELDS, TaskRow
from project_manager.store.transaction import Tx

NO_IDS = "[]"
FACTS = ("id", "status", "fence", "attempts", "defer_until", "worked_by")
"""The fields from which others are computed."""

View = TypeVar("View")

# The id stands in for computed fields, so that one step reads the row and the order of the fields stays.
_view_values = itemgetter(*[ROW_FIELDS.index(name) if name in ROW_FIELDS else 0 for name in TASK_FIELD_NAMES])
_STORED = [field for field in TASK_FIELDS if field.name in ROW_FIELDS]
_STORED_LISTS = tuple(field.name for field in _STORED if field.kind in LISTS)
_STORED_INSTANTS = tuple(field.name for field in _STORED if field.kind in INSTANTS)

_NO_LINKS = (NO_IDS, NO_IDS, NO_IDS)
_LINKS = frozenset({"depends_on", "conflicts_with", "cancelled_dependencies"})


def time_or_none(instant: int | None) -> str | None:
    """Return the instant (milliseconds since the epoch) in RFC 3339 format, or None."""
    return None if instant is None else rfc3339(instant)


_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("acquired_at", "archived_at", "created_at", "ended_at", "expires_at"), time_or_none),
    **dict.fromkeys(("revoked_at", "updated_at"), time_or_none),
    **dict.fromkeys(("changed", "metadata", "tags"), orjson.loads),
    "active": bool,
}
"""Converters from the format of the store to JSON, by column."""


def view_of(view: type[View], row: NamedTuple, **computed: Any) -> View:
    """Return a view with the fields of the row that have the same names. `computed` are the other fields."""
    missing = view.__dataclass_fields__.keys() - computed.keys()  # type: ignore[attr-defined]
    for name, value in row._asdict().items():
        if name in missing:
            convert = _CONVERTERS.get(name)
            computed[name] = value if convert is None else convert(value)
    return view(**computed)


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
    """Return the lease of a task that must have one. Raises RuntimeError when it has none."""
    lease = lease_of(row, now)
    if lease is None:
        raise RuntimeError(f"task {row.id} has no live lease")
    return lease


def lock(lease: Lease) -> LockView:
    """Return the view of the lease, for responses and events."""
    return LockView(
        task_id=lease.task_id,
        holder=lease.holder,
        fence=lease.fence,
        acquired_at=rfc3339(lease.acquired_at),
        expires_at=rfc3339(lease.expires_at),
        ttl_seconds=lease.length // 1000,
    )


def readiness_input(tx: Tx, row: TaskRow) -> ReadinessInput:
    """Return the facts that decide whether the task is ready."""
    deferred_until = row.defer_until if row.defer_until is not None and row.defer_until > tx.date else None
    links = (row.waiting_for, row.running_conflicts, row.cancelled_dependencies)
    return _readiness_input(
        row.status, lease_of(row, tx.now) is not None, row.attempts, deferred_until, row.archived, links
    )


def _readiness_input(
    status: str, is_leased: bool, attempts: int, deferred_until: int | None, archived: int, links: tuple[str, str, str]
) -> ReadinessInput:
    waiting_for, running_conflicts, cancelled = [tuple(orjson.loads(ids)) for ids in links]
    return ReadinessInput(
        status=status,
        is_leased=is_leased,
        attempts=attempts,
        waiting_for=waiting_for,
        running_conflicts=running_conflicts,
        deferred_until=deferred_until,
        archived=bool(archived),
        cancelled=cancelled,
    )


def claim_blockers_of(tx: Tx, row: TaskRow) -> tuple[Blocker, ...]:
    """Return the blockers of a claim of the task by id."""
    present = readiness_input(tx, row)
    if present.status == Status.TODO:
        return readiness_blockers(present, max_attempts=tx.max_attempts)
    return blockers(present)


def task(tx: Tx, row: TaskRow) -> TaskView:
    """Return a task as the dict that is encoded as JSON, without an object in between."""
    view: dict[str, Any] = dict(zip(TASK_FIELD_NAMES, _view_values(row), strict=True))
    for name in _STORED_LISTS:
        view[name] = [] if view[name] == NO_IDS else orjson.loads(view[name])
    links = (row.waiting_for, row.running_conflicts, row.cancelled_dependencies)
    return cast("TaskView", _completed(tx, view, lease_of(row, tx.now), row.lock_holder, row.archived, links))


def listed_task(tx: Tx, fields: Fields, values: Values, links: TaskLinks | None) -> dict[str, Any]:
    """Return the `fields` of a task as the dict that is encoded as JSON. They include FACTS."""
    view = dict(zip(fields, values, strict=False))
    holder, acquired_at, expires_at, ttl, unconfirmed_fence, archived = values[-len(EXTRA_COLUMNS) :]
    lease = None
    if holder is not None and expires_at > tx.now:
        fence = view["fence"]
        is_unconfirmed = unconfirmed_fence == fence
        lease = Lease(view["id"], holder, fence, acquired_at, expires_at, ttl, fenced=True, unconfirmed=is_unconfirmed)
    if links is None:
        return _completed(tx, view, lease, holder, archived, _NO_LINKS)
    for name in _LINKS & view.keys():
        view[name] = orjson.loads(getattr(links, name))
    open_links = (links.waiting_for, links.running_conflicts, links.cancelled_dependencies)
    return _completed(tx, view, lease, holder, archived, open_links)


def _completed(
    tx: Tx, view: dict[str, Any], lease: Lease | None, holder: str | None, archived: int, links: tuple[str, str, str]
) -> dict[str, Any]:
    """Convert the times of a task, and set the fields that are computed.

    `links` are the dependencies that are not DONE, the conflicts with a lease, and the cancelled dependencies.
    """
    deferred_until = view["defer_until"]
    if deferred_until is not None and deferred_until <= tx.date:
        deferred_until = None
    facts = (view["status"], lease is not None, view["attempts"], deferred_until, archived, links)
    why = _why_not_ready(facts, tx.max_attempts)
    for name in _STORED_INSTANTS:
        if view.get(name) is not None:
            view[name] = rfc3339(view[name])
    view["lock"] = None if lease is None else lock(lease)
    view["worked_by"] = holder or view["worked_by"]
    view["ready"] = not why
    view["why_not_ready"] = list(why)
    return view


@lru_cache(maxsize=4096)
def _why_not_ready(facts: tuple[Any, ...], max_attempts: int) -> tuple[str, ...]:
    """Return the messages of the blockers.

    They are cached: few combinations are in use, and computing them costs more than the rest of a task.
    """
    present = _readiness_input(*facts)
    return tuple(reason.message for reason in readiness_blockers(present, max_attempts=max_attempts))


def project(row: ProjectRow, counts: dict[str, int]) -> ProjectView:
    tasks = {status.value: counts[status.value] for status in Status if status.value in counts}
    return view_of(ProjectView, row, tasks=tasks)


def epic(row: EpicRow) -> EpicView:
    return view_of(EpicView, row)


def log(row: LogRow) -> LogView:
    return LogView(row.id, row.task_id, row.author, row.kind, row.body, rfc3339(row.created_at))


def links(found: list[tuple[int, str, str]]) -> list[LinkView]:
    return [LinkView(*link) for link in found]


def chosen(view: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    """Return only these fields of a task. `holder` and `expires_at` are taken from its lock."""
    lock: LockView | None = view["lock"]
    fields = {**view, "holder": lock and lock.holder, "expires_at": lock and lock.expires_at}
    return {name: fields[name] for name in names}
