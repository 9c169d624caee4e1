"""MCP resources: tasks, boards and agents. A client can read them and subscribe to them."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import orjson
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    SubscribeRequestParams,
    UnsubscribeRequestParams,
)

from project_manager.catalogue import BY_NAME
from project_manager.domain.errors import NotFound, ProjectManagerError
from project_manager.domain.names import composed
from project_manager.mcp.callers import Context, caller_of, connection_of
from project_manager.mcp.subscriptions import MAX_URIS, Subscriptions, TooManySubscriptions, agent_uri
from project_manager.mcp.tools import error_text
from project_manager.runtime.dispatch import Runtime

Result = dict[str, Any]

_URI = re.compile(r"pm://(?:(task)/(\d{1,19})|(project)/(\d{1,19})/board|(agent)/(.{1,1600}))")
"""An escaped agent id of 128 characters has up to 1,536 characters. Models do not escape slashes."""
_BOARD_ROWS = 100
_OPEN = ["IN_PROGRESS", "REVIEW", "BLOCKED", "TODO"]


def _template(uri: str, name: str, title: str, description: str) -> dict[str, str]:
    return {
        "uriTemplate": uri,
        "name": name,
        "title": title,
        "description": description,
        "mimeType": "application/json",
    }


TEMPLATES = (
    _template("pm://task/{task_id}", "task", "Task", "Task: dependencies, lock, log."),
    _template("pm://project/{project_id}/board", "board", "Board", "Open tasks of a project by priority, with counts."),
    _template("pm://agent/{agent_id}", "agent", "Agent", "Leases, lost leases and next step of an agent."),
)


class Resources:
    """Handlers of the `resources/*` methods."""

    def __init__(self, runtime: Runtime, subscriptions: Subscriptions) -> None:
        self._runtime = runtime
        self._subscriptions = subscriptions

    async def listed(self, ctx: Context, params: PaginatedRequestParams | None) -> Result:
        """Return the result of `resources/list`: one board for each project. Tasks and agents have templates."""
        cursor = params.cursor if params is not None else None
        page = await self.ask(ctx, "list_projects", {"limit": 50, **({"cursor": cursor} if cursor else {})})
        resources = [
            {
                "uri": f"pm://project/{project['id']}/board",
                "name": f"board-{project['id']}",
                "title": f"Board of {project['name']}",
                "mimeType": "application/json",
            }
            for project in page["items"]
        ]
        result: Result = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private", "resources": resources}
        if page.get("next_cursor"):
            result["nextCursor"] = page["next_cursor"]
        return result

    async def templates(self, _ctx: Context, _params: PaginatedRequestParams | None) -> Result:
        """Return the result of `resources/templates/list`."""
        return {"resultType": "complete", "ttlMs": 3_600_000, "cacheScope": "public", "resourceTemplates": TEMPLATES}

    async def read(self, ctx: Context, params: ReadResourceRequestParams) -> Result:
        """Return the result of `resources/read`. Raises MCPError."""
        uri = str(params.uri)
        content = {"uri": uri, "mimeType": "application/json", "text": await self.text_of(ctx, uri)}
        return {"resultType": "complete", "ttlMs": 0, "cacheScope": "private", "contents": [content]}

    async def text_of(self, ctx: Context, uri: str) -> str:
        """Return the resource as compact JSON. Raises MCPError."""
        match = _URI.fullmatch(uri)
        if match is None:
            templates = ", ".join(template["uriTemplate"] for template in TEMPLATES)
            raise no_such_resource(uri, f"unknown URI {uri[:100]}; templates: {templates}")
        _, task, _, project, _, agent = match.groups()
        if task is not None:
            found = await self.ask(ctx, "get_task_details", {"task_id": task}, uri)
        elif project is not None:
            found = await self._board(ctx, project, uri)
        else:
            found = await self.ask(ctx, "get_context", {"agent_id": unquote(agent)}, uri)
        return orjson.dumps(found).decode()

    async def _board(self, ctx: Context, project_id: str, uri: str) -> dict[str, Any]:
        project = await self.ask(ctx, "get_project", {"project_id": project_id}, uri)
        filters = {"project_id": project_id, "status": _OPEN, "fields": ["compact"], "limit": _BOARD_ROWS}
        return {"project": project, "tasks": await self.ask(ctx, "list_tasks", filters, uri)}

    async def ask(self, ctx: Context, operation: str, raw: Mapping[str, object], uri: str = "") -> dict[str, Any]:
        """Run a read for this caller and return its result as JSON values. Raises MCPError."""
        try:
            result = await self._runtime.run(BY_NAME[operation], raw, caller_of(ctx))
        except NotFound as error:
            raise no_such_resource(uri, error_text(error)) from error
        except ProjectManagerError as error:
            raise MCPError(INVALID_PARAMS, error_text(error), data={"uri": uri} if uri else None) from error
        found: dict[str, Any] = orjson.loads(result.body)
        return found

    async def subscribe(self, ctx: Context, params: SubscribeRequestParams) -> Result:
        """Subscribe the connection to a resource, in protocol versions up to 2025-11-25. Raises MCPError."""
        uri = _canonical(str(params.uri))
        connection = connection_of(ctx)
        if _URI.fullmatch(uri) is None:
            raise no_such_resource(uri, f"{uri[:100]} cannot be subscribed to")
        if not connection.has_standalone_channel:
            raise MCPError(INVALID_PARAMS, "SUBSCRIPTION_REFUSED: this connection has no notification stream.")
        try:
            self._subscriptions.subscribe(connection, uri)
        except TooManySubscriptions as error:
            message = f"a connection subscribes to at most {MAX_URIS} resources. Unsubscribe from some."
            raise MCPError(INVALID_PARAMS, f"SUBSCRIPTION_REFUSED: {message}") from error
        return {"resultType": "complete"}

    async def unsubscribe(self, ctx: Context, params: UnsubscribeRequestParams) -> Result:
        """Cancel a subscription of the connection."""
        self._subscriptions.unsubscribe(connection_of(ctx), _canonical(str(params.uri)))
        return {"resultType": "complete"}


def _canonical(uri: str) -> str:
    """Return the URI in the form that notifications use: an agent id in NFC, with reserved characters escaped."""
    match = _URI.fullmatch(uri)
    if match is None or match[6] is None:
        return uri
    return agent_uri(composed(unquote(match[6])))


def no_such_resource(uri: str, why: str) -> MCPError:
    return MCPError(INVALID_PARAMS, f"Resource not found: {why}", data={"uri": uri})


def task_uri(task_id: int | str) -> str:
    return f"pm://task/{task_id}"
