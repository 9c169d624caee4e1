"""MCP in the server process: its first request loads the SDK."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import copyfile

import httpx
import pytest

from project_manager.mcp.on_demand import McpOnDemand
from tests.e2e.conftest import Start
from tests.e2e.mcp_listener import as_operator
from tests.e2e.service import TIMEOUT, Service, environment, free_port
from tests.integration.mcp_product import product

NOT_FOR_A_START = (
    *("alembic", "mako"),
    *("cryptography", "httpx2", "mcp", "mcp_types", "opentelemetry", "sse_starlette"),
    "psycopg",
)
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}
PROGRAM = f"""
import json, os, signal, sys, threading, urllib.request
from importlib.abc import MetaPathFinder
from project_manager import server
from project_manager.config.settings import load
from project_manager.schemas.commands import Command

threads = set()

class Threads(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] == "mcp":
            threads.add(threading.current_thread() is threading.main_thread())

def loaded():
    return sorted({{name.partition(".")[0] for name in sys.modules}} & set({NOT_FOR_A_START!r}))

def commands(kind):
    return [kind, *(found for derived in kind.__subclasses__() for found in commands(derived))]

def use(port, mcp_port):
    assert urllib.request.urlopen(f"http://127.0.0.1:{{port}}/healthz").status == 200
    before = loaded()
    built = [command.__name__ for command in commands(Command) if command.__pydantic_complete__]
    headers = {{"content-type": "application/json", "accept": "application/json, text/event-stream"}}
    body = json.dumps({INITIALIZE!r}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{{mcp_port}}/mcp", body, headers)
    assert urllib.request.urlopen(request).status == 200
    print(json.dumps({{"before": before, "after": loaded(), "built": built, "on the event loop": sorted(threads)}}))
    os.kill(os.getpid(), signal.SIGTERM)

def announce(line):
    if line.startswith("mcp"):
        threading.Thread(target=use, args=(settings.default_port, settings.mcp_port), daemon=True).start()

sys.meta_path.insert(0, Threads())
settings = load(json.loads(sys.argv[1]), {{}}).settings
server.serve(settings, announce=announce)
"""


def initialize(service: Service) -> int:
    headers = {"accept": "application/json, text/event-stream"}
    return httpx.post(
        f"{service.mcp_url}/mcp", json=INITIALIZE, headers=headers, timeout=TIMEOUT, trust_env=False
    ).status_code


def test_a_start_loads_no_sdk_and_builds_no_validator_and_the_first_mcp_request_loads_the_sdk_on_a_thread(
    tmp_path: Path, template: Path
) -> None:
    copyfile(template, tmp_path / "pm.db")
    port = free_port()
    flags = {"DATABASE_PATH": str(tmp_path / "pm.db"), "DEFAULT_PORT": port, "MCP_PORT": free_port()}
    command = [sys.executable, "-c", PROGRAM, json.dumps(flags)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["before"] == []
    assert seen["built"] == ["Command"]  # the base class
    assert {"mcp", "mcp_types"} <= set(seen["after"])
    assert seen["on the event loop"] == [False]


def test_requests_that_arrive_while_mcp_loads_are_all_answered(start_service: Start) -> None:
    service = start_service()
    with ThreadPoolExecutor(8) as threads:
        assert [*threads.map(initialize, [service] * 8)] == [200] * 8
    assert service.stop() == 0


def is_loading(service: Service) -> bool:
    """Return whether the process has begun to load the SDK, which needs this library."""
    return "/cryptography/" in Path(f"/proc/{service.pid}/maps").read_text()


def test_a_shutdown_while_mcp_loads_answers_the_request_first(start_service: Start) -> None:
    service = start_service()
    with ThreadPoolExecutor(1) as threads:
        status = threads.submit(initialize, service)
        service.wait_until(lambda: is_loading(service))
        assert service.stop() == 0
        assert status.result() == 200


async def test_mcp_that_is_loaded_during_a_shutdown_opens_no_stream(tmp_path: Path) -> None:
    async with product(tmp_path) as served:
        on_demand = McpOnDemand(served.runtime)
        app = httpx.ASGITransport(as_operator(on_demand))
        async with on_demand.run(), httpx.AsyncClient(transport=app, base_url="http://localhost") as client:
            on_demand.drain()
            answer = await client.get("/sse")
    assert answer.status_code == 503
    assert "SHUTTING_DOWN" in answer.text


def broken_sdk(folder: Path) -> dict[str, str]:
    """Return the environment of a process that finds an SDK that cannot be imported."""
    (folder / "broken").mkdir()
    (folder / "broken" / "mcp.py").write_text("raise ImportError('the SDK is broken')\n")
    return {"PYTHONPATH": f"{folder / 'broken'}:{environment()['PYTHONPATH']}"}


def test_a_server_that_cannot_load_mcp_ends_as_after_a_refused_start(tmp_path: Path, template: Path) -> None:
    copyfile(template, tmp_path / "pm.db")
    service = Service(tmp_path)
    try:
        service.start(**broken_sdk(tmp_path))
        assert initialize(service) == 503
        assert service.process.wait(TIMEOUT) == 1
    finally:
        service.end()
    (line,) = service.lines("start_refused")
    assert "the SDK is broken" in line["message"]
    assert "broken/mcp.py" in line["exc_info"]


@pytest.mark.parametrize("arguments", [["mcp"], ["serve", "--mcp-transport", "stdio"]], ids=" ".join)
def test_a_process_that_serves_mcp_on_stdio_does_not_start_with_a_broken_sdk(
    tmp_path: Path, arguments: list[str]
) -> None:
    command = [sys.executable, "-m", "project_manager", *arguments, "--db-path", str(tmp_path / "pm.db")]
    given = environment(DEFAULT_PORT=str(free_port()), **broken_sdk(tmp_path))
    done = subprocess.run(command, env=given, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 1
    assert "the SDK is broken" in done.stderr
    assert not (tmp_path / "pm.db").exists()
