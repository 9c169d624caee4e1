"""Periodic maintenance of the database: retention, the last backup and the newest event."""

import logging
from functools import partial

import anyio.to_thread

from project_manager.domain.actors import SYSTEM
from project_manager.domain.limits import DELETE_BATCH_SIZE, IDEMPOTENCY_HOURS
from project_manager.observability.metrics import Metrics
from project_manager.runtime.background import LONG_LIVED, SERVICE, BackgroundJobs, Job, every
from project_manager.services import events, lease_history
from project_manager.store import chain, idempotency, instances, retention
from project_manager.store.database_clock import DatabaseClock
from project_manager.store.sqlite.backup import last_verified
from project_manager.store.sqlite.database import Database
from project_manager.store.transaction import Tx

log = logging.getLogger(__name__)

MAINTAIN_EVERY_SECONDS = 600
PUBLISH_EVERY_SECONDS = 3600
BACKUP_EVERY_SECONDS = 5
HOUR_MS = 3_600_000


def register_jobs(jobs: BackgroundJobs, database: Database, metrics: Metrics, *, event_days: int) -> None:
    """Register the maintenance of the database. `event_days` is the retention of events."""
    hourly, often = every(PUBLISH_EVERY_SECONDS), every(MAINTAIN_EVERY_SECONDS)
    delete = partial(delete_expired, database, event_days=event_days)
    jobs.register(Job("retention", delete, often, LONG_LIVED, at_start=True))
    jobs.register(Job("latest_event", partial(log_latest_event, database), hourly, SERVICE, at_start=True))
    look = partial(report_backup, database, metrics)
    jobs.register(Job("last_backup", look, every(BACKUP_EVERY_SECONDS), SERVICE, at_start=True))


async def report_backup(database: Database, metrics: Metrics) -> None:
    """Report the last verified backup to the metrics. Any process may have taken it."""
    last = await anyio.to_thread.run_sync(last_verified, database.path)
    if last is not None:
        metrics.backup_verified(last.at, last.seconds)


async def log_latest_event(database: Database) -> None:
    """Log the newest event and its hash. The log then holds a copy of the hash outside the database."""
    head = await database.readers.run("events_head", chain.head, SYSTEM, "")
    log.info("latest event: %s", head, extra={"action": "events_head", "head": str(head)})


async def delete_expired(database: Database, *, event_days: int) -> None:
    """Delete old idempotency keys, events and leases, and instances without heartbeats."""
    clock, write = database.clock, partial(database.writer.run, actor=SYSTEM, request_id="")
    while await write("maintain", partial(_delete_old_rows, clock=clock, event_days=event_days)):
        pass
    while await write("forget_answers", partial(_delete_old_idempotency_keys, clock=clock)) == DELETE_BATCH_SIZE:
        pass
    while await write("forget_leases", partial(_delete_old_leases, clock=clock, days=event_days)) == DELETE_BATCH_SIZE:
        pass


def _delete_old_rows(tx: Tx, *, clock: DatabaseClock, event_days: int) -> bool:
    """Delete rows by their age, unless database time may be wrong. Return whether more rows may be due."""
    if not clock.may_delete():
        return False
    instances.forget_silent(tx)
    return events.retain(tx, days=event_days) >= retention.AT_ONCE


def _delete_old_idempotency_keys(tx: Tx, *, clock: DatabaseClock) -> int:
    return idempotency.delete_older(tx, tx.now - IDEMPOTENCY_HOURS * HOUR_MS) if clock.may_delete() else 0


def _delete_old_leases(tx: Tx, *, clock: DatabaseClock, days: int) -> int:
    return lease_history.retain(tx, days=days) if clock.may_delete() else 0
