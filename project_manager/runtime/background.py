"""Background jobs: heartbeats, retention, gauges, and the registration of this process as an instance."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import anyio
import anyio.to_thread

from project_manager import __version__
from project_manager.domain.actors import SYSTEM
from project_manager.domain.errors import ProjectManagerError, StorageFull, Unavailable
from project_manager.domain.limits import DELETE_BATCH_SIZE, IDEMPOTENCY_HOURS
from project_manager.observability.logging import RateLimitedWarning
from project_manager.observability.metrics import Metrics
from project_manager.runtime.event_hub import Hub
from project_manager.services import claim_queue, events, lease_history, resolve, subscriptions
from project_manager.store import chain, idempotency, instances, meta, retention
from project_manager.store import claim_queue as waiters
from project_manager.store.database_clock import JUMP_MS, DatabaseClock
from project_manager.store.instances import InstanceRow
from project_manager.store.sqlite import search
from project_manager.store.sqlite.backup import last_verified
from project_manager.store.sqlite.database import (
    Database,
    DatabaseOpenError,
    DatabaseTemporarilyUnavailable,
    UsedByAnotherHost,
    check_sharing,
    heartbeat,
    instances_on_other_hosts,
    register,
)
from project_manager.store.transaction import Tx

log = logging.getLogger(__name__)

MAINTAIN_EVERY = 600
PUBLISH_EVERY = 3600
INDEXED_AT_ONCE = 100
HOUR_MS = 3_600_000
CLOCK_AGAIN_SECONDS = 600
WATCH_EVERY_SECONDS = 0.5
EXPIRY_SECONDS = instances.EXPIRES_AFTER_MS / 1000


@asynccontextmanager
async def registered(database: Database, kind: str) -> AsyncIterator[None]:
    """Keep this process registered as an instance while the body runs.

    Raises DatabaseRefused when sharing the database is not safe, or when it cannot be written.
    """
    try:
        await _register(database, kind)
    except DatabaseOpenError:
        raise
    except ProjectManagerError as error:
        refused = DatabaseTemporarilyUnavailable if isinstance(error, Unavailable | StorageFull) else DatabaseOpenError
        raise refused(f"the database {database.path} cannot be used: {error.message}") from error
    try:
        yield
    finally:
        database.writer.shorten_busy_timeout()
        with anyio.CancelScope(shield=True):
            await _run_logged(database, "leave", partial(_unregister, database=database))


async def _register(database: Database, kind: str) -> None:
    """Register this process as an instance.

    A service also starts on a full disk. Its heartbeat registers it once there is room.

    A watched instance of another machine without a heartbeat is taken for this machine before a restart. Timestamps
    cannot show whether it is alive, because one of the two clocks may be behind.
    """
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
    """Run `work` on the writer or a reader. Raises UsedElsewhere when another machine sends a heartbeat."""
    try:
        await run(name, work, SYSTEM, "")
    except UsedByAnotherHost as refusal:
        log.warning("%s; waiting for its heartbeat", refusal.message, extra={"action": "waiting"})
        seen = await _all_expired(database)
        if seen is None:
            raise
        await run(name, partial(work, gone=seen), SYSTEM, "")


async def _all_expired(database: Database) -> list[InstanceRow] | None:
    """Return the instances on other machines, or None when one sends a heartbeat or a new one registers."""
    look = partial(instances_on_other_hosts, database=database)
    seen = await database.readers.run("elsewhere", look, SYSTEM, "")
    present = seen
    with anyio.move_on_after(EXPIRY_SECONDS):
        while present:
            await anyio.sleep(WATCH_EVERY_SECONDS)
            present = await database.readers.run("elsewhere", look, SYSTEM, "")
            if not set(present) <= set(seen):
                return None
    return seen


def _unregister(tx: Tx, *, database: Database) -> None:
    """Unregister this instance and store the current database time.

    Database time of the next process then starts no earlier, even when its clock is behind.
    """
    instances.unregister(tx, database.instance)
    meta.raise_clock(tx, tx.now)


async def send_heartbeats(database: Database, kind: str, waiter_ids: Collection[int]) -> None:
    """Write a heartbeat of this process and its waiting calls every few seconds, and check the clock."""
    apart = RateLimitedWarning(log, "clock_differs", "clock difference", again=CLOCK_AGAIN_SECONDS)
    while True:
        await anyio.sleep(instances.HEARTBEAT_SECONDS)
        await heartbeat_once(database, kind, waiter_ids)
        log_clock_difference(apart, database.clock.difference())


async def heartbeat_once(database: Database, kind: str, tickets: Collection[int]) -> None:
    """Write one heartbeat of this process and its waiting calls."""
    await _run_logged(database, "heartbeat", partial(_heartbeat, database=database, kind=kind, tickets=list(tickets)))


def log_clock_difference(apart: RateLimitedWarning, difference: int) -> None:
    """Log a difference of more than JUMP_MS between database time and the wall clock.

    `difference` is database time minus the wall clock, in milliseconds.
    """
    if abs(difference) <= JUMP_MS:
        apart.recovered()
        return
    side = "ahead of" if difference > 0 else "behind"
    apart.failed(
        f"database time is {timedelta(seconds=abs(difference) // 1000)} {side} the wall clock. Leases expire as "
        "usual; retention is paused. Set the clock of the host. If database time is wrong, stop the service, back up "
        "and restore the database"
    )


def _heartbeat(tx: Tx, *, database: Database, kind: str, tickets: list[int]) -> None:
    heartbeat(tx, database=database, version=__version__, kind=kind)
    if tickets:
        waiters.heartbeat(tx, tickets)
    claim_queue.drop_expired_waiters(tx)


async def watch_backups(database: Database, metrics: Metrics) -> None:
    """Report the last verified backup to the metrics. Any process may have taken it."""
    while True:
        last = await anyio.to_thread.run_sync(last_verified, database.path)
        if last is not None:
            metrics.backup_verified(last.at, last.seconds)
        await anyio.sleep(instances.HEARTBEAT_SECONDS)


async def log_latest_event(database: Database) -> None:
    """Log the newest event and its hash at the start and every hour.

    The log then holds a copy of the hash outside the database.
    """
    while True:
        await log_latest_event_once(database)
        await anyio.sleep(PUBLISH_EVERY)


async def log_latest_event_once(database: Database) -> None:
    """Log the newest event and its hash."""
    try:
        head = await database.readers.run("events_head", chain.head, SYSTEM, "")
        log.info("latest event: %s", head, extra={"action": "events_head", "head": str(head)})
    except ProjectManagerError as error:
        log.warning("cannot read the latest event: %s", error.message, extra={"action": "events_head_failed"})


async def maintain(database: Database, *, event_days: int) -> None:
    """Run the maintenance every MAINTAIN_EVERY seconds until it is cancelled."""
    while True:
        await maintain_once(database, event_days=event_days)
        await anyio.sleep(MAINTAIN_EVERY)


async def maintain_once(database: Database, *, event_days: int) -> None:
    """Complete the rows of an older release, and delete expired rows.

    Expired rows are old idempotency keys, old events, old leases, and instances and sessions without heartbeats.
    """
    await backfill(database)
    while await _run_logged(
        database, "maintain", partial(_delete_old_rows, clock=database.clock, event_days=event_days)
    ):
        pass
    for name, forget in (
        ("forget_answers", _delete_old_idempotency_keys),
        ("forget_leases", partial(_delete_old_leases, days=event_days)),
    ):
        while await _run_logged(database, name, partial(forget, clock=database.clock)) == DELETE_BATCH_SIZE:
            pass


async def backfill(database: Database) -> None:
    """Add name keys and search index entries to rows that an older release wrote without them."""
    await _run_logged(database, "key_names", resolve.backfill_name_keys)
    while await _run_logged(database, "index_texts", partial(search.index_pending, limit=INDEXED_AT_ONCE)):
        pass


def _delete_old_rows(tx: Tx, *, clock: DatabaseClock, event_days: int) -> bool:
    """Delete rows by their age, unless database time may be wrong. Return whether more rows may be due."""
    if not clock.may_delete():
        return False
    instances.forget_silent(tx)
    subscriptions.forget_silent(tx)
    return events.retain(tx, days=event_days) >= retention.AT_ONCE


def _delete_old_idempotency_keys(tx: Tx, *, clock: DatabaseClock) -> int:
    return idempotency.delete_older(tx, tx.now - IDEMPOTENCY_HOURS * HOUR_MS) if clock.may_delete() else 0


def _delete_old_leases(tx: Tx, *, clock: DatabaseClock, days: int) -> int:
    return lease_history.retain(tx, days=days) if clock.may_delete() else 0


async def _run_logged(database: Database, name: str, work: Callable[[Tx], Any]) -> Any:
    """Run one job and return its result. Log a failed job and return None.

    A failed job runs again when it is due the next time.
    """
    try:
        return await database.writer.run(name, work, SYSTEM, "")
    except ProjectManagerError as error:
        log.warning("background job failed: %s", error.message, extra={"action": f"{name}_failed"})
        return None


def watch(metrics: Metrics, database: Database, hub: Hub) -> None:
    """Register the gauges that are read at each scrape."""
    metrics.register_gauge("writer_queue_depth", lambda: database.writer.depth)
    metrics.register_gauge("subscribers", lambda: hub.subscribers)
    metrics.register_gauge("events_head", lambda: hub.head)
    metrics.register_gauge("database_bytes", lambda: database.size()[0])
    metrics.register_gauge("wal_bytes", lambda: database.size()[1])
    metrics.register_gauge("project_manager_database_damaged", lambda: float(database.watch.damage is not None))
    metrics.register_gauge("project_manager_disk_free_bytes", database.disk_free)
    metrics.register_gauge("project_manager_clock_difference_seconds", lambda: database.clock.difference() / 1000)
