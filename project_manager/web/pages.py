"""Plain HTML pages for browsers: layout, security policy and error page."""

from html import escape

from starlette.responses import HTMLResponse, Response

from project_manager.domain.errors import ProjectManagerError
from project_manager.web.middleware import Scope

POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
HEADERS = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"}
API_PREFIXES = ("/api/", "/mcp", "/sse", "/messages", "/ws/", "/static/", "/.well-known/")


def wants_html(scope: Scope) -> bool:
    """Return whether a browser navigates to this URL. Programs do not request HTML."""
    if scope["method"] not in ("GET", "HEAD") or scope["path"].startswith(API_PREFIXES):
        return False
    return b"text/html" in dict(scope["headers"]).get(b"accept", b"")


def error_page(error: ProjectManagerError, status: int, headers: dict[str, str]) -> Response:
    """Return the error as an HTML page with a link to the dashboard."""
    message = escape(error.message[:1].upper() + error.message[1:])
    text = page("Project Manager", f'<h1>{message}</h1><p><a href="/">Open the dashboard</a></p>')
    return HTMLResponse(text, status, headers | HEADERS | {"Cache-Control": "no-store"})


def page(title: str, content: str) -> str:
    """Return a whole HTML page. `title` and `content` are HTML."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/static/reference.css"></head>'
        f"<body><main>{content}</main></body></html>"
    )
