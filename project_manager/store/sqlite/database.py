"""Preparation (check, migration) and opening of a database: one writer, several readers and one tail."""

import logging
import os
import re
import secrets
import shutil
import socket
import tempfile
from collections.abc import Callable, Collection
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from project_manager.clock import Clock, SystemClock, monotonic, sortable_timestamp
from project_manager.store import claim_queue, instances, revisions
from project_manager.store.database_clock import DatabaseClock
from project_manager.store.long_reads import LongReads
from project_manager.store.readers import ReadContext, Readers
from project_manager.store.sqlite import access, driver, files, private_files
from project_manager.store.sqlite.errors import DatabaseOpenError, DatabaseTemporarilyUnavailable, UsedByAnotherHost
from project_manager.store.sqlite.file_watch import FileWatch
from project_manager.store.sqlite.read_session import SqliteReadSession
from project_manager.store.sqlite.tail_session import SqliteTailSession
from project_manager.store.sqlite.write_connection import SqliteWriteConnection
from project_manager.store.tail import EventReader
from project_manager.store.transaction import Tx
from project_manager.store.writer import Writer, WriterHooks

log = logging.getLogger(__name__)

QUICK_CHECK_BYTES = 32 * 1024 * 1024
PROBE_SECONDS = 1.0
PROBE_BYTES = 4096
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Options:
    """Options for opening a database. `pool` is the number of reader threads. Times are in seconds."""

    path: Path
    pool: int
    query_timeout: float
    poll_interval: float
    max_attempts: int
    auto_migrate: bool


class Database:
    """The writer, readers, long reads and tail of one database file. Call `prepare` first."""

    def __init__(self, options: Options, clock: Clock, hooks: WriterHooks, timed: Callable[[str, float], None]) -> None:
        self.path = options.path
        self.instance = secrets.token_hex(8)
        self.host = this_host()
        self.watch = FileWatch(options.path)
        self._probed = (float("-inf"), False)
        try:
            self._open(options, clock, hooks, timed)
        except driver.DriverError as error:
            raise open_error(options.path, error) from error
        if not self.watch.begin():
            raise DatabaseTemporarilyUnavailable(f"the database {self.path} was replaced during startup; restart")

    def _open(self, options: Options, clock: Clock, hooks: WriterHooks, timed: Callable[[str, float], None]) -> None:
        path = str(options.path)
        self.writer = Writer(
            SqliteWriteConnection(path, self.watch),
            clock,
            hooks,
            max_attempts=options.max_attempts,
            poll_interval=options.poll_interval,
        )
        context = ReadContext(
            partial(SqliteReadSession, path, self.watch),
            partial(SqliteReadSession.for_long_reads, path, self.watch),
            options.query_timeout,
            self.clock,
            options.max_attempts,
            timed,
        )
        self.readers = Readers(context, threads=options.pool)
        self.long_reads = LongReads(context)
        self.tail = EventReader(SqliteTailSession(path, self.watch), foreign_commit=self.writer.run_due)

    @property
    def clock(self) -> DatabaseClock:
        """Return the database clock of this process."""
        return self.writer.clock

    def start(self) -> None:
        self.writer.start()
        self.readers.start()
        self.tail.start()

    def close(self) -> None:
        """Finish the queued jobs and close all connections. Blocks."""
        self.tail.close()
        self.readers.close()
        self.writer.close()

    def is_healthy(self) -> bool:
        """Return whether the writer and tail threads are alive. If not, the process needs a restart."""
        return self.writer.alive and self.tail.alive

    def size(self) -> tuple[int, int]:
        """Return the sizes of the database file and its write-ahead log in bytes."""
        return files.size(self.path), files.size(Path(f"{self.path}-wal"))

    def world_accessible_files(self) -> list[Path]:
        """Return the folder of the database if it is open to other users, then the file if it is open too."""
        if not private_files.is_open_to_others(self.path.parent):
            return []
        return [self.path.parent, *([self.path] if private_files.is_open_to_others(self.path) else [])]

    def disk_writable(self) -> bool:
        """Return whether a page can be written next to the database. The result is cached for PROBE_SECONDS."""
        tried_at, writable = self._probed
        if monotonic() - tried_at >= PROBE_SECONDS:
            writable = os.access(self.path, os.W_OK) and _can_write_page(self.path.parent)
            self._probed = monotonic(), writable
        return writable

    def disk_free(self) -> int:
        """Return the free bytes that this process may use on the disk of the database. Raises OSError."""
        return shutil.disk_usage(self.path.parent).free


def prepare(options: Options) -> None:
    """Check the file and migrate it when allowed. After a DatabaseOpenError, its contents are unchanged."""
    path = options.path
    check_access(path)
    exists = path.exists() and path.stat().st_size > 0
    if not exists:
        _create_folder(path)
    _remove_leftovers(path)
    move_foreign_logs(path)  # before the first connection, which would use such a log
    present, fits = _examine(path) if exists else (None, False)
    head = revisions.head()
    if fits:
        return
    if present is not None and present not in revisions.known_revisions():
        raise DatabaseTemporarilyUnavailable(f"the database {revisions.newer_release_message(path, present)}")
    if not options.auto_migrate:
        found = f"has schema {present}" if present else "is empty"
        raise DatabaseOpenError(
            f"the database {path} {found} and needs {head}: run `project-manager migrate` (AUTO_MIGRATE is off)"
        )
    _migrate(path, present)


