"""`serve --mcp-transport stdio`: MCP on standard input and output, next to the API port."""

import sys
from pathlib import Path

import httpx
from mcp import StdioServerParameters
from mcp.client import Client

from tests.e2e.service import environment, free_port


async def test_serve_with_the_stdio_transport_serves_mcp_on_stdio_and_rest_on_its_port(tmp_path: Path) -> None:
    port = free_port()
    command = ["serve", "--port", str(port), "--mcp-transport", "stdio", "--db-path", str(tmp_path / "pm.db")]
    parameters = StdioServerParameters(
        command=sys.executable, args=["-m", "project_manager", *command], env=environment()
    )
    async with Client(parameters) as client:
        made = await client.call_tool("create_task", {"name": "from the pipe"})
        assert not made.is_error
        async with httpx.AsyncClient() as http:
            seen = await http.get(f"http://127.0.0.1:{port}/api/tasks")
    assert [task["name"] for task in seen.json()["items"]] == ["from the pipe"]
