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
from project_manager.domain.limits import DELETED_AT_ONCE, IDEMPOTENCY_HOURS
from project_manager.observability.logging import Trouble
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
    DatabaseNotNow,
    DatabaseRefused,
    UsedElsewhere,
    beat,
    check_sharing,
    elsewhere,
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
SILENT_SECONDS = instances.SILENT_AFTER_MS / 1000


@asynccontextmanager
async def signed_on(database: Database, kind: str) -> AsyncIterator[None]:
    """Keep this process registered as an instance while the body runs.

    Raises DatabaseRefused when sharing the database is not safe, or when it cannot be written.
    """
    try:
        await _sign_on(database, kind)
    except DatabaseRefused:
        raise
    except ProjectManagerError as error:
        refused = DatabaseNotNow if isinstance(error, Unavailable | StorageFull) else DatabaseRefused
        raise refused(f"the database {database.path} cannot be used: {error.message}") from error
    try:
        yield
    finally:
        database.writer.hurry()
        with anyio.CancelScope(shield=True):
            await _quietly(database, "leave", partial(_leave, database=database))


async def _sign_on(database: Database, kind: str) -> None:
    """Register this process as an instance.

    A service also starts on a full disk. Its heartbeat registers it once there is room.

    A watched instance of another machine without a heartbeat is taken for this machine before a restart. Timestamps
    cannot show whether it is alive, because one of the two clocks may be behind.
    """
    register_now = partial(register, database=database, version=__version__, kind=kind)
    try:
        await _unless_shared(database, database.writer.run, "register", register_now)
    except StorageFull as error:
        if kind == "command":
            raise
        check = partial(check_sharing, database=database)
        await _unless_shared(database, database.readers.run, "check_sharing", check)
        log.warning("%s: only reads are served", error.message, extra={"action": "started_on_full_disk"})


async def _unless_shared(
    database: Database, run: Callable[..., Awaitable[object]], name: str, work: Callable[..., object]
) -> None:
    """Run `work` on the writer or a reader. Raises UsedElsewhere when another machine sends a heartbeat."""
    try:
        await run(name, work, SYSTEM, "")
    except UsedElsewhere as refusal:
        log.warning("%s; waiting for its heartbeat", refusal.message, extra={"action": "waiting"})
        seen = await _all_silent(database)
        if seen is None:
            raise
        await run(name, partial(work, gone=seen), SYSTEM, "")


async def _all_silent(database: Database) -> list[InstanceRow] | None:
    """Return the instances on other machines, or None when one sends a heartbeat or a new one registers."""
    look = partial(elsewhere, database=database)
    seen = await database.readers.run("elsewhere", look, SYSTEM, "")
    present = seen
    with anyio.move_on_after(SILENT_SECONDS):
        while present:
            await anyio.sleep(WATCH_EVERY_SECONDS)
            present = await database.readers.run("elsewhere", look, SYSTEM, "")
            if not set(present) <= set(seen):
                return None
    return seen


def _leave(tx: Tx, *, database: Database) -> None:
    """Unregister this instance and store the current database time.

    Database time of the next process then starts no earlier, even when its clock is behind.
    """
    instances.leave(tx, database.instance)
    meta.raise_clock(tx, tx.now)


async def heartbeat(database: Database, kind: str, tickets: Collection[int]) -> None:
    """Write a heartbeat of this process and its waiting calls every few seconds, and check the clock."""
    apart = Trouble(log, "clock_differs", "clock difference", again=CLOCK_AGAIN_SECONDS)
    while True:
        await anyio.sleep(instances.HEARTBEAT_SECONDS)
        await beat_once(database, kind, tickets)
        tell_clock(apart, database.clock.difference())


async def beat_once(database: Database, kind: str, tickets: Collection[int]) -> None:
    """Write one heartbeat of this process and its waiting calls."""
    await _quietly(database, "heartbeat", partial(_beat, database=database, kind=kind, tickets=list(tickets)))


def tell_clock(apart: Trouble, difference: int) -> None:
    """Log a difference of more than JUMP_MS between database time and the wall clock.

    `difference` is database time minus the wall clock, in milliseconds.
    """
    if abs(difference) <= JUMP_MS:
        apart.is_over()
        return
    side = "ahead of" if difference > 0 else "behind"
    apart.goes_on(
        f"database time is {timedelta(seconds=abs(difference) // 1000)} {side} the wall clock. Leases expire as "
        "usual; retention is paused. Set the clock of the host. If database time is wrong, stop the service, back up "
        "and restore the database"
    )


def _beat(tx: Tx, *, database: Database, kind: str, tickets: list[int]) -> None:
    beat(tx, database=database, version=__version__, kind=kind)
    if tickets:
        waiters.stay(tx, tickets)
    claim_queue.forget_silent(tx)


async def follow_backups(database: Database, metrics: Metrics) -> None:
    """Report the last verified backup to the metrics. Any process may have taken it."""
    while True:
        last = await anyio.to_thread.run_sync(last_verified, database.path)
        if last is not None:
            metrics.backup_verified(last.at, last.seconds)
        await anyio.sleep(instances.HEARTBEAT_SECONDS)


async def publish_head(database: Database) -> None:
    """Log the newest event and its hash at the start and every hour.

    The log then holds a copy of the hash outside the database.
    """
    while True:
        await publish_head_once(database)
        await anyio.sleep(PUBLISH_EVERY)


async def publish_head_once(database: Database) -> None:
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
    await complete(database)
    while await _quietly(database, "maintain", partial(_forget_old, clock=database.clock, event_days=event_days)):
        pass
    for name, forget in (
        ("forget_answers", _forget_answers),
        ("forget_leases", partial(_forget_leases, days=event_days)),
    ):
        while await _quietly(database, name, partial(forget, clock=database.clock)) == DELETED_AT_ONCE:
            pass


async def complete(database: Database) -> None:
    """Add name keys and search index entries to rows that an older release wrote without them."""
    await _quietly(database, "key_names", resolve.key_names)
    while await _quietly(database, "index_texts", partial(search.catch_up, limit=INDEXED_AT_ONCE)):
        pass


def _forget_old(tx: Tx, *, clock: DatabaseClock, event_days: int) -> bool:
    """Delete rows by their age, unless database time may be wrong. Return whether more rows may be due."""
    if not clock.may_delete():
        return False
    instances.forget_silent(tx)
    subscriptions.forget_silent(tx)
    return events.retain(tx, days=event_days) >= retention.AT_ONCE


def _forget_answers(tx: Tx, *, clock: DatabaseClock) -> int:
    return idempotency.forget(tx, tx.now - IDEMPOTENCY_HOURS * HOUR_MS) if clock.may_delete() else 0


def _forget_leases(tx: Tx, *, clock: DatabaseClock, days: int) -> int:
    return lease_history.retain(tx, days=days) if clock.may_delete() else 0


async def _quietly(database: Database, name: str, work: Callable[[Tx], Any]) -> Any:
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
    metrics.watch("writer_queue_depth", lambda: database.writer.depth)
    metrics.watch("subscribers", lambda: hub.subscribers)
    metrics.watch("events_head", lambda: hub.head)
    metrics.watch("database_bytes", lambda: database.size()[0])
    metrics.watch("wal_bytes", lambda: database.size()[1])
    metrics.watch("project_manager_database_damaged", lambda: float(database.watch.damage is not None))
    metrics.watch("project_manager_disk_free_bytes", database.disk_free)
    metrics.watch("project_manager_clock_difference_seconds", lambda: database.clock.difference() / 1000)