def _remove_leftovers(path: Path) -> None:
    """Delete leftovers of killed restores, backups and migrations in the folder of the database."""
    named = re.compile(rf"{re.escape(path.name)}(\..+)?")
    with suppress(OSError):  # opening the database reports an unreadable folder
        for left in private_files.remove_leftovers(path.resolve().parent, lambda name: bool(named.fullmatch(name))):
            log.info("removed %s, left by a killed process", left, extra={"action": "leftover_removed"})


def check_access(path: Path) -> None:
    """Raise DatabaseOpenError when this user cannot create or write the database. The message has a remedy."""
    if reason := access.permission_problem(path):
        raise DatabaseOpenError(reason)
    if path.is_dir():
        raise DatabaseOpenError(f"the database {path} is a folder, not a file")


def _create_folder(path: Path) -> None:
    try:
        private_files.make_folder(path.parent)
    except OSError as error:
        raise DatabaseOpenError(f"the folder of the database {path} cannot be created: {error.strerror}") from error


def _examine(path: Path) -> tuple[str | None, bool]:
    """Check a database. Return its revision and whether this release runs on it. Raises DatabaseOpenError."""
    try:
        if not files.is_database(path):
            raise DatabaseOpenError(f"the file {path} is not a database")
        return _examine_inside(path)
    except driver.DriverError as error:
        raise open_error(path, error) from error
    except OSError as error:
        raise DatabaseTemporarilyUnavailable(f"the database {path} cannot be read now: {error.strerror}") from error


def open_error(path: Path, error: BaseException) -> DatabaseOpenError:
    """Return the refusal for a failed open. It reports damage only when SQLite has found damage."""
    if driver.is_damage(error):
        return DatabaseOpenError(_damaged(path))
    name = driver.error_name(error)
    if name.startswith("SQLITE_READONLY"):
        return DatabaseOpenError(f"the database {path} is read-only for this user")
    if driver.is_busy(error):
        return DatabaseTemporarilyUnavailable(f"the database {path} is locked by another process")
    if name == "SQLITE_ERROR":
        return DatabaseOpenError(f"the database {path} does not match its schema: {error}")
    if name.startswith("SQLITE_IOERR") and not _can_write_page(path.parent):
        return DatabaseTemporarilyUnavailable(
            f"the database {path} cannot be opened: its disk is full; free 1 MB and restart"
        )
    return DatabaseTemporarilyUnavailable(f"the database {path} cannot be opened now: {error}")


def move_foreign_logs(path: Path) -> None:
    """Rename leftover logs of another database, because SQLite would delete them or apply them to this database.

    Raises DatabaseOpenError while a process has the other database open.
    """
    try:
        if not files.foreign_logs(path):
            return
        with ExitStack() as opened, files.exclusive_locks(path) as free:
            if not free:
                if not path.exists():
                    raise DatabaseTemporarilyUnavailable(
                        f"the database {path} was removed but is still open in a process; stop that process first"
                    )
                if files.is_open_after_removal(path):
                    raise DatabaseTemporarilyUnavailable(
                        f"the log next to {path} belongs to a removed database that is still open in a process; "
                        "stop that process first"
                    )
                return  # another process is creating the database at this moment
            found = files.foreign_logs(path, opened)
            moved = (
                files.move_logs(path, f"{path.name}.left-over-{sortable_timestamp(SystemClock().now())}")
                if found
                else []
            )
    except OSError as error:
        raise DatabaseOpenError(f"the log next to the database {path} cannot be moved: {error.strerror}") from error
    if moved:
        names = ", ".join(str(log) for log in moved)
        log.error(
            "the log next to %s belongs to another database and is kept as %s",
            path,
            names,
            extra={"action": "foreign_log_moved"},
        )


def _damaged(path: Path) -> str:
    return f"the database {path} is damaged: restore a backup (`project-manager restore`)"


def _examine_inside(path: Path) -> tuple[str | None, bool]:
    connection = driver.connect(str(path), keep_settings=True)
    try:
        if path.stat().st_size <= QUICK_CHECK_BYTES:
            verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if verdict != "ok":
                raise DatabaseOpenError(_damaged(path))
        if revisions.is_foreign(connection):
            raise DatabaseOpenError(f"the database {path} was created by another program")
        return revisions.current(connection), revisions.is_compatible(connection)
    finally:
        connection.close()


