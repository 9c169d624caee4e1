"""The Starlette application of the API port: an explicit list of routes and middleware."""

from collections.abc import Iterable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp

from project_manager.runtime.dispatch import Runtime
from project_manager.web import dashboard, endpoint, reference
from project_manager.web.errors import on_fault, on_http_exception, refuse
from project_manager.web.login import Session
from project_manager.web.middleware import Gate, origin_of, session_cookie
from project_manager.web.probes import Leaving, Ops
from project_manager.web.routing import Direct
from project_manager.web.websocket import Updates

CORS_HEADERS = ["ETag", "X-Request-ID", "Retry-After", "Mcp-Session-Id", "WWW-Authenticate"]


def api(
    runtime: Runtime, updates: Updates, mcp: ASGIApp | None, mcp_paths: Iterable[str], leaving: Leaving | None = None
) -> ASGIApp:
    """Build the application of the API port.

    It also serves MCP, so that one port suffices behind a proxy.
    """
    operations = endpoint.routes(runtime)
    listed = [
        *operations,
        *Ops(runtime, lambda: updates.open, leaving or Leaving()).routes(),
        *updates.routes(),
        *Session(runtime).routes(),
        *reference.routes(),
        *dashboard.routes(),
        *(Route(spelled, endpoint=mcp) for path in mcp_paths for spelled in (path, f"{path}/") if mcp is not None),
    ]
    application = Starlette(
        routes=listed,
        exception_handlers={HTTPException: on_http_exception, Exception: on_fault},
    )
    application.router.redirect_slashes = False
    return guarded(Direct(application, operations), runtime)


def guarded(app: ASGIApp, runtime: Runtime) -> ASGIApp:
    """Wrap an application in the gate. CORS is outermost, so that refusals carry its headers too."""
    settings = runtime.settings
    cookie = session_cookie(runtime.hub.epoch)
    gate = Gate(app, settings, runtime.identify, refuse, cookie, runtime.refused_tokens.refuse)
    if not settings.cors_origins:
        return gate
    return CORSMiddleware(
        gate,
        allow_origins=[origin_of(origin) for origin in settings.cors_origins],
        allow_credentials=settings.cors_allow_credentials,
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["*"],
        expose_headers=CORS_HEADERS,
        max_age=600,
    )
