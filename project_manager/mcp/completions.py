"""Completion of the arguments of prompts and resource templates: existing ids by prefix or by name."""

from typing import Any

from mcp.types import CompleteRequestParams

from project_manager.domain.limits import NAME_CHARACTERS
from project_manager.domain.names import name_key
from project_manager.mcp.callers import Context
from project_manager.mcp.resources import Resources

_SHOWN = 50
_MAX_SCANNED = 500


class Completions:
    """Handler of `completion/complete`."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    async def complete(self, ctx: Context, params: CompleteRequestParams) -> dict[str, Any]:
        """Return at most _SHOWN values for the argument. An unknown argument has none."""
        values: list[str] = []
        prefix = params.argument.value.strip()
        match params.argument.name:
            case "task_id":
                values = await self._tasks(ctx, prefix)
            case "project_id":
                values = await self._projects(ctx, prefix)
            case "project":
                values = await self._project_names(ctx, prefix)
            case "agent_id":
                values = await self._agents(ctx, prefix)
        shown = values[:_SHOWN]
        completion = {"values": shown, "total": len(values), "hasMore": len(values) > len(shown)}
        return {"resultType": "complete", "completion": completion}

    async def _tasks(self, ctx: Context, begun: str) -> list[str]:
        filters: dict[str, object] = {"fields": ["compact"], "limit": _MAX_SCANNED}
        if begun and not begun.isdigit():
            filters["q"] = begun
        page = await self._resources.ask(ctx, "list_tasks", filters)
        ids = [str(row["id"]) for row in page["items"]]
        return [found for found in ids if "q" in filters or found.startswith(begun)]

    async def _projects(self, ctx: Context, begun: str) -> list[str]:
        rows = (await self._resources.ask(ctx, "list_projects", {"limit": _MAX_SCANNED}))["items"]
        return [str(row["id"]) for row in rows if str(row["id"]).startswith(begun) or _matches(row["name"], begun)]

    async def _project_names(self, ctx: Context, begun: str) -> list[str]:
        rows = (await self._resources.ask(ctx, "list_projects", {"limit": _MAX_SCANNED}))["items"]
        return [row["name"] for row in rows if _matches(row["name"], begun)]

    async def _agents(self, ctx: Context, begun: str) -> list[str]:
        rows = (await self._resources.ask(ctx, "list_agents", {"limit": _MAX_SCANNED}))["items"]
        return [row["id"] for row in rows if _matches(row["id"], begun)]


def _matches(name: str, begun: str) -> bool:
    return len(begun) <= NAME_CHARACTERS and name_key(name).startswith(name_key(begun))
