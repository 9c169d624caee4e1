"""An agent that waits for a task and is gone: what comes is not kept for it."""

import sqlite3
from contextlib import closing

import anyio
import anyio.lowlevel
import httpx

from tests.e2e.conftest import Start
from tests.e2e.service import PATIENCE, Service

LONG = 55
FORGOTTEN_SECONDS = 20
"""Sooner than this a process that does not move is no longer waited for."""


async def wait_in_line(service: Service, agent: str) -> None:
    """Asks for a task when there is none, and goes on asking until the server is gone."""
    async with service.client(timeout=LONG) as http:
        try:
            await http.post("/api/tasks/claim", json={"agent_id": agent, "wait_seconds": LONG})
        except httpx.TransportError:
            return


async def stands_in_line(service: Service) -> None:
    with closing(sqlite3.connect(service.database)) as database, anyio.fail_after(PATIENCE):
        while not database.execute("SELECT count(*) FROM waiters").fetchone()[0]:
            await anyio.lowlevel.checkpoint()


async def test_after_a_restart_nobody_waits_for_those_who_waited_before(start_service: Start) -> None:
    service = start_service()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait_in_line, service, "gone")
        await stands_in_line(service)
        service.kill()
    service.start()
    with service.http() as http:
        http.post("/api/tasks", json={"name": "the next"})
        assert http.post("/api/tasks/claim", json={"agent_id": "here"}).json()["lock"]["holder"] == "here"


async def test_what_comes_goes_to_the_next_in_line_when_the_first_one_s_process_died(
    start_service: Start, prepare_service: Start
) -> None:
    service = start_service()
    other = prepare_service(DATABASE_PATH=service.database)
    other.database = service.database
    other.start()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait_in_line, other, "gone")
        await stands_in_line(other)
        other.kill()
    async with service.client(timeout=LONG) as http:
        await http.post("/api/tasks", json={"name": "the next"})
        wish = {"agent_id": "here", "wait_seconds": FORGOTTEN_SECONDS}
        assert (await http.post("/api/tasks/claim", json=wish)).json()["lock"]["holder"] == "here"
