"""What leans on the inside of the MCP SDK: its kernel, its dispatcher and its transports. Besides this only
`live.py` may.

What is used here is importable without an underscore, but the SDK does not document it;
`tests/unit/mcp/test_sdk_surface.py` fails when a new release moves it.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, cast

import anyio
import anyio.abc
import orjson
from mcp.server.connection import Connection
from mcp.server.lowlevel.server import Server
from mcp.server.runner import ServerRunner, aclose_shielded, modern_error_data, modern_on_request
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.subscriptions import ListenHandler
from mcp.shared.dispatcher import CallOptions, DispatchContext
from mcp.shared.exceptions import MCPError, NoBackChannelError
from mcp.shared.inbound import ERROR_CODE_HTTP_STATUS as ERROR_CODE_HTTP_STATUS
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER as MCP_PROTOCOL_VERSION_HEADER
from mcp.shared.inbound import (
    InboundLadderRejection,
    classify_inbound_request,
    find_duplicated_routing_header,
)
from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher
from mcp.shared.message import ServerMessageMetadata
from mcp.shared.transport_context import TransportContext
from mcp.types import (
    CLIENT_CAPABILITIES_META_KEY,
    INVALID_PARAMS,
    PROTOCOL_VERSION_META_KEY,
    ErrorData,
    InitializeRequestParams,
    ProgressToken,
    RequestId,
)
from mcp.types import DEFAULT_NEGOTIATED_VERSION as DEFAULT_NEGOTIATED_VERSION
from mcp.types.version import HANDSHAKE_PROTOCOL_VERSIONS as HANDSHAKE_PROTOCOL_VERSIONS
from mcp.types.version import LATEST_HANDSHAKE_VERSION as LATEST_HANDSHAKE_VERSION
from mcp.types.version import LATEST_MODERN_VERSION as LATEST_MODERN_VERSION
from mcp.types.version import MODERN_PROTOCOL_VERSIONS as MODERN_PROTOCOL_VERSIONS
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from project_manager.mcp.profiles import NO_PROFILE, ToolProfile
from project_manager.mcp.transport.inflight import Calls, MessageReader, MessageWriter

_log = logging.getLogger(__name__)

REQUEST_CANCELLED = -32800
_VERSION = MCP_PROTOCOL_VERSION_HEADER.encode()
_ROUTING = frozenset((b"mcp-method", b"mcp-name", _VERSION))
STRUCTURED_PROTOCOL_VERSIONS = ("2025-06-18", "2025-11-25", *MODERN_PROTOCOL_VERSIONS)

Params = Mapping[str, Any] | None
Quiet = Callable[[str, Mapping[str, object]], bool]


class Answered(Protocol):
    """What a direct call gives back: the bytes of its whole answer."""

    def answer(self, call_id: RequestId, version: str, server_info: bytes, /) -> bytes: ...


Direct = Callable[[Scope, str, str, Mapping[str, object]], Awaitable[Answered]]
"""Calls a tool by scope, protocol version, name and arguments, without the SDK in between."""


Registered = Callable[[Scope, Callable[[], None]], AbstractContextManager[None]]
"""Around a stream: calls the second argument when who opened it is not let in any more."""


def _nobody_asks(_scope: Scope, _end: Callable[[], None]) -> AbstractContextManager[None]:
    return nullcontext()


def _never_quiet(_name: str, _arguments: Mapping[str, object]) -> bool:
    return False


class McpSdkServer(Server[Any]):
    """The SDK's server, with what the door has to know besides: which calls never notify, and the listen
    streams.

    OpenTelemetry's middleware is taken out: no exporter is ever configured, and it costs 5 to 10 % of
    each call.
    """

    def __init__(
        self,
        name: str,
        *,
        quiet: Quiet = _never_quiet,
        listen: ListenHandler | None = None,
        draining: anyio.Event | None = None,
        direct: Direct | None = None,
        streams: "Streams | None" = None,
        registered: Registered = _nobody_asks,
        **handlers: Any,
    ) -> None:
        if listen is not None:
            handlers["on_subscriptions_listen"] = listen
        super().__init__(name, **handlers)
        self.quiet = quiet
        self.listen = listen
        self.direct = direct
        self.streams = streams
        self.registered = registered
        self.draining = draining or anyio.Event()
        self.without_tracing()

    @cached_property
    def encoded_info(self) -> bytes:
        """Name and version of this server, as 2026-era results carry them."""
        return orjson.dumps(self.server_info_stamp)

    def without_tracing(self) -> None:
        self.middleware[:] = [m for m in self.middleware if type(m).__name__ != "OpenTelemetryMiddleware"]


@dataclass(eq=False)
class Client:
    """The connection a request came over, as far as handlers need it: to notify it later, and to know
    when it is gone."""

    connection: Connection
    profile: ToolProfile = NO_PROFILE
    """The profile of the connection."""
    cut: Callable[[], None] = lambda: None
    """Ends the stream of a client that does not read it."""

    @property
    def session_id(self) -> str | None:
        """The session over HTTP that it belongs to; None for a connection that is whole by itself."""
        return self.connection.session_id

    @property
    def can_be_notified(self) -> bool:
        return self.connection.has_standalone_channel

    @property
    def state(self) -> dict[str, Any]:
        return self.connection.state

    def when_gone(self, cleanup: Callable[[], object]) -> None:
        self.connection.exit_stack.callback(cleanup)

    async def resource_updated(self, uri: str) -> None:
        await self.connection.send_resource_updated(uri)


class Streams(Protocol):
    """Who wants to know which sessions have their stream of notifications here."""

    def attach_stream(self, session_id: str, owner: str, client: Client, /) -> Callable[[], None]:
        """The stream begins; the answer is called when it ends."""

    async def end_session(self, session_id: str, owner: str, /) -> None:
        """The client has ended its session."""


_CLIENT: ContextVar[Client | None] = ContextVar("mcp_client", default=None)


def current_client() -> Client | None:
    """The lasting connection whose request is being handled; None for a request that stands alone."""
    return _CLIENT.get()


@contextmanager
def _handling_for(client: Client) -> Iterator[None]:
    token = _CLIENT.set(client)
    try:
        yield
    finally:
        _CLIENT.reset(token)


@dataclass
class _OneExchange:
    """Dispatch context of a request that is answered by one JSON body: there is no way to notify or to
    ask back."""

    request_id: RequestId
    message_metadata: ServerMessageMetadata
    transport: TransportContext = field(
        default_factory=lambda: TransportContext(kind="streamable-http", can_send_request=False)
    )
    cancel_requested: anyio.Event = field(default_factory=anyio.Event)
    can_send_request: bool = False
    progress_token: ProgressToken | None = None

    async def send_raw_request(self, method: str, params: Params, opts: CallOptions | None = None) -> dict[str, Any]:
        raise NoBackChannelError(method)

    async def notify(self, method: str, params: Params, opts: CallOptions | None = None) -> None:
        """Nothing can be sent before the answer."""

    async def progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        """Nothing can be sent before the answer."""


async def answer_here(
    server: McpSdkServer,
    state: object,
    connection: Connection,
    scope: Scope,
    request_id: RequestId,
    method: str,
    params: Params,
) -> dict[str, Any]:
    """The result of one request, computed in the caller's task: no stream, no dispatcher, no second task.

    Raises:
        MCPError: the error to answer with; whatever the handler raised has been turned into one and logged.
    """
    exchange = _OneExchange(request_id, ServerMessageMetadata(request_context=Request(scope), can_send_request=False))
    runner = ServerRunner(server, connection, state)
    return await _with_safe_errors(
        runner.on_request(cast("DispatchContext[TransportContext]", exchange), method, params)
    )


async def _with_safe_errors(answer: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    try:
        return await answer
    except MCPError:
        raise
    except Exception as error:
        # The SDK would put str(error) on the wire; this maps what is the client's fault and logs the rest.
        data = modern_error_data(error)
        raise MCPError(code=data.code, message=data.message, data=data.data) from error


def single_connection(version: str, info: object = None, capabilities: object = None) -> Connection:
    """A connection that lasts for one request."""
    return Connection.from_envelope(version, info, capabilities)


def modern_connection(body: dict[str, Any], headers: list[tuple[str, str]]) -> Connection | None:
    """The connection for a 2026-era request, or None if the SDK's own entry must answer it with the
    proper error."""
    if find_duplicated_routing_header(headers) is not None:
        return None
    route = classify_inbound_request(body, headers=dict(headers))
    if isinstance(route, InboundLadderRejection):
        return None
    return single_connection(route.protocol_version, route.client_info, route.client_capabilities)


def error_of(error: MCPError) -> dict[str, Any]:
    data: ErrorData = error.error
    return data.model_dump(mode="json", by_alias=True, exclude_none=True)


def plainly_valid(scope: Scope, method: str, params: Mapping[str, Any]) -> bool:
    """Whether a 2026-era request is beyond doubt: routing headers once and equal to the body, the envelope complete.

    False means that the SDK must look closer, not that the request is wrong.
    """
    wanted = {b"mcp-method": method, b"mcp-name": params.get("name"), _VERSION: LATEST_MODERN_VERSION}
    for key, value in scope["headers"]:
        if key in wanted:
            if value.decode("latin-1") != wanted.pop(key):
                return False
        elif key in _ROUTING or key.startswith(b"mcp-param-"):
            return False
    meta = params.get("_meta")
    return (
        not wanted
        and isinstance(meta, dict)
        and meta.get(PROTOCOL_VERSION_META_KEY) == LATEST_MODERN_VERSION
        and isinstance(meta.get(CLIENT_CAPABILITIES_META_KEY), dict)
        and "inputResponses" not in params
        and "requestState" not in params
    )


_PARAMETERS: Mapping[str, tuple[tuple[str, type, bool], ...]] = {
    "tools/call": (("name", str, True), ("arguments", dict, False)),
    "prompts/get": (("name", str, True), ("arguments", dict, False)),
    "resources/read": (("uri", str, True),),
}
"""Name, type and whether it is required: the SDK refuses a wrong one without its name."""


def check_params(method: str, params: Params) -> None:
    """Raise MCPError that names the first parameter of the wrong type."""
    for name, kind, required in _PARAMETERS.get(method, ()):
        value = (params or {}).get(name)
        if isinstance(value, kind) or (value is None and not required):
            continue
        wanted = "an object" if kind is dict else "a string"
        fault = "is missing" if value is None else f"must be {wanted}"
        raise MCPError(INVALID_PARAMS, f"INVALID_PARAMS: `params.{name}` {fault}. Send {wanted}.", {"parameter": name})


def _is_modern(method: str, params: Params) -> bool:
    meta = (params or {}).get("_meta")
    return method != "initialize" and isinstance(meta, Mapping) and PROTOCOL_VERSION_META_KEY in meta


@dataclass(frozen=True)
class Greeting:
    """What is already known of a 2025-era client when its connection begins."""

    version: str | None = None
    params: InitializeRequestParams | None = None
    greeted: bool = False
    """True: it need not introduce itself again, since it did so to us before a restart, or to another
    instance."""

    def connect(self, dispatcher: JSONRPCDispatcher[TransportContext], session_id: str | None) -> Connection:
        connection = Connection.for_loop(dispatcher, session_id=session_id, protocol_version_hint=self.version)
        if self.params is not None:
            connection.client_params = self.params
        if self.greeted:
            connection.initialized.set()
        return connection


async def serve_duplex(
    server: McpSdkServer,
    read: MessageReader,
    write: MessageWriter,
    *,
    state: object,
    greeting: Greeting,
    session_id: str | None = None,
    profile: ToolProfile = NO_PROFILE,
    calls: Calls | None = None,
    cut: Callable[[], None] = lambda: None,
    met: Callable[[Client], None] = lambda _client: None,
) -> None:
    """Serves one duplex connection until it closes. The protocol era is decided for each request by
    itself. `met` gets the connection when it is made."""
    dispatcher: JSONRPCDispatcher[TransportContext] = JSONRPCDispatcher(
        cast("Any", read), cast("Any", write), inline_methods=frozenset({"initialize"})
    )
    connection = greeting.connect(dispatcher, session_id)
    client = Client(connection, profile, cut)
    met(client)
    runner = ServerRunner(server, connection, state)
    modern = modern_on_request(server, state)

    async def answer(dctx: DispatchContext[TransportContext], method: str, params: Params) -> dict[str, Any]:
        if _is_modern(method, params):
            route = classify_inbound_request({"method": method, "params": params})
            if isinstance(route, InboundLadderRejection):
                raise MCPError(code=route.code, message=route.message, data=route.data)
            return await modern(dctx, method, params)
        return await runner.on_request(dctx, method, params)

    async def on_request(dctx: DispatchContext[TransportContext], method: str, params: Params) -> dict[str, Any]:
        check_params(method, params)
        with _handling_for(client):
            if calls is None or session_id is None:
                return await _with_safe_errors(answer(dctx, method, params))
            with calls.cancellable((session_id, str(dctx.request_id))):
                return await _with_safe_errors(answer(dctx, method, params))
        raise MCPError(code=REQUEST_CANCELLED, message="Request cancelled")

    try:
        await dispatcher.run(on_request, runner.on_notify)
    finally:
        await aclose_shielded(connection)


class SingleExchange:
    """The SDK's entry for requests that stand alone: everything of the 2026 era, and what cannot be
    parsed."""

    def __init__(self, server: McpSdkServer, max_body: int) -> None:
        self._manager = StreamableHTTPSessionManager(server, stateless=True, max_request_body_size=max_body)

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        async with self._manager.run():
            yield

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._manager.handle_request(scope, receive, send)
