"""The single row that speaks of the database itself: its epoch, how far the clock got, where fences begin."""

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.sql.expression import literal_column

from project_manager.store.compiled import Statement
from project_manager.store.schema import events, meta
from project_manager.store.transaction import Tx

_LAST_EVENT = select(events.c.at).order_by(events.c.seq.desc()).limit(literal_column("1")).scalar_subquery()
_CLOCK_HIGH = Statement(select(func.max(meta.c.clock_high, func.coalesce(_LAST_EVENT, literal_column("0")))))
_RAISE_CLOCK = Statement(update(meta).values(clock_high=bindparam("now")))
_EPOCH = Statement(select(meta.c.epoch))
_FENCE_FLOOR = Statement(select(meta.c.fence_floor))
_EVENT_FLOOR = Statement(select(meta.c.event_floor))
_RAISE_EVENT_FLOOR = Statement(update(meta).values(event_floor=bindparam("seq")))
_RENEW = Statement(update(meta).values(epoch=bindparam("new_epoch"), fence_floor=bindparam("floor")))


def clock_high(tx: Tx) -> int:
    """The latest instant that a batch has used: exactly when it wrote an event, else to within a second;
    milliseconds since the epoch.
    """
    return int(_CLOCK_HIGH.value(tx))


def raise_clock(tx: Tx, now: int) -> None:
    _RAISE_CLOCK.run(tx, now=now)


def epoch(tx: Tx) -> str:
    """Names this history of events; a restore begins another."""
    return str(_EPOCH.value(tx))


def fence_floor(tx: Tx) -> int:
    """Fences of new tasks begin here, above all that were handed out before a restore."""
    return int(_FENCE_FLOOR.value(tx))


def event_floor(tx: Tx) -> int:
    """The last `seq` that retention has removed; 0 when none."""
    return int(_EVENT_FLOOR.value(tx))


def raise_event_floor(tx: Tx, seq: int) -> None:
    _RAISE_EVENT_FLOOR.run(tx, seq=seq)


def begin_epoch(tx: Tx, new_epoch: str, floor: int) -> None:
    _RENEW.run(tx, new_epoch=new_epoch, floor=floor)
