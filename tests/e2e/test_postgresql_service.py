"""Real service processes on one database of a PostgreSQL server, and their clients over all interfaces."""

import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest
from mcp import Client, StdioServerParameters
from websockets.asyncio.client import ClientConnection, connect

from tests.e2e.command_line import CommandLine
from tests.e2e.conftest import Start
from tests.e2e.service import Service, environment, sample
from tests.e2e.test_healthcheck_script import check
from tests.e2e.test_mcp_product import ok
from tests.postgres_server import PostgresServer

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

PATIENCE = 60
TASKS = 60
STDIO = ["-m", "project_manager", "mcp"]

Instances = Callable[..., list[Service]]


@pytest.fixture
def empty(postgresql_server: PostgresServer) -> Iterator[str]:
    """Return the URL of a database without tables, with a password that the server does not ask for."""
    name = postgresql_server.create_database()
    yield postgresql_server.url(name).replace("postgres@", "postgres:hush@")
    postgresql_server.drop_database(name)


@pytest.fixture
def start_instances(prepare_service: Start) -> Instances:
    """Return a function that starts services on one database at the same time."""

    def start(url: str, number: int, **settings: object) -> list[Service]:
        services = [prepare_service(DATABASE_PATH="", DATABASE_URL=url, **settings) for _ in range(number)]
        for service in services:
            service.spawn()
        for service in services:
            service.wait_until(service.is_healthy)
        return services

    return start


async def add_tasks(service: Service, number: int) -> None:
    async with service.client() as client:
        for task in range(number):
            created = await client.post("/api/tasks", json={"name": f"task {task}", "project_name": "Shared"})
            created.raise_for_status()


@asynccontextmanager
async def updates(service: Service) -> AsyncIterator[ClientConnection]:
    """Open the WebSocket of a service, and read its first message."""
    async with connect(service.websocket_url, proxy=None, max_queue=None) as socket:
        await socket.recv()
        yield socket


async def numbers(socket: ClientConnection, last: int) -> list[int]:
    """Return the numbers of the events that arrive, up to the event `last`."""
    found = list[int]()
    with anyio.fail_after(PATIENCE):
        while not found or found[-1] < last:
            message = json.loads(await socket.recv())
            if "seq" in message:
                found.append(message["seq"])
    return found


async def head_of(service: Service) -> int:
    async with service.client() as client:
        return int((await client.get("/api/metrics")).json()["events"]["seq"])


class Agents:
    """Agents that finish tasks, each at one service, until no task is ready. `done` has each acknowledged status."""

    def __init__(self, ttl_seconds: int = 60) -> None:
        self.ttl_seconds = ttl_seconds
        self.claims: list[tuple[int, int]] = []
        self.done: list[int] = []
        self.progress = anyio.Event()
        self._progress_at = TASKS // 4

    async def work(self, service: Service, agent_id: str) -> None:
        """Work until no task is ready, or until the service is killed."""
        async with service.client() as client:
            try:
                while await self.finish_one(client, agent_id):
                    pass
            except httpx.TransportError:
                assert service.process.poll() is not None

    async def finish_one(self, client: httpx.AsyncClient, agent_id: str, wait_seconds: int = 0) -> bool:
        """Claim a task and finish it. Return False if none was ready."""
        body = {"agent_id": agent_id, "ttl_seconds": self.ttl_seconds, "wait_seconds": wait_seconds}
        claim = (await client.post("/api/tasks/claim", json=body)).raise_for_status().json()
        if claim.get("task") is None:
            return False
        task_id, fence = claim["task"]["id"], claim["lock"]["fence"]
        self.claims.append((task_id, fence))
        held = {"agent_id": agent_id, "fence": fence, "status": "DONE"}
        (await client.post(f"/api/tasks/{task_id}/status", json=held)).raise_for_status()
        self.done.append(task_id)
        if len(self.done) == self._progress_at:
            self.progress.set()
        return True


