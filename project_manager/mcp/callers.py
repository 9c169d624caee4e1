"""The caller of an MCP request, which the authentication of the web layer adds to the scope of an HTTP request."""

from dataclasses import replace
from typing import Any

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.connection import Connection
from mcp.server.context import ServerRequestContext
from starlette.types import Scope

from project_manager.domain.actors import LOCAL, Actor
from project_manager.domain.errors import Unauthorized
from project_manager.mcp.connections import ClientNames, connection_in
from project_manager.runtime.calls import NO_CONNECTION, Caller, ClientConnection

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


def caller_of(ctx: Context, connection: ClientConnection = NO_CONNECTION) -> Caller:
    """Return the caller of a request through the SDK: over HTTP the authenticated actor, over stdio the local user."""
    if ctx.request is None:
        return Caller(LOCAL, "mcp", f"mcp-{ctx.request_id}", connection=connection)
    scope = ctx.request.scope
    return Caller(actor_of(scope), "mcp", request_id_of(scope), secret=secret_of(scope), connection=connection)


def client_of(ctx: Context) -> str:
    """Return the name that the client of a request gives itself, or an empty text."""
    params = connection_of(ctx).client_params
    return "" if params is None else params.client_info.name


def client_connection_of(ctx: Context, names: ClientNames, stdio: ClientConnection) -> ClientConnection:
    """Return the connection of a request through the SDK. That of standard input is `stdio`."""
    if ctx.request is None:
        return replace(stdio, client=client_of(ctx))
    return connection_in(ctx.request.scope, names, client_of(ctx))


def connection_of(ctx: Context) -> Connection:
    """Return the connection of a request. With a protocol version up to 2025-11-25, it can be notified later."""
    return ctx.session._connection  # the SDK has no public API to notify later
