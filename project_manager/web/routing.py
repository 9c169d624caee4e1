"""Lookup table from paths of the catalogue's routes to their endpoints.

Starlette's router tries one pattern after another, which costs more than all other steps before the use case.
"""

import re
from collections.abc import Iterable

from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

_NUMBER = re.compile(r"(?<=/)[0-9]+(?=/|$)")
_PARAMETER = re.compile(r"{(\w+)[^}]*}")
_WITH_SLASHES = "/api/agents/"


class PathRouter:
    """Pure ASGI middleware that looks routes up by path, with 0 in place of each number."""

    def __init__(self, app: ASGIApp, routes: Iterable[Route]) -> None:
        self._app = app
        self._endpoints = {
            _PARAMETER.sub("0", route.path): (route.app, _PARAMETER.findall(route.path)) for route in routes
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope.get("root_path"):
            path = scope["raw_path"].decode("latin-1")
            numbers = _NUMBER.findall(path)
            if found := self._endpoints.get(_NUMBER.sub("0", path) if numbers else path):
                endpoint, names = found
                scope["path_params"] = dict(zip(names, numbers, strict=True))
                await endpoint(scope, receive, send)
                return
            if "%2f" in path.lower() and not path.startswith(_WITH_SLASHES):
                scope["path"] = path  # decoded, an escaped slash would separate segments, as in `1%2Flock`
        await self._app(scope, receive, send)
