"""The MCP server of a process: tools, resources and prompts on one runtime, and the facts that the transports need.

This package uses parts of the SDK that it does not document. `tests/unit/mcp/test_sdk_surface.py` fails when a release
changes them.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from functools import cached_property
from typing import Any, Protocol

import anyio
import orjson
from mcp.server.context import CallNext, HandlerResult
from mcp.server.lowlevel.server import Server
from mcp.server.runner import modern_error_data
from mcp.server.subscriptions import ListenHandler
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp.types import DEFAULT_NEGOTIATED_VERSION, INVALID_PARAMS
from pydantic import ValidationError
from starlette.types import Scope

from project_manager import __version__
from project_manager.mcp.callers import Context, connection_of, secret_of
from project_manager.mcp.completions import Completions
from project_manager.mcp.prompts import Prompts
from project_manager.mcp.resources import Resources
from project_manager.mcp.subscriptions import Subscriptions
from project_manager.mcp.tools import Tools
from project_manager.runtime.calls import NO_CONNECTION, ClientConnection
from project_manager.runtime.dispatch import Runtime
from project_manager.schemas.instructions import INSTRUCTIONS


class DirectOutcome(Protocol):
    """Outcome of a tool call on the direct path."""

    def response(self, call_id: str | int | None, version: str, server_info: bytes, /) -> bytes:
        """Return the whole JSON-RPC response."""


DirectCall = Callable[[Scope, str, Mapping[str, Any]], Awaitable[DirectOutcome]]
"""Call a tool by HTTP scope, protocol version, and the parameters of the call. Raises MCPError."""
SendsNoNotifications = Callable[[str, Mapping[str, object]], bool]
"""Return whether a call of a tool with these arguments sends no message before its response."""
RegisterStream = Callable[[Scope, Callable[[], None]], AbstractContextManager[None]]
"""Context of an open stream. The second argument is called when the token of the stream is revoked."""


async def _no_direct_calls(_scope: Scope, _version: str, _params: Mapping[str, Any]) -> DirectOutcome:
    raise NotImplementedError


class Calls:
    """Number of calls in flight. A call is in flight after it was read and until its response is written."""

    def __init__(self) -> None:
        self.count = 0
        self._none = anyio.Event()

    def begin(self) -> None:
        self.count += 1

    def end(self) -> None:
        self.count -= 1
        if self.count == 0:
            self._none.set()
            self._none = anyio.Event()

    @contextmanager
    def one(self) -> Iterator[None]:
        """Count a call while the block runs."""
        self.begin()
        try:
            yield
        finally:
            self.end()

    async def wait_until_none(self) -> None:
        while self.count:
            await self._none.wait()


class McpSdkServer(Server[Any]):
    """The SDK's server, and the facts about its content that the transports need."""

    def __init__(
        self,
        name: str,
        *,
        sends_no_notifications: SendsNoNotifications = lambda _name, _arguments: False,
        call_directly: DirectCall = _no_direct_calls,
        listen: ListenHandler | None = None,
        draining: anyio.Event | None = None,
        register_stream: RegisterStream = lambda _scope, _end: nullcontext(),
        **handlers: Any,
    ) -> None:
        if listen is not None:
            handlers["on_subscriptions_listen"] = listen
        super().__init__(name, **handlers)
        self.sends_no_notifications = sends_no_notifications
        self.call_directly = call_directly
        self.listen = listen
        self.draining = draining or anyio.Event()
        self.register_stream = register_stream
        self.calls = Calls()
        self.middleware[:] = [check]  # without OpenTelemetry's middleware, which costs 5 to 10 % of each call

    @cached_property
    def encoded_info(self) -> bytes:
        """Name and version of the server, as results of protocol version 2026-07-28 contain them."""
        return orjson.dumps(self.server_info_stamp)

    def drain(self) -> None:
        """End long polls and listen streams. Each gets its result."""
        self.draining.set()
        if self.listen is not None:
            self.listen.close()


