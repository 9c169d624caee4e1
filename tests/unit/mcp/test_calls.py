"""Counting of calls in flight."""

import anyio
import anyio.lowlevel

from project_manager.mcp.server import Calls

TIMEOUT = 20.0


async def test_waiting_ends_with_the_last_call() -> None:
    calls = Calls()
    with anyio.fail_after(TIMEOUT):
        async with anyio.create_task_group() as tasks:
            calls.begin()
            calls.begin()
            tasks.start_soon(calls.wait_until_none)
            await anyio.lowlevel.checkpoint()
            calls.end()
            calls.end()
    assert calls.count == 0
