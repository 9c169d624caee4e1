"""The dashboard's files: an HTML page at `/`, and its assets under `/static/<hash of all files>/`.

Any change gives every file a new URL, so that browsers can cache each file forever. The policy allows no inline script
or style, and no conversion of strings to markup (Trusted Types).
"""

import hashlib
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from importlib.resources import files
from importlib.resources.abc import Traversable
from posixpath import dirname, join, normpath

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from project_manager import __version__
from project_manager.domain import limits
from project_manager.domain.task_fields import FORM, REQUIRED
from project_manager.web import etag

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
SECURITY = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
}
ENTRY = "main.js"
THEME_SCRIPT = "theme_first.js"
STYLES = (
    *("tokens", "base", "controls", "shell", "board", "drawer", "views", "needs", "selection", "notices", "strip"),
    *("agents", "flow", "setup", "activity", "table"),
)
IMMUTABLE = "public, max-age=31536000, immutable"
NO_CACHE = "no-cache"

LIMITS = (
    *("BULK_TASKS", "PAGE_MAXIMUM", "LOG_LINES_AT_ONCE", "NAME_CHARACTERS", "REASON_CHARACTERS"),
    *("VIEW_NAME_CHARACTERS", "REVIEW_ROUNDS_MAXIMUM", "EXCERPT_CHARACTERS"),
    *("MESSAGE_CHARACTERS", "QUESTION_CHARACTERS"),
)
"""The names of the limits that the page obeys."""

ICON = "icon.svg"
LARGEST_NUMBER = 9
BADGE = (
    '<circle cx="14.5" cy="14.5" r="9.5" fill="#c8281e"/>'
    '<text x="14.5" y="{base}" text-anchor="middle" font-family="Arial, Helvetica, sans-serif" font-weight="700"'
    ' font-size="{size}" fill="#fff">{text}</text></svg>'
)

_IMPORT = re.compile(r"""(?:^|[;}])\s*(?:import|export)\b[^"';]*?from\s*["'](\.[^"']+)["']""", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Tree:
    """All files by their path below `static/`, and the hash of their content."""

    files: dict[str, bytes]
    name: str


def routes() -> list[BaseRoute]:
    """Return the routes. Read the files now, because reading them later would block the event loop."""
    _shell()
    return [Route("/", page), Route("/favicon.ico", icon), Route("/static/{tree}/{path:path}", file)]


async def page(request: Request) -> Response:
    body, tag = _shell()
    return _response(request, body, "text/html; charset=utf-8", tag, NO_CACHE)


async def file(request: Request) -> Response:
    """Return a file. Under another release's hash it is not cached: during an upgrade, instances may differ."""
    found = tree()
    path = request.path_params["path"]
    body = found.files.get(path)
    kind = TYPES.get(path[path.rfind(".") :])
    if body is None or kind is None:
        return Response("Not found.\n", 404, media_type="text/plain")
    caching = IMMUTABLE if request.path_params["tree"] == found.name else "no-store"
    return _response(request, body, kind, f'"{found.name}"', caching)


async def icon(request: Request) -> Response:
    return RedirectResponse(f"/static/{tree().name}/{ICON}", 307)


@lru_cache(maxsize=1)
def tree() -> Tree:
    """Return the packaged files. They are read once, because they do not change while the server runs."""
    packaged = dict(_walk(files("project_manager.web") / "static", ""))
    found = dict(sorted({**packaged, **_icons_with_numbers(packaged[ICON])}.items()))
    digest = hashlib.sha256()
    for path, body in found.items():
        digest.update(f"{path}\0{len(body)}\0".encode())
        digest.update(body)
    return Tree(found, digest.hexdigest()[:16])


def _icons_with_numbers(plain: bytes) -> dict[str, bytes]:
    """Return the variants of the icon with the number of tasks that wait on a person.

    The page cannot draw them itself, because the policy allows images of this server only.
    """
    badges = {str(number): BADGE.format(text=number, base=20, size=15.5) for number in range(1, LARGEST_NUMBER + 1)}
    badges[f"{LARGEST_NUMBER}_plus"] = BADGE.format(text=f"{LARGEST_NUMBER}+", base=18.6, size=11)
    drawing = plain.decode().rstrip().removesuffix("</svg>")
    return {f"icon_{name}.svg": (drawing + badge).encode() for name, badge in badges.items()}


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _walk(entry, f"{prefix}{entry.name}/")
        elif entry.is_file():
            found.append((f"{prefix}{entry.name}", entry.read_bytes()))
    return found


def modules(found: Tree) -> list[str]:
    """Return the entry and all modules that it imports, directly or not, for the browser to load at once."""
    reached = [ENTRY]
    for path in reached:
        for wanted in _IMPORT.findall(found.files[path].decode()):
            target = normpath(join(dirname(path), wanted))
            if target not in reached:
                reached.append(target)
    return reached


@lru_cache(maxsize=1)
def _shell() -> tuple[bytes, str]:
    found = tree()
    base = f"/static/{found.name}/"
    styles = "".join(f'<link rel="stylesheet" href="{base}styles/{name}.css">\n' for name in STYLES)
    preloads = "".join(f'<link rel="modulepreload" href="{base}{path}">\n' for path in modules(found))
    text = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Project Manager</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="description" content="Live board of tasks and agents.">
<link rel="icon" type="image/svg+xml" href="{base}{ICON}">
<script src="{base}{THEME_SCRIPT}"></script>
{styles}{preloads}<script type="module" src="{base}{ENTRY}"></script>
</head>
<body>
<div id="app" data-version="{escape(__version__)}" data-task-fields="{escape(_task_fields())}" \
data-limits="{escape(_limits())}"></div>
<noscript><p>The dashboard requires JavaScript. The <a href="/docs">API</a> does not.</p></noscript>
</body>
</html>
"""
    body = text.encode()
    return body, f'"{hashlib.sha256(body).hexdigest()[:16]}"'


def _task_fields() -> str:
    """Return the fields of the form of a task as JSON. `core/task_fields.js` reads them."""
    shown = ("name", "kind", "title", "hint")
    return json.dumps(
        [{**{name: getattr(field, name) for name in shown}, "required": field.default is REQUIRED} for field in FORM]
    )


def _limits() -> str:
    """Return the limits that the page obeys as JSON. `core/limits.js` reads them."""
    return json.dumps({name: getattr(limits, name) for name in LIMITS})


def _response(request: Request, body: bytes, kind: str, tag: str, caching: str) -> Response:
    headers = {"ETag": tag, "Cache-Control": caching, **SECURITY}
    if etag.matches(dict(request.scope["headers"]).get(b"if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    return Response(body, headers={**headers, "Content-Type": kind})
