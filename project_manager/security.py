"""The gate in front of every door: which hosts and origins may call, under which request id, and who is
calling.

A web page elsewhere can make a browser send requests here, with a name of its own that it lets point at this
machine (DNS rebinding) or straight across sites. So a Host is taken only when nobody else can own it: an
address, a name without a dot, or one of ALLOWED_HOSTS; and an Origin only when it is this very host, or one
of CORS_ORIGINS.
"""

import ipaddress
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from itertools import count
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import cookie_parser

from project_manager.config import Settings
from project_manager.domain.actors import Actor
from project_manager.domain.errors import OriginRefused, ProjectManagerError, Unauthorized
from project_manager.logs import request_id as current_request_id

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Refuse = Callable[[Scope, Receive, Send, ProjectManagerError], Awaitable[None]]

COOKIE = "pm_session"
REQUEST_ID_CHARACTERS = 128
HOSTS_REMEMBERED = 1000
OPEN_PATHS = frozenset({"/", "/healthz", "/livez", "/readyz", "/api/session", "/openapi.json", "/docs", "/favicon.ico"})
OPEN_FOLDERS = ("/static/",)


class Gate:
    """Pure ASGI middleware. Puts `request_id`, `headers` by name, `actor` and the `secret` that proved it into
    scope["state"]; hands what it refuses to `refuse`.
    """

    def __init__(
        self, app: App, settings: Settings, identify: Callable[[str | None], Awaitable[Actor]], refuse: Refuse
    ) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in (*settings.allowed_hosts, settings.host))
        self._any_host = "*" in settings.allowed_hosts
        self._origins = frozenset(settings.cors_origins)
        self._identify = identify
        self._refuse = refuse
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
        current_request_id.set(request_id)
        answer = _naming(send, request_id)
        try:
            self._check_host(headers)
            self._check_origin(headers)
            if _is_open(scope):
                state["actor"] = None
            else:
                state["secret"] = secret = secret_of(headers)
                state["actor"] = await self._identify(secret)
        except ProjectManagerError as error:
            await self._refuse(scope, receive, answer, error)
            return
        await self._app(scope, receive, answer)

    def _check_host(self, headers: dict[bytes, bytes]) -> None:
        given = headers.get(b"host", b"")
        if given in self._seen_hosts:
            return
        host = _hostname(given.decode("latin-1"))
        if self._any_host or host in self._hosts or _nobody_elses(host):
            if len(self._seen_hosts) < HOSTS_REMEMBERED:
                self._seen_hosts.add(given)
            return
        raise OriginRefused(f"the host {host[:100]!r} is not one that this server answers to", host=host[:100])

    def _check_origin(self, headers: dict[bytes, bytes]) -> None:
        origin = headers.get(b"origin")
        if origin is None:
            return
        text = origin.decode("latin-1")
        if text in self._origins or "*" in self._origins:
            return
        place = _place_of(text)
        if place and place == headers.get(b"host", b"").decode("latin-1").lower():
            return
        raise OriginRefused(f"pages of the origin {text[:100]!r} may not call this server", origin=text[:100])


def secret_of(headers: dict[bytes, bytes]) -> str | None:
    """The token that a request carries, as a bearer or in the dashboard's cookie. Raises Unauthorized for another
    scheme.
    """
    authorization = headers.get(b"authorization")
    if authorization is not None:
        scheme, _, secret = authorization.decode("latin-1").partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise Unauthorized("the header Authorization is not `Bearer TOKEN`")
        return secret.strip()
    if b"cookie" in headers:
        return cookie_parser(headers[b"cookie"].decode("latin-1")).get(COOKIE) or None
    return None


def _first_values(headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    return dict(reversed(headers))


def _given_id(headers: dict[bytes, bytes]) -> str:
    """The request id that the client gave, or nothing when none fit to be used was given."""
    if b"x-request-id" not in headers:
        return ""
    given = headers[b"x-request-id"].decode("latin-1").strip()
    fit = len(given) <= REQUEST_ID_CHARACTERS and given.isascii() and given.isprintable()
    return given if fit else ""


def _naming(send: Send, request_id: str) -> Send:
    """Puts the request id on the answer."""
    pair = (b"x-request-id", request_id.encode())

    async def named(message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.accept"):
            message["headers"] = [*message.get("headers", ()), pair]
        await send(message)

    return named


def _is_open(scope: Scope) -> bool:
    path = scope["path"]
    return scope.get("method") == "OPTIONS" or path in OPEN_PATHS or path.startswith(OPEN_FOLDERS)


def _hostname(host: str) -> str:
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if ":" in host else host


def _place_of(origin: str) -> str:
    """Host and port of an origin as a Host header says them; nothing when it is no origin at all."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _nobody_elses(host: str) -> bool:
    if not host:
        return True
    if "." not in host and ":" not in host:
        return True
    if host.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
