"""Gauges that are read at each scrape of the metrics."""

from project_manager.observability.metrics import Metrics
from project_manager.runtime.event_hub import Hub
from project_manager.store.sqlite.database import Database


def register_gauges(metrics: Metrics, database: Database, hub: Hub) -> None:
    metrics.register_gauge("writer_queue_depth", lambda: database.writer.depth)
    metrics.register_gauge("subscribers", lambda: hub.subscribers)
    metrics.register_gauge("events_head", lambda: hub.head)
    metrics.register_gauge("database_bytes", lambda: database.size()[0])
    metrics.register_gauge("wal_bytes", lambda: database.size()[1])
    metrics.register_gauge("project_manager_database_damaged", lambda: float(database.watch.damage is not None))
    metrics.register_gauge("project_manager_disk_free_bytes", database.disk_free)
    metrics.register_gauge("project_manager_clock_difference_seconds", lambda: database.clock.difference() / 1000)
