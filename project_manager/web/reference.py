"""`/openapi.json`, `/schemas/events.json`, and `/docs`: the API as a page that loads nothing from other sites.

Redoc and Scalar need inline styles, which the policy forbids, and would double or triple the size of the package.
"""

from functools import lru_cache
from html import escape
from typing import Any

import anyio.to_thread
import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from project_manager.schemas import event_schema
from project_manager.web.openapi import document
from project_manager.web.pages import HEADERS, page

STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 62rem; margin: 0 auto; padding: 1.5rem; overflow-wrap: anywhere; }
a { color: inherit; }
section { border-top: 1px solid color-mix(in srgb, currentColor 20%, transparent); padding: 1rem 0; }
h2 { font-size: 1.05rem; margin: 0; } h2 code { margin-right: .75rem; }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; }
p { white-space: pre-line; margin: .5rem 0; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .2rem .75rem .2rem 0; font-size: .9rem; }
@media (max-width: 40rem) {
  tr { display: flex; flex-wrap: wrap; } td:last-child { flex-basis: 100%; }
}
"""


def routes() -> list[Route]:
    return [
        Route("/openapi.json", openapi),
        Route("/schemas/events.json", events),
        Route("/docs", reference),
        Route("/static/reference.css", style),
    ]


async def openapi(request: Request) -> Response:
    return Response(await anyio.to_thread.run_sync(_encoded), media_type="application/json")


async def events(request: Request) -> Response:
    return Response(await anyio.to_thread.run_sync(_encoded_events), media_type="application/schema+json")


async def style(request: Request) -> Response:
    return Response(STYLE, media_type="text/css")


async def reference(request: Request) -> Response:
    return HTMLResponse(await anyio.to_thread.run_sync(_page), headers=HEADERS)


@lru_cache(maxsize=1)
def _described() -> dict[str, Any]:
    """Return the cached OpenAPI document. Call this on a thread: the first call takes a quarter of a second."""
    return document()


@lru_cache(maxsize=1)
def _encoded() -> bytes:
    return orjson.dumps(_described())


@lru_cache(maxsize=1)
def _encoded_events() -> bytes:
    return orjson.dumps(event_schema.document())


@lru_cache(maxsize=1)
def _page() -> str:
    described = _described()
    sections = [
        _section(method, path, entry)
        for path, methods in described["paths"].items()
        for method, entry in methods.items()
    ]
    head = (
        f"<h1>Project Manager API {escape(described['info']['version'])}</h1>"
        '<p>Machine-readable: <a href="/openapi.json">/openapi.json</a></p>'
    )
    return page("Project Manager API", head + "".join(sections))


def _section(method: str, path: str, entry: dict[str, Any]) -> str:
    rows = [
        _row(parameter["name"], parameter["in"], parameter.get("schema", {}), parameter)
        for parameter in entry["parameters"]
    ]
    body = entry.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    fields = body.get("properties") or _referred(body)
    rows += [_row(name, "body", schema, schema) for name, schema in fields.items()]
    responses = "; ".join(f"{status}: {_described_in(response)}" for status, response in entry["responses"].items())
    return (
        f'<section id="{escape(entry["operationId"])}"><h2><code>{method.upper()} {escape(path)}</code>'
        f"{escape(entry['operationId'])}</h2><p>{escape(entry['description'])}</p>"
        f"<table><tbody>{''.join(rows)}</tbody></table><p>{escape(responses)}</p></section>"
    )


def _described_in(response: dict[str, Any]) -> str:
    name = str(response.get("$ref", "")).rpartition("/")[2]
    found: dict[str, Any] = _described()["components"]["responses"][name] if name else response
    return str(found["description"])


def _referred(body: dict[str, Any]) -> dict[str, Any]:
    name = str(body.get("$ref", "")).rpartition("/")[2]
    found: dict[str, Any] = _described()["components"]["schemas"].get(name, {}).get("properties", {})
    return found


def _row(name: str, where: str, schema: dict[str, Any], described: dict[str, Any]) -> str:
    description = described.get("description") or schema.get("description") or ""
    return (
        f"<tr><th><code>{escape(name)}</code></th><td>{escape(where)}</td>"
        f"<td>{escape(' | '.join(dict.fromkeys(_types(schema))))}</td><td>{escape(description)}</td></tr>"
    )


def _types(schema: dict[str, Any]) -> list[str]:
    """Return the types of a value as text: `integer`, `null`, `list of string`."""
    if "anyOf" in schema:
        return [word for part in schema["anyOf"] for word in _types(part)]
    given = schema.get("type", "object")
    if given == "array":
        return [f"list of {' or '.join(_types(schema.get('items', {})))}"]
    return given if isinstance(given, list) else [given]
