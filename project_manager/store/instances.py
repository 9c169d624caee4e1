"""Instances: the processes that have this database open, with their heartbeats."""

import os
import socket
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import bindparam, delete, insert, select, update

from project_manager.clock import rfc3339
from project_manager.store.errors import DatabaseInUse
from project_manager.store.statement import Statement, bindparams
from project_manager.store.tables import instances
from project_manager.store.transaction import Tx

HEARTBEAT_SECONDS = 5
EXPIRES_AFTER_MS = 20_000
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


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


def running(tx: Tx) -> list[InstanceRow]:
    """Return the live instances, without this process and without rows of killed processes on this host.

    Another process, even this one, may have the process id of a killed process now.
    """
    host = this_host()
    return [
        other for other in live(tx) if other.host != host or (other.pid != os.getpid() and _process_exists(other.pid))
    ]


def check_unused(tx: Tx) -> None:
    """Raise DatabaseInUse if another process uses the database."""
    for other in running(tx):
        gone = rfc3339(other.heartbeat_at + EXPIRES_AFTER_MS)
        raise DatabaseInUse(
            f"process {other.pid} on {other.host} ({other.kind}) uses the database: stop it first; "
            f"if it has already stopped, retry after {gone}"
        )


def this_host() -> str:
    """Return `HOSTNAME@BOOT_ID`: the name of this machine or container, and the id of the machine's current boot."""
    return f"{socket.gethostname()}@{_boot()}"


def host_name(instance: InstanceRow) -> str:
    """Return the name of the machine or container of an instance."""
    return instance.host.partition("@")[0]


def is_on_this_machine(instance: InstanceRow) -> bool:
    """Return whether an instance runs on this machine, perhaps in another container."""
    return instance.host.partition("@")[2] == _boot()


def _boot() -> str:
    """Return the boot id. Containers on one machine share it, and two machines never do. It is empty without /proc."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""


def _process_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
