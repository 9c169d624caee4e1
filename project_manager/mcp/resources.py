"""MCP resources: tasks, boards and agents. A client can read them and subscribe to them."""

from collections.abc import Mapping
from typing import Any

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
from project_manager.domain.events.event import Resource
from project_manager.domain.names import composed
from project_manager.mcp.callers import Context, caller_of, connection_of
from project_manager.mcp.subscriptions import MAX_URIS, Subscriptions, TooManySubscriptions
from project_manager.mcp.tools import error_text
from project_manager.mcp.uris import TEMPLATES, parse, uri_of
from project_manager.runtime.dispatch import Runtime

Result = dict[str, Any]

_BOARD_ROWS = 100
_OPEN = ["IN_PROGRESS", "REVIEW", "BLOCKED", "TODO"]


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
                "uri": uri_of(Resource.BOARD, project["id"]),
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
        parsed = parse(uri)
        if parsed is None:
            templates = ", ".join(template["uriTemplate"] for template in TEMPLATES)
            raise no_such_resource(uri, f"unknown URI {uri[:100]}; templates: {templates}")
        match parsed:
            case Resource.TASK, task_id:
                found = await self.ask(ctx, "get_task_details", {"task_id": task_id}, uri)
            case Resource.BOARD, project_id:
                found = await self._board(ctx, project_id, uri)
            case Resource.AGENT, agent_id:
                found = await self.ask(ctx, "get_context", {"agent_id": agent_id}, uri)
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
        if parse(uri) is None:
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
    found = parse(uri)
    return uri if found is None else uri_of(found[0], composed(found[1]))


def no_such_resource(uri: str, why: str) -> MCPError:
    return MCPError(INVALID_PARAMS, f"Resource not found: {why}", data={"uri": uri})
