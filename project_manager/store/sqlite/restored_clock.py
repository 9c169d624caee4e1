"""Clock of a restored database. A restore may lower it, because a restore ends every lease."""

from typing import Any

from project_manager.store import meta, revisions
from project_manager.store.database_clock import JUMP_MS, ClockMark
from project_manager.store.transaction import Tx

_FUTURE = (("answers", "created_at"), ("agents", "last_seen_at"), ("ended_leases", "ended_at"))
"""Columns with instants that decide when rows are deleted or shown as recent."""


def start_instant(wall: int, high: int) -> int:
    """Return the instant at which the restored database begins, in milliseconds.

    This is the later of the wall clock `wall` and the last database time `high`. When `high` is more than JUMP_MS
    ahead, it is `wall`.
    """
    return wall if high - wall > JUMP_MS else max(wall, high)


def lower_clock(tx: Tx, connection: Any) -> None:
    """Set the clock of the database to `tx.now`. Later instants in rows are lowered to it.

    `connection` is the connection of the transaction. A backup with an older schema may lack columns and tables.
    """
    if revisions.has_column(connection, "meta", "clock_offset"):
        meta.store_clock(tx, ClockMark(tx.now))
    else:
        meta.raise_clock(tx, tx.now)
    for table, column in _FUTURE:
        if revisions.has_column(connection, table, column):
            tx.execute(f"UPDATE {table} SET {column} = ? WHERE {column} > ?", (tx.now, tx.now))  # noqa: S608
    tx.execute("UPDATE tasks SET deferred = 1 WHERE deferred = 0 AND defer_until > ?", (tx.now,))
