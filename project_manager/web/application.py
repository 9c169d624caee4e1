"""The Starlette application of the API port: an explicit list of routes and middleware."""

from collections.abc import Iterable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp

from project_manager.runtime.dispatch import Runtime
from project_manager.web import dashboard, endpoint, reference
from project_manager.web.errors import on_exception, send_error
from project_manager.web.login import SessionEndpoint
from project_manager.web.middleware import AuthMiddleware, origin_of, session_cookie
from project_manager.web.probes import DrainState, HealthEndpoints
from project_manager.web.routing import PathRouter
from project_manager.web.websocket import EventsWebSocket

CORS_HEADERS = ["ETag", "X-Request-ID", "Retry-After", "Mcp-Session-Id", "WWW-Authenticate"]


def api_application(
    runtime: Runtime,
    updates: EventsWebSocket,
    mcp: ASGIApp | None,
    mcp_paths: Iterable[str],
    drain_state: DrainState | None = None,
) -> ASGIApp:
    """Build the application of the API port. It also serves MCP, so that one port suffices behind a proxy."""
    operations = endpoint.routes(runtime)
    listed = [
        *operations,
        *HealthEndpoints(runtime, lambda: updates.open, drain_state or DrainState()).routes(),
        *updates.routes(),
        *SessionEndpoint(runtime).routes(),
        *reference.routes(),
        *dashboard.routes(),
        *(Route(spelled, endpoint=mcp) for path in mcp_paths for spelled in (path, f"{path}/") if mcp is not None),
    ]
    application = Starlette(routes=listed, exception_handlers={HTTPException: on_exception, Exception: on_exception})
    application.router.redirect_slashes = False
    return with_middleware(PathRouter(application, operations), runtime)


def with_middleware(app: ASGIApp, runtime: Runtime) -> ASGIApp:
    """Wrap an application in authentication. CORS is outermost, so that refusals have its headers too."""
    settings = runtime.settings

    def cookie() -> str:
        return session_cookie(runtime.hub.epoch)

    auth = AuthMiddleware(app, settings, runtime.identify, send_error, cookie, runtime.refused_tokens.record_refusal)
    if not settings.cors_origins:
        return auth
    return CORSMiddleware(
        auth,
        allow_origins=[origin_of(origin) for origin in settings.cors_origins],
        allow_credentials=settings.cors_allow_credentials,
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["*"],
        expose_headers=CORS_HEADERS,
        max_age=600,
    )
