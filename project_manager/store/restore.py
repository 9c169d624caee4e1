"""Putting a backup in the place of a database that nobody uses.

What came after the backup is lost, and the world outside remembers it: so a restored database begins a new epoch (its
event numbers are not those that clients have seen), and every fence is raised above all that can have been handed out.
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import bindparam, delete, func, literal_column, select, update

from project_manager.clock import rfc3339
from project_manager.domain.actors import SYSTEM
from project_manager.domain.events import EventType
from project_manager.domain.leases import UnlockReason
from project_manager.store import backup, dialect, events, instances, lease_history, meta, revisions
from project_manager.store.backup import BackupRefused, InUse
from project_manager.store.compiled import Statement
from project_manager.store.database import this_host
from project_manager.store.lease_history import LeaseRow
from project_manager.store.schema import instances as instances_table
from project_manager.store.schema import tasks, waiters
from project_manager.store.transaction import Tx

# Where SQLite's connections hold their shared lock (www.sqlite.org/fileformat2.html, "the lock-byte page").
_SHARED_LOCKS = 0x40000002
_SHARED_LOCKS_LENGTH = 510

_HELD = Statement(
    select(
        tasks.c.id,
        tasks.c.project_id,
        tasks.c.epic_id,
        tasks.c.lock_holder,
        tasks.c.lock_from,
        tasks.c.fence,
        tasks.c.name,
        tasks.c.lock_acquired_at,
        tasks.c.lock_expires_at,
    )
    .where(tasks.c.lock_holder.is_not(None))
    .order_by(tasks.c.id)
)
_LET_GO = Statement(
    update(tasks)
    .where(tasks.c.lock_holder.is_not(None))
    .values(
        status=tasks.c.lock_from,
        lock_holder=literal_column("NULL"),
        lock_acquired_at=literal_column("NULL"),
        lock_expires_at=literal_column("NULL"),
        lock_ttl=literal_column("NULL"),
        lock_from=literal_column("NULL"),
        lock_fenced=0,
        version=tasks.c.version + 1,
        updated_at=bindparam("now"),
    )
)
_HIGHEST_FENCE = Statement(select(func.coalesce(func.max(tasks.c.fence), 0)))
_RAISE_FENCES = Statement(update(tasks).where(tasks.c.fence < bindparam("floor")).values(fence=bindparam("floor")))
_FORGET_INSTANCES = Statement(delete(instances_table))
_FORGET_WAITERS = Statement(delete(waiters))


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did. `kept` is the database that was there before; new leases get fences above `fence_floor`."""

    kept: Path | None
    epoch: str
    fence_floor: int
    released: int


def restore(source: Path, database: Path, now: int) -> Restored:
    """Replaces the database by the backup `source`, in one step. `now` is milliseconds since the epoch.

    Raises BackupRefused when the backup is not whole, InUse when a process has the database open; then nothing changes.
    """
    _check_source(source, database)
    prepared = database.with_name(f".{database.name}.restoring-{os.getpid()}")
    try:
        now, floor = _settle_present(database, now)
        _copy(source, prepared)
        restored = _begin_anew(prepared, now, floor)
        with _nobody_uses(database):
            kept = _set_aside(database, now)
            if kept is not None:
                shutil.copymode(kept, prepared)
            _give_to_owner(prepared, database.parent if kept is None else kept)
            backup.put(prepared, database)
    except OSError as error:
        raise BackupRefused(f"the database {database} cannot be written: {error.strerror}") from error
    finally:
        backup.remove(prepared)
    return Restored(kept, restored.epoch, restored.fence_floor, restored.released)


def _check_source(source: Path, database: Path) -> None:
    if not source.is_file():
        raise BackupRefused(f"there is no backup at {source}")
    if database.exists() and source.samefile(database):
        raise BackupRefused("a database cannot be restored from itself")
    found = backup.examine(source)
    if found.faults:
        raise BackupRefused(f"the backup {source} is not whole: {'; '.join(found.faults)}")
    if not database.parent.is_dir():
        raise BackupRefused(f"there is no folder {database.parent}")


def _copy(source: Path, prepared: Path) -> None:
    try:
        connection = backup.opened_to_read(source)
        try:
            backup.copy(connection, prepared)
        finally:
            connection.close()
    except dialect.DriverError as error:
        raise BackupRefused(f"the backup {source} cannot be copied: {error}") from error