async def test_an_empty_database_serves_every_interface(
    start_instances: Instances, cli: CommandLine, empty: str
) -> None:
    (service,) = start_instances(empty, 1)
    async with updates(service) as socket, Client(f"{service.mcp_url}/mcp") as agent:
        await add_tasks(service, 2)
        claim = await ok(agent, "claim_next_task", agent_id="ann")
        assert claim["task"]["name"] == "task 0"
        command = StdioServerParameters(command=sys.executable, args=STDIO, env=environment(DATABASE_URL=empty))
        async with Client(command) as other:
            assert (await ok(other, "claim_next_task", agent_id="bob"))["task"]["name"] == "task 1"
        assert cli.run("import", "plan.yaml", DATABASE_URL=empty).returncode == 0
        head = await head_of(service)
        seen = await numbers(socket, head)
    assert seen == list(range(1, head + 1))
    listed = json.loads(cli.says("tasks", "--holder", "ann", "--json", DATABASE_URL=empty))
    assert [task["name"] for task in listed["items"]] == ["task 0"]
    assert check(service, HEALTH_CHECK_VERBOSE="true")[0] == 0
    assert service.stop() == 0
    assert "hush" not in service.log
    (started,) = service.lines("started")
    assert started["database"].startswith("postgresql:///test_")
    assert "is intact" in cli.says("verify", DATABASE_URL=empty)


async def test_health_and_metrics_leave_the_files_to_the_server(start_instances: Instances, empty: str) -> None:
    (service,) = start_instances(empty, 1)
    with service.http() as client:
        ready = client.get("/readyz").json()
        assert ready == {
            "status": "ready",
            "checks": dict.fromkeys(("database", "schema", "writer", "events", "clock"), True),
        }
        service.wait_until(lambda: client.get("/api/metrics").json()["system"]["database_bytes"])
        system = client.get("/api/metrics").json()["system"]
        page = client.get("/metrics").text
        service.wait_until(lambda: "project_manager_postgresql_standbys 0.0" in client.get("/metrics").text)
    assert system["wal_bytes"] is None
    assert sample(page, "project_manager_postgresql_outage_seconds") == 0
    assert sample(page, "project_manager_postgresql_lock_wait_seconds_count") > 0
    assert sample(page, "pm_database_bytes") == system["database_bytes"]
    for name in ("pm_wal_bytes", "pm_backup", "project_manager_database_damaged", "project_manager_disk_free_bytes"):
        assert name not in page


@pytest.mark.promise("lease:exclusive")
async def test_instances_that_start_at_once_on_an_empty_database_share_the_work(
    start_instances: Instances, cli: CommandLine, empty: str
) -> None:
    one, two, three = start_instances(empty, 3)
    await add_tasks(one, TASKS)
    agents, sockets = Agents(), (one, three)
    async with updates(sockets[0]) as first, updates(sockets[1]) as last:
        begin = await head_of(one)
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                for number, service in enumerate((one, two, three) * 3):
                    tasks.start_soon(agents.work, service, f"agent-{number}")
        head = await head_of(two)
        seen = [await numbers(socket, head) for socket in (first, last)]
    assert sorted(task_id for task_id, _ in agents.claims) == list(range(1, TASKS + 1))
    assert seen == [list(range(begin + 1, head + 1))] * 2
    async with two.client() as client:
        events = (await client.get("/api/events", params={"limit": 500})).json()["items"]
    assert [event["seq"] for event in events] == list(range(1, head + 1))
    assert "is intact" in cli.says("verify", DATABASE_URL=empty)


@pytest.mark.promise("lease:exclusive")
async def test_a_killed_instance_loses_nothing_and_the_others_finish_its_tasks(
    start_instances: Instances, cli: CommandLine, empty: str
) -> None:
    killed, *others = start_instances(empty, 3, LOCK_CLEANUP_INTERVAL=1)
    await add_tasks(killed, TASKS)
    async with killed.client() as client:  # the holder never finishes this task
        await client.post("/api/tasks/claim", json={"agent_id": "lost", "ttl_seconds": 2})
    agents = Agents(ttl_seconds=5)
    async with updates(others[1]) as socket:
        begin = await head_of(others[0])
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                for number, service in enumerate((killed, *others) * 3):
                    tasks.start_soon(agents.work, service, f"agent-{number}")
                await agents.progress.wait()
                killed.kill()
            async with others[0].client() as client:
                while await statuses(others[0]) != {"DONE": TASKS}:
                    await agents.finish_one(client, "late", wait_seconds=5)
        head = await head_of(others[0])
        seen = await numbers(socket, head)
    assert seen == list(range(begin + 1, head + 1))
    assert max(Counter(agents.done).values()) == 1
    assert len(set(agents.claims)) == len(agents.claims)
    assert "is intact" in cli.says("verify", DATABASE_URL=empty)


async def statuses(service: Service) -> dict[str, Any]:
    async with service.client() as client:
        by_status = (await client.get("/api/metrics")).json()["tasks"]["by_status"]
    return {status: number for status, number in by_status.items() if number}
