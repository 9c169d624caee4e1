"""The end of the process: orderly while everything is open, forced when asked twice, and nothing left behind."""

import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.to_thread
import httpx
import pytest
from mcp import Client
from mcp.client.sse import sse_client
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.e2e.conftest import Start
from tests.e2e.service import PATIENCE, Service

LONG = 55


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def wait_for(condition: Callable[[], Any]) -> None:
    with anyio.fail_after(PATIENCE):
        while not await condition():
            await anyio.lowlevel.checkpoint()


def sample(page: str, name: str) -> float:
    """The value of a metric without labels."""
    return next(float(line.split()[1]) for line in page.splitlines() if line.startswith(f"{name} "))


async def listeners(service: Service) -> float:
    async with service.client() as http:
        return sample((await http.get("/metrics")).text, "pm_subscribers")


async def read_until_closed(websocket: ClientConnection) -> int:
    """Everything it says; the code of its close."""
    try:
        async for _ in websocket:
            pass
    except ConnectionClosed:
        pass
    assert websocket.close_code is not None
    return websocket.close_code


async def ended(service: Service) -> int:
    """The exit status, within the promised five seconds."""
    return await anyio.to_thread.run_sync(service.process.wait, PATIENCE)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_in_order_while_everything_is_open(start_service: Start, number: signal.Signals) -> None:
    service = start_service()
    answers: dict[str, Any] = {}

    async def claim() -> None:
        async with service.client(timeout=LONG) as http:
            wish = {"agent_id": "rest", "wait_seconds": LONG}
            answers["claim"] = await http.post("/api/tasks/claim", json=wish)

    async def watch() -> None:
        async with service.client(timeout=LONG) as http:
            answers["events"] = await http.get("/api/events", params={"wait_seconds": LONG})

    async def call(name: str, client: Client) -> None:
        answers[name] = await client.call_tool("claim_next_task", {"agent_id": name, "wait_seconds": LONG})

    async with opened(service) as (websockets, clients), anyio.create_task_group() as tasks:
        tasks.start_soon(claim)
        tasks.start_soon(watch)
        for name, client in clients.items():
            tasks.start_soon(call, name, client)

        async def all_wait() -> bool:
            return await listeners(service) >= len(websockets) + 2 + len(clients)

        await wait_for(all_wait)
        service.signal(number)
        assert [await read_until_closed(websocket) for websocket in websockets] == [1001] * len(websockets)
        assert await ended(service) == 0
    assert answers["claim"].status_code == 503
    assert answers["claim"].json()["code"] == "shutting_down"
    assert answers["events"].status_code in (200, 503)
    for name in clients:
        assert "SHUTTING_DOWN" in answers[name].content[0].text


@asynccontextmanager
async def opened(service: Service) -> AsyncIterator[tuple[list[ClientConnection], dict[str, Client]]]:
    """WebSockets, and clients of both MCP transports."""
    async with (
        connect(service.websocket_url, proxy=None) as one,
        connect(f"{service.websocket_url}?batch=1", proxy=None) as two,
        Client(f"{service.mcp_url}/mcp", mode="legacy") as streamable,
        Client(f"{service.mcp_url}/mcp") as modern,
        Client(sse_client(f"{service.mcp_url}/sse"), mode="legacy") as sse,
    ):
        for websocket in (one, two):
            await websocket.recv()
        yield [one, two], {"streamable": streamable, "modern": modern, "sse": sse}
