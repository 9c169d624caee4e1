"""The server process: one event loop, a listening socket for the API and one for MCP, and a graceful shutdown."""

import errno
import gc
import logging
import signal
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import anyio.to_thread
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from project_manager import __version__
from project_manager.config.settings import TRANSPORTS_WITH_PORT, Settings, read_environment
from project_manager.mcp.on_demand import McpOnDemand, import_stdio
from project_manager.observability.logging import log_action
from project_manager.observability.systemd import Supervisor
from project_manager.runtime.calls import NO_CONNECTION, ClientConnection
from project_manager.runtime.dispatch import Runtime
from project_manager.runtime.open import open_runtime
from project_manager.web.application import api_application, with_middleware
from project_manager.web.connections import Connections, connection_limit
from project_manager.web.probes import DrainState
from project_manager.web.server import Server
from project_manager.web.websocket import PATH as UPDATES
from project_manager.web.websocket import EventsWebSocket, WebSocketNotFound
from project_manager.web.websocket_protocol import PreframedWebSocketProtocol

log = logging.getLogger(__name__)

BACKLOG = 2048
DRAIN_NOTICE_SECONDS = 2.0
"""Time for a load balancer to see the shutdown in the health check."""
INFLIGHT_TIMEOUT_SECONDS = 2.0
"""Time for MCP calls in flight to finish at shutdown."""
FORCED_STOP_SECONDS = 2
"""Time for uvicorn to finish the remaining requests at shutdown."""
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

Announce = Callable[[str], None]


class StartError(Exception):
    """The service cannot start. The message is one sentence with the reason."""


def serve(settings: Settings, *, announce: Announce) -> int:
    """Run the service until SIGTERM or SIGINT and return the exit status. `announce` receives the lines with the URLs.

    With the transport stdio, standard input and output serve MCP too. The service continues when that client
    disconnects. Raises StartError, DatabaseOpenError.
    """
    sockets = bind(settings)
    try:
        anyio.run(run, settings, sockets, announce, backend_options={"use_uvloop": True})
    finally:
        for bound in sockets:
            bound.close()
    log_action(log, "stopped")
    return 0


def serve_stdio(settings: Settings, connection: ClientConnection = NO_CONNECTION) -> int:
    """Serve MCP on standard input and output until the client disconnects, and return the exit status.

    `connection` has the agent and the project that the client fixes.
    """
    anyio.run(_stdio, settings, import_stdio(handle_signals=True, connection=connection))
    return 0


async def _stdio(settings: Settings, serve_on_stdio: Callable[[Runtime], Coroutine[Any, Any, None]]) -> None:
    async with open_runtime(settings, kind="mcp") as runtime:
        await serve_on_stdio(runtime)


def bind(settings: Settings) -> list[socket.socket]:
    """Return the listening sockets: the API, then MCP unless it uses stdio. Raises StartError for an unusable port."""
    ports = [("DEFAULT_PORT", settings.default_port)]
    if settings.mcp_transport in TRANSPORTS_WITH_PORT:
        ports.append(("MCP_PORT", settings.mcp_port))
    bound: list[socket.socket] = []
    for name, port in ports:
        try:
            bound.append(_listen(settings.host, port))
        except OSError as error:
            for opened in bound:
                opened.close()
            raise StartError(_unusable(name, port, settings.host, error)) from error
    return bound


def _unusable(name: str, port: int, host: str, error: OSError) -> str:
    flag = {"DEFAULT_PORT": "--port", "MCP_PORT": "--mcp-port"}[name]
    hint = f"; choose another with {flag} or {name}" if error.errno == errno.EADDRINUSE else ""
    return f"{name} {port} on {host} is not available: {error.strerror or error}{hint}"


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With an explicit protocol asyncio sets TCP_NODELAY on accepted connections. Without it each response waits 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    listening.setblocking(False)
    return listening


async def run(settings: Settings, sockets: list[socket.socket], announce: Announce) -> None:
    """Open the runtime and serve on the bound sockets. At a signal, drain and close.

    If the first MCP request cannot load MCP, shut down in the same order, and raise the error.
    """
    serve_on_stdio = import_stdio(handle_signals=False) if settings.mcp_transport == "stdio" else None
    async with open_runtime(settings) as runtime:
        mcp = McpOnDemand(runtime)
        updates = EventsWebSocket(runtime)
        mcp_app: ASGIApp | None = mcp if len(sockets) > 1 else None
        drain_state = DrainState()
        application: ASGIApp = api_application(runtime, updates, mcp_app, mcp.paths, drain_state)
        if mcp_app is not None:
            api_port, port = (bound.getsockname()[1] for bound in sockets)
            on_mcp_port = mcp_port_app(mcp_app, application, WebSocketNotFound(f"{UPDATES} on port {api_port}"))
            application = by_port(application, with_middleware(on_mcp_port, runtime), port)
        async with mcp.run(), anyio.create_task_group() as tasks:
            streams = settings.websocket_max_connections + settings.mcp_max_connections
            connections = Connections(connection_limit(streams), runtime.metrics)
            server = Server(_configuration(settings, application), connections)
            supervisor = Supervisor(read_environment())
            tasks.start_soon(_until_signal, server, runtime, mcp, drain_state, supervisor)
            tasks.start_soon(_stop_after_failure, server, runtime, mcp, drain_state)
            tasks.start_soon(_announce_when_up, server, runtime, sockets, announce, supervisor)
            tasks.start_soon(supervisor.watch, runtime.is_alive)
            if serve_on_stdio is not None:
                tasks.start_soon(serve_on_stdio, runtime)
            await server.serve(sockets=sockets)
            tasks.cancel_scope.cancel()
    if mcp.failure is not None:
        raise mcp.failure