def _settle_present(database: Path, now: int) -> tuple[int, int]:
    """Makes sure that nobody uses the present database and makes one file of it; the instant and fence to begin above.

    A database that cannot be read any more, the usual reason to restore, has nothing to say here.
    """
    if not database.exists() or database.stat().st_size == 0:
        return now, now
    with _nobody_uses(database):
        pass
    try:
        connection = dialect.connect(str(database))
        try:
            connection.execute("PRAGMA busy_timeout=200")
            tx = Tx(connection.execute, now, SYSTEM, "", 0)
            tx.now = max(now, meta.clock_high(tx))
            _refuse_live(tx)
            floor = max(tx.now, meta.fence_floor(tx) + 1, int(_HIGHEST_FENCE.value(tx)) + 1)
            backup.single_file(connection)
            return tx.now, floor
        finally:
            connection.close()
    except dialect.DriverError as error:
        if dialect.error_name(error).startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise InUse(_in_use(database)) from error
        return now, now


def _refuse_live(tx: Tx) -> None:
    for other in instances.live(tx):
        if other.host == this_host() and not _runs(other.pid):
            continue
        gone = rfc3339(other.heartbeat_at + instances.SILENT_AFTER_MS)
        raise InUse(
            f"process {other.pid} on {other.host} ({other.kind}) uses the database: stop it first; "
            f"if it is gone already, it counts as gone from {gone} on"
        )


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def _nobody_uses(database: Path) -> Iterator[None]:
    """Holds, in place of SQLite, the lock that each of its connections would need. Raises InUse."""
    if not database.exists():
        yield
        return
    with database.open("r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, _SHARED_LOCKS_LENGTH, _SHARED_LOCKS)
        except OSError as error:
            raise InUse(_in_use(database)) from error
        yield


def _in_use(database: Path) -> str:
    return f"a process has the database {database} open: stop the server and whatever else uses it, then restore"


def _begin_anew(prepared: Path, now: int, floor: int) -> Restored:
    connection = dialect.connect(str(prepared))
    try:
        connection.execute(dialect.BEGIN_WRITE)
        tx = Tx(connection.execute, now, SYSTEM, "", 0)
        tx.now = max(now, meta.clock_high(tx))
        floor = max(floor, meta.fence_floor(tx) + 1, int(_HIGHEST_FENCE.value(tx)) + 1)
        epoch = secrets.token_hex(8)
        released = _end_leases(tx, recorded=revisions.has_table(connection, "ended_leases"))
        meta.begin_epoch(tx, epoch, floor)
        _RAISE_FENCES.run(tx, floor=floor)
        _FORGET_INSTANCES.run(tx)
        _FORGET_WAITERS.run(tx)
        connection.execute("COMMIT")
        backup.single_file(connection)
    finally:
        connection.close()
    return Restored(None, epoch, floor, released)


def _end_leases(tx: Tx, *, recorded: bool) -> int:
    """Nobody can hold anything in a past that has come back: held tasks return to where they were claimed from.

    A backup of an older schema has no table for leases that ended (`recorded` is false); its migration fills the
    table from the events.
    """
    held = _HELD.rows(tx)
    _LET_GO.run(tx, now=tx.now)
    for task_id, project_id, epic_id, holder, status, fence, name, acquired_at, expires_at in held:
        reason = UnlockReason.FORCED.value
        if recorded:
            lease = LeaseRow(task_id, fence, holder, project_id, name, acquired_at, expires_at, tx.now, reason, status)
            lease_history.record(tx, lease)
        about = {"project_id": project_id, "epic_id": epic_id, "task_id": task_id}
        said = {"agent_id": holder, "lock_released": True, "previous_status": "IN_PROGRESS", "status": status}
        events.add(tx, EventType.TASK_STATUS_CHANGED, said, **about)
        unlocked = {"agent_id": holder, "reason": reason, "status": status}
        events.add(tx, EventType.TASK_UNLOCKED, unlocked, **about)
    return len(held)


def _give_to_owner(prepared: Path, present: Path) -> None:
    """An administrator restores what the service's own user has to write."""
    owner = present.stat()
    with suppress(PermissionError):  # nobody but an administrator can give a file away
        os.chown(prepared, owner.st_uid, owner.st_gid)


def _set_aside(database: Path, now: int) -> Path | None:
    """Keeps the present database under another name beside the new one."""
    if not database.exists():
        return None
    kept = database.with_name(f"{database.name}.before-restore-{backup.stamp(now)}")
    try:
        os.link(database, kept)
    except OSError:
        shutil.copyfile(database, kept)
    # A log that could not be folded in belongs to the file set aside; beside the new one it would be taken for its own.
    for suffix in ("-wal", "-journal"):
        log = database.with_name(database.name + suffix)
        if log.exists():
            log.replace(kept.with_name(kept.name + suffix))
    database.with_name(f"{database.name}-shm").unlink(missing_ok=True)
    return kept
