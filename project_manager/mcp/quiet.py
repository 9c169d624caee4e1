"""Which calls never notify, so that plain JSON answers them: no stream, no session machinery, a quarter
of the cost."""

from project_manager.mcp.exchange import Rpc
from project_manager.mcp.sdk import DoorServer

_READS = frozenset(
    {
        "completion/complete",
        "ping",
        "prompts/get",
        "prompts/list",
        "resources/list",
        "resources/read",
        "resources/templates/list",
        "server/discover",
        "tools/list",
    }
)


def is_quiet(server: DoorServer, rpc: Rpc) -> bool:
    """Whether the answer is one JSON body for certain."""
    if rpc.method != "tools/call":
        return rpc.method in _READS
    params = rpc.params or {}
    name, arguments = params.get("name"), params.get("arguments")
    return isinstance(name, str) and isinstance(arguments, dict | None) and server.quiet(name, arguments or {})
