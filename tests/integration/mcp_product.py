"""The product behind its MCP server, without a network: what the contract tests of the MCP door stand on."""

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
from project_manager.mcp.server import ProductServer, build_server
from project_manager.mcp.transport.sdk import DoorServer
from project_manager.runtime.dispatch import Runtime, open_runtime
from project_manager.store.migrations import upgrade

ERAS = {"2026-07-28": "2026-07-28", "legacy": "2025-11-25"}
PATIENCE = 5.0


@dataclass
class Product:
    runtime: Runtime
    server: ProductServer


@cache
def migrated() -> Path:
    """Make an empty database at the present schema. Copies of it spare each test the migrations."""
    folder = mkdtemp(prefix="product-")
    atexit.register(rmtree, folder, ignore_errors=True)
    upgrade(f"{folder}/pm.db")
    return Path(folder, "pm.db")


@asynccontextmanager
async def product(folder: Path, **settings: object) -> AsyncIterator[Product]:
    """A server over the database of the folder, which is made if there is none."""
    if not (folder / "pm.db").exists():
        copyfile(await anyio.to_thread.run_sync(migrated), folder / "pm.db")
    loaded = load({"DATABASE_PATH": str(folder / "pm.db"), **settings}, {})
    async with open_runtime(loaded.settings) as runtime:
        yield Product(runtime, build_server(runtime))


class Agent:
    """A client with the manners of an agent: calls tools and keeps both forms of the answer."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def result(self, tool: str, **arguments: Any) -> Any:
        return await self.client.call_tool(tool, arguments)

    async def ok(self, tool: str, **arguments: Any) -> Any:
        """The structured answer of a call that must succeed; its text must say the same, compactly."""
        result = await self.result(tool, **arguments)
        text = result.content[0].text
        assert not result.is_error, text
        assert text == orjson.dumps(result.structured_content).decode()
        return result.structured_content

    async def fails(self, tool: str, **arguments: Any) -> str:
        """The text of a call that must fail; nothing but text comes with it."""
        result = await self.result(tool, **arguments)
        assert result.is_error
        assert result.structured_content is None
        return str(result.content[0].text)


@asynccontextmanager
async def agent(server: DoorServer, era: Any = "2026-07-28") -> AsyncIterator[Agent]:
    async with Client(server, mode=era) as client:
        yield Agent(client)
