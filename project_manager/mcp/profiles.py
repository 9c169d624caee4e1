"""Profiles of clients: the listed tools, and the dialect of their JSON Schema."""

from typing import NamedTuple, get_args

from starlette.types import Scope

from project_manager.config.settings import McpSchema, McpTools

Dialect = McpSchema

_TOOLS = get_args(McpTools)
_DIALECTS = get_args(McpSchema)


class ToolProfile(NamedTuple):
    """A profile, as in `/mcp?tools=all&schema=strict`. An empty part stands for the setting of the server."""

    tools: str = ""
    schema: str = ""

    def with_defaults(self, default: "ToolProfile") -> "ToolProfile":
        """Return this profile with its empty parts filled from `default`."""
        return ToolProfile(self.tools or default.tools, self.schema or default.schema)


NO_PROFILE = ToolProfile()


def profile_of(scope: Scope) -> ToolProfile:
    """Return the profile in the query of the request. Unknown values are ignored."""
    query: bytes = scope.get("query_string", b"")
    if not query:
        return NO_PROFILE
    asked: dict[bytes, str] = {}
    for part in query.split(b"&"):
        name, _, value = part.partition(b"=")
        asked.setdefault(name, value.decode("latin-1"))
    tools, schema = asked.get(b"tools", ""), asked.get(b"schema", "")
    return ToolProfile(tools if tools in _TOOLS else "", schema if schema in _DIALECTS else "")
