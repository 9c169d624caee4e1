"""Which calls never notify, so that plain JSON answers them: no stream, no session machinery, a quarter
of the cost."""

from starlette.types import Scope

from project_manager.mcp.transport.exchange import Rpc
from project_manager.mcp.transport.sdk import McpSdkServer

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


def is_quiet(server: McpSdkServer, rpc: Rpc) -> bool:
    """Whether the answer is one JSON body for certain."""
    if rpc.method != "tools/call":
        return rpc.method in _READS
    params = rpc.params or {}
    name, arguments = params.get("name"), params.get("arguments")
    return isinstance(name, str) and isinstance(arguments, dict | None) and server.quiet(name, arguments or {})


async def answer_directly(server: McpSdkServer, scope: Scope, version: str, rpc: Rpc) -> bytes | None:
    """The whole answer to a quiet tool call, past the SDK; None if something is installed there that must see it."""
    if rpc.method != "tools/call" or rpc.id is None or server.direct is None or server.middleware:
        return None
    params = rpc.params or {}
    answered = await server.direct(scope, version, params["name"], params.get("arguments") or {})
    return answered.answer(rpc.id, version, server.encoded_info)
