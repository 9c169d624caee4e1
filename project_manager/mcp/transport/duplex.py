"""Connections that carry messages in both directions: legacy SSE and stdio."""

from collections.abc import Mapping
from typing import Any

from mcp.server.connection import Connection
from mcp.server.runner import ServerRunner, aclose_shielded, modern_on_request
from mcp.shared.dispatcher import DispatchContext
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import InboundLadderRejection, classify_inbound_request
from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher
from mcp.shared.transport_context import TransportContext
from mcp.types import DEFAULT_NEGOTIATED_VERSION, PROTOCOL_VERSION_META_KEY

from project_manager.mcp.server import Calls, McpSdkServer

Params = Mapping[str, Any] | None


async def serve_duplex(server: McpSdkServer, read: Any, write: Any) -> None:
    """Serve a connection on the two streams of the SDK until its input ends.

    Each request may use another protocol version: some clients ask for the versions with the new one and continue with
    an old one. No handshake is required, because a client of legacy SSE that reconnects does not repeat it.
    """
    dispatcher = CountingDispatcher(read, write, inline_methods=frozenset({"initialize"}))
    dispatcher.calls = server.calls
    connection = Connection.for_loop(dispatcher, protocol_version_hint=DEFAULT_NEGOTIATED_VERSION)
    connection.initialized.set()
    runner = ServerRunner(server, connection, {})
    modern = modern_on_request(server, {})

    async def on_request(dctx: DispatchContext[TransportContext], method: str, params: Params) -> dict[str, Any]:
        if not _is_modern(method, params):
            return await runner.on_request(dctx, method, params)
        route = classify_inbound_request({"method": method, "params": params})
        if isinstance(route, InboundLadderRejection):
            raise MCPError(code=route.code, message=route.message, data=route.data)
        return await modern(dctx, method, params)

    try:
        await dispatcher.run(on_request, runner.on_notify)
    finally:
        await aclose_shielded(connection)


def _is_modern(method: str, params: Params) -> bool:
    meta = (params or {}).get("_meta")
    return method != "initialize" and isinstance(meta, Mapping) and PROTOCOL_VERSION_META_KEY in meta


class CountingDispatcher(JSONRPCDispatcher[TransportContext]):
    """A dispatcher that counts a request as a call in flight from its dispatch until its response is written."""

    calls: Calls

    async def _dispatch_request(self, *request: Any) -> None:
        self.calls.begin()
        await super()._dispatch_request(*request)

    async def _handle_request(self, *request: Any) -> None:
        try:
            await super()._handle_request(*request)
        finally:
            self.calls.end()
