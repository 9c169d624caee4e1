"""Steps that fold events into the roll-ups of the flow.

A reader computes a step from one snapshot, and the writer stores it if the position is still the same. So each event
counts once, also with several instances, and the writer only writes rows.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import ColumnElement, bindparam, delete, func, select, true
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.sql.expression import literal_column

from project_manager.domain import durations
from project_manager.domain.events.tasks import TaskCreated
from project_manager.domain.flow import (
    ALL,
    HOUR_MS,
    IGNORED,
    AgentFlow,
    FlowHour,
    FlowState,
    Fold,
    FoldedEvent,
    TaskFlow,
    discovered,
    epic_scope,
    is_within,
    keys_of,
    of_unknown_past,
    project_scope,
)
from project_manager.store import chain, flow, pages, retention
from project_manager.store.events import EventRow
from project_manager.store.flow import BASE, COLUMNS, PRESENT, Position
from project_manager.store.functions import Number
from project_manager.store.statement import Statement, bindparams, elements, json_members
from project_manager.store.tables import events, tasks
from project_manager.store.tables_flow import COUNTERS, HISTOGRAMS, flow_hours, flow_position, flow_states
from project_manager.store.transaction import Tx

EVENTS_AT_ONCE = 1000
"""Maximum number of events in a step."""
SEEDS_AT_ONCE = 1000
"""Maximum number of tasks in a step that seeds states."""


@dataclass(slots=True)
class Step:
    """Changes to store. `states` are JSON by key, or None for a deleted one, and are stored on each of the `sides`.

    `was` is the position before, or None if there is none. A step with `restarts` first deletes all states. With
    `rebases`, a rebuild begins with the present states from now on.
    """

    was: Position | None
    position: Position
    sides: tuple[int, ...] = ()
    states: dict[str, str | None] = field(default_factory=dict)
    hours: dict[tuple[str, int], FlowHour] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    restarts: bool = False
    rebases: bool = False


UNREADABLE = (AttributeError, KeyError, TypeError, ValueError)
"""Errors of a row without a required part. Such an event is left out: it does not stop the fold and the retention."""
_NO_END = 2**62
_state = flow_states.c
_FIRST_POSITION = Statement(
    upsert(flow_position).values(id=literal_column("1"), **bindparams(*Position._fields)).on_conflict_do_nothing()
)
_STATES = Statement(
    select(_state.key, _state.value).where(_state.side == bindparam("side"), _state.key.in_(elements("keys")))
)
_members = json_members(bindparam("states")).alias("members")
_set_states = upsert(flow_states).from_select(
    ["side", "key", "value"],
    # Without a condition, SQLite would read ON CONFLICT as the condition of a join.
    select(bindparam("side", type_=Number), _members.c.key, _members.c.value).where(true()),
)
_SET_STATES = Statement(
    _set_states.on_conflict_do_update(
        index_elements=[_state.side, _state.key], set_={"value": _set_states.excluded.value}
    )
)
_ALL_STATES = Statement(select(_state.key, _state.value).where(_state.side == bindparam("side")))
_DELETE_STATES = Statement(
    delete(flow_states).where(_state.side == bindparam("side"), _state.key.in_(elements("keys")))
)
_SET_HOUR = Statement(
    upsert(flow_hours)
    .values(bindparams(*COLUMNS))
    .on_conflict_do_update(index_elements=[flow_hours.c.scope, flow_hours.c.hour], set_=bindparams(*COLUMNS[2:]))
)


def _is_within(name: ColumnElement[str]) -> ColumnElement[bool]:
    return (name == bindparam("scope")) | ((name >= bindparam("lowest")) & (name <= bindparam("highest")))


_DROP_HOURS = Statement(delete(flow_hours).where(_is_within(flow_hours.c.scope)))
_DROP_STATES = Statement(delete(flow_states).where(_state.side == bindparam("side"), _is_within(_state.key)))
_EVENT = [events.c[name] for name in EventRow._fields]
_NEXT = Statement(
    select(*_EVENT)
    .where(events.c.seq > bindparam("since"), events.c.seq <= bindparam("last"))
    .order_by(events.c.seq)
    .limit(bindparam("limit"))
)
_first = (
    select(func.min(events.c.seq))
    .where(events.c.task_id > bindparam("after"), events.c.task_id <= bindparam("last"))
    .group_by(events.c.task_id)
)
_FIRST_EVENTS = Statement(select(*_EVENT).where(events.c.seq.in_(_first)))
_TASKS = Statement(
    select(tasks.c.id, tasks.c.status, tasks.c.project_id, tasks.c.epic_id).where(
        tasks.c.id > bindparam("after"), tasks.c.id <= bindparam("last")
    )
)


def next_step(tx: Tx) -> Step | None:
    """Return the next step of the roll-ups, or None if they contain all events.

    The previous release may have removed events that are not folded, or that a rebuild would need.
    """
    was, floor = flow.position(tx), chain.floor(tx).seq
    if was is None or floor > was.seq:
        known_since = 0 if was is None else was.known_since
        seed_id = retention.facts(tx).get("tasks", 0)
        return Step(was, Position(floor, floor, known_since, seed_id=seed_id), restarts=True)
    if was.seed_id:
        return _seed(tx, was)
    if floor > was.base_seq:
        return Step(was, was._replace(base_seq=was.seq), rebases=True)
    found = _events_after(tx, was.seq, last=was.kept_seq if was.seq < was.kept_seq else _NO_END)
    return _roll_up(tx, was, found) if found else None


def _roll_up(tx: Tx, was: Position, found: list[EventRow]) -> Step:
    """Return the step that adds these events to the roll-ups."""
    state = _fold(tx, PRESENT, found)
    if was.seq < was.kept_seq:
        state.hours = {key: hour for key, hour in state.hours.items() if key[1] >= was.kept_hour}
    moved = was._replace(seq=found[-1].seq, known_since=was.known_since or found[0].at)
    return Step(was, moved, (PRESENT,), _encoded(state), _merged(tx, state), state.dropped)


def base_step(tx: Tx, before: int) -> Step | None:
    """Fold the oldest events into the states that a rebuild begins with, as far as retention removes them.

    These are events from before the instant `before` (milliseconds) that are in the roll-ups. Return None without any.
    """
    was = flow.position(tx)
    if was is None or was.seed_id:
        return None
    last = retention.last_before(tx, was.base_seq, before)
    found = [] if last is None else _events_after(tx, was.base_seq, last=min(last, was.seq))
    if not found:
        return None
    state = _fold(tx, BASE, found)
    return Step(was, was._replace(base_seq=found[-1].seq), (BASE,), _encoded(state), dropped=state.dropped)


def _seed(tx: Tx, was: Position) -> Step:
    """Add the states of the last tasks that existed before the first kept event.

    Their status is the one before their first kept event, or the present one without any.
    """
    after = max(0, was.seed_id - SEEDS_AT_ONCE)
    known: dict[int, TaskFlow | None] = {}
    for row in _FIRST_EVENTS.each(tx, after=after, last=was.seed_id):
        event = _folded(EventRow._make(row))
        if event.task_id is not None:
            known[event.task_id] = None if event.type == TaskCreated.type else discovered(event)
    for task_id, status, project_id, epic_id in _TASKS.rows(tx, after=after, last=was.seed_id):
        known.setdefault(task_id, of_unknown_past(status, project_id, epic_id))
    state = FlowState()
    seeds = {task_id: task for task_id, task in known.items() if task is not None}
    _load(tx, PRESENT, state, _scope_keys(seeds.values()))
    fold, at = Fold(state), flow.as_of(tx, was.seq)
    for task_id, task in sorted(seeds.items()):
        fold.seed(task_id, task, at)
    return Step(was, was._replace(seed_id=after), (PRESENT, BASE), _encoded(state), _merged(tx, state))


def _events_after(tx: Tx, since: int, *, last: int = _NO_END) -> list[EventRow]:
    return pages.page(tx, EventRow._make, _NEXT, {"since": since, "last": last}, EVENTS_AT_ONCE)[0]


def _fold(tx: Tx, side: int, rows: list[EventRow]) -> FlowState:
    """Return the state after these events. Its roll-ups are those of these events alone."""
    found = [event for row in rows if row.type not in IGNORED and (event := _readable(row)) is not None]
    state = FlowState()
    _load(tx, side, state, keys_of(found))
    known = [task for task in state.tasks.values() if task is not None]
    holders = {f"agent:{task.holder}" for task in known if task.holder is not None}
    scopes = {f"scope:{scope}" for event in found for scope in _scopes(event.project_id, event.epic_id)}
    _load(tx, side, state, holders | scopes | _scope_keys(known))
    fold = Fold(state)
    for event in found:
        with suppress(*UNREADABLE):
            fold.apply(event)
    return state


def base_states(tx: Tx) -> FlowState:
    """Return the states that a rebuild begins with. Raises one of UNREADABLE."""
    state = FlowState()
    _add_states(state, _ALL_STATES.each(tx, side=BASE))
    return state


def hours_of_events(tx: Tx, was: Position, state: FlowState) -> Iterator[tuple[int, dict[str, FlowHour]]]:
    """Fold the kept events again from the `base_states`, and yield each hour when it ends, with its roll-ups by scope.

    If the clock was set back, an hour can begin and end more than once.
    """
    since, hour, fold = was.base_seq, -1, Fold(state)
    while found := _events_after(tx, since, last=was.seq):
        for row in found:
            event = None if row.type in IGNORED else _readable(row)
            if event is None:
                continue
            with suppress(*UNREADABLE):
                fold.apply(event)
            if event.at // HOUR_MS != hour:
                yield from _take_hour(state, hour)
                hour = event.at // HOUR_MS
        since = found[-1].seq
    yield from _take_hour(state, hour)


def _take_hour(state: FlowState, hour: int) -> Iterator[tuple[int, dict[str, FlowHour]]]:
    taken = {key[0]: state.hours.pop(key) for key in [*state.hours] if key[1] == hour}
    if taken:
        yield hour, taken


def _readable(row: EventRow) -> FoldedEvent | None:
    """Return the event, or None if another program has damaged it. The check of the history reports it."""
    try:
        found = _folded(row)
    except UNREADABLE:
        return None
    return found if isinstance(found.data, dict) else None


def _folded(row: EventRow) -> FoldedEvent:
    is_by_agent = row.actor_kind == "agent"
    return FoldedEvent(
        row.type, row.at, row.actor_id, is_by_agent, row.project_id, row.epic_id, row.task_id, orjson.loads(row.data)
    )


def _scope_keys(known: Iterable[TaskFlow]) -> set[str]:
    scopes = {scope for task in known for scope in _scopes(task.project_id, task.epic_id)}
    return {f"scope:{scope}" for scope in (ALL, *scopes)}


def _scopes(project_id: int | None, epic_id: int | None) -> list[str]:
    if project_id is None:
        return []
    project = project_scope(project_id)
    return [project] if epic_id is None else [project, epic_scope(project_id, epic_id)]


def _load(tx: Tx, side: int, state: FlowState, keys: Iterable[str]) -> None:
    """Add the stored states with these keys to `state`."""
    _add_states(state, _STATES.rows(tx, side=side, keys=json.dumps(sorted(keys))))


def _add_states(state: FlowState, rows: Iterable[Any]) -> None:
    for key, value in rows:
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
    present = [hour for _, hour in state.hours]
    stored = flow.among(tx, sorted({scope for scope, _ in state.hours}), min(present), max(present))
    for key, earlier in stored.items():
        later = state.hours.get(key)
        if later is not None and not any(is_within(key[0], scope) for scope in state.dropped):
            _add(later, earlier)
    return state.hours


def _add(later: FlowHour, earlier: FlowHour) -> None:
    for name in COUNTERS:
        setattr(later, name, getattr(later, name) + getattr(earlier, name))
    for name in HISTOGRAMS:
        setattr(later, name, durations.merged((getattr(earlier, name), getattr(later, name))))


def store(tx: Tx, step: Step) -> bool:
    """Write a step. Return False, and write nothing, if another one was written since it was computed."""
    if step.was is None:
        moved = _FIRST_POSITION.run(tx, **step.position._asdict()) == 1
    else:
        moved = flow.move(tx, step.was, step.position)
    if not moved:
        return False
    if step.restarts:
        flow.delete_states(tx, PRESENT)
        flow.delete_states(tx, BASE)
    if step.rebases:
        flow.copy_states(tx, PRESENT, BASE)
    for scope in step.dropped:
        _drop(tx, step, scope)
    kept = {key: value for key, value in step.states.items() if value is not None}
    for side in step.sides:
        _SET_STATES.write(tx, side=side, states=orjson.dumps(kept).decode())
        if len(kept) < len(step.states):
            _DELETE_STATES.write(tx, side=side, keys=json.dumps(sorted(step.states.keys() - kept.keys())))
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
    """Return bounds of the names of the epics in a project."""
    return {"lowest": f"{scope}/", "highest": f"{scope}/~"}


def _columns(hour: FlowHour) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(hour, name) for name in COUNTERS}
    values |= {name: orjson.dumps(sorted(getattr(hour, name).items())).decode() for name in HISTOGRAMS}
    values["counts"] = None if hour.counts is None else orjson.dumps(hour.counts).decode()
    return values
