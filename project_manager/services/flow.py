"""Use cases of the flow of tasks: read it in a range of hours, and rebuild it from events."""

from collections.abc import Collection
from typing import Any

from project_manager.clock import parse_rfc3339, rfc3339
from project_manager.domain import durations
from project_manager.domain.errors import AgentNotFound, Invalid
from project_manager.domain.flow import ALL, HOUR_MS, Counts, FlowHour, agent_scope, epic_scope, project_scope
from project_manager.schemas import flow as schemas
from project_manager.services import lookup, resolve
from project_manager.store import agents, flow
from project_manager.store.flow import Position
from project_manager.store.tables_flow import COUNTERS, HISTOGRAMS
from project_manager.store.transaction import Tx

_LAST_HOUR = parse_rfc3339("9999-12-31T22:00:00Z") // HOUR_MS
"""The last hour with an end that a time of the API can have."""
_EVENTS = tuple(name for name in COUNTERS if not name.endswith("_ms"))


def get(tx: Tx, command: schemas.GetFlow) -> schemas.FlowView:
    """Read the flow of tasks by hour: what was created, completed and failed, and how long work took and waited.

    The flow of all tasks, of a project, of an epic or of an agent. Hourly roll-ups follow the events within 30 seconds.
    """
    scope = _scope(tx, command)
    last = min((tx.now if command.until is None else command.until) // HOUR_MS, _LAST_HOUR)
    first = max(0, last - command.hours + 1)
    position = flow.position(tx)
    known = _Known(tx, position)
    rows = flow.hours(tx, scope, first, last)
    counts = None if command.agent_id is not None else flow.counts_before(tx, scope, first)
    series = []
    for begin in range(first, last + 1, command.step_hours):
        hours = range(begin, min(begin + command.step_hours, last + 1))
        found = [rows[hour] for hour in hours if hour in rows]
        counts = next((row.counts for row in reversed(found) if row.counts), counts)
        series.append(_point(hours, found, counts, known))
    return schemas.FlowView(
        since=rfc3339(first * HOUR_MS),
        until=rfc3339((last + 1) * HOUR_MS),
        hours=last - first + 1,
        step_seconds=command.step_hours * HOUR_MS // 1000,
        known_since=None if known.since is None else rfc3339(known.since),
        as_of=None if known.since is None else rfc3339(known.until),
        series=series,
        totals=_totals(first, last, rows, known),
    )


def rebuild(tx: Tx, command: schemas.RebuildFlow) -> schemas.FlowRebuiltView:
    """Rebuild the roll-ups of the flow from all kept events.

    The background job folds them in steps. Until it is done, `as_of` is in the past, and later hours are null. Roll-ups
    from before the first kept event stay as they are.
    """
    found = flow.begin_rebuild(tx)
    hour, number = (None, 0) if found is None else found
    return schemas.FlowRebuiltView(success=True, since=None if hour is None else rfc3339(hour * HOUR_MS), events=number)


class _Known:
    """The time for which roll-ups have all events: since the first event, until the last folded one."""

    def __init__(self, tx: Tx, position: Position | None) -> None:
        self.since = None if position is None or not position.known_since else position.known_since
        self.until = 0 if position is None else flow.as_of(tx, position.seq)

    def includes(self, hour: int) -> bool:
        """Return whether at least a part of this hour is known."""
        return self.since is not None and self.since // HOUR_MS <= hour <= self.until // HOUR_MS

    def hours(self, first: int, last: int) -> float:
        """Return the number of known hours from `first` to `last`."""
        if self.since is None:
            return 0.0
        return max(0, min(self.until, (last + 1) * HOUR_MS) - max(self.since, first * HOUR_MS)) / HOUR_MS


def _scope(tx: Tx, command: schemas.GetFlow) -> str:
    """Return the scope of the query. Raises ProjectNotFound, EpicNotFound, AgentNotFound, Invalid."""
    filters = resolve.scope(tx, command)
    lookup.check_scope(tx, filters)
    if command.agent_id is not None:
        if filters:
            hint = "Send agent_id alone."
            raise Invalid.of("agent_id", "`agent_id` cannot be sent with a project or an epic", hint)
        if agents.get(tx, command.agent_id) is None:
            raise AgentNotFound(f"unknown agent `{command.agent_id}`", agent_id=command.agent_id)
        return agent_scope(command.agent_id)
    if "epic_id" in filters:
        epic = lookup.epic(tx, filters["epic_id"])
        if filters.get("project_id", epic.project_id) != epic.project_id:
            raise resolve.conflicting_fields_error(
                "epic_id", f"epic {epic.id} is in project {epic.project_id}, not {filters['project_id']}"
            )
        return epic_scope(epic.project_id, epic.id)
    return project_scope(filters["project_id"]) if filters else ALL


def _point(hours: range, rows: list[FlowHour], counts: Counts | None, known: _Known) -> schemas.FlowPointView:
    """Return a step with at least one hour. It is known if at least one of its hours is."""
    is_known = any(known.includes(hour) for hour in hours)
    return schemas.FlowPointView(
        **_sums(_sum(rows) if is_known else None),
        at=rfc3339(hours[0] * HOUR_MS),
        complete=known.includes(hours[0]) and (hours[-1] + 1) * HOUR_MS <= known.until,
        counts=counts if is_known else None,
    )


def _sum(rows: Collection[FlowHour]) -> FlowHour:
    """Return the roll-up of several hours, without counts."""
    total = FlowHour(**{name: sum(getattr(row, name) for row in rows) for name in COUNTERS})
    for name in HISTOGRAMS:
        setattr(total, name, durations.merged(getattr(row, name) for row in rows))
    return total


def _totals(first: int, last: int, rows: dict[int, FlowHour], known: _Known) -> schemas.FlowTotalsView:
    """Return the sums over all hours. An hour at least is the divisor of `per_hour`."""
    length = known.hours(first, last)
    if not any(known.includes(hour) for hour in range(first, last + 1)):
        return schemas.FlowTotalsView(**_sums(None), per_hour=None)
    total = _sum(rows.values())
    return schemas.FlowTotalsView(**_sums(total), per_hour=round(total.completed / max(1.0, length), 3))


def _sums(row: FlowHour | None) -> dict[str, Any]:
    """Return the fields of `FlowSumsView`, all null for an hour that is not known."""
    if row is None:
        return dict.fromkeys(schemas.FlowSumsView.__dataclass_fields__)
    found: dict[str, Any] = {name: getattr(row, name) for name in _EVENTS}
    found["reviewed"] = row.approved + row.changes_requested
    for name in HISTOGRAMS:
        found[f"{name}_p50_seconds"] = durations.quantile_seconds(getattr(row, name), 0.5)
        found[f"{name}_p95_seconds"] = durations.quantile_seconds(getattr(row, name), 0.95)
    found["leased_seconds"] = round(row.leased_ms / 1000)
    found["idle_seconds"] = round(row.idle_ms / 1000)
    return found
