"""Metrics of the service in the Prometheus text format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from project_manager import __version__
from project_manager.observability.metric_families import LabelledCounter, Series, TimedFamily

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
QUERY_SECONDS = (0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0)
BACKGROUND_SECONDS = (0.01, 0.1, 1.0, 10.0)
JOBS = (1, 2, 4, 8, 16, 32, 64, 128)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

GAUGES = {
    "writer_queue_depth": "Number of queued write jobs.",
    "leases_held": "Number of active leases.",
    "subscribers": "Number of event hub subscribers.",
    "events_head": "Sequence number of the latest event.",
    "mcp_sessions": "Number of open MCP sessions.",
    "database_bytes": "Size of the database in bytes.",
    "events_sent_total": "Total number of events sent to WebSocket clients.",
    "wal_bytes": "Size of the write-ahead log of SQLite in bytes.",
    "project_manager_database_damaged": "1 if damage was found in the SQLite database file, else 0.",
    "project_manager_disk_free_bytes": "Free disk space of the volume of the SQLite database in bytes.",
    "project_manager_clock_difference_seconds": "Database time minus wall clock in seconds.",
    "project_manager_postgresql_reconnections_total": "Total number of times that the writer has connected again.",
    "project_manager_postgresql_outage_seconds": "Seconds since the server was lost; 0 while it can be reached.",
    "project_manager_postgresql_oldest_snapshot_seconds": "Age of the oldest open snapshot of the database in seconds.",
    "project_manager_postgresql_standbys": "Number of connected standbys of the PostgreSQL server.",
    "project_manager_postgresql_synchronous_standbys": "Number of connected synchronous standbys.",
    "project_manager_postgresql_replication_lag_bytes": "Bytes of the write-ahead log that a standby has not applied.",
}

# A `_created` series per counter would double the page, and no alert rule reads it.
disable_created_metrics()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class MetricInfo:
    """Name, type, labels and help text of a metric. A histogram has the series NAME_bucket, NAME_sum and NAME_count."""

    name: str
    kind: str
    labels: tuple[str, ...]
    doc: str


class Metrics:
    """The metrics of one service. Any thread may call the methods. `described` lists them for the documentation."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.described = [MetricInfo(_exported(name), _kind(name), (), doc) for name, doc in GAUGES.items()]
        self._watched = _CallbackCollector()
        self.registry.register(self._watched)
        ProcessCollector(registry=self.registry)
        build = self._described(MetricInfo("pm_build_info", "gauge", ("version",), "Version of the service."))
        Info("pm_build", build.doc, registry=self.registry).info({"version": __version__})
        self._expected_instances = self._gauge(
            "project_manager_expected_instances",
            "Expected number of instances (EXPECTED_INSTANCES); 0 disables the check.",
        )
        self._make_requests()
        self._make_storage()
        self._make_work()
        self._make_streams()

    def _make_requests(self) -> None:
        self._operations = self._timed(
            Series(
                "pm_operations",
                "Total number of operations by interface and outcome.",
                ("operation", "interface", "outcome"),
            ),
            Series("pm_operation_duration_seconds", "Duration of operations in seconds.", ("operation", "interface")),
            SECONDS,
        )
        self._requests = self._timed(
            Series("pm_http_requests", "Total number of HTTP requests.", ("method", "route", "status")),
            Series("pm_http_request_duration_seconds", "Duration of HTTP requests in seconds.", ("method", "route")),
            SECONDS,
        )
        self._mcp_calls = self._timed(
            Series("pm_mcp_calls", "Total number of MCP tool calls.", ("tool", "protocol_version", "outcome")),
            Series("pm_mcp_call_duration_seconds", "Duration of MCP tool calls in seconds.", ("tool",)),
            SECONDS,
        )
        self._tokens_refused = self._counter(
            "project_manager_tokens_refused", "Total number of requests with an invalid token."
        )
        self._mcp_opened = self._counter("pm_mcp_sessions_opened", "Total number of MCP sessions opened.")
        self._mcp_closed = self._counter("pm_mcp_sessions_closed", "Total number of MCP sessions closed.")

    def _make_storage(self) -> None:
        jobs = Series("pm_writer_batch_jobs", "Number of write jobs per transaction.", ())
        self._batch_jobs = self._timed(None, jobs, JOBS)
        took = Series("pm_writer_batch_duration_seconds", "Duration of write transactions in seconds.", ())
        self._batch_seconds = self._timed(None, took, SECONDS)
        self._lock_waits = self._timed(
            None,
            Series(
                "project_manager_postgresql_lock_wait_seconds",
                "Time that a batch waits for the lock of the writers of all instances, in seconds.",
                (),
            ),
            SECONDS,
        )
        self._lock_holds = self._timed(
            None,
            Series(
                "project_manager_postgresql_lock_hold_seconds",
                "Time that a batch holds the lock of the writers of all instances, in seconds.",
                (),
            ),
            SECONDS,
        )
        self._queries = self._timed(
            None, Series("pm_query_duration_seconds", "Duration of queries in seconds.", ("query",)), QUERY_SECONDS
        )
        self._background = self._timed(
            Series(
                "project_manager_background_jobs",
                "Total number of runs of background jobs by outcome.",
                ("background_job", "outcome"),
            ),
            Series(
                "project_manager_background_job_duration_seconds",
                "Duration of runs of background jobs in seconds.",
                ("background_job",),
            ),
            BACKGROUND_SECONDS,
        )
        self._backup_verified = self._gauge(
            "pm_backup_verified_timestamp_seconds", "Unix time of the last verified backup; 0 if there is none."
        )
        self._backup_seconds = self._gauge(
            "pm_backup_verify_duration_seconds", "Duration of the last backup verification in seconds."
        )

    def _make_work(self) -> None:
        self._leases = LabelledCounter(self._counter("pm_leases", "Total number of lease outcomes.", "outcome"))
        self._reviews = LabelledCounter(
            self._counter("project_manager_reviews", "Total number of verdicts on submitted work.", "verdict")
        )
        self._tasks = self._gauge("pm_tasks", "Number of tasks by status.", "status")
        self._pauses = self._gauge("project_manager_pauses", "Number of active pauses by scope.", "scope")
        self._questions = self._gauge("project_manager_questions_open", "Number of open questions, at most 1,000.")
        self._messages = self._gauge("project_manager_messages_open", "Number of open messages by kind.", "kind")

    def _make_streams(self) -> None:
        self._websockets = self._gauge("pm_websocket_connections", "Number of open WebSockets.")
        self._websockets_opened = self._counter("pm_websocket_opened", "Total number of WebSockets opened.")
        self._websockets_closed = LabelledCounter(
            self._counter("pm_websocket_closed", "Total number of WebSockets closed by reason.", "reason")
        )
        self._websockets_refused = self._counter(
            "pm_websocket_refused", "Total number of WebSockets rejected at the connection limit."
        )
        self._connections = self._gauge("project_manager_connections", "Number of open connections.", "listener")
        self._connections_refused = self._counter(
            "project_manager_connections_refused",
            "Total number of connections rejected or closed, by reason.",
            "reason",
        )
        self._sent = 0
        self.register_gauge("events_sent_total", lambda: self._sent)
        self._dropped = self._counter(
            "pm_subscribers_dropped", "Total number of slow subscribers that were disconnected."
        )

    def _described(self, info: MetricInfo) -> MetricInfo:
        self.described.append(info)
        return info

    def _counter(self, name: str, doc: str, *labels: str) -> Counter:
        info = self._described(MetricInfo(f"{name}_total", "counter", labels, doc))
        return Counter(info.name, doc, labels, registry=self.registry)

    def _gauge(self, name: str, doc: str, *labels: str) -> Gauge:
        self._described(MetricInfo(name, "gauge", labels, doc))
        return Gauge(name, doc, labels, registry=self.registry)

    def _timed(self, counted: Series | None, took: Series, bounds: tuple[float, ...]) -> TimedFamily:
        timed = TimedFamily(counted, took, bounds)
        if counted is not None:
            self._described(MetricInfo(f"{counted.name}_total", "counter", counted.labels, counted.doc))
        self._described(MetricInfo(took.name, "histogram", took.labels, took.doc))
        self.registry.register(timed)
        return timed

    def set_expected_instances(self, count: int) -> None:
        """Set the number of instances that should run; 0 means that the number is not checked."""
        self._expected_instances.set(count)

    def operation(self, operation: str, interface: str, outcome: str, seconds: float) -> None:
        """Record a call of an operation. `outcome` is "ok", "cancelled", "cut_off" or the code of the error."""
        self._operations((operation, interface, outcome), seconds)

    def http_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Record an HTTP request. `route` is the template of the route, never the path of the request."""
        self._requests((method if method in METHODS else "OTHER", route, str(status)), seconds)

    def token_refused(self) -> None:
        """Count a request with a token that is unknown or revoked."""
        self._tokens_refused.inc()

    def mcp_call(self, tool: str, protocol_version: str, outcome: str, seconds: float) -> None:
        """Record a tool call. `tool` is the name of an existing tool, never an unknown name from a client."""
        self._mcp_calls((tool, protocol_version, outcome), seconds)

    def mcp_session_opened(self) -> None:
        self._mcp_opened.inc()

    def mcp_session_closed(self) -> None:
        self._mcp_closed.inc()

    def batch(self, jobs: int, seconds: float) -> None:
        """Record one transaction of the writer."""
        self._batch_jobs((), jobs)
        self._batch_seconds((), seconds)

    def writer_lock(self, waited_seconds: float, held_seconds: float) -> None:
        """Record the lock of the writers on PostgreSQL in one batch."""
        self._lock_waits((), waited_seconds)
        self._lock_holds((), held_seconds)

    def query(self, name: str, seconds: float) -> None:
        """Record one read or write of the store by its name."""
        self._queries((name,), seconds)

    def background_job(self, name: str, outcome: str, seconds: float) -> None:
        """Record a run of a background job. `outcome` is "ok" or the code of the error."""
        self._background((name, outcome), seconds)

    def lease(self, outcome: str) -> None:
        """Count an outcome of a lease, such as acquired, renewed or expired, or of a refusal, such as conflict."""
        self._leases(outcome)

    def review(self, verdict: str) -> None:
        """Count a verdict on submitted work."""
        self._reviews(verdict)

    def tasks_by_status(self, counts: Mapping[str, int]) -> None:
        for status, count in counts.items():
            self._tasks.labels(status).set(count)

    def pauses_by_scope(self, counts: Mapping[str, int]) -> None:
        for scope, count in counts.items():
            self._pauses.labels(scope).set(count)

    def open_questions(self, number: int) -> None:
        self._questions.set(number)

    def messages_by_kind(self, counts: Mapping[str, int]) -> None:
        for kind, count in counts.items():
            self._messages.labels(kind).set(count)

    def backup_verified(self, timestamp_seconds: float, seconds: float) -> None:
        """Record a verified backup. `timestamp_seconds` is in seconds since the epoch, `seconds` is the duration."""
        self._backup_verified.set(timestamp_seconds)
        self._backup_seconds.set(seconds)

    def omit_backups(self) -> None:
        """Do not export when the last backup was verified: other programs back up a database on a server."""
        for gauge in (self._backup_verified, self._backup_seconds):
            self.registry.unregister(gauge)

    def websocket_opened(self) -> None:
        self._websockets_opened.inc()
        self._websockets.inc()

    def websocket_closed(self, reason: str) -> None:
        self._websockets_closed(reason)
        self._websockets.dec()

    def websocket_refused(self) -> None:
        self._websockets_refused.inc()

    def connection_opened(self, listener: str) -> None:
        """Count an open connection. `listener` is "api" or "mcp"."""
        self._connections.labels(listener).inc()

    def connection_closed(self, listener: str) -> None:
        self._connections.labels(listener).dec()

    def connection_refused(self, reason: str) -> None:
        """Count a connection that is refused or closed. `reason` names the limit or the problem."""
        self._connections_refused.labels(reason).inc()

    def events_sent(self, count: int) -> None:
        self._sent += count

    def subscriber_dropped(self) -> None:
        self._dropped.inc()

    def register_gauge(self, gauge: str, read: Callable[[], float | None]) -> None:
        """Export the result of `read` at each scrape, unless it is None or `read` raises OSError.

        `_exported` returns the full name.
        """
        self._watched.reads[gauge] = read

    def value(self, sample: str, **labels: str) -> float:
        """Return the present value of one sample, such as `pm_leases_total`, or 0 when there is none yet."""
        return self.registry.get_sample_value(sample, labels) or 0.0

    def average_query_ms(self) -> float:
        """Return the mean duration of all reads and writes of the store so far, in milliseconds."""
        return self._queries.mean() * 1000

    def render(self) -> bytes:
        """Return all metrics in the Prometheus text format."""
        return generate_latest(self.registry)


class _CallbackCollector(Collector):
    """Gauges that are read at each scrape. A gauge with a name that ends in `_total` is exported as a counter."""

    def __init__(self) -> None:
        self.reads: dict[str, Callable[[], float | None]] = {}

    def collect(self) -> Iterable[Metric]:
        for name, read in list(self.reads.items()):
            try:
                value = read()
            except OSError:
                continue
            if value is None:
                continue
            family = CounterMetricFamily if _kind(name) == "counter" else GaugeMetricFamily
            yield family(_exported(name), GAUGES.get(name, name.replace("_", " ").capitalize()), value=value)


def _exported(gauge: str) -> str:
    return gauge if gauge.startswith("project_manager_") else f"pm_{gauge}"


def _kind(gauge: str) -> str:
    return "counter" if gauge.endswith("_total") else "gauge"
