"""Comparison of the hourly roll-ups of the flow with the events that are kept."""

import orjson
from sqlalchemy import bindparam, func, select

from project_manager.clock import rfc3339
from project_manager.domain.flow import HOUR_MS, FlowHour
from project_manager.domain.limits import FLOW_DAYS
from project_manager.store import chain, flow, flow_steps, meta
from project_manager.store.flow import PRESENT, Position
from project_manager.store.flow_steps import UNREADABLE
from project_manager.store.statement import Statement
from project_manager.store.tables_flow import flow_hours, flow_states
from project_manager.store.transaction import Tx

SCOPES_SHOWN = 5
_FIRST_HOUR = Statement(select(func.min(flow_hours.c.hour)))
_HOURS = Statement(select(flow_hours.c.hour).where(flow_hours.c.hour >= bindparam("first")).distinct())
_SCOPES = Statement(
    select(flow_states.c.key).where(flow_states.c.side == bindparam("side"), flow_states.c.key.like(bindparam("key")))
)


def check(tx: Tx) -> list[str]:
    """Return a text for each hour with roll-ups that differ from the kept events.

    Fold the events again, as a rebuild does, without a write. Memory use grows with the number of tasks. Hours without
    all of their events are not compared, and neither are hours during a rebuild or before the first fold has ended.
    """
    was = flow.position(tx)
    if was is None or was.seed_id or was.seq < was.kept_seq or chain.floor(tx).seq > was.base_seq:
        return []
    first = _first_hour(tx, was)
    if first is None:
        return []
    try:
        state = flow_steps.base_states(tx)
    except UNREADABLE:
        return ["the states that a rebuild of the flow begins with cannot be read"]
    scopes = {key.removeprefix("scope:") for (key,) in _SCOPES.rows(tx, side=PRESENT, key="scope:%")}
    found: dict[int, str | None] = {}
    for hour, expected in flow_steps.hours_of_events(tx, was, state):
        if hour in found:
            found[hour] = None  # the clock was set back, so this hour began twice
        elif hour >= first:
            # The roll-ups of a deleted project or epic are deleted with it.
            kept = {name: row for name, row in expected.items() if name.startswith("agent:") or name in scopes}
            found[hour] = _difference(tx, hour, kept)
    for (hour,) in _HOURS.rows(tx, first=first):
        if hour not in found:
            found[hour] = _difference(tx, hour, {})
    return [text for _, text in sorted(found.items()) if text is not None]


def _first_hour(tx: Tx, was: Position) -> int | None:
    """Return the first hour with all of its events and roll-ups, or None without any.

    Retention removes roll-ups older than FLOW_DAYS, and events may be kept longer.
    """
    first, stored = flow.first_whole_hour(tx, was), _FIRST_HOUR.value(tx)
    if first is None:
        return None
    first = max(first, meta.clock_high(tx) // HOUR_MS - FLOW_DAYS * 24)
    if stored is None or stored <= first:
        return first
    return int(stored) + 1  # retention removes the roll-ups of an hour some at a time


def _difference(tx: Tx, hour: int, expected: dict[str, FlowHour]) -> str | None:
    """Compare the stored roll-ups of an hour with those of its events. Return a text, or None if they are equal."""
    of_hour = f"the flow of the hour {_start(hour)}"
    try:
        stored = {name: _encoded(row) for name, row in flow.of_hour(tx, hour).items()}
    except UNREADABLE:
        return f"{of_hour} cannot be read"
    computed = {name: _encoded(row) for name, row in expected.items()}
    wrong = sorted(name for name in computed.keys() | stored.keys() if computed.get(name) != stored.get(name))
    if not wrong:
        return None
    more = f" and {len(wrong) - SCOPES_SHOWN} more" if len(wrong) > SCOPES_SHOWN else ""
    return f"{of_hour} differs from its events in {', '.join(wrong[:SCOPES_SHOWN])}{more}"


def _start(hour: int) -> str:
    try:
        return rfc3339(hour * HOUR_MS)
    except (OverflowError, ValueError):  # another program has added an hour that no calendar has
        return str(hour)


def _encoded(hour: FlowHour) -> bytes:
    """Return the values in the form of the store, in which keys are texts."""
    return orjson.dumps(hour, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SORT_KEYS)
