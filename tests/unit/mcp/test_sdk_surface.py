"""The undocumented parts of the SDK that the MCP interface uses. A release that changes them fails here first."""

import inspect
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from mcp.server.connection import Connection
from mcp.server.runner import ServerRunner, aclose_shielded, modern_error_data, modern_on_request
from mcp.server.sse import SseServerTransport
from mcp.server.streamable_http import StreamableHTTPServerTransport
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.subscriptions import ListenHandler
from mcp.shared.inbound import classify_inbound_request, find_duplicated_routing_header
from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher
from mcp.types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS

from project_manager.mcp.transport.sdk import McpSdkServer

USED: list[tuple[Callable[..., Any], set[str]]] = [
    (ServerRunner, {"server", "connection", "lifespan_state"}),
    (aclose_shielded, {"connection"}),
    (modern_on_request, {"server", "lifespan_state"}),
    (modern_error_data, {"exc"}),
    (Connection.for_loop, {"outbound", "session_id", "protocol_version_hint"}),
    (Connection.from_envelope, {"protocol_version", "client_info", "client_capabilities"}),
    (JSONRPCDispatcher, {"read_stream", "write_stream", "inline_methods"}),
    (JSONRPCDispatcher.run, {"on_request", "on_notify"}),
    (StreamableHTTPServerTransport, {"mcp_session_id", "idle_timeout"}),
    (StreamableHTTPSessionManager, {"app", "stateless", "max_request_body_size"}),
    (SseServerTransport, {"endpoint", "max_request_body_size"}),
    (ListenHandler, {"bus", "max_subscriptions"}),
    (classify_inbound_request, {"headers"}),
    (find_duplicated_routing_header, set()),
]


@pytest.mark.parametrize(("used", "parameters"), USED, ids=lambda value: getattr(value, "__qualname__", ""))
def test_the_sdk_still_accepts_our_arguments(used: Callable[..., Any], parameters: set[str]) -> None:
    assert parameters <= set(inspect.signature(used).parameters)


@pytest.mark.parametrize(
    "name", ["connect", "handle_request", "terminate", "close_standalone_sse_stream", "is_terminated"]
)
def test_the_session_transport_still_has_the_members_that_we_call(name: str) -> None:
    assert hasattr(StreamableHTTPServerTransport, name)
    assert hasattr(StreamableHTTPServerTransport("a"), "idle_scope")


def test_the_protocol_versions_are_the_supported_ones() -> None:
    assert HANDSHAKE_PROTOCOL_VERSIONS[-1] == "2025-11-25"
    assert list(MODERN_PROTOCOL_VERSIONS) == ["2026-07-28"]


def test_no_tracing_middleware_is_left() -> None:
    assert McpSdkServer("bare").middleware == []


def test_a_connection_still_has_the_members_that_subscriptions_need() -> None:
    connection = Connection.from_envelope("2025-11-25", None, None)
    assert not connection.has_standalone_channel
    assert isinstance(connection.initialized, anyio.Event)
    connection.exit_stack.callback(lambda: None)