def _migrate(path: Path, present: str | None) -> None:
    # Import Alembic only for a migration: its import takes longer than a normal start may take.
    from project_manager.store.migrations import upgrade  # noqa: PLC0415

    try:
        if present is not None:
            _copy_before_migration(path, present)
        upgrade(str(path))
    except (driver.DriverError, OSError) as error:
        raise migration_error(path, error) from error


def migration_error(path: Path, error: Exception) -> DatabaseOpenError:
    """Return the refusal for a failed migration. A migration is one transaction, so nothing was changed."""
    if driver.is_damage(error):
        return DatabaseOpenError(_damaged(path))
    if reason := access.permission_problem(path):
        return DatabaseOpenError(reason)
    kind = DatabaseTemporarilyUnavailable if driver.is_busy(error) or driver.is_full(error) else DatabaseOpenError
    why = error.strerror if isinstance(error, OSError) else error
    return kind(f"the database {path} cannot be created or migrated: {why}. Nothing was changed")


def _copy_before_migration(path: Path, present: str) -> None:
    """Copy the database to `NAME.before-HEAD-from-PRESENT` in its folder with SQLite's online backup."""
    target = path.with_name(f"{path.name}.before-{revisions.head()}-from-{present}")
    with private_files.workspace(target, "unfinished") as unfinished:
        source, copy = driver.connect(str(path)), driver.connect(str(unfinished))
        try:
            source.backup(copy)
        finally:
            copy.close()
            source.close()
        files.copy_ownership(unfinished, path)
        unfinished.replace(target)


def create(path: Path) -> None:
    """Create the folder and the database file (mode 0600) when they are missing. Raises OSError."""
    private_files.make_folder(path.parent)
    with suppress(FileExistsError):
        private_files.create(path.resolve())
        files.copy_ownership(path, path.parent)


def register(
    tx: Tx, *, database: Database, version: str, kind: str, gone: Collection[instances.InstanceRow] = ()
) -> None:
    """Insert this process into the instances. Raises DatabaseOpenError when sharing the file is not safe.

    `gone` are the rows of instances on other machines that sent no heartbeat during a wait.
    """
    instances.delete_expired(tx)
    others = check_sharing(tx, database=database, gone=gone)
    for other in instances.live(tx):
        if other not in others:
            instances.unregister(tx, other.id)
    if not others:
        claim_queue.clear(tx)
    instances.register(tx, database.instance, host=database.host, pid=os.getpid(), version=version, kind=kind)


def check_sharing(
    tx: Tx, *, database: Database, gone: Collection[instances.InstanceRow] = ()
) -> list[instances.InstanceRow]:
    """Return the other processes that use the file. Raises DatabaseOpenError when sharing it is not safe."""
    others = [other for other in running_instances(tx) if other not in gone]
    # Locks and shared memory of WAL mode work only between processes of one machine.
    if remote := [other for other in others if _machine(other.host) != _machine(database.host)]:
        raise UsedByAnotherHost(
            f"the database {database.path} is in use on another machine, {_name(remote[0].host)}: SQLite cannot be "
            "shared over a network file system; run all instances on one machine"
        )
    if others and not driver.several_processes_are_safe():
        shown = ".".join(str(part) for part in driver.SQLITE_VERSION)
        raise DatabaseOpenError(
            f"process {others[0].pid} on {_name(others[0].host)} uses the database {database.path}, and SQLite {shown} "
            "can corrupt a database with two writing processes: install pysqlite3, or SQLite 3.51.3 or newer"
        )
    return others


def running_instances(tx: Tx) -> list[instances.InstanceRow]:
    """Return the live instances, without rows of killed processes on this host.

    Another process, even this one, may have the process id of a killed process now.
    """
    host = this_host()
    return [
        other
        for other in instances.live(tx)
        if other.host != host or (other.pid != os.getpid() and files.process_exists(other.pid))
    ]


def instances_on_other_hosts(tx: Tx, database: Database) -> list[instances.InstanceRow]:
    """Return the instances on other machines, according to their rows."""
    return [other for other in instances.live(tx) if _machine(other.host) != _machine(database.host)]


def heartbeat(tx: Tx, *, database: Database, version: str, kind: str) -> None:
    """Write the heartbeat of this process. Insert its row again when the row is gone."""
    if not instances.heartbeat(tx, database.instance):
        instances.register(tx, database.instance, host=database.host, pid=os.getpid(), version=version, kind=kind)


def this_host() -> str:
    """Return `HOSTNAME@BOOT_ID`: the name of this machine or container, and the id of the machine's current boot."""
    return f"{socket.gethostname()}@{_boot()}"


def _boot() -> str:
    """Return the boot id. Containers on one machine share it, and two machines never do. It is empty without /proc."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""


def _name(host: str) -> str:
    return host.partition("@")[0]


def _machine(host: str) -> str:
    return host.partition("@")[2]


def _can_write_page(folder: Path) -> bool:
    """Return whether a page can be written to the folder. The file has no name, so a killed process leaves nothing."""
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            return os.pwrite(file.fileno(), bytes(PROBE_BYTES), 0) == PROBE_BYTES
    except OSError:
        return False
