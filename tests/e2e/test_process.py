"""Shutdown of the process: in order with everything open, forced by a second signal, with nothing left behind."""

import http.client
import signal
import socket
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from mcp import Client
from mcp.client.sse import sse_client
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.e2e.conftest import Start
from tests.e2e.service import TIMEOUT, Service, sample
from tests.e2e.sockets import stalled_websocket

LONG = 55


async def wait_for(condition: Callable[[], Any]) -> None:
    with anyio.fail_after(TIMEOUT):
        while not await condition():
            await anyio.lowlevel.checkpoint()


async def listeners(service: Service) -> float:
    async with service.client() as http:
        return sample((await http.get("/metrics")).text, "pm_subscribers")


async def read_until_closed(websocket: ClientConnection) -> int:
    """Read until the WebSocket is closed and return the close code."""
    try:
        async for _ in websocket:
            pass
    except ConnectionClosed:
        pass
    assert websocket.close_code is not None
    return websocket.close_code


async def ended(service: Service) -> int:
    """Return the exit status. The process must end within the promised five seconds."""
    return await anyio.to_thread.run_sync(service.process.wait, TIMEOUT)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_shuts_the_process_down_in_order_while_everything_is_open(
    start_service: Start, number: signal.Signals
) -> None:
    service = start_service()
    answers: dict[str, Any] = {}

    async def claim() -> None:
        async with service.client(timeout=LONG) as http:
            filters = {"agent_id": "rest", "wait_seconds": LONG}
            answers["claim"] = await http.post("/api/tasks/claim", json=filters)

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
            subscribers = len(websockets) + 2  # the long poll for events, and one for all waiters
            return waiters(service) == 1 + len(clients) and await listeners(service) >= subscribers

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
    """Open WebSockets and clients of both MCP transports."""
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


def waiters(service: Service) -> int:
    with closing(sqlite3.connect(service.database)) as database:
        return int(database.execute("SELECT count(*) FROM waiters").fetchone()[0])


def stored(service: Service) -> list[str]:
    with closing(sqlite3.connect(service.database)) as database:
        return [row[0] for row in database.execute("SELECT name FROM tasks")]


async def test_a_request_that_never_ends_does_not_delay_shutdown(start_service: Start) -> None:
    service = start_service()
    with half_a_request(service):
        assert service.stop() == 0


async def test_a_client_that_does_not_read_does_not_delay_shutdown(start_service: Start) -> None:
    service = start_service()
    with stalled_websocket(service.port), service.http() as http:
        for _ in range(8):
            assert http.post("/api/tasks/bulk", json={"tasks": [{"name": "n" * 200}] * 500}).status_code == 201
        assert service.stop() == 0


async def test_a_database_lock_of_another_program_does_not_delay_shutdown(start_service: Start) -> None:
    service = start_service()
    with writing_elsewhere(service) as release:
        service.signal(signal.SIGTERM)
        assert await ended(service) == 0
        release()


async def test_a_second_signal_forces_the_shutdown(start_service: Start) -> None:
    service = start_service()
    with half_a_request(service):
        service.signal(signal.SIGTERM)
        service.wait_until(lambda: service.lines("stopping"))
        service.signal(signal.SIGTERM)
        await ended(service)
    assert service.lines("forced")
    assert "graceful shutdown exceeded" not in service.log, "it ended by itself before it was forced"


async def test_a_second_signal_forces_the_shutdown_during_the_load_balancer_notice(start_service: Start) -> None:
    service = start_service()
    place = ("127.0.0.2", 0)
    asked = http.client.HTTPConnection("127.0.0.1", service.port, timeout=TIMEOUT, source_address=place)
    asked.request("GET", "/healthz")
    assert asked.getresponse().status == 200
    asked.close()
    service.signal(signal.SIGTERM)
    service.wait_until(lambda: service.lines("stopping"), TIMEOUT)
    service.signal(signal.SIGTERM)
    await ended(service)
    assert service.lines("forced")


async def test_shutdown_leaves_one_complete_database_file_and_no_instance_record(start_service: Start) -> None:
    service = start_service()
    with service.http() as http:
        http.post("/api/tasks", json={"name": "kept"})
    assert service.stop() == 0
    assert not service.database.with_name("pm.db-wal").exists()
    with closing(sqlite3.connect(service.database)) as database:
        assert database.execute("SELECT count(*) FROM instances").fetchone() == (0,)
    assert stored(service) == ["kept"]


async def test_the_process_restarts_at_once_on_the_same_ports_with_all_data(start_service: Start) -> None:
    service = start_service()
    with service.http() as http:
        created = http.post("/api/tasks", json={"name": "kept"}).json()
        created = http.get(f"/api/tasks/{created['id']}").json()
        epoch = http.get("/api/events").json()["epoch"]
    assert service.stop() == 0
    service.start()
    with service.http() as http:
        assert http.get(f"/api/tasks/{created['id']}").json() == created
        assert http.get("/api/events").json()["epoch"] == epoch


@contextmanager
def writing_elsewhere(service: Service) -> Iterator[Callable[[], None]]:
    """Hold the write lock of the database, as another program, until released."""
    with closing(sqlite3.connect(service.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        def release() -> None:
            other.execute("ROLLBACK")

        yield release


@contextmanager
def half_a_request(service: Service) -> Iterator[None]:
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.sendall(b"POST /api/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        with service.http() as http:  # the event loop has accepted the first connection when it answers the second
            http.get("/livez")
        yield