async def check(ctx: Context, call_next: CallNext) -> HandlerResult:
    """Check the parameters of a request or notification, and hide the texts of exceptions from the client.

    Raises MCPError. The SDK would send the text of an exception to clients with a protocol version up to 2025-11-25.
    """
    if ctx.method == "notifications/initialized":
        _note_version(ctx)
    check_params(ctx.method, ctx.params)
    try:
        return await call_next(ctx)
    except (MCPError, ValidationError):
        raise
    except Exception as error:
        raise hidden(error) from error


def _note_version(ctx: Context) -> None:
    """Set the protocol version from the header of the request, if another instance has opened the session."""
    connection = connection_of(ctx)
    if connection.client_params is None and ctx.request is not None:
        connection.protocol_version = ctx.request.headers.get(MCP_PROTOCOL_VERSION_HEADER, DEFAULT_NEGOTIATED_VERSION)


def hidden(error: Exception) -> MCPError:
    """Log an exception of a handler, and return the error for the client, which does not contain its text."""
    data = modern_error_data(error)
    return MCPError(code=data.code, message=data.message, data=data.data)


_PARAMETERS: Mapping[str, tuple[tuple[str, type, bool], ...]] = {
    "tools/call": (("name", str, True), ("arguments", dict, False)),
    "prompts/get": (("name", str, True), ("arguments", dict, False)),
    "resources/read": (("uri", str, True),),
}
"""Name and type of each parameter, and whether it is required. The error of the SDK does not name the parameter."""


def check_params(method: str, params: Mapping[str, Any] | None) -> None:
    """Raise MCPError that names the first parameter of the wrong type."""
    for name, kind, required in _PARAMETERS.get(method, ()):
        value = (params or {}).get(name)
        if isinstance(value, kind) or (value is None and not required):
            continue
        wanted = "an object" if kind is dict else "a string"
        problem = "is missing" if value is None else f"must be {wanted}"
        raise MCPError(
            INVALID_PARAMS, f"INVALID_PARAMS: `params.{name}` {problem}. Send {wanted}.", {"parameter": name}
        )


def build_server(
    runtime: Runtime, subscriptions: Subscriptions | None = None, stdio: ClientConnection = NO_CONNECTION
) -> McpSdkServer:
    """Return the server that all transports of this process share. Its subscriptions end with their connections.

    `stdio` has the agent and the project that a client on standard input fixes.
    """
    draining = anyio.Event()
    subscriptions = Subscriptions(runtime.hub) if subscriptions is None else subscriptions
    tools = Tools(runtime, draining, stdio)
    resources = Resources(runtime, subscriptions)
    prompts = Prompts(resources)

    @asynccontextmanager
    async def lifespan(_server: Any) -> AsyncIterator[dict[str, Any]]:
        async with subscriptions.run():
            yield {}

    async def note_client(ctx: Context, call_next: CallNext) -> HandlerResult:
        if ctx.method == "initialize":
            tools.client_names.add(connection_of(ctx).session_id, ctx.params)
        return await call_next(ctx)

    server = McpSdkServer(
        "project-manager",
        listen=subscriptions.listen,
        title="Project Manager",
        version=__version__,
        instructions=INSTRUCTIONS,
        sends_no_notifications=tools.is_immediate,
        call_directly=tools.call_directly,
        draining=draining,
        register_stream=lambda scope, end: runtime.revocation_watch.registered(secret_of(scope), end),
        lifespan=lifespan,
        on_list_tools=tools.listed,
        on_call_tool=tools.call,
        get_tool_input_schema=tools.schema,
        on_list_resources=resources.listed,
        on_list_resource_templates=resources.templates,
        on_read_resource=resources.read,
        on_subscribe_resource=resources.subscribe,
        on_unsubscribe_resource=resources.unsubscribe,
        on_list_prompts=prompts.listed,
        on_get_prompt=prompts.get,
        on_completion=Completions(resources).complete,
    )
    server.middleware.append(note_client)
    return server
