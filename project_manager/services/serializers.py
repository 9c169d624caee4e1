"""Serializers: rows of the store to views."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import repeat
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar, cast

import orjson

from project_manager.clock import rfc3339
from project_manager.domain.leases import Lease, LeaseKind, LockView
from project_manager.domain.policies import parse_policy
from project_manager.domain.readiness import Blocker, ReadinessInput, Withheld, blockers, readiness_blockers
from project_manager.domain.statuses import Status
from project_manager.domain.task_fields import INSTANTS, LISTS, TASK_FIELDS
from project_manager.schemas.epics import EpicView
from project_manager.schemas.evidence import EvidenceFields
from project_manager.schemas.logs import LogView
from project_manager.schemas.policies import PolicyView
from project_manager.schemas.projects import ProjectView
from project_manager.schemas.tasks import PROGRESS, TASK_FIELD_NAMES, LinkView, OfferView, ProgressView, TaskView
from project_manager.store.epics import EpicRow
from project_manager.store.logs import LogRow
from project_manager.store.projects import ProjectRow
from project_manager.store.subtasks import Progress
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
_extra_values = itemgetter(*[ROW_FIELDS.index(name) for name in EXTRA_COLUMNS])
_EXTRA = slice(-len(EXTRA_COLUMNS), None)

_Blocking = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]
"""The dependencies of a task that are not DONE, its conflicts with a lease, its cancelled dependencies, its open
subtasks, and the tasks that block it by paths.
"""
_NOTHING_BLOCKS: _Blocking = ((), (), (), (), ())


def time_or_none(instant: int | None) -> str | None:
    """Return the instant (milliseconds since the epoch) in RFC 3339 format, or None."""
    return None if instant is None else rfc3339(instant)


_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(
        ("acquired_at", "archived_at", "asked_at", "closed_at", "created_at", "ended_at", "expires_at"), time_or_none
    ),
    **dict.fromkeys(("revoked_at", "updated_at"), time_or_none),
    **dict.fromkeys(("changed", "metadata", "options", "tags"), orjson.loads),
    **dict.fromkeys(("active", "attests"), bool),
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
        kind=kind_of(row.lock_kind),
    )


def kind_of(lock_kind: str | None) -> LeaseKind:
    """Return the kind of a lease from its column, which is NULL for work."""
    return "work" if lock_kind is None else "review"


def offer_of(row: TaskRow, now: int) -> str | None:
    """Return the agent that the task is offered to, or None."""
    return row.offered_to if row.offered_until is not None and row.offered_until > now else None


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
        kind=lease.kind,
    )


def readiness_input(tx: Tx, row: TaskRow) -> ReadinessInput:
    """Return the facts that decide whether the task is ready for the actor."""
    offered_to = offer_of(row, tx.now)
    is_offered_to_other = offered_to not in (None, tx.actor.id)
    return ReadinessInput(
        status=row.status,
        is_leased=lease_of(row, tx.now) is not None,
        attempts=row.attempts,
        waiting_for=_parse_ids(row.waiting_for),
        running_conflicts=_parse_ids(row.running_conflicts),
        deferred_until=row.defer_until if row.defer_until is not None and row.defer_until > tx.date else None,
        withheld=row.withheld if is_offered_to_other else row.withheld & ~Withheld.OFFERED,
        cancelled=_parse_ids(row.cancelled_dependencies),
        open_subtasks=_parse_ids(row.open_subtasks),
        offered_to=offered_to,
        path_conflicts=tuple(sorted({*_parse_ids(row.path_conflicts)})),
    )


def claim_blockers_of(tx: Tx, row: TaskRow) -> tuple[Blocker, ...]:
    """Return the blockers of a claim of the task by id."""
    present = readiness_input(tx, row)
    if present.status == Status.TODO:
        return readiness_blockers(present, max_attempts=tx.max_attempts)
    return blockers(present)


def task(tx: Tx, row: TaskRow) -> TaskView:
    """Return a task as the dict that is encoded as JSON, without an object in between."""
    view = dict(zip(TASK_FIELD_NAMES, _view_values(row), strict=True))
    for name in _STORED_LISTS:
        view[name] = [] if view[name] == NO_IDS else orjson.loads(view[name])
    links = (
        _parse_ids(row.waiting_for),
        _parse_ids(row.running_conflicts),
        _parse_ids(row.cancelled_dependencies),
        _parse_ids(row.open_subtasks),
        tuple(sorted({*_parse_ids(row.path_conflicts)})),
    )
    _complete(tx, view, _STORED_INSTANTS, _extra_values(row), links)
    return cast("TaskView", view)


def tasks(tx: Tx, fields: Fields, rows: list[Values], links: dict[int, TaskLinks]) -> list[dict[str, Any]]:
    """Return the `fields` of tasks as dicts, as `task` does. They include FACTS."""
    instants = tuple(name for name in _STORED_INSTANTS if name in fields)
    lists = tuple(name for name in TaskLinks._fields if name in fields)
    views: list[dict[str, Any]] = [*map(dict, map(zip, repeat(fields), rows))]
    for view, values in zip(views, rows, strict=True):
        linked = links.get(values[0])
        if linked is None:
            blocking = _NOTHING_BLOCKS
        else:
            view |= {name: [*getattr(linked, name)] for name in lists}
            blocking = (
                linked.waiting_for,
                linked.running_conflicts,
                linked.cancelled_dependencies,
                linked.open_subtasks,
                linked.path_conflicts,
            )
        _complete(tx, view, instants, values[_EXTRA], blocking)
    return views


def _complete(tx: Tx, view: dict[str, Any], instants: Iterable[str], extra: Sequence[Any], links: _Blocking) -> None:
    """Convert the `instants` of a task, and set the fields that are computed. `extra` has the EXTRA_COLUMNS."""
    holder, acquired_at, expires_at, ttl, unconfirmed_fence, lock_kind, withheld, offered_to, until, reason = extra
    lock: LockView | None = None
    if holder is not None and expires_at > tx.now:
        fence = view["fence"]
        length = expires_at - acquired_at if unconfirmed_fence == fence else ttl
        lock = LockView(view["id"], holder, fence, rfc3339(acquired_at), rfc3339(expires_at), length // 1000)
        if lock_kind is not None:
            lock.kind = kind_of(lock_kind)
    # The offer ends in the database with the next batch, and for readers at its instant.
    offer: OfferView | None = None
    if offered_to is not None:
        if until > tx.now:
            offer = OfferView(offered_to, rfc3339(until), reason)
        else:
            withheld &= ~Withheld.OFFERED
    waiting_for, running, cancelled, open_subtasks, path_conflicts = links
    deferred_until = view["defer_until"]
    if deferred_until is not None and deferred_until <= tx.date:
        deferred_until = None
    facts = (
        view["status"],
        lock is not None,
        view["attempts"],
        waiting_for,
        running,
        deferred_until,
        withheld,
        cancelled,
        open_subtasks,
        offered_to,
        path_conflicts,
    )
    why = _why_not_ready(facts, tx.max_attempts)
    for name in instants:
        instant = view[name]
        if instant is not None:
            view[name] = rfc3339(instant)
    view["lock"] = lock
    view["offered_to"] = offer
    if holder is not None:
        view["worked_by"] = holder
    view["ready"] = not why
    view["why_not_ready"] = [*why]


@lru_cache(maxsize=4096)
def _why_not_ready(facts: tuple[Any, ...], max_attempts: int) -> tuple[str, ...]:
    """Return the messages of the blockers. `facts` are those of ReadinessInput, in this order.

    They are cached: few combinations are in use, and computing them costs more than the rest of a task.
    """
    present = ReadinessInput(*facts)
    return tuple(reason.message for reason in readiness_blockers(present, max_attempts=max_attempts))


def _parse_ids(text: str) -> tuple[int, ...]:
    return () if text == NO_IDS else tuple(orjson.loads(text))


def project(row: ProjectRow, counts: dict[str, int]) -> ProjectView:
    tasks = {status.value: counts[status.value] for status in Status if status.value in counts}
    return view_of(ProjectView, row, tasks=tasks, policy=policy(row.policy))


@lru_cache(maxsize=1024)
def policy(stored: str) -> PolicyView:
    """Return the view of a policy from the JSON text that its project stores."""
    rules = parse_policy(stored)
    return PolicyView(
        review=rules.review.value,
        reviewer=rules.reviewer.value,
        evidence=rules.evidence.value,
        max_review_rounds=rules.max_review_rounds,
        merge_completes=rules.merge_completes,
        checks=list(rules.checks),
    )


def epic(row: EpicRow) -> EpicView:
    return view_of(EpicView, row)


def log(row: LogRow) -> LogView:
    details = None if row.details is None else orjson.loads(row.details)
    evidence = None if details is None or row.kind != "evidence" else evidence_fields(details)
    return LogView(row.id, row.task_id, row.author, row.kind, row.body, rfc3339(row.created_at), evidence)


def evidence_fields(details: Mapping[str, Any]) -> EvidenceFields:
    """Return the fields of evidence from the details of its log entry."""
    return cast("EvidenceFields", {name: details.get(name) for name in EvidenceFields.__annotations__})


def links(found: list[tuple[int, str, str]]) -> list[LinkView]:
    return [LinkView(*link) for link in found]


def progress(found: Progress | None) -> ProgressView | None:
    return None if found is None else ProgressView(*found)


def add_progress(views: list[dict[str, Any]], found: Mapping[int, Progress]) -> None:
    """Add the numbers of subtasks to the tasks of a list."""
    for view in views:
        view[PROGRESS] = progress(found.get(view["id"]))


def chosen(view: Mapping[str, Any], names: list[str] | None) -> Mapping[str, Any]:
    """Return only these fields of a task, or all. `holder` and `expires_at` are taken from its lock."""
    if names is None:
        return view
    lock: LockView | None = view["lock"]
    fields = {**view, "holder": lock and lock.holder, "expires_at": lock and lock.expires_at}
    return {name: fields[name] for name in names}
