"""The direct path: tool calls that send no message before their response, without the SDK in between.

It costs half of the SDK's path. `Tools.call_directly` counts and logs these calls, because no middleware sees them.
"""

from collections.abc import Mapping
from typing import Any

import anyio
import orjson
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import ERROR_CODE_HTTP_STATUS
from mcp.types import CLIENT_CAPABILITIES_META_KEY, DEFAULT_NEGOTIATED_VERSION, PROTOCOL_VERSION_META_KEY
from mcp.types.version import LATEST_MODERN_VERSION
from starlette.types import Scope, Send

from project_manager.mcp.server import McpSdkServer, hidden
from project_manager.mcp.transport.exchange import VERSION, Rpc, header, respond

_CANCELLED = MCPError(-32800, "Request cancelled")
_METHOD, _MODERN = (b"mcp-method", b"tools/call"), (VERSION, LATEST_MODERN_VERSION.encode())


class DirectCalls:
    """The direct path of a server."""

    def __init__(self, server: McpSdkServer) -> None:
        self._server = server
        self._in_flight: dict[tuple[str, str], anyio.CancelScope] = {}

    def accepts(self, scope: Scope, rpc: Rpc, *, modern: bool) -> bool:
        """Return whether the call is certainly valid and sends no message before its response. The SDK runs others."""
        name, arguments = rpc.params.get("name"), rpc.params.get("arguments")
        is_call = rpc.method == "tools/call" and rpc.id is not None
        if not is_call or not isinstance(name, str) or not isinstance(arguments, dict | None):
            return False
        return self._server.sends_no_notifications(name, arguments or {}) and (
            not modern or _is_valid(scope, name, rpc.params)
        )

    async def respond(self, scope: Scope, send: Send, rpc: Rpc, session_id: str) -> None:
        """Run the call and send its response."""
        version = header(scope, VERSION) or DEFAULT_NEGOTIATED_VERSION
        body, error, status = b"", _CANCELLED, 200
        key = (session_id, str(rpc.id))  # clients cancel the id 7 also as "7"
        try:
            with anyio.CancelScope() as self._in_flight[key]:
                called = self._server.call_directly(scope, version, rpc.params)
                body = (await called).response(rpc.id, version, self._server.encoded_info)
        except Exception as raised:  # noqa: BLE001 any error of a handler
            error = raised if isinstance(raised, MCPError) else hidden(raised)
        finally:
            self._in_flight.pop(key, None)
        if not body:
            status = 200 if session_id else ERROR_CODE_HTTP_STATUS.get(error.code, 200)
            data = error.error.model_dump(mode="json", by_alias=True, exclude_none=True)
            body = orjson.dumps({"jsonrpc": "2.0", "id": rpc.id, "error": data})
        await respond(send, status, body, scope=scope)

    def cancel(self, session_id: str, request_id: object) -> None:
        """Cancel a call of a session, if it is in flight."""
        if (scope := self._in_flight.get((session_id, str(request_id)))) is not None:
            scope.cancel()


def _is_valid(scope: Scope, name: str, params: Mapping[str, Any]) -> bool:
    """Return whether a request of 2026-07-28 has a complete envelope, and each routing header once and right."""
    # A short form of the SDK's checks, which cost more than the call. A request that fails here goes to the SDK.
    routing = sorted([pair for pair in scope["headers"] if pair[0].startswith(b"mcp-")])
    meta, accepted = params.get("_meta"), header(scope, b"accept")
    return (
        routing == [_METHOD, (b"mcp-name", name.encode()), _MODERN]
        and ("*/*" in accepted or ("application/json" in accepted and "text/event-stream" in accepted))
        and isinstance(meta, dict)
        and meta.get(PROTOCOL_VERSION_META_KEY) == LATEST_MODERN_VERSION
        and isinstance(meta.get(CLIENT_CAPABILITIES_META_KEY), dict)
        and "inputResponses" not in params
        and "requestState" not in params
    )
