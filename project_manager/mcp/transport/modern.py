"""The 2026 era over HTTP: every POST stands alone, nothing is kept between two of them."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import anyio
from mcp.shared.exceptions import MCPError
from starlette.types import Receive, Scope, Send

from project_manager.mcp.transport import sdk
from project_manager.mcp.transport.exchange import Exchange, Rpc, header, parse, refuse_stream, send_json
from project_manager.mcp.transport.inflight import Calls
from project_manager.mcp.transport.quiet import answer_directly, is_quiet
from project_manager.mcp.transport.streams import Stream

_VERSION = sdk.MCP_PROTOCOL_VERSION_HEADER.encode()


class ModernEra:
    """Answers what never notifies as plain JSON in the task of the request, and leaves the rest to the
    SDK's entry."""

    def __init__(
        self,
        server: sdk.McpSdkServer,
        single: sdk.SingleExchange,
        calls: Calls,
        ending: anyio.Event,
        stream: Callable[[Scope], AbstractContextManager[Stream | None]],
    ) -> None:
        self._server = server
        self._single = single
        self._calls = calls
        self._ending = ending
        self._stream = stream

    @staticmethod
    def speaks(scope: Scope) -> bool:
        """Whether the request is of this era. Unknown versions are too: the SDK then names the ones that
        are served."""
        version = header(scope, _VERSION)
        return bool(version) and version not in sdk.HANDSHAKE_PROTOCOL_VERSIONS

    async def post(self, scope: Scope, receive: Receive, send: Send, body: bytes) -> None:
        rpc = parse(body)
        if rpc is not None and rpc.method == "subscriptions/listen":
            await self._listen(scope, receive, send, body)
            return
        if rpc is not None and rpc.id is not None:
            try:
                sdk.check_params(rpc.method, rpc.params)
            except MCPError as error:
                if sdk.modern_connection(rpc.body, _headers(scope)) is not None:  # else the SDK has more to say
                    await _send_error(send, rpc.id, error)
                    return
        with self._calls.one():
            if not (rpc is not None and is_quiet(self._server, rpc) and await self._answer_here(scope, send, rpc)):
                await self._through_sdk(scope, receive, send, body, self._ending)

    async def _answer_here(self, scope: Scope, send: Send, rpc: Rpc) -> bool:
        """False, and nothing sent, when the SDK's entry must answer."""
        if rpc.id is None or not _accepts_both(scope):
            return False
        try:
            answer = await self._answer_of(scope, rpc, rpc.id)
        except MCPError as error:
            await _send_error(send, rpc.id, error)
            return True
        if answer is not None:
            await send_json(send, 200, answer)
        return answer is not None

    async def _answer_of(self, scope: Scope, rpc: Rpc, call_id: str | int) -> dict[str, object] | bytes | None:
        if sdk.plainly_valid(scope, rpc.method, rpc.params or {}):
            answer = await answer_directly(self._server, scope, sdk.LATEST_MODERN_VERSION, rpc)
            if answer is not None:
                return answer
        connection = sdk.modern_connection(rpc.body, _headers(scope))
        if connection is None:
            return None
        result = await sdk.answer_here(self._server, {}, connection, scope, call_id, rpc.method, rpc.params)
        return {"jsonrpc": "2.0", "id": call_id, "result": result}

    async def _listen(self, scope: Scope, receive: Receive, send: Send, body: bytes) -> None:
        with self._stream(scope) as stream:
            if stream is None:
                await refuse_stream(send)
            else:
                await self._through_sdk(scope, receive, send, body, stream.ending)

    async def _through_sdk(self, scope: Scope, receive: Receive, send: Send, body: bytes, ending: anyio.Event) -> None:
        exchange = Exchange(receive, send, body, ending)
        try:
            await self._single.handle(scope, exchange.receive, exchange.send)
        finally:
            await exchange.finish()


def _headers(scope: Scope) -> list[tuple[str, str]]:
    return [(key.decode("latin-1"), value.decode("latin-1")) for key, value in scope["headers"]]


async def _send_error(send: Send, call_id: str | int, error: MCPError) -> None:
    fault = sdk.error_of(error)
    status = sdk.ERROR_CODE_HTTP_STATUS.get(fault["code"], 200)
    await send_json(send, status, {"jsonrpc": "2.0", "id": call_id, "error": fault})


def _accepts_both(scope: Scope) -> bool:
    accepted = header(scope, b"accept").lower()
    return "*/*" in accepted or ("application/json" in accepted and "text/event-stream" in accepted)
