"""Hourly roll-ups of the flow, and the steps that fold new events into them.

A reader computes a step from one snapshot, and the writer stores it if the position is still the same. So each event
counts once, also with several instances, and the writer only writes rows.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
from sqlalchemy import ColumnElement, bindparam, delete, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.sql.expression import literal_column

from project_manager.domain import durations
from project_manager.domain.flow import (
    ALL,
    HOUR_MS,
    IGNORED,
    STATUSES,
    AgentFlow,
    Counts,
    FlowHour,
    FlowState,
    Fold,
    FoldedEvent,
    TaskFlow,
    epic_scope,
    is_within,
    keys_of,
    project_scope,
)
from project_manager.domain.limits import DELETE_BATCH_SIZE
from project_manager.store import chain, pages, retention
from project_manager.store.events import EventRow
from project_manager.store.statement import Statement, bindparams, elements
from project_manager.store.tables import events as events_table
from project_manager.store.tables_flow import COUNTERS, HISTOGRAMS, flow_hours, flow_position, flow_states
from project_manager.store.transaction import Tx

_ONE: ColumnElement[int] = literal_column("1")
EVENTS_AT_ONCE = 1000
"""Maximum number of events in a step."""
_NO_END = 2**62
PRESENT, BASE = 0, 1
"""The sides of the states: at the last folded event, and at an event that a rebuild begins with."""


class Position(NamedTuple):
    """The last folded event, and `base_seq`, the one that a rebuild begins after.

    `known_since` is the time of the first folded event, or 0. Until the event `kept_seq`, a rebuild leaves the
    roll-ups before `kept_hour` as they are.
    """

    seq: int
    base_seq: int
    known_since: int = 0
    kept_hour: int = 0
    kept_seq: int = 0


@dataclass(slots=True)
class Step:
    """The result of folding some events. `states` are JSON by key, or None for a deleted one.

    `was` is the position before, or None at the first start.
    """

    was: Position | None
    position: Position
    sides: tuple[int, ...]
    states: dict[str, str | None]
    hours: dict[tuple[str, int], FlowHour] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)


_HOUR = ("scope", "hour", *COUNTERS, *HISTOGRAMS, "counts")
_POSITION = Statement(select(*[flow_position.c[name] for name in Position._fields]))
_FIRST_POSITION = Statement(
    upsert(flow_position).values(id=_ONE, **bindparams(*Position._fields)).on_conflict_do_nothing()
)
_MOVE = Statement(
    update(flow_position)
    .where(flow_position.c.seq == bindparam("was_seq"), flow_position.c.base_seq == bindparam("was_base_seq"))
    .where(flow_position.c.kept_seq == bindparam("was_kept_seq"))
    .values(bindparams(*Position._fields))
)
_STATES = Statement(
    select(flow_states.c.key, flow_states.c.value).where(
        flow_states.c.side == bindparam("side"), flow_states.c.key.in_(elements("keys"))
    )
)
_set_state = upsert(flow_states).values(bindparams("side", "key", "value"))
_SET_STATE = Statement(
    _set_state.on_conflict_do_update(index_elements=[flow_states.c.side, flow_states.c.key], set_=bindparams("value"))
)
_DELETE_STATE = Statement(
    delete(flow_states).where(flow_states.c.side == bindparam("side"), flow_states.c.key == bindparam("key"))
)
_HOURS_AMONG = Statement(
    select(*[flow_hours.c[name] for name in _HOUR]).where(
        flow_hours.c.scope.in_(elements("scopes")), flow_hours.c.hour.between(bindparam("first"), bindparam("last"))
    )
)
_SET_HOUR = Statement(
    upsert(flow_hours)
    .values(bindparams(*_HOUR))
    .on_conflict_do_update(index_elements=[flow_hours.c.scope, flow_hours.c.hour], set_=bindparams(*_HOUR[2:]))
)
_within = (flow_hours.c.scope == bindparam("scope")) | flow_hours.c.scope.between(bindparam("first"), bindparam("last"))
_DROP_HOURS = Statement(delete(flow_hours).where(_within))
_DROP_STATES = Statement(
    delete(flow_states).where(
        flow_states.c.side == bindparam("side"),
        (flow_states.c.key == bindparam("scope")) | flow_states.c.key.between(bindparam("first"), bindparam("last")),
    )
)
_NEXT = Statement(
    select(*[events_table.c[name] for name in EventRow._fields])
    .where(events_table.c.seq > bindparam("since"), events_table.c.seq <= bindparam("last"))
    .order_by(events_table.c.seq)
    .limit(bindparam("limit"))
)


def position(tx: Tx) -> Position | None:
    """Return the position of the roll-ups, or None before the first start."""
    return _POSITION.one(tx, Position._make)


def next_step(tx: Tx) -> Step | None:
    """Fold the next events into roll-ups and states, and return the changes. Return None if there are no new events."""
    was = position(tx)
    if was is None:
        floor = chain.floor(tx).seq
        return Step(None, Position(floor, floor), (PRESENT, BASE), {})
    is_rebuilding = was.seq < was.kept_seq
    found = _events_after(tx, was.seq, last=was.kept_seq if is_rebuilding else _NO_END)
    if not found:
        return None
    state = _fold(tx, PRESENT, found)
    if is_rebuilding:
        state.hours = {key: hour for key, hour in state.hours.items() if key[1] >= was.kept_hour}
    moved = was._replace(seq=found[-1].seq, known_since=was.known_since or found[0].at)
    return Step(was, moved, (PRESENT,), _encoded(state), _merged(tx, state), state.dropped)


def base_step(tx: Tx, before: int) -> Step | None:
    """Fold the oldest events into the states that a rebuild begins with, as far as retention removes them.

    These are events from before the instant `before` (milliseconds) that are in the roll-ups. Return None without any.
    """
    was = position(tx)
    last = None if was is None else retention.last_before(tx, was.base_seq, before)
    if was is None or last is None or was.base_seq >= was.seq:
        return None
    found = _events_after(tx, was.base_seq, last=min(last, was.seq))
    state = _fold(tx, BASE, found)
    return Step(was, was._replace(base_seq=found[-1].seq), (BASE,), _encoded(state), dropped=state.dropped)


def _events_after(tx: Tx, since: int, *, last: int = _NO_END) -> list[EventRow]:
    return pages.page(tx, EventRow._make, _NEXT, {"since": since, "last": last}, EVENTS_AT_ONCE)[0]


def _fold(tx: Tx, side: int, rows: list[EventRow]) -> FlowState:
    """Return the state after these events. Its roll-ups are those of these events alone."""
    found = [_folded(row) for row in rows if row.type not in IGNORED]
    state = FlowState()
    _load(tx, side, state, keys_of(found))
    holders = {task.holder for task in state.tasks.values() if task is not None and task.holder is not None}
    scopes = {ALL, *(scope for event in found for scope in _scopes(event.project_id, event.epic_id))}
    for task in state.tasks.values():
        if task is not None:
            scopes.update(_scopes(task.project_id, task.epic_id))
    _load(tx, side, state, {f"agent:{name}" for name in holders} | {f"scope:{scope}" for scope in scopes})
    fold = Fold(state)
    for event in found:
        fold.apply(event)
    return state


def _folded(row: EventRow) -> FoldedEvent:
    is_by_agent = row.actor_kind == "agent"
    return FoldedEvent(
        row.type, row.at, row.actor_id, is_by_agent, row.project_id, row.epic_id, row.task_id, orjson.loads(row.data)
    )


def _scopes(project_id: int | None, epic_id: int | None) -> list[str]:
    if project_id is None:
        return []
    project = project_scope(project_id)
    return [project] if epic_id is None else [project, epic_scope(project_id, epic_id)]


def _load(tx: Tx, side: int, state: FlowState, keys: Iterable[str]) -> None:
    """Add the stored states with these keys to `state`."""
    for key, value in _STATES.rows(tx, side=side, keys=json.dumps(sorted(keys))):
        kind, _, name = key.partition(":")
        if kind == "task":
            state.tasks.setdefault(int(name), TaskFlow(**orjson.loads(value)))
        elif kind == "agent":
            state.agents.setdefault(name, AgentFlow(**orjson.loads(value)))
        else:
            state.counts.setdefault(name, orjson.loads(value))


def _encoded(state: FlowState) -> dict[str, str | None]:
    """Return the states as JSON, by key."""
    found: dict[str, Any] = {f"task:{number}": task for number, task in state.tasks.items()}
    found |= {f"agent:{name}": agent for name, agent in state.agents.items()}
    found |= {f"scope:{scope}": counts for scope, counts in state.counts.items()}
    return {key: None if value is None else orjson.dumps(value).decode() for key, value in found.items()}


def _merged(tx: Tx, state: FlowState) -> dict[tuple[str, int], FlowHour]:
    """Return the roll-ups of the state with those of earlier events added, unless their scope was dropped."""
    if not state.hours:
        return {}
    hours = [hour for _, hour in state.hours]
    scopes = json.dumps(sorted({scope for scope, _ in state.hours}))
    for row in _HOURS_AMONG.rows(tx, scopes=scopes, first=min(hours), last=max(hours)):
        later = state.hours.get((row[0], row[1]))
        if later is not None and not any(is_within(row[0], scope) for scope in state.dropped):
            _add(later, _hour(row))
    return state.hours


def _hour(row: tuple[Any, ...]) -> FlowHour:
    values: dict[str, Any] = dict(zip(_HOUR[2:], row[2:], strict=True))
    for name in HISTOGRAMS:
        values[name] = dict(orjson.loads(values[name]))
    values["counts"] = None if values["counts"] is None else orjson.loads(values["counts"])
    return FlowHour(**values)


def _add(later: FlowHour, earlier: FlowHour) -> None:
    for name in COUNTERS:
        setattr(later, name, getattr(later, name) + getattr(earlier, name))
    for name in HISTOGRAMS:
        setattr(later, name, durations.merged((getattr(earlier, name), getattr(later, name))))


def store(tx: Tx, step: Step) -> bool:
    """Write a step. Return False, and write nothing, if another one was written since it was computed."""
    if step.was is None:
        moved = _FIRST_POSITION.run(tx, **step.position._asdict())
    else:
        was = {"was_seq": step.was.seq, "was_base_seq": step.was.base_seq, "was_kept_seq": step.was.kept_seq}
        moved = _MOVE.run(tx, **was, **step.position._asdict())
    if not moved:
        return False
    for scope in step.dropped:
        _drop(tx, step, scope)
    for side in step.sides:
        for key, value in step.states.items():
            if value is None:
                _DELETE_STATE.write(tx, side=side, key=key)
            else:
                _SET_STATE.write(tx, side=side, key=key, value=value)
    for (scope, hour), values in sorted(step.hours.items()):
        _SET_HOUR.write(tx, scope=scope, hour=hour, **_columns(values))
    return True


def _drop(tx: Tx, step: Step, scope: str) -> None:
    """Delete the roll-ups and the counts of a scope, and of the epics in it."""
    if PRESENT in step.sides:
        _DROP_HOURS.write(tx, scope=scope, **_range(scope))
    for side in step.sides:
        key = f"scope:{scope}"
        _DROP_STATES.write(tx, side=side, scope=key, **_range(key))


def _range(scope: str) -> dict[str, str]:
    """Return the first and the last name that begins with the scope and a slash. The next character is `0`."""
    return {"first": f"{scope}/", "last": f"{scope}/~"}


def _columns(hour: FlowHour) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(hour, name) for name in COUNTERS}
    values |= {name: orjson.dumps(sorted(getattr(hour, name).items())).decode() for name in HISTOGRAMS}
    values["counts"] = None if hour.counts is None else orjson.dumps(hour.counts).decode()
    return values


_IN_RANGE = Statement(
    select(*[flow_hours.c[name] for name in _HOUR])
    .where(flow_hours.c.scope == bindparam("scope"), flow_hours.c.hour.between(bindparam("first"), bindparam("last")))
    .order_by(flow_hours.c.hour)
)
_COUNTS_BEFORE = Statement(
    select(flow_hours.c.counts)
    .where(flow_hours.c.scope == bindparam("scope"), flow_hours.c.hour < bindparam("first"))
    .order_by(flow_hours.c.hour.desc())
    .limit(_ONE)
)
_NEXT_AT = Statement(
    select(events_table.c.at).where(events_table.c.seq > bindparam("seq")).order_by(events_table.c.seq).limit(_ONE)
)


def hours(tx: Tx, scope: str, first: int, last: int) -> dict[int, FlowHour]:
    """Return the roll-ups of a scope by hour, from `first` to `last`. An hour without events has none."""
    return {row[1]: _hour(row) for row in _IN_RANGE.rows(tx, scope=scope, first=first, last=last)}


def counts_before(tx: Tx, scope: str, hour: int) -> Counts:
    """Return the numbers of tasks by status at the beginning of an hour."""
    stored = _COUNTS_BEFORE.value(tx, scope=scope, first=hour)
    return dict.fromkeys(STATUSES, 0) if stored is None else orjson.loads(stored)


def as_of(tx: Tx, seq: int) -> int:
    """Return the instant before which all events are folded, if `seq` is the last folded one."""
    following = _NEXT_AT.value(tx, seq=seq)
    return tx.now if following is None else int(following)


_oldest = (
    select(flow_hours.c.scope, flow_hours.c.hour).where(flow_hours.c.hour < bindparam("hour")).limit(bindparam("limit"))
)
_DELETE_OLDEST = Statement(delete(flow_hours).where(tuple_(flow_hours.c.scope, flow_hours.c.hour).in_(_oldest)))


def base_seq(tx: Tx) -> int | None:
    """Return the newest event that retention may remove, or None before the first start."""
    found = position(tx)
    return None if found is None else found.base_seq


def delete_older(tx: Tx, before: int) -> int:
    """Delete up to DELETE_BATCH_SIZE roll-ups from before the instant `before` (milliseconds)."""
    return _DELETE_OLDEST.run(tx, hour=before // HOUR_MS, limit=DELETE_BATCH_SIZE)
