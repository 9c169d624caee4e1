"""An agent that disconnects while it waits: a new task is not reserved for it."""

import anyio
import anyio.lowlevel
import anyio.to_thread
import httpx
import pytest

from tests.e2e.conftest import Start
from tests.e2e.service import TIMEOUT, Service
from tests.stored_rows import Address, read

LONG = 55
FORGOTTEN_SECONDS = 20
"""Seconds after which a process without heartbeat no longer counts as a waiter."""


@pytest.fixture
def make_service(make_service_on: Start) -> Start:
    return make_service_on


async def wait_until_queued(service: Service, agent: str) -> None:
    """Wait for a task while there is none, and repeat the request until the server is gone."""
    async with service.client(timeout=LONG) as http:
        try:
            await http.post("/api/tasks/claim", json={"agent_id": agent, "wait_seconds": LONG})
        except httpx.TransportError:
            return


async def is_queued(database: Address) -> None:
    with anyio.fail_after(TIMEOUT):
        while not await anyio.to_thread.run_sync(read, database, "SELECT id FROM waiters"):
            await anyio.lowlevel.checkpoint()


async def test_after_a_restart_earlier_waiters_delay_no_claim(start_service: Start, database: Address) -> None:
    service = start_service()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait_until_queued, service, "gone")
        await is_queued(database)
        service.kill()
    service.start()
    with service.http() as http:
        http.post("/api/tasks", json={"name": "the next"})
        assert http.post("/api/tasks/claim", json={"agent_id": "here"}).json()["lock"]["holder"] == "here"


async def test_a_new_task_goes_to_the_next_waiter_when_the_process_of_the_first_died(
    start_service: Start, prepare_service: Start, database: Address
) -> None:
    service = start_service()
    other = prepare_service().start()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait_until_queued, other, "gone")
        await is_queued(database)
        other.kill()
    async with service.client(timeout=LONG) as http:
        await http.post("/api/tasks", json={"name": "the next"})
        request = {"agent_id": "here", "wait_seconds": FORGOTTEN_SECONDS}
        assert (await http.post("/api/tasks/claim", json=request)).json()["lock"]["holder"] == "here"
