"""The single row about the database: its epoch, its clock, and the floors of fences and events."""

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.sql.expression import literal_column

from project_manager.store.database_clock import STEP_MS, ClockMark
from project_manager.store.statement import Statement, bindparams
from project_manager.store.tables import events, meta
from project_manager.store.transaction import Tx

_LAST_EVENT = select(events.c.at).order_by(events.c.seq.desc()).limit(literal_column("1")).scalar_subquery()
_CLOCK_COLUMNS = [meta.c[name] for name in ("clock_offset", "clock_boot", "clock_jump_at", "clock_followed_at")]
_CLOCK = Statement(select(meta.c.clock_high, func.coalesce(_LAST_EVENT, literal_column("0")), *_CLOCK_COLUMNS))
_RAISE_CLOCK = Statement(update(meta).values(clock_high=bindparam("now")))
_STORE_CLOCK = Statement(
    update(meta).values(bindparams("clock_high", "clock_offset", "clock_boot", "clock_jump_at", "clock_followed_at"))
)
_EPOCH = Statement(select(meta.c.epoch))
_FENCE_FLOOR = Statement(select(meta.c.fence_floor))
_EVENT_FLOOR = Statement(select(meta.c.event_floor))
_BEGIN_EPOCH = Statement(update(meta).values(epoch=bindparam("new_epoch"), fence_floor=bindparam("floor")))


def clock_high(tx: Tx) -> int:
    """Return the latest instant of a batch in milliseconds, to within a second for a batch without events."""
    return clock_mark(tx).latest


def clock_mark(tx: Tx) -> ClockMark:
    """Return the stored clock of the database."""
    high, last_event, *rest = _CLOCK.row(tx) or (0, 0)
    return ClockMark(_latest(high, last_event), *rest)


def store_clock(tx: Tx, mark: ClockMark) -> None:
    _STORE_CLOCK.write(
        tx,
        clock_high=mark.latest,
        clock_offset=mark.offset,
        clock_boot=mark.boot,
        clock_jump_at=mark.jump_at,
        clock_followed_at=mark.followed_at,
    )


def raise_clock(tx: Tx, now: int) -> None:
    """Set the latest instant that a batch has used."""
    _RAISE_CLOCK.write(tx, now=now)


def _latest(high: int, last_event: int) -> int:
    """Return the later instant. Return `high` when the last event is STEP_MS or more after `high`.

    A batch at that instant would have raised `high`. So a restore has lowered `high` after such an event.
    """
    return max(high, last_event) if last_event < high + STEP_MS else high


def epoch(tx: Tx) -> str:
    """Return the id of the present history of events. A restore begins a new history."""
    return str(_EPOCH.value(tx))


def fence_floor(tx: Tx) -> int:
    """Return the fence of a new task. It is above all fences that were issued before the last restore."""
    return int(_FENCE_FLOOR.value(tx))


def event_floor(tx: Tx) -> int:
    """Return the last `seq` that retention has removed, or 0 when there is none."""
    return int(_EVENT_FLOOR.value(tx))


def begin_epoch(tx: Tx, new_epoch: str, floor: int) -> None:
    """Set the id of a new history of events, and the fence floor."""
    _BEGIN_EPOCH.run(tx, new_epoch=new_epoch, floor=floor)
