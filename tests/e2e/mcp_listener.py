"""A real listener that serves MCP, and small clients that expose the messages on the wire."""

import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx
import orjson
import uvicorn
from mcp import Client
from mcp.client.sse import sse_client
from mcp.server.context import ServerRequestContext
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.exceptions import MCPError
from mcp.types import CallToolRequestParams, ListToolsResult, Tool
from starlette.types import ASGIApp, Receive, Scope, Send

from project_manager.domain.actors import LOCAL
from project_manager.mcp.server import McpSdkServer
from project_manager.mcp.transport.http import McpHttpTransport
from tests.e2e.service import free_port

ACCEPT = "application/json, text/event-stream"
MODERN = "2026-07-28"
HANDSHAKE = "2025-11-25"
TIMEOUT = 20.0
TRANSPORTS = ("/mcp", "/sse", "legacy /sse")
MODES = {"auto": MODERN, "legacy": HANDSHAKE}


@dataclass
class Settings:
    mcp_max_connections: int = 1000
    mcp_transport: str = "sse"


@dataclass
class Metrics:
    opened: int = 0
    closed: int = 0
    first_closed: anyio.Event = field(default_factory=anyio.Event)
    gauges: dict[str, Any] = field(default_factory=dict)

    def mcp_session_opened(self) -> None:
        self.opened += 1

    def mcp_session_closed(self) -> None:
        self.closed += 1
        self.first_closed.set()

    def register_gauge(self, gauge: str, read: Any) -> None:
        self.gauges[gauge] = read


@dataclass
class Work:
    """Events that the tools of `tool_server` set. Tests wait for these instead of sleeping."""

    started: anyio.Event = field(default_factory=anyio.Event)
    finish: anyio.Event = field(default_factory=anyio.Event)
    cancelled: anyio.Event = field(default_factory=anyio.Event)
    finished: int = 0


def tool_server(work: Work) -> McpSdkServer:
    """Return a server with test tools.

    `echo` never notifies. `hold` lasts until the test releases it. `quiet_hold` does the same without a stream. `ask`
    asks the user of the client.
    """

    async def list_tools(_ctx: Any, _params: Any) -> ListToolsResult:
        return ListToolsResult(tools=[Tool(name=name, input_schema={"type": "object"}) for name in _TOOLS])

    async def call_tool(ctx: ServerRequestContext[Any, Any], params: CallToolRequestParams) -> dict[str, Any]:
        return await run_tool(params.name, params.arguments or {}, ctx)

    async def run_tool(
        name: str, arguments: Mapping[str, object], ctx: ServerRequestContext[Any, Any] | None
    ) -> dict[str, Any]:
        if name not in _TOOLS:
            raise MCPError(-32602, f"Unknown tool: {name}")
        if name == "stray_print":
            print("not for the protocol", flush=True)
        if name.endswith("crash"):
            raise RuntimeError("a secret of the inside")
        if name.endswith("hold"):
            await _hold(ctx, work)
        if name == "ask" and ctx is not None:
            answer = await ctx.session.elicit_form("Which one?", SCHEMA, related_request_id=ctx.request_id)
            return {"content": [{"type": "text", "text": str(answer.content)}]}
        return {"resultType": "complete", "content": [{"type": "text", "text": str(arguments.get("words", name))}]}

    async def call_directly(_scope: Scope, _version: str, params: Mapping[str, Any]) -> Encoded:
        return Encoded(await run_tool(params["name"], params.get("arguments") or {}, None))

    return McpSdkServer(
        "tools",
        sends_no_notifications=lambda name, _arguments: name in ("echo", "quiet_hold", "crash", "stray_print"),
        call_directly=call_directly,
        listen=ListenHandler(InMemorySubscriptionBus()),
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


@dataclass
class Encoded:
    """Outcome of a tool call on the direct path."""

    result: dict[str, Any]

    def response(self, call_id: str | int | None, _version: str, _server_info: bytes) -> bytes:
        return orjson.dumps({"jsonrpc": "2.0", "id": call_id, "result": self.result})


_TOOLS = ("echo", "hold", "quiet_hold", "crash", "loud_crash", "stray_print", "ask")
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"which": {"type": "string"}}}


async def _hold(ctx: ServerRequestContext[Any, Any] | None, work: Work) -> None:
    try:
        if ctx is not None:
            await ctx.session.report_progress(0, 1, "holding")
        work.started.set()
        await work.finish.wait()
        work.finished += 1
    except anyio.get_cancelled_exc_class():
        work.cancelled.set()
        raise


@contextmanager
def bound_socket(port: int) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        yield listener


