"""Lookup table from paths of the catalogue's routes to their endpoints.

Starlette's router tries one pattern after another. That costs more than all other steps between the socket and a use
case. Paths without an entry here are passed to that router.
"""

from collections.abc import Iterable
from urllib.parse import unquote

from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send


class PathRouter:
    """Pure ASGI middleware that looks routes up by path.

    A parameter of a route is a whole segment, which may contain an escaped slash.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[Route]) -> None:
        self._app = app
        self._fixed: dict[str, ASGIApp] = {}
        self._with_parameters: dict[tuple[tuple[int, ...], str], tuple[ASGIApp, tuple[str, ...]]] = {}
        self._places: dict[int, set[tuple[int, ...]]] = {}
        for route in routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        parts = route.path.split("/")
        places = tuple(place for place, part in enumerate(parts) if part.startswith("{"))
        if not places:
            self._fixed[route.path] = route.app
            return
        names = tuple(parts[place].strip("{}").partition(":")[0] for place in places)
        self._with_parameters[places, _without(parts, places)] = (route.app, names)
        self._places.setdefault(len(parts), set()).add(places)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope.get("root_path"):
            endpoint = self._find(scope)
            if endpoint is not None:
                await endpoint(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _find(self, scope: Scope) -> ASGIApp | None:
        """Return the endpoint of the path, and set `path_params` in the scope.

        A fixed path takes precedence over one with parameters.
        """
        fixed = self._fixed.get(scope["path"])
        if fixed is not None:
            scope["path_params"] = {}
            return fixed
        parts = _segments(scope)
        for places in self._places.get(len(parts), ()):
            found = self._with_parameters.get((places, _without(parts, places)))
            if found is not None and all(parts[place] for place in places):
                scope["path_params"] = {name: parts[place] for name, place in zip(found[1], places, strict=True)}
                return found[0]
        return None


def _segments(scope: Scope) -> list[str]:
    """Return the segments of the path. An escaped slash (%2F) is part of its segment."""
    raw: bytes = scope.get("raw_path") or b""
    if b"%2f" not in raw and b"%2F" not in raw:
        path: str = scope["path"]
        return path.split("/")
    return [unquote(part) for part in raw.decode("ascii", "replace").split("/")]


def _without(parts: list[str], places: tuple[int, ...]) -> str:
    """Return the path with empty segments at these places."""
    rest = parts.copy()
    for place in places:
        rest[place] = ""
    return "/".join(rest)
