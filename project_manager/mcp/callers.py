"""The caller of an MCP request, which the authentication of the web layer adds to the scope of an HTTP request."""

from typing import Any

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.connection import Connection
from mcp.server.context import ServerRequestContext
from starlette.types import Scope

from project_manager.domain.actors import LOCAL, Actor
from project_manager.domain.errors import Unauthorized
from project_manager.runtime.calls import Caller

Context = ServerRequestContext[Any, Any]


def actor_of(scope: Scope) -> Actor:
    """Return the authenticated actor of a request. Raises Unauthorized."""
    actor = scope.get("state", {}).get("actor")
    if not isinstance(actor, Actor):
        raise Unauthorized("MCP requires authentication")
    return actor


def owned(scope: Scope) -> Scope:
    """Return the scope with the actor as `user`. The SDK compares it with the user that opened the session."""
    token = AccessToken(token="", client_id=actor_of(scope).id, scopes=[])
    return {**scope, "user": AuthenticatedUser(token)}


def secret_of(scope: Scope) -> str | None:
    """Return the token of a request, or None."""
    secret = scope.get("state", {}).get("secret")
    return secret if isinstance(secret, str) else None


def request_id_of(scope: Scope) -> str:
    """Return the id under which the log has the request."""
    return str(scope.get("state", {}).get("request_id", "mcp"))


def caller_of(ctx: Context) -> Caller:
    """Return the caller of a request through the SDK: over HTTP the authenticated actor, over stdio the local user."""
    if ctx.request is None:
        return Caller(actor=LOCAL, interface="mcp", request_id=f"mcp-{ctx.request_id}")
    scope = ctx.request.scope
    return Caller(actor_of(scope), interface="mcp", request_id=request_id_of(scope), secret=secret_of(scope))


def connection_of(ctx: Context) -> Connection:
    """Return the connection of a request. With a protocol version up to 2025-11-25, it can be notified later."""
    return ctx.session._connection  # the SDK has no public API to notify later
