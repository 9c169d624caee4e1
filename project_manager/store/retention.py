"""Removal of the oldest events.

`meta.floor_hash` keeps the hash of the newest removed event, so that the rest of the chain can be checked.
`meta.floor_facts` keeps the newest `fence_floor`, and for each table the highest id in a removed event. A row with a
higher id must have an event, and an older row may have lost its events.
"""

from typing import Any

import orjson
from sqlalchemy import bindparam, delete, func, select, text, update

from project_manager.domain.events import DatabaseRestored
from project_manager.store import chain
from project_manager.store.statement import Statement
from project_manager.store.tables import events, meta
from project_manager.store.transaction import Tx

AT_ONCE = 2000
"""Maximum number of events that one transaction removes."""

Facts = dict[str, int]

_FACTS = Statement(select(meta.c.floor_facts))
_LAST_OLD = Statement(
    select(func.max(events.c.seq)).where(events.c.seq <= bindparam("limit"), events.c.at < bindparam("before"))
)
_HASH = Statement(select(events.c.hash).where(events.c.seq == bindparam("seq")))
_HIGHEST_SEALED = (
    "SELECT of_table.key, max(CAST(of_row.key AS INTEGER)) FROM events, json_each(events.sealed) AS of_table, "
    "json_each(of_table.value) AS of_row "
    "WHERE events.seq <= ? AND events.sealed IS NOT NULL AND of_table.type = 'object' GROUP BY of_table.key"
)
_FENCE_FLOOR = Statement(
    select(func.max(func.json_extract(events.c.data, text("'$.fence_floor'")))).where(
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


def delete_old_events(tx: Tx, before: int) -> int:
    """Delete up to AT_ONCE events from before the instant `before` (milliseconds) and return their number.

    An event counts as at least as old as the events after it, because the clock may have been wrong.
    """
    floor = chain.floor(tx).seq
    last = _LAST_OLD.value(tx, limit=floor + AT_ONCE, before=before)
    if last is None:
        return 0
    kept = facts(tx)
    for table, number in _highest(tx, last):
        kept[table] = max(number, kept.get(table, 0))
    values: dict[str, Any] = {"hash": _HASH.value(tx, seq=last), "facts": orjson.dumps(kept).decode()}
    _RAISE_FLOOR.run(tx, seq=last, **values)
    return _REMOVE.run(tx, seq=last)


def _highest(tx: Tx, last: int) -> list[tuple[str, int]]:
    found = [(str(row[0]), int(row[1])) for row in tx.connection.execute(_HIGHEST_SEALED, (last,)).fetchall()]
    fence_floor = _FENCE_FLOOR.value(tx, seq=last, type=DatabaseRestored.type)
    return found if fence_floor is None else [*found, ("fence_floor", int(fence_floor))]
