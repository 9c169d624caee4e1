"""Removal of the oldest events.

`meta.floor_hash` keeps the hash of the newest removed event, so that the rest of the chain can be checked.
`meta.floor_facts` keeps the newest `fence_floor`, and for each table the highest id in a removed event. A row with a
higher id must have an event, and an older row may have lost its events.
"""

from typing import Any

import orjson
from sqlalchemy import bindparam, cast, delete, func, select, update
from sqlalchemy.sql.expression import literal_column

from project_manager.domain.events.database import DatabaseRestored
from project_manager.store import chain
from project_manager.store.functions import AsNumber, JsonMember, Number
from project_manager.store.statement import Statement, json_members
from project_manager.store.tables import events, meta
from project_manager.store.transaction import Tx

AT_ONCE = 2000
"""Maximum number of events that one transaction removes."""

Facts = dict[str, int]

_FACTS = Statement(select(meta.c.floor_facts))
_LAST_OLD = Statement(
    select(func.max(events.c.seq)).where(
        events.c.seq > bindparam("floor"), events.c.seq <= bindparam("limit"), events.c.at < bindparam("before")
    )
)
_HASH = Statement(select(events.c.hash).where(events.c.seq == bindparam("seq")))
_of_table = json_members(events.c.sealed).alias("of_table")
_of_row = json_members(_of_table.c.value).alias("of_row")
_HIGHEST_SEALED = Statement(
    select(_of_table.c.key, func.max(cast(_of_row.c.key, Number)))
    .select_from(events, _of_table, _of_row)
    .where(
        events.c.seq <= bindparam("seq"),
        events.c.sealed.is_not(None),
        func.substr(_of_table.c.value, literal_column("1"), literal_column("1")) == literal_column("'{'"),
    )
    .group_by(_of_table.c.key)
)
_FENCE_FLOOR = Statement(
    select(func.max(AsNumber(JsonMember(events.c.data, literal_column("fence_floor"))))).where(
        events.c.seq <= bindparam("seq"), events.c.type == bindparam("type")
    )
)
_REMOVE = Statement(delete(events).where(events.c.seq <= bindparam("seq")))
_RAISE_FLOOR = Statement(
    update(meta).values(event_floor=bindparam("seq"), floor_hash=bindparam("hash"), floor_facts=bindparam("facts"))
)


def facts(tx: Tx) -> Facts:
    """Return `meta.floor_facts`: the highest id in a removed event, by table, and the newest `fence_floor`."""
    found: Facts = orjson.loads(_FACTS.value(tx))
    return found


def delete_old_events(tx: Tx, before: int, *, last: int | None = None) -> int:
    """Delete up to AT_ONCE events from before the instant `before` (milliseconds) and return their number.

    Events after the event `last` are kept, unless it is None.

    An event counts as at least as old as the events after it, because the clock may have been wrong.
    """
    floor = chain.floor(tx).seq
    newest = last_before(tx, floor, before)
    if newest is None or (last is not None and last <= floor):
        return 0
    last = newest if last is None else min(newest, last)
    kept = facts(tx)
    for table, number in _highest(tx, last):
        kept[table] = max(number, kept.get(table, 0))
    values: dict[str, Any] = {"hash": _HASH.value(tx, seq=last), "facts": orjson.dumps(kept).decode()}
    _RAISE_FLOOR.run(tx, seq=last, **values)
    return _REMOVE.run(tx, seq=last)


def last_before(tx: Tx, seq: int, before: int) -> int | None:
    """Return the last of the AT_ONCE events after `seq` from before the instant `before`, or None without any."""
    last: int | None = _LAST_OLD.value(tx, floor=seq, limit=seq + AT_ONCE, before=before)
    return last


def _highest(tx: Tx, last: int) -> list[tuple[str, int]]:
    found = [(str(table), int(number)) for table, number in _HIGHEST_SEALED.rows(tx, seq=last)]
    fence_floor = _FENCE_FLOOR.value(tx, seq=last, type=DatabaseRestored.type)
    return found if fence_floor is None else [*found, ("fence_floor", int(fence_floor))]
