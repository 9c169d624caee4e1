"""The startup and the shutdown of a runtime."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.to_thread

from project_manager.clock import Clock
from project_manager.config.settings import Settings
from project_manager.observability.metrics import Metrics
from project_manager.runtime import flow, instances, maintenance
from project_manager.runtime.background import ProcessKind
from project_manager.runtime.dispatch import Runtime
from project_manager.runtime.event_hub import Hub
from project_manager.store.backend import Backend
from project_manager.store.database import Database
from project_manager.store.opening import open_backend


@asynccontextmanager
async def open_runtime(
    settings: Settings, *, clock: Clock | None = None, kind: ProcessKind = "serve"
) -> AsyncIterator[Runtime]:
    """Migrate the database if that is allowed, open it, register this process, and run the background jobs.

    Raises DatabaseOpenError before any change when the database must not be opened.
    """
    backend = await anyio.to_thread.run_sync(_prepared_backend, settings, clock)
    metrics = Metrics()
    runtime = Runtime(settings, backend, metrics)
    metrics.set_expected_instances(settings.expected_instances)
    database = runtime.database
    _register_gauges(metrics, database, runtime.hub)
    instances.register_jobs(runtime.jobs, database, kind, runtime.long_polls.waiting_calls)
    maintenance.register_jobs(runtime.jobs, database, metrics, event_days=settings.event_retention_days)
    flow.register_jobs(runtime.jobs, database)
    database.start()
    try:
        async with instances.registered(database, kind):
            runtime.disk_failure_handler.ends_process = kind != "command"
            async with runtime.jobs.running(kind):
                try:
                    yield runtime
                finally:
                    runtime.hub.close()
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(database.close)


def _prepared_backend(settings: Settings, clock: Clock | None) -> Backend:
    backend = open_backend(settings.database_address, clock)
    backend.prepare(auto_migrate=settings.auto_migrate)
    return backend


def _register_gauges(metrics: Metrics, database: Database, hub: Hub) -> None:
    metrics.register_gauge("writer_queue_depth", lambda: database.writer.depth)
    metrics.register_gauge("subscribers", lambda: hub.subscribers)
    metrics.register_gauge("events_head", lambda: hub.head)
    metrics.register_gauge("project_manager_clock_difference_seconds", lambda: database.clock.difference() / 1000)
    backend = database.backend
    metrics.register_gauge("database_bytes", lambda: backend.size()[0])
    backend.register_metrics(metrics)
