"""The undocumented parts of the SDK that the MCP interface uses. A release that changes them fails here first."""

import inspect
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from mcp.server.connection import Connection
from mcp.server.runner import ServerRunner, aclose_shielded, modern_error_data, modern_on_request
from mcp.server.session import ServerSession
from mcp.server.sse import SseServerTransport
from mcp.server.streamable_http import StreamableHTTPServerTransport
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.inbound import classify_inbound_request
from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher
from mcp.types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS

from project_manager.mcp.server import McpSdkServer, check

USED: list[tuple[Callable[..., Any], set[str]]] = [
    (ServerRunner, {"server", "connection", "lifespan_state"}),
    (aclose_shielded, {"connection"}),
    (modern_on_request, {"server", "lifespan_state"}),
    (modern_error_data, {"exc"}),
    (Connection.for_loop, {"outbound", "protocol_version_hint"}),
    (ServerSession, {"connection"}),
    (JSONRPCDispatcher, {"read_stream", "write_stream", "inline_methods"}),
    (JSONRPCDispatcher.run, {"on_request", "on_notify"}),
    (JSONRPCDispatcher._dispatch_request, {"req"}),
    (JSONRPCDispatcher._handle_request, {"req"}),
    (StreamableHTTPServerTransport, {"mcp_session_id", "idle_timeout"}),
    (StreamableHTTPSessionManager, {"app", "session_idle_timeout", "max_request_body_size", "max_sessions"}),
    (StreamableHTTPSessionManager._handle_stateful_request, {"scope", "receive", "send"}),
    (StreamableHTTPSessionManager._serve_opening_request, {"http_transport", "scope", "receive", "send"}),
    (StreamableHTTPSessionManager._admit_session, {"requestor"}),
    (StreamableHTTPSessionManager._discard_session, {"session_id", "transport"}),
    (SseServerTransport, {"endpoint", "max_request_body_size"}),
    (ListenHandler, {"bus", "max_subscriptions"}),
    (classify_inbound_request, {"headers"}),
]


@pytest.mark.parametrize(("used", "parameters"), USED, ids=lambda value: getattr(value, "__qualname__", ""))
def test_the_sdk_still_accepts_our_arguments(used: Callable[..., Any], parameters: set[str]) -> None:
    assert parameters <= set(inspect.signature(used).parameters)


def test_sessions_still_have_the_members_that_we_use() -> None:
    manager = StreamableHTTPSessionManager(McpSdkServer("bare"))
    assert (manager._server_instances, manager._session_owners) == ({}, {})
    assert hasattr(StreamableHTTPServerTransport("a"), "idle_scope")
    assert hasattr(StreamableHTTPServerTransport("a"), "is_terminated")


def test_the_protocol_versions_are_the_supported_ones() -> None:
    assert HANDSHAKE_PROTOCOL_VERSIONS[-1] == "2025-11-25"
    assert list(MODERN_PROTOCOL_VERSIONS) == ["2026-07-28"]


def test_no_tracing_middleware_is_left() -> None:
    assert McpSdkServer("bare").middleware == [check]


def test_a_connection_still_has_the_members_that_subscriptions_need() -> None:
    assert InMemorySubscriptionBus()._listeners == {}
    connection = Connection.from_envelope("2025-11-25", None, None)
    assert not connection.has_standalone_channel
    assert isinstance(connection.initialized, anyio.Event)
    assert connection.client_params is None
    connection.exit_stack.callback(lambda: None)
