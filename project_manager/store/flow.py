"""Hourly roll-ups of the flow: reads, retention and the start of a rebuild. `flow_steps.py` folds events into them."""

import json
from typing import Any, NamedTuple

import orjson
from sqlalchemy import ColumnElement, bindparam, case, delete, func, insert, select, tuple_, update
from sqlalchemy.sql.expression import literal_column

from project_manager.domain.flow import HOUR_MS, STATUSES, Counts, FlowHour
from project_manager.domain.limits import DELETE_BATCH_SIZE
from project_manager.store.statement import Statement, bindparams, elements
from project_manager.store.tables import events
from project_manager.store.tables_flow import COUNTERS, HISTOGRAMS, flow_hours, flow_position, flow_states
from project_manager.store.transaction import Tx

PRESENT, BASE = 0, 1
"""The sides of the states: at the last folded event, and at the event after which a rebuild begins."""


class Position(NamedTuple):
    """The progress of the fold.

    `seq` is the last folded event, and a rebuild begins after `base_seq`. `known_since` is the time of the first folded
    event, or 0. Up to the event `kept_seq`, a rebuild leaves the roll-ups before `kept_hour` as they are. The states of
    tasks from before the first kept event are still missing up to the id `seed_id`.
    """

    seq: int
    base_seq: int
    known_since: int = 0
    kept_hour: int = 0
    kept_seq: int = 0
    seed_id: int = 0


COLUMNS = ("scope", "hour", *COUNTERS, *HISTOGRAMS, "counts")
_ONE: ColumnElement[int] = literal_column("1")
_hours = flow_hours.c
_ROW = [_hours[name] for name in COLUMNS]
_POSITION = Statement(select(*[flow_position.c[name] for name in Position._fields]))
_IN_RANGE = Statement(
    select(*_ROW)
    .where(_hours.scope == bindparam("scope"), _hours.hour.between(bindparam("first"), bindparam("last")))
    .order_by(_hours.hour)
)
_AMONG = Statement(
    select(*_ROW).where(
        _hours.scope.in_(elements("scopes")), _hours.hour.between(bindparam("first"), bindparam("last"))
    )
)
_of_scope = select(_hours.counts).where(_hours.scope == bindparam("scope")).limit(_ONE)
_before = _of_scope.where(_hours.hour < bindparam("first")).order_by(_hours.hour.desc())
_later = select(_hours.hour).where(_hours.scope == bindparam("scope"), _hours.hour >= bindparam("first")).limit(_ONE)
_present = select(flow_states.c.value).where(
    flow_states.c.side == literal_column(str(PRESENT)), flow_states.c.key == bindparam("key")
)
_OF_HOUR = Statement(select(*_ROW).where(_hours.hour == bindparam("hour")))
_COUNTS_BEFORE = Statement(
    select(
        func.coalesce(_before.scalar_subquery(), case((_later.scalar_subquery().is_(None), _present.scalar_subquery())))
    )
)
_NEXT_AT = Statement(select(events.c.at).where(events.c.seq > bindparam("seq")).order_by(events.c.seq).limit(_ONE))
_oldest = select(_hours.scope, _hours.hour).where(_hours.hour < bindparam("hour")).limit(bindparam("limit"))
_DELETE_OLDEST = Statement(delete(flow_hours).where(tuple_(_hours.scope, _hours.hour).in_(_oldest)))
_DELETE_FROM = Statement(delete(flow_hours).where(_hours.hour >= bindparam("hour")))
_MOVE = Statement(
    update(flow_position)
    .where(*[flow_position.c[name] == bindparam(f"was_{name}") for name in Position._fields])
    .values(bindparams(*Position._fields))
)
_DELETE_STATES = Statement(delete(flow_states).where(flow_states.c.side == bindparam("side")))
_source = flow_states.alias("source")
_COPY_STATES = Statement(
    insert(flow_states).from_select(
        ["side", "key", "value"],
        select(bindparam("target", type_=flow_states.c.side.type), _source.c.key, _source.c.value).where(
            _source.c.side == bindparam("side")
        ),
    )
)


def position(tx: Tx) -> Position | None:
    """Return the progress of the fold, or None before the first start."""
    return _POSITION.one(tx, Position._make)


