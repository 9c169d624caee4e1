"""The official TypeScript clients, of both generations, over each transport. `run` in this folder installs them."""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import anyio
import orjson
import pytest

from tests.e2e.mcp_listener import Work, listening, tool_server

SCRIPT = Path(__file__).with_name("typescript_client.mjs")
STDIO = [sys.executable, "-c", "import anyio; from tests.e2e.mcp_stdio_server import main; anyio.run(main)"]


@pytest.fixture(scope="session")
def script() -> Path:
    """Return the client script in the folder of its packages, which TYPESCRIPT_CLIENTS names."""
    return Path(shutil.copy(SCRIPT, os.environ["TYPESCRIPT_CLIENTS"]))


async def run(script: Path, kind: str, target: str, protocol: str) -> dict[str, Any]:
    arguments = ["node", str(script), kind, target, protocol, "echo", '{"words":"from TypeScript"}']
    with anyio.fail_after(30):
        done = await anyio.run_process(arguments, check=False)
    assert done.returncode == 0, done.stderr.decode()
    found: dict[str, Any] = orjson.loads(done.stdout)
    return found


@pytest.mark.parametrize("protocol", ["2025", "2025-client", "2026"])
@pytest.mark.parametrize(("kind", "path"), [("http", "/mcp"), ("http", "/sse"), ("sse", "/sse")])
async def test_the_typescript_clients_work_over_http(script: Path, kind: str, path: str, protocol: str) -> None:
    async with listening(tool_server(Work())) as listener:
        found = await run(script, kind, listener.url + path, protocol)
    assert found["text"] == "from TypeScript"
    assert "hold" in found["tools"]


@pytest.mark.parametrize("protocol", ["2025", "2025-client", "2026"])
async def test_the_typescript_clients_work_over_stdio(script: Path, protocol: str) -> None:
    found = await run(script, "stdio", orjson.dumps(STDIO).decode(), protocol)
    assert found["text"] == "from TypeScript"
