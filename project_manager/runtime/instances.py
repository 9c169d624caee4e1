"""The registration of this process as an instance, its heartbeat, and its check of the clock."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

import anyio

from project_manager import __version__
from project_manager.domain.actors import SYSTEM
from project_manager.domain.errors import ProjectManagerError
from project_manager.domain.service_errors import StorageFull, Unavailable
from project_manager.observability.logging import RateLimitedWarning
from project_manager.runtime.background import BackgroundJobs, Job, ProcessKind, every
from project_manager.services import claim_queue
from project_manager.store import claim_queue as waiters
from project_manager.store import instances, meta
from project_manager.store.database import LAST_WRITE_SECONDS, Database
from project_manager.store.database_clock import JUMP_MS
from project_manager.store.errors import DatabaseOpenError, DatabaseTemporarilyUnavailable, UsedByAnotherHost
from project_manager.store.instances import InstanceRow
from project_manager.store.sharing import check_sharing, heartbeat, instances_on_other_hosts, register
from project_manager.store.transaction import Tx

log = logging.getLogger(__name__)

CLOCK_AGAIN_SECONDS = 600
WATCH_INTERVAL_SECONDS = 0.5
EXPIRY_SECONDS = instances.EXPIRES_AFTER_MS / 1000


@asynccontextmanager
async def registered(database: Database, kind: ProcessKind) -> AsyncIterator[None]:
    """Keep this process registered while the body runs. Raises DatabaseOpenError if it cannot write or share safely."""
    try:
        await _register(database, kind)
    except DatabaseOpenError:
        raise
    except ProjectManagerError as error:
        refused = DatabaseTemporarilyUnavailable if isinstance(error, Unavailable | StorageFull) else DatabaseOpenError
        raise refused(f"the database {database.backend.name} cannot be used: {error.message}") from error
    try:
        yield
    finally:
        database.stop_waiting()
        with anyio.CancelScope(shield=True):
            await _leave(database)


async def _leave(database: Database) -> None:
    """Unregister this process. If that fails, or takes longer than LAST_WRITE_SECONDS, its row expires."""
    problem = "the database does not answer"
    with anyio.move_on_after(LAST_WRITE_SECONDS):
        try:
            await database.writer.run("leave", partial(_unregister, database=database), SYSTEM, "")
            return
        except ProjectManagerError as error:
            problem = error.message
    log.warning("cannot unregister this instance: %s", problem, extra={"action": "leave_failed"})


async def _register(database: Database, kind: ProcessKind) -> None:
    """Register this process as an instance. On a full disk, a later heartbeat of a server registers it."""
    register_now = partial(register, database=database, version=__version__, kind=kind)
    try:
        await _run_exclusively(database, database.writer.run, "register", register_now)
    except StorageFull as error:
        if kind == "command":
            raise
        check = partial(check_sharing, database=database)
        await _run_exclusively(database, database.readers.run, "check_sharing", check)
        log.warning("%s: only reads are served", error.message, extra={"action": "started_on_full_disk"})


async def _run_exclusively(
    database: Database, run: Callable[..., Awaitable[object]], name: str, work: Callable[..., object]
) -> None:
    """Run `work` on the writer or a reader. Raises UsedByAnotherHost when another machine sends a heartbeat.

    An instance of another machine that sends none is ignored: it may be this machine before a restart. Its timestamps
    do not show whether it is alive, because one of the two clocks may be behind.
    """
    try:
        await run(name, work, SYSTEM, "")
    except UsedByAnotherHost as refusal:
        log.warning("%s; waiting for its heartbeat", refusal.message, extra={"action": "waiting"})
        silent = await _silent_instances(database)
        if silent is None:
            raise
        await run(name, partial(work, gone=silent), SYSTEM, "")


async def _silent_instances(database: Database) -> list[InstanceRow] | None:
    """Watch the instances on other machines. Return them, or None if one sends a heartbeat or a new one registers."""
    read_others = partial(instances_on_other_hosts, database=database)
    seen = await database.readers.run("other_hosts", read_others, SYSTEM, "")
    present = seen
    with anyio.move_on_after(EXPIRY_SECONDS):
        while present:
            await anyio.sleep(WATCH_INTERVAL_SECONDS)
            present = await database.readers.run("other_hosts", read_others, SYSTEM, "")
            if not set(present) <= set(seen):
                return None
    return seen


def _unregister(tx: Tx, *, database: Database) -> None:
    """Unregister this instance, and store database time for the next process. Its clock may be behind."""
    instances.unregister(tx, database.instance)
    meta.raise_clock(tx, tx.now)


def register_jobs(jobs: BackgroundJobs, database: Database, kind: ProcessKind, waiter_ids: Collection[int]) -> None:
    """Register the heartbeat of this process and its waiting calls, and the check of the clock."""
    clock_warning = RateLimitedWarning(log, "clock_differs", "clock difference", again=CLOCK_AGAIN_SECONDS)

    async def write_heartbeat() -> None:
        work = partial(_heartbeat, database=database, kind=kind, waiter_ids=list(waiter_ids))
        await database.writer.run("heartbeat", work, SYSTEM, "")

    async def check_clock() -> None:
        _log_clock_difference(clock_warning, database.clock.difference())

    jobs.register(Job("heartbeat", write_heartbeat, every(instances.HEARTBEAT_SECONDS)))
    jobs.register(Job("clock", check_clock, every(instances.HEARTBEAT_SECONDS)))


def _log_clock_difference(clock_warning: RateLimitedWarning, difference: int) -> None:
    """Log a difference above JUMP_MS: `difference` is database time minus the wall clock, in milliseconds."""
    if abs(difference) <= JUMP_MS:
        clock_warning.recovered()
        return
    side = "ahead of" if difference > 0 else "behind"
    clock_warning.failed(
        f"database time is {timedelta(seconds=abs(difference) // 1000)} {side} the wall clock. Leases expire as "
        "usual; retention is paused. Set the clock of the host. If database time is wrong, stop the service, back up "
        "and restore the database"
    )


def _heartbeat(tx: Tx, *, database: Database, kind: ProcessKind, waiter_ids: list[int]) -> None:
    heartbeat(tx, database=database, version=__version__, kind=kind)
    if waiter_ids:
        waiters.heartbeat(tx, waiter_ids)
    claim_queue.drop_expired_waiters(tx)