def by_port(api_app: ASGIApp, mcp_app: ASGIApp, mcp_port: int) -> ASGIApp:
    """Build the application of both sockets. The port of the connection selects `api_app` or `mcp_app`."""

    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        server = scope.get("server")
        chosen = mcp_app if server is not None and server[1] == mcp_port else api_app
        await chosen(scope, receive, send)

    return route


def mcp_port_app(mcp_app: ASGIApp, api_app: ASGIApp, websocket_not_found: ASGIApp) -> ASGIApp:
    """Build the application of the MCP port: MCP, health checks, and the refusal of WebSockets."""

    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        is_health_check = scope["type"] == "http" and scope["path"] in ("/healthz", "/livez", "/readyz")
        chosen = websocket_not_found if scope["type"] == "websocket" else api_app if is_health_check else mcp_app
        await chosen(scope, receive, send)

    return route


def _configuration(settings: Settings, application: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        forwarded_allow_ips=list(settings.forwarded_allow_ips),
        ws=PreframedWebSocketProtocol,
        ws_per_message_deflate=False,
        ws_max_size=65536,
        ws_ping_interval=settings.websocket_ping_interval or None,
        ws_ping_timeout=settings.websocket_ping_timeout or None,
        timeout_graceful_shutdown=FORCED_STOP_SECONDS,
        backlog=BACKLOG,
    )


async def _announce_when_up(
    server: Server, runtime: Runtime, sockets: list[socket.socket], announce: Announce, supervisor: Supervisor
) -> None:
    await server.listening.wait()
    # Objects from startup live as long as the process, so exclude them from garbage collection.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    urls = addresses(runtime.settings, sockets)
    for name, address in urls.items():
        announce(f"{name:<11}{address}")
    log_action(log, "started", version=__version__, database=runtime.settings.database_name, **urls)
    supervisor.ready(f"Serving on {urls['dashboard']}")
    if files := await anyio.to_thread.run_sync(runtime.world_accessible_files):
        names = " and ".join(str(path.absolute()) for path in files)
        log.warning(
            "other users of this host have permissions on %s; remove them with `chmod o= PATH`",
            names,
            extra={"action": "open_to_other_users"},
        )
    if runtime.settings.host not in LOOPBACK and not runtime.settings.auth_required:
        reached = f"{runtime.settings.host} is reachable from other hosts and AUTH_REQUIRED is off"
        log.warning("%s: every client has full access", reached, extra={"action": "open_to_all"})


def addresses(settings: Settings, sockets: list[socket.socket]) -> dict[str, str]:
    """Return the URLs of dashboard, API and MCP by name."""
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104 compared, not bound
    url_host = f"[{host}]" if ":" in host else host
    base = f"http://{url_host}:{sockets[0].getsockname()[1]}"
    urls = {"dashboard": f"{base}/", "api": f"{base}/docs"}
    if len(sockets) > 1:
        mcp = f"http://{url_host}:{sockets[1].getsockname()[1]}"
        urls["mcp"] = f"{mcp}/mcp" + (f" and {mcp}/sse" if settings.mcp_transport == "sse" else "")
    return urls


async def _until_signal(
    server: Server, runtime: Runtime, mcp: McpOnDemand, drain_state: DrainState, supervisor: Supervisor
) -> None:
    """Drain and stop at the first signal. Force the stop at the second one."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        stopping = False
        async with anyio.create_task_group() as tasks:
            async for number in signals:
                if stopping:
                    log_action(log, "forced", logging.WARNING, signal=signal.Signals(number).name)
                    server.should_exit = server.force_exit = True
                    tasks.cancel_scope.cancel()
                    return
                stopping = True
                log_action(log, "stopping", signal=signal.Signals(number).name)
                supervisor.stopping()
                tasks.start_soon(_stop, server, runtime, mcp, drain_state)


async def _stop_after_failure(server: Server, runtime: Runtime, mcp: McpOnDemand, drain_state: DrainState) -> None:
    await mcp.failed.wait()
    await _stop(server, runtime, mcp, drain_state)


async def _stop(server: Server, runtime: Runtime, mcp: McpOnDemand, drain_state: DrainState) -> None:
    """Shut down: give a load balancer time, stop accepting, end streams, finish calls in flight, stop the server."""
    drain_state.begun = True
    if drain_state.is_probed:
        await anyio.sleep(DRAIN_NOTICE_SECONDS)
    for listening in server.servers:
        listening.close()
    runtime.hub.close()
    runtime.refused_tokens.end_delays()
    mcp.drain()
    await mcp.wait_inflight(INFLIGHT_TIMEOUT_SECONDS)
    await mcp.terminate()
    server.should_exit = True
