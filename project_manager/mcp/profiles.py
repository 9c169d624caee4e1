"""Choose which tools a client is shown, and in which dialect of JSON Schema."""

from typing import NamedTuple, get_args

from starlette.types import Scope

from project_manager.config.settings import McpSchema, McpTools

Dialect = McpSchema

_TOOLS = get_args(McpTools)
_DIALECTS = get_args(McpSchema)


class ToolProfile(NamedTuple):
    """The parts of a profile, as in `/mcp?tools=all&schema=strict`. An empty part means the setting of the server."""

    tools: str = ""
    schema: str = ""

    def over(self, default: "ToolProfile") -> "ToolProfile":
        """Return this profile with its empty parts taken from `default`."""
        return ToolProfile(self.tools or default.tools, self.schema or default.schema)


NO_PROFILE = ToolProfile()


def profile_of(scope: Scope) -> ToolProfile:
    """Return the profile that the query of the request asks for. Values that are not known are passed over."""
    query: bytes = scope.get("query_string", b"")
    if not query:
        return NO_PROFILE
    asked: dict[bytes, str] = {}
    for part in query.split(b"&"):
        name, _, value = part.partition(b"=")
        asked.setdefault(name, value.decode("latin-1"))
    tools, schema = asked.get(b"tools", ""), asked.get(b"schema", "")
    return ToolProfile(tools if tools in _TOOLS else "", schema if schema in _DIALECTS else "")
