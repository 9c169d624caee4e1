"""Real frameworks with models that must send every argument. `run` in this folder installs them."""

import os
import subprocess
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from tests.e2e.mcp_process import free_ports, service

CLIENT = Path(__file__).with_name("frameworks_client.py")


async def run_client(tmp_path: Path, framework: str, path: str) -> "subprocess.CompletedProcess[str]":
    async with service(tmp_path / "pm.db", free_ports()) as running:
        command = [os.environ["FRAMEWORKS"], str(CLIENT), framework, f"{running.mcp}{path}"]

        def run() -> "subprocess.CompletedProcess[str]":
            return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

        return await anyio.to_thread.run_sync(run)


@pytest.mark.parametrize(
    ("framework", "path"),
    [("smolagents", "/mcp?schema=nullable"), ("openai-agents", "/mcp?schema=strict"), ("openai-agents", "/mcp")],
)
async def test_the_loop_runs_in_a_framework_that_wants_every_argument(
    tmp_path: Path, framework: str, path: str
) -> None:
    done = await run_client(tmp_path, framework, path)
    assert done.returncode == 0, done.stderr


async def test_smolagents_needs_the_nullable_schemas(tmp_path: Path) -> None:
    done = await run_client(tmp_path, "smolagents", "/mcp")
    assert "is required" in done.stderr
