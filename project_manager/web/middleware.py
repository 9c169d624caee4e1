"""Middleware of both ports: check of Host and Origin, request id, authentication.

A web page of another site can make a browser send requests here, directly or by DNS rebinding. With DNS rebinding the
site points its own host name at this machine. So a Host is accepted only when no other party can own it: an address, a
name without a dot or below `.localhost`, HOST, or one of ALLOWED_HOSTS. An Origin is accepted only when it is the host
and port of the request, or one of CORS_ORIGINS.
"""

import ipaddress
import re
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from itertools import count
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import cookie_parser

from project_manager.config.settings import Settings
from project_manager.domain.actors import Actor
from project_manager.domain.errors import HostNotAllowed, OriginNotAllowed, ProjectManagerError, Unauthorized
from project_manager.observability.logging import bind_context

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
SendError = Callable[[Scope, Receive, Send, ProjectManagerError], Awaitable[None]]

DEFAULT_PORTS = {"http": "80", "ws": "80", "https": "443", "wss": "443"}
REQUEST_ID_CHARACTERS = 128
HOSTS_REMEMBERED = 1000
TAG_HEADERS = frozenset({b"if-match", b"if-none-match"})
PUBLIC_PATHS = frozenset(
    {
        "/",
        "/healthz",
        "/livez",
        "/readyz",
        "/api/session",
        "/openapi.json",
        "/schemas/events.json",
        "/docs",
        "/favicon.ico",
    }
)
PUBLIC_PREFIXES = ("/static/",)

_AUTHORITY = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(:(?P<port>[0-9]{0,5}))?")