def move(tx: Tx, was: Position, now: Position) -> bool:
    """Store the progress. Return False if it is no longer `was`."""
    before = {f"was_{name}": value for name, value in was._asdict().items()}
    return _MOVE.run(tx, **before, **now._asdict()) == 1


def hours(tx: Tx, scope: str, first: int, last: int) -> dict[int, FlowHour]:
    """Return the roll-ups of a scope by hour, from `first` to `last`. An hour without events has none."""
    return {row[1]: _hour(row) for row in _IN_RANGE.rows(tx, scope=scope, first=first, last=last)}


def of_hour(tx: Tx, hour: int) -> dict[str, FlowHour]:
    """Return the roll-ups of all scopes in an hour."""
    return {row[0]: _hour(row) for row in _OF_HOUR.rows(tx, hour=hour)}


def among(tx: Tx, scopes: list[str], first: int, last: int) -> dict[tuple[str, int], FlowHour]:
    """Return the roll-ups of these scopes by scope and hour, from `first` to `last`."""
    rows = _AMONG.rows(tx, scopes=json.dumps(scopes), first=first, last=last)
    return {(row[0], row[1]): _hour(row) for row in rows}


def _hour(row: tuple[Any, ...]) -> FlowHour:
    values: dict[str, Any] = dict(zip(COLUMNS[2:], row[2:], strict=True))
    for name in HISTOGRAMS:
        values[name] = dict(orjson.loads(values[name]))
    values["counts"] = None if values["counts"] is None else orjson.loads(values["counts"])
    return FlowHour(**values)


def counts_before(tx: Tx, scope: str, hour: int) -> Counts:
    """Return the numbers of tasks by status at the beginning of an hour.

    They are the present ones if the scope has no roll-up, because it had no event for so long.
    """
    stored = _COUNTS_BEFORE.value(tx, scope=scope, first=hour, key=f"scope:{scope}")
    return dict.fromkeys(STATUSES, 0) if stored is None else orjson.loads(stored)


def as_of(tx: Tx, seq: int) -> int:
    """Return the instant before which all events are folded, if `seq` is the last folded one."""
    following = _NEXT_AT.value(tx, seq=seq)
    return tx.now if following is None else int(following)


def base_seq(tx: Tx) -> int | None:
    """Return the newest event that retention may remove, or None before the first start."""
    found = position(tx)
    return None if found is None else found.base_seq


def delete_older(tx: Tx, before: int) -> int:
    """Delete up to DELETE_BATCH_SIZE roll-ups from before the instant `before` (milliseconds)."""
    return _DELETE_OLDEST.run(tx, hour=before // HOUR_MS, limit=DELETE_BATCH_SIZE)


def delete_states(tx: Tx, side: int) -> None:
    _DELETE_STATES.write(tx, side=side)


def copy_states(tx: Tx, source: int, target: int) -> None:
    """Replace the states of a side by those of the other one."""
    delete_states(tx, target)
    _COPY_STATES.write(tx, side=source, target=target)


def first_whole_hour(tx: Tx, was: Position) -> int | None:
    """Return the first hour with all of its events, or None without events."""
    first_at = _NEXT_AT.value(tx, seq=was.base_seq)
    return None if first_at is None else int(first_at) // HOUR_MS + (1 if was.base_seq else 0)


def begin_rebuild(tx: Tx) -> tuple[int, int] | None:
    """Return to the states after which all events are kept, and delete the roll-ups of later hours.

    Return the first hour that is rebuilt, and the number of events to fold. Return None if there is nothing to rebuild.
    The hour of the first kept event stays as it is, unless no event was ever removed.
    """
    was = position(tx)
    hour = None if was is None else first_whole_hour(tx, was)
    if was is None or hour is None or was.seed_id or was.base_seq >= was.seq:
        return None
    _DELETE_FROM.write(tx, hour=hour)
    copy_states(tx, BASE, PRESENT)
    kept_seq = max(was.seq, was.kept_seq)
    move(tx, was, was._replace(seq=was.base_seq, kept_hour=hour, kept_seq=kept_seq))
    return hour, was.seq - was.base_seq