@dataclass
class Listener:
    port: int
    transport: McpHttpTransport
    metrics: Metrics
    uvicorn: "_Server"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def stop(self, window: float = 2.0) -> None:
        """Stop the listener as the process does at SIGTERM."""
        self.uvicorn.should_exit = True
        self.transport.drain()
        await self.transport.wait_inflight(window)
        await self.transport.terminate()


def as_operator(app: ASGIApp) -> ASGIApp:
    """Replace authentication: every caller is the operator."""

    async def named(scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})["actor"] = LOCAL
        await app(scope, receive, send)

    return named


@asynccontextmanager
async def listening(
    server: McpSdkServer,
    *,
    port: int | None = None,
    settings: Settings | None = None,
    idle_seconds: float = 1800.0,
    stuck_seconds: float = 10.0,
    guard: Callable[[ASGIApp], ASGIApp] = as_operator,
) -> AsyncIterator[Listener]:
    """Serve on a separate port. Fail at the end of the block if the listener does not stop in time."""
    metrics = Metrics()
    used = settings or Settings()
    transport = McpHttpTransport(
        server,
        metrics,
        limit=used.mcp_max_connections,
        legacy_sse=used.mcp_transport == "sse",
        idle_seconds=idle_seconds,
        stuck_seconds=stuck_seconds,
    )
    config = uvicorn.Config(guard(transport), http="httptools", lifespan="off", log_config=None, access_log=False)
    with bound_socket(port or free_port()) as bound:
        listener = Listener(bound.getsockname()[1], transport, metrics, _Server(config))
        with anyio.fail_after(180):  # 2,000 sessions take a minute on a busy machine
            async with transport.run(), anyio.create_task_group() as tasks:
                tasks.start_soon(lambda: listener.uvicorn.serve(sockets=[bound]))
                await listener.uvicorn.is_up.wait()
                try:
                    yield listener
                finally:
                    with anyio.CancelScope(shield=True):
                        await listener.stop(window=0)


class _Server(uvicorn.Server):
    """A server that leaves signals to the test runner and reports its start."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = anyio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def call(tool: str, call_id: int = 1, **arguments: Any) -> dict[str, Any]:
    params = {"name": tool, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": call_id, "method": "tools/call", "params": params}


def modern(message: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the message with the envelope of protocol version 2026, and its headers."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
        **message["params"].get("_meta", {}),
    }
    params = {**message["params"], "_meta": meta}
    headers = {"mcp-protocol-version": MODERN, "mcp-method": message["method"]}
    if "name" in params:
        headers["mcp-name"] = params["name"]
    return {**message, "params": params}, headers


class Wire:
    """A plain HTTP client that sends JSON-RPC."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http
        self.session = ""

    @property
    def headers(self) -> dict[str, str]:
        return {"mcp-session-id": self.session, "mcp-protocol-version": HANDSHAKE} if self.session else {}

    async def initialize(self) -> httpx.Response:
        params = {"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": {"name": "wire", "version": "1"}}
        answer = await self.post({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})
        if answer.status_code == 200:
            self.session = answer.headers["mcp-session-id"]
            await self.post({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return answer

    async def post(self, message: Any, headers: dict[str, str] | None = None, path: str = "/mcp") -> httpx.Response:
        return await self.http.post(path, content=orjson.dumps(message), headers={**self.headers, **(headers or {})})

    async def post_modern(self, message: dict[str, Any], headers: dict[str, str] | None = None) -> httpx.Response:
        body, routing = modern(message)
        return await self.http.post("/mcp", content=orjson.dumps(body), headers={**routing, **(headers or {})})


@asynccontextmanager
async def wire(listener: Listener) -> AsyncIterator[Wire]:
    headers = {"accept": ACCEPT, "content-type": "application/json"}
    async with httpx.AsyncClient(
        base_url=listener.url, headers=headers, timeout=TIMEOUT, trust_env=False, verify=False
    ) as http:
        yield Wire(http)


def client_of(listener: Listener, transport: str, mode: Any) -> AbstractAsyncContextManager[Client]:
    if transport == "legacy /sse":
        return Client(sse_client(f"{listener.url}/sse"), mode=mode)
    return Client(listener.url + transport, mode=mode)


def error_of(answer: httpx.Response) -> dict[str, Any]:
    error: dict[str, Any] = answer.json()["error"]
    return error


async def soon(event: anyio.Event) -> None:
    with anyio.fail_after(TIMEOUT):
        await event.wait()


async def data_of(lines: Any) -> str:
    with anyio.fail_after(TIMEOUT):
        async for line in lines:
            if line.startswith("data: "):
                return str(line[6:])
    raise AssertionError("the stream ended")