class AuthMiddleware:
    """Pure ASGI middleware that checks and authenticates requests.

    It sets `request_id`, `headers` by name, `actor` and its `secret` in scope["state"]. It passes refused requests to
    `refuse`. For a refused token, the middleware first awaits `on_refused_token` with the client's address. `cookie`
    returns the name of the cookie with the token, or an empty string.
    """

    def __init__(
        self,
        app: App,
        settings: Settings,
        identify: Callable[[str | None], Awaitable[Actor]],
        refuse: SendError,
        cookie: Callable[[], str] = str,
        on_refused_token: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        self._app = app
        self._hosts = frozenset(_split(host)[0] for host in (*settings.allowed_hosts, settings.host))
        self._any_host = "*" in settings.allowed_hosts
        self._origins = frozenset(map(origin_of, settings.cors_origins))
        self._cookie = cookie
        self._identify = identify
        self._refuse = refuse
        self._on_refused_token = on_refused_token
        self._seen_hosts: set[bytes] = set()
        self._numbers = count(secrets.randbits(63))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = _first_values(scope["headers"])
        request_id = _given_id(headers) or f"{next(self._numbers):016x}"
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        state["headers"] = headers
        bind_context(request_id, None)
        send_with_id = _with_request_id(send, request_id)
        try:
            self._check_host(headers)
            self._check_origin(headers)
            if _is_public(scope):
                state["actor"] = None
            else:
                state["secret"] = secret = bearer_or_cookie(headers, self._cookie())
                state["actor"] = actor = await self._identify(secret)
                if actor.token_id is not None:
                    bind_context(request_id, actor.token_id)
        except ProjectManagerError as error:
            if self._on_refused_token and isinstance(error, Unauthorized) and has_token(headers, self._cookie()):
                await self._on_refused_token(client_address(scope))
            await self._refuse(scope, receive, send_with_id, error)
            return
        await self._app(scope, receive, send_with_id)

    def _check_host(self, headers: dict[bytes, bytes]) -> None:
        given = headers.get(b"host", b"")
        if given in self._seen_hosts:
            return
        host, _ = _split(given.decode("latin-1"))
        if self._any_host or host in self._hosts or _is_local_hostname(host):
            if len(self._seen_hosts) < HOSTS_REMEMBERED:
                self._seen_hosts.add(given)
            return
        raise HostNotAllowed(f"host {host[:100]!r} is not allowed", host=host[:100])

    def _check_origin(self, headers: dict[bytes, bytes]) -> None:
        origin = headers.get(b"origin")
        if origin is None:
            return
        text = origin.decode("latin-1")
        is_listed = "*" in self._origins or origin_of(text) in self._origins
        if not is_listed and not _is_same_server(text, headers.get(b"host", b"").decode("latin-1")):
            raise OriginNotAllowed(f"origin {text[:100]!r} is not allowed", origin=text[:100])


def session_cookie(epoch: str) -> str:
    """Return the name of the dashboard's cookie for the database with this epoch.

    A browser sends its cookies to every port of a host: two servers with one common name would sign each other out.
    """
    return f"pm_session_{epoch}"


def origin_of(text: str) -> str:
    """Return an origin in the form of browsers: lower case, without the default port of its scheme."""
    scheme, separator, place = text.lower().partition("://")
    default = DEFAULT_PORTS.get(scheme)
    return text.lower() if default is None else f"{scheme}{separator}{place.removesuffix(f':{default}')}"


def bearer_or_cookie(headers: dict[bytes, bytes], cookie: str) -> str | None:
    """Return the bearer token, else the cookie, else None. Raises Unauthorized if Authorization is malformed."""
    authorization = headers.get(b"authorization")
    if authorization is not None:
        scheme, _, secret = authorization.decode("latin-1").partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise Unauthorized("the header Authorization is not `Bearer TOKEN`")
        return secret.strip()
    if b"cookie" in headers:
        return cookie_parser(headers[b"cookie"].decode("latin-1")).get(cookie) or None
    return None


def has_token(headers: dict[bytes, bytes], cookie: str) -> bool:
    """Return whether a request carries a token in any form."""
    return b"authorization" in headers or bearer_or_cookie(headers, cookie) is not None


def client_address(scope: Scope) -> str:
    """Return the address of the client. Behind a trusted proxy it is the forwarded address."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def _first_values(headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return the first value of each header. Several lines of a header with entity tags are joined."""
    first = dict(reversed(headers))
    if len(first) < len(headers):
        for name in TAG_HEADERS & first.keys():
            first[name] = b", ".join(value for given, value in headers if given == name)
    return first


def _given_id(headers: dict[bytes, bytes]) -> str:
    """Return the request id of the client, or an empty string when it sent no valid one."""
    if b"x-request-id" not in headers:
        return ""
    given = headers[b"x-request-id"].decode("latin-1").strip()
    fit = len(given) <= REQUEST_ID_CHARACTERS and given.isascii() and given.isprintable()
    return given if fit else ""


def _with_request_id(send: Send, request_id: str) -> Send:
    """Return a `send` that adds the request id to the response headers."""
    pair = (b"x-request-id", request_id.encode())

    async def named(message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.accept"):
            message["headers"] = [*message.get("headers", ()), pair]
        await send(message)

    return named


def _is_public(scope: Scope) -> bool:
    path = scope["path"]
    return scope.get("method") == "OPTIONS" or path in PUBLIC_PATHS or path.startswith(PUBLIC_PREFIXES)


def _split(authority: str) -> tuple[str, str]:
    """Return the host, in lower case without brackets, and the port of `host[:port]`. Other text counts as host."""
    authority = authority.strip().lower()
    found = _AUTHORITY.fullmatch(authority)
    return (authority, "") if found is None else (found["host"].strip("[]"), found["port"] or "")


def _is_same_server(origin: str, host: str) -> bool:
    """Return whether the origin is the server of this Host header. Some proxies add the default port."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    default = DEFAULT_PORTS.get(parts.scheme, "")
    (name, port), (host_name, host_port) = _split(parts.netloc), _split(host)
    return name != "" and (name, port or default) == (host_name, host_port or default)


def _is_local_hostname(host: str) -> bool:
    """Return whether no other site can own this host name: empty, without a dot, `.localhost`, or an address."""
    if ("." not in host and ":" not in host) or host.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
