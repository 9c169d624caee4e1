"""Health checks and metrics for operators. Nothing in this module writes."""

import logging
from collections.abc import Callable
from typing import Any

import anyio.to_thread
import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from project_manager.clock import monotonic, rfc3339
from project_manager.domain.errors import ProjectManagerError, RouteNotFound
from project_manager.domain.statuses import CLOSED, Status
from project_manager.observability.metrics import CONTENT_TYPE
from project_manager.runtime.dispatch import Runtime
from project_manager.runtime.health import Health
from project_manager.web.errors import response_of

log = logging.getLogger(__name__)

PROBE_WINDOW_SECONDS = 3.0


class DrainState:
    """Shutdown state, which the health check shows to load balancers before the listeners close."""

    def __init__(self) -> None:
        self.begun = False
        self._last_probe = float("-inf")

    def record_probe(self, request: Request) -> None:
        """Record a health check. A local client is a supervisor, not a load balancer, and does not count."""
        if request.client is not None and request.client.host not in ("127.0.0.1", "::1"):
            self._last_probe = monotonic()

    @property
    def is_probed(self) -> bool:
        """Return whether a load balancer has checked the health within PROBE_WINDOW_SECONDS."""
        return monotonic() - self._last_probe < PROBE_WINDOW_SECONDS


class HealthEndpoints:
    """Endpoints for health and metrics of one runtime. `sockets` returns the number of open WebSockets."""

    def __init__(self, runtime: Runtime, sockets: Callable[[], int], drain_state: DrainState) -> None:
        self._runtime = runtime
        self._drain_state = drain_state
        self._health = Health(runtime)
        self._sockets = sockets
        self._leased = 0
        runtime.metrics.register_gauge("leases_held", lambda: self._leased)

    def routes(self) -> list[Route]:
        health = [Route("/healthz", self.healthz), Route("/livez", self.livez), Route("/readyz", self.readyz)]
        if not self._runtime.settings.metrics_enabled:
            return [*health, Route("/api/metrics", self.metrics_disabled), Route("/metrics", self.metrics_disabled)]
        return [*health, Route("/api/metrics", self.summary), Route("/metrics", self.prometheus)]

    async def metrics_disabled(self, request: Request) -> Response:
        error = RouteNotFound("metrics are disabled", hint="Set METRICS_ENABLED=true.")
        return response_of(error, request.scope["state"]["request_id"])

    async def healthz(self, request: Request) -> Response:
        """Return the health for load balancers: 200 while the instance accepts work, else 503 with the reasons.

        With `?draining=404` a healthy instance in shutdown returns 404. haproxy then only stops new sessions.
        """
        self._drain_state.record_probe(request)
        condition = await self._health.condition()
        reasons = condition.reasons
        refusal = 503
        if self._drain_state.begun:
            refusal = 404 if not reasons and request.query_params.get("draining") == "404" else 503
            reasons = [*reasons, "stopping"]
        body: dict[str, Any] = {
            "status": "unhealthy" if reasons else "healthy",
            "database_connected": condition.reads,
            "active_websocket_connections": self._sockets(),
            "timestamp": rfc3339(self._runtime.clock.now()),
        }
        if reasons:
            body["reasons"] = reasons
        return JSONResponse(body, refusal if reasons else 200, headers={"Cache-Control": "no-store"})

    async def livez(self, request: Request) -> Response:
        """Return 200 while the process responds."""
        return JSONResponse({"status": "alive"})

    async def readyz(self, request: Request) -> Response:
        """Return each condition for receiving work, with 200 if all hold, else 503."""
        checks = await self._health.checks()
        ready = all(checks.values())
        return JSONResponse({"status": "ready" if ready else "not ready", "checks": checks}, 200 if ready else 503)

    async def summary(self, request: Request) -> Response:
        """Return the operational figures as JSON."""
        try:
            figures = await self._health.figures()
        except ProjectManagerError as error:
            return response_of(error, request.scope["state"]["request_id"])
        opened, memory = await anyio.to_thread.run_sync(self._measured)
        storage = await self._health.storage()
        body = {
            "connections": {
                "active": self._sockets(),
                "total_opened": opened,
                "max_capacity": self._runtime.settings.websocket_max_connections,
            },
            "tasks": {
                "total": sum(figures.by_status.values()),
                "locked": figures.leased,
                "completed_today": figures.completed_today,
                "open": sum(number for status, number in figures.by_status.items() if Status(status) not in CLOSED),
                "by_status": figures.by_status,
            },
            "events": {"seq": figures.head.seq, "hash": figures.head.hash.hex()},
            "performance": {"avg_query_time_ms": round(self._runtime.metrics.average_query_ms(), 3)},
            "system": {
                "uptime_seconds": int(monotonic() - self._runtime.started_at),
                "memory_usage_mb": round(memory / 1024 / 1024, 1),
                "database_bytes": storage.database_bytes,
                "wal_bytes": storage.wal_bytes,
                "writer_queue_depth": storage.writer_queue_depth,
            },
        }
        return Response(orjson.dumps(body), media_type="application/json")

    def _measured(self) -> tuple[int, float]:
        """Return the number of WebSockets opened and the bytes of memory. Call it on a thread: it reads files."""
        metrics = self._runtime.metrics
        return int(metrics.value("pm_websocket_opened_total")), metrics.value("process_resident_memory_bytes")

    async def prometheus(self, request: Request) -> Response:
        """Return the metrics in the Prometheus text format."""
        try:
            figures = await self._health.figures()
        except ProjectManagerError:
            log.warning("cannot count tasks for the metrics", extra={"action": "metrics_incomplete"})
        else:
            self._leased = figures.leased
            self._runtime.metrics.tasks_by_status(figures.by_status)
            self._runtime.metrics.pauses_by_scope(figures.pauses)
            self._runtime.metrics.messages_by_kind(figures.messages)
            self._runtime.metrics.open_questions(figures.questions)
        rendered = await anyio.to_thread.run_sync(self._runtime.metrics.render)
        return Response(rendered, headers={"Content-Type": CONTENT_TYPE})
