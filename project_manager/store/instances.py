"""Instances: the processes that have this database open, with their heartbeats."""

from typing import NamedTuple

from sqlalchemy import bindparam, delete, insert, select, update

from project_manager.store.statement import Statement, bindparams
from project_manager.store.tables import instances
from project_manager.store.transaction import Tx

HEARTBEAT_SECONDS = 5
EXPIRES_AFTER_MS = 20_000


class InstanceRow(NamedTuple):
    """A stored instance. `kind` is serve, mcp or command. Times are in milliseconds since the epoch."""

    id: str
    host: str
    pid: int
    version: str
    kind: str
    started_at: int
    heartbeat_at: int


_COLUMNS = [instances.c[name] for name in InstanceRow._fields]
_INSERT = Statement(insert(instances).values(bindparams(*InstanceRow._fields)))
_BEAT = Statement(
    update(instances).where(instances.c.id == bindparam("instance")).values(heartbeat_at=bindparam("now"))
)
_DELETE = Statement(delete(instances).where(instances.c.id == bindparam("instance")))
_LIVE = Statement(
    select(*_COLUMNS).where(instances.c.heartbeat_at > bindparam("since")).order_by(instances.c.started_at)
)
_DELETE_EXPIRED = Statement(delete(instances).where(instances.c.heartbeat_at <= bindparam("since")))


def register(tx: Tx, instance: str, *, host: str, pid: int, version: str, kind: str) -> None:
    """Insert a process as an instance."""
    _INSERT.run(tx, id=instance, host=host, pid=pid, version=version, kind=kind, started_at=tx.now, heartbeat_at=tx.now)


def heartbeat(tx: Tx, instance: str) -> bool:
    """Record a heartbeat. Return False when the row is gone, for example after a restore."""
    return bool(_BEAT.run(tx, instance=instance, now=tx.now))


def unregister(tx: Tx, instance: str) -> None:
    """Delete an instance."""
    _DELETE.run(tx, instance=instance)


def live(tx: Tx) -> list[InstanceRow]:
    """Return the instances with a heartbeat in the last EXPIRES_AFTER_MS, ordered by start."""
    return _LIVE.all(tx, InstanceRow._make, since=tx.now - EXPIRES_AFTER_MS)


def delete_expired(tx: Tx) -> int:
    """Delete the instances without a heartbeat in the last EXPIRES_AFTER_MS and return their number."""
    return _DELETE_EXPIRED.run(tx, since=tx.now - EXPIRES_AFTER_MS)
