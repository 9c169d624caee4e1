"""The MCP server of a process: tools, resources and prompts on one runtime."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio

from project_manager import __version__
from project_manager.mcp.completions import Completions
from project_manager.mcp.prompts import Prompts
from project_manager.mcp.resources import Resources
from project_manager.mcp.subscriptions import SEND_TIMEOUT_SECONDS, Subscriptions
from project_manager.mcp.tools import Tools
from project_manager.mcp.transport.exchange import secret_of
from project_manager.mcp.transport.sdk import McpSdkServer
from project_manager.runtime.dispatch import Runtime
from project_manager.runtime.resource_subscriptions import ResourceSubscriptions
from project_manager.schemas.instructions import INSTRUCTIONS


class McpServer(McpSdkServer):
    """The MCP server with its subscriptions, which persist between requests."""

    def __init__(self, subscriptions: Subscriptions, name: str, **parts: Any) -> None:
        super().__init__(name, listen=subscriptions.listen, streams=subscriptions, **parts)
        self.subscriptions = subscriptions


def build_server(runtime: Runtime, *, stuck_seconds: float = SEND_TIMEOUT_SECONDS) -> McpServer:
    """Return the server that all transports of this process share."""
    draining = anyio.Event()
    subscriptions = Subscriptions(runtime.hub, ResourceSubscriptions(runtime), stuck_seconds)
    tools = Tools(runtime, draining)
    resources = Resources(runtime, subscriptions)
    prompts = Prompts(resources)

    @asynccontextmanager
    async def lifespan(_server: Any) -> AsyncIterator[dict[str, Any]]:
        async with subscriptions.run():
            yield {}

    return McpServer(
        subscriptions,
        "project-manager",
        title="Project Manager",
        version=__version__,
        instructions=INSTRUCTIONS,
        quiet=tools.is_immediate,
        direct=tools.call_directly,
        draining=draining,
        registered=lambda scope, end: runtime.open_streams.registered(secret_of(scope), end),
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
