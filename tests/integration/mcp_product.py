"""The product with its MCP server and without a network, for the contract tests of MCP."""

import atexit
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from shutil import copyfile, rmtree
from tempfile import mkdtemp
from typing import Any

import anyio.to_thread
import orjson
from mcp import Client

from project_manager.config.settings import load
from project_manager.mcp.server import McpSdkServer, build_server
from project_manager.mcp.subscriptions import Subscriptions
from project_manager.runtime.dispatch import Runtime
from project_manager.runtime.open import open_runtime
from project_manager.store.migrations import upgrade

PROTOCOLS = {"2026-07-28": "2026-07-28", "legacy": "2025-11-25"}
TIMEOUT = 20.0


@dataclass
class Product:
    runtime: Runtime
    server: McpSdkServer
    subscriptions: Subscriptions


@cache
def migrated() -> Path:
    """Create an empty database with the present schema. Tests copy it instead of running the migrations."""
    folder = mkdtemp(prefix="product-")
    atexit.register(rmtree, folder, ignore_errors=True)
    upgrade(f"{folder}/pm.db")
    return Path(folder, "pm.db")


@asynccontextmanager
async def product(folder: Path, **settings: object) -> AsyncIterator[Product]:
    """Run a server on the database in the folder. Create the database if it is missing."""
    if not (folder / "pm.db").exists():
        copyfile(await anyio.to_thread.run_sync(migrated), folder / "pm.db")
    loaded = load({"DATABASE_PATH": str(folder / "pm.db"), **settings}, {})
    async with open_runtime(loaded.settings) as runtime:
        subscriptions = Subscriptions(runtime.hub)
        yield Product(runtime, build_server(runtime, subscriptions), subscriptions)


class Agent:
    """A client that behaves like an agent: it calls tools and keeps both forms of the result."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def result(self, tool: str, **arguments: Any) -> Any:
        return await self.client.call_tool(tool, arguments)

    async def ok(self, tool: str, **arguments: Any) -> Any:
        """Call a tool that must succeed and return its structured result. The text must be the same in compact form."""
        result = await self.result(tool, **arguments)
        text = result.content[0].text
        assert not result.is_error, text
        assert text == orjson.dumps(result.structured_content).decode()
        return result.structured_content

    async def fails(self, tool: str, **arguments: Any) -> str:
        """Call a tool that must fail and return its text, the only content of the result."""
        result = await self.result(tool, **arguments)
        assert result.is_error
        assert result.structured_content is None
        return str(result.content[0].text)


@asynccontextmanager
async def agent(server: McpSdkServer, protocol: Any = "2026-07-28") -> AsyncIterator[Agent]:
    async with Client(server, mode=protocol) as client:
        yield Agent(client)
