"""Periodic maintenance of the database: retention, the last backup and the newest event."""

import logging
from collections.abc import Callable
from functools import partial

import anyio.to_thread

from project_manager.domain.actors import SYSTEM
from project_manager.domain.limits import DELETE_BATCH_SIZE, FLOW_DAYS, IDEMPOTENCY_HOURS, IDENTITY_DAYS
from project_manager.observability.metrics import Metrics
from project_manager.runtime import flow as flow_jobs
from project_manager.runtime.background import LONG_LIVED, SERVICE, BackgroundJobs, Job, every
from project_manager.store import (
    chain,
    flow,
    idempotency,
    identities,
    instances,
    lease_history,
    messages,
    path_reservations,
    paths,
    retention,
)
from project_manager.store.database import Database
from project_manager.store.transaction import Tx

log = logging.getLogger(__name__)

MAINTENANCE_INTERVAL_SECONDS = 600
PUBLISH_INTERVAL_SECONDS = 3600
BACKUP_INTERVAL_SECONDS = 5
SIZE_INTERVAL_SECONDS = 60
HOUR_MS = 3_600_000


def register_jobs(jobs: BackgroundJobs, database: Database, metrics: Metrics, *, event_days: int) -> None:
    """Register the maintenance of the database. `event_days` is the retention of events."""
    hourly, often = every(PUBLISH_INTERVAL_SECONDS), every(MAINTENANCE_INTERVAL_SECONDS)
    delete = partial(delete_expired, database, event_days=event_days)
    jobs.register(Job("retention", delete, often, LONG_LIVED, at_start=True))
    jobs.register(Job("latest_event", partial(log_latest_event, database), hourly, SERVICE, at_start=True))
    if database.backend.is_on_server:
        measure = partial(measure_database, database)
        jobs.register(Job("database_size", measure, every(SIZE_INTERVAL_SECONDS), SERVICE, at_start=True))
    else:
        report = partial(report_backup, database, metrics)
        jobs.register(Job("last_backup", report, every(BACKUP_INTERVAL_SECONDS), SERVICE, at_start=True))


async def measure_database(database: Database) -> None:
    """Read the figures of the server of the database. A scrape does not wait for that."""
    await database.readers.run("database_size", database.backend.measure, SYSTEM, "")


async def report_backup(database: Database, metrics: Metrics) -> None:
    """Report the last verified backup to the metrics. Any process may have made it."""
    last = await anyio.to_thread.run_sync(database.backend.last_backup)
    if last is not None:
        metrics.backup_verified(last.at, last.seconds)


async def log_latest_event(database: Database) -> None:
    """Log the newest event and its hash, so that a copy of the hash exists outside the database."""
    head = await database.readers.run("events_head", chain.head, SYSTEM, "")
    log.info("latest event: %s", head, extra={"action": "events_head", "head": str(head)})


async def delete_expired(database: Database, *, event_days: int) -> None:
    """Delete old idempotency keys, rows of events, messages, leases and the flow, dead instances, and unused globs."""
    event_age = max(event_days, 1) * 24 * HOUR_MS

    async def delete(name: str, batch: Callable[[Tx, int], int], age: int, size: int) -> None:
        """Delete batches of rows older than `age` milliseconds, unless database time may be wrong."""

        def work(tx: Tx) -> int:
            return batch(tx, tx.now - age) if database.clock.may_delete() else 0

        while await database.writer.run(name, work, SYSTEM, "") >= size:
            pass

    await delete("delete_idempotency_keys", idempotency.delete_older, IDEMPOTENCY_HOURS * HOUR_MS, DELETE_BATCH_SIZE)
    await delete("delete_identities", identities.delete_older, IDENTITY_DAYS * 24 * HOUR_MS, DELETE_BATCH_SIZE)
    delete_messages = partial(messages.delete_older, limit=DELETE_BATCH_SIZE)
    await delete("delete_messages", delete_messages, event_age, DELETE_BATCH_SIZE)
    await delete("delete_lease_history", lease_history.delete_older, event_age, DELETE_BATCH_SIZE)
    await delete("delete_flow", flow.delete_older, FLOW_DAYS * 24 * HOUR_MS, DELETE_BATCH_SIZE)
    await flow_jobs.move_base(database, event_age)
    await delete("maintain", _delete_old_events, event_age, retention.AT_ONCE)


def _delete_old_events(tx: Tx, before: int) -> int:
    instances.delete_expired(tx)
    path_reservations.end_stale(tx)
    paths.delete_unused(tx, DELETE_BATCH_SIZE)
    return retention.delete_old_events(tx, before, last=flow.base_seq(tx))
