"""The official TypeScript clients, of both generations, over each transport."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import orjson
import pytest

from tests.e2e.mcp_listener import Work, listening, tool_server

PACKAGES = ("@modelcontextprotocol/sdk@1.32.2", "@modelcontextprotocol/client@2.4.0")
SCRIPT = Path(__file__).with_name("typescript_client.mjs")
STDIO = [sys.executable, "-c", "import anyio; from tests.e2e.mcp_stdio_server import main; anyio.run(main)"]

pytestmark = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client script beside the packages that it imports."""
    cache = Path.home() / ".cache" / "project-manager" / "typescript-1"
    if not (cache / "complete").exists():
        cache.mkdir(parents=True, exist_ok=True)
        install = ["npm", "--prefix", str(cache), "install", "--no-audit", "--no-fund", "--loglevel=error", *PACKAGES]
        subprocess.run(install, check=True, timeout=300, capture_output=True)
        (cache / "complete").touch()
    return Path(shutil.copy(SCRIPT, cache))


async def run(script: Path, kind: str, target: str, era: str) -> dict[str, Any]:
    arguments = ["node", str(script), kind, target, era, "echo", '{"words":"from TypeScript"}']
    with anyio.fail_after(30):
        done = await anyio.run_process(arguments, check=False)
    assert done.returncode == 0, done.stderr.decode()
    found: dict[str, Any] = orjson.loads(done.stdout)
    return found


@pytest.mark.parametrize("era", ["2025", "2025-client", "2026"])
@pytest.mark.parametrize(("kind", "path"), [("http", "/mcp"), ("http", "/sse"), ("sse", "/sse")])
async def test_the_typescript_clients_work_over_http(script: Path, kind: str, path: str, era: str) -> None:
    async with listening(tool_server(Work())) as listener:
        found = await run(script, kind, listener.url + path, era)
    assert found["text"] == "from TypeScript"
    assert "hold" in found["tools"]


@pytest.mark.parametrize("era", ["2025", "2025-client", "2026"])
async def test_the_typescript_clients_work_over_stdio(script: Path, era: str) -> None:
    found = await run(script, "stdio", orjson.dumps(STDIO).decode(), era)
    assert found["text"] == "from TypeScript"
