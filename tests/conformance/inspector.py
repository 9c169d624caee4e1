"""The official inspector over each transport: it must accept the schema of every tool. `run` in this folder installs
it.
"""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import orjson
import pytest
from mcp.types import ListToolsResult, Tool

from project_manager.mcp.server import McpSdkServer
from tests.e2e.mcp_listener import listening
from tests.e2e.mcp_process import free_ports, service

CHECKOUT = Path(__file__).parents[2]
BARE = {"type": "object", "properties": {"anything": True}}
UNION = {"type": "object", "properties": {"id": {"type": ["integer", "string"]}}}


@dataclass
class Verdict:
    """The result of the inspector. `complaints` are its warnings; `tools` are the tools that it received."""

    status: int
    complaints: str
    tools: list[str]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return the folder in which the inspector keeps its catalog."""
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


async def inspect(home: Path, *target: str) -> Verdict:
    program = Path(os.environ["INSPECTOR"]) / "node_modules/.bin/inspector"
    command = [str(program), "--cli", *target, "--method", "tools/list", "--strict"]
    with anyio.fail_after(60):
        done = await anyio.run_process(command, env={**os.environ, "HOME": str(home)}, check=False)
    found: dict[str, Any] = orjson.loads(done.stdout or b"{}")
    return Verdict(done.returncode, done.stderr.decode(), [tool["name"] for tool in found.get("tools", ())])


def assert_clean(verdict: Verdict) -> None:
    assert (verdict.status, verdict.complaints) == (0, "")
    assert "claim_next_task" in verdict.tools


@pytest.mark.parametrize("tools", ["core", "all"])
@pytest.mark.parametrize("protocol", ["legacy", "modern"])
@pytest.mark.parametrize(("path", "kind"), [("/mcp", "http"), ("/sse", "sse")])
async def test_the_inspector_finds_nothing_over_http(
    home: Path, path: str, kind: str, protocol: str, tools: str
) -> None:
    async with service(home.parent / "pm.db", free_ports()) as running:
        target = f"{running.mcp}{path}?tools={tools}"
        assert_clean(await inspect(home, target, "--transport", kind, "--protocol-era", protocol))


@pytest.mark.parametrize("tools", ["core", "all"])
@pytest.mark.parametrize("protocol", ["legacy", "modern"])
async def test_the_inspector_finds_nothing_over_stdio(home: Path, protocol: str, tools: str) -> None:
    environment = ["-e", f"PYTHONPATH={CHECKOUT}", "-e", f"MCP_TOOLS={tools}", "-e", "LOG_LEVEL=ERROR"]
    command = [sys.executable, "-m", "project_manager", "mcp", "--db-path", str(home.parent / "pm.db")]
    assert_clean(await inspect(home, *environment, "--protocol-era", protocol, *command))


@asynccontextmanager
async def announcing(schema: dict[str, Any]) -> AsyncIterator[str]:
    """Yield the address of a server with one tool that has this input schema."""

    async def list_tools(_ctx: Any, _params: Any) -> ListToolsResult:
        return ListToolsResult(tools=[Tool(name="odd", input_schema=schema)])

    async with listening(McpSdkServer("odd", on_list_tools=list_tools)) as listener:
        yield f"{listener.url}/mcp"


@pytest.mark.parametrize("schema", [BARE, UNION])
async def test_the_inspector_complains_about_a_schema_that_some_client_refuses(
    home: Path, schema: dict[str, Any]
) -> None:
    async with announcing(schema) as target:
        verdict = await inspect(home, target)
    assert verdict.tools == ["odd"]
    assert "odd" in verdict.complaints
