"""The complete service as a separate process on free ports."""

import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.abc
import httpx

from tests.e2e.mcp_listener import TIMEOUT
from tests.e2e.service import free_port

_SERVE = """
import sys
from project_manager.server import serve
from project_manager.config.settings import load
names = ("DATABASE_PATH", "DEFAULT_PORT", "MCP_PORT")
settings = load({**dict(zip(names, sys.argv[1:])), "LOG_LEVEL": "WARNING"}, {}).settings
sys.exit(serve(settings, announce=lambda line: None))
"""
_STDIO = """
import sys
from project_manager.server import serve_stdio
from project_manager.config.settings import load
sys.exit(serve_stdio(load({"DATABASE_PATH": sys.argv[1], "LOG_LEVEL": "WARNING"}, {}).settings))
"""


@dataclass
class Service:
    process: anyio.abc.Process
    api: str
    mcp: str

    async def stop(self, sent: signal.Signals = signal.SIGTERM, timeout: float = TIMEOUT) -> int:
        self.process.send_signal(sent)
        with anyio.fail_after(timeout):
            return await self.process.wait()


def free_ports() -> list[int]:
    """Return a port for REST and one for MCP."""
    return [free_port(), free_port()]


def stdio_command(database: Path) -> list[str]:
    return [sys.executable, "-c", _STDIO, str(database)]


@asynccontextmanager
async def service(database: Path, ports: list[int]) -> AsyncIterator[Service]:
    command = [sys.executable, "-c", _SERVE, str(database), *(str(port) for port in ports)]
    async with await anyio.open_process(command, stdout=None, stderr=None) as process:
        started = Service(process, f"http://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}")
        try:
            await _until_healthy(started)
            yield started
        finally:
            if process.returncode is None:
                process.kill()


async def _until_healthy(started: Service) -> None:
    with anyio.fail_after(20):
        async with httpx.AsyncClient(trust_env=False) as http:
            while True:
                try:
                    if (await http.get(f"{started.api}/healthz")).status_code == 200:
                        return
                except httpx.TransportError:
                    await anyio.sleep(0.02)
