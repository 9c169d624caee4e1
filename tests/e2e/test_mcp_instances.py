"""One MCP session over several instances on one database: what one of them was asked for, another one delivers."""

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import orjson
import pytest

from tests.e2e.mcp_listener import ACCEPT, PATIENCE, Wire, call
from tests.e2e.mcp_process import Service, free_ports, service


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def through(running: Service, session: str = "") -> AsyncIterator[Wire]:
    """A client of this instance; of a session that another one opened, if it is named."""
    headers = {"accept": ACCEPT, "content-type": "application/json"}
    async with httpx.AsyncClient(base_url=running.mcp, headers=headers, timeout=PATIENCE, trust_env=False) as http:
        wire = Wire(http)
        wire.session = session
        yield wire


async def ask(wire: Wire, method: str, uri: str) -> None:
    answer = await wire.post({"jsonrpc": "2.0", "id": 9, "method": f"resources/{method}", "params": {"uri": uri}})
    assert answer.status_code == 200
    assert '"error"' not in answer.text


class Stream:
    """The notifications of a session, as one instance sends them."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines

    async def told(self) -> str:
        """The next resource that is said to have changed."""
        with anyio.fail_after(PATIENCE):
            async for line in self._lines:
                if line.startswith("data: {"):
                    message: dict[str, Any] = orjson.loads(line[6:])
                    assert message["method"] == "notifications/resources/updated"
                    return str(message["params"]["uri"])
        raise AssertionError("the stream ended")


@asynccontextmanager
async def streaming(wire: Wire) -> AsyncIterator[Stream]:
    async with wire.http.stream("GET", "/mcp", headers=wire.headers) as opened:
        assert opened.status_code == 200
        yield Stream(opened.aiter_lines())


async def test_a_subscription_is_taken_by_any_instance_and_kept_by_the_one_with_the_stream(tmp_path: Path) -> None:
    database = tmp_path / "pm.db"
    async with (
        service(database, free_ports()) as first,
        service(database, free_ports()) as second,
        through(first) as one,
    ):
        await one.initialize()
        for name in ("one", "two"):
            await one.post(call("create_task", name=name, project_name="p"))
        async with through(second, one.session) as other, streaming(other) as stream:
            for uri in ("pm://task/1", "pm://task/2"):
                await ask(one, "subscribe", uri)
            await one.post(call("acquire_task_lock", task_id=1, agent_id="ann"))
            assert await stream.told() == "pm://task/1"
            await ask(one, "unsubscribe", "pm://task/1")
            await other.post(call("release_task_lock", task_id=1, agent_id="ann"))
            await one.post(call("acquire_task_lock", task_id=2, agent_id="bob"))
            assert await stream.told() == "pm://task/2"


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL])
async def test_a_subscription_outlives_its_instance(tmp_path: Path, sent: signal.Signals) -> None:
    """What changed while nobody had the stream is told first."""
    database = tmp_path / "pm.db"
    async with service(database, free_ports()) as lasting:
        async with service(database, free_ports()) as first, through(first) as wire:
            await wire.initialize()
            await wire.post(call("create_task", name="one", project_name="p"))
            await ask(wire, "subscribe", "pm://task/1")
            await first.stop(sent)
        async with through(lasting, wire.session) as wire, streaming(wire) as stream:
            assert await stream.told() == "pm://task/1"
            await wire.post(call("acquire_task_lock", task_id=1, agent_id="ann"))
            assert await stream.told() == "pm://task/1"


async def test_a_session_that_was_ended_is_told_nothing_by_any_instance(tmp_path: Path) -> None:
    database = tmp_path / "pm.db"
    async with (
        service(database, free_ports()) as first,
        service(database, free_ports()) as second,
        through(first) as one,
    ):
        await one.initialize()
        await one.post(call("create_task", name="one", project_name="p"))
        await one.post(call("create_task", name="two", project_name="p"))
        await ask(one, "subscribe", "pm://task/1")
        assert (await one.http.delete("/mcp", headers=one.headers)).status_code == 200
        async with through(second, one.session) as other, streaming(other) as stream:
            await ask(other, "subscribe", "pm://task/2")
            for task_id in (1, 2):
                await other.post(call("acquire_task_lock", task_id=task_id, agent_id="ann"))
            assert await stream.told() == "pm://task/2"
