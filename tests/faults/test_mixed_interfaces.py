"""One project, many agents at once over every interface, and servers that are killed meanwhile."""

import time
from collections import Counter
from itertools import pairwise
from typing import Any

import anyio
import httpx
import psutil
import pytest

from tests.e2e.conftest import Start
from tests.e2e.service import Service
from tests.faults import history
from tests.faults.agents import Agent, Interface, Ledger, over_http, over_sse, over_stdio, rest
from tests.integration import invariants
from tests.stored_rows import Address

LAYERS, WIDTH = 3, 12
AGENTS, KILLS = 8, 4
WHOLE_RUN = 180
MAX_ATTEMPTS = 5
KINDS = (
    "task.submitted",
    "task.reviewed",
    "task.question_asked",
    "task.question_answered",
    "message.sent",
    "pause.started",
)


@pytest.fixture
def make_service(make_service_on: Start) -> Start:
    return make_service_on


def plan(http: httpx.Client) -> None:
    """Create layers of tasks. Each task depends on two of the layer before."""
    layers = [[f"{layer}-{place}" for place in range(WIDTH)] for layer in range(LAYERS)]
    tasks: list[dict[str, Any]] = [{"name": name, "ref": name} for name in layers[0]]
    for before, layer in pairwise(layers):
        for place, name in enumerate(layer):
            tasks.append({"name": name, "ref": name, "depends_on": [before[place], before[place - 1]]})
    assert http.post("/api/tasks/bulk", json={"project_name": "Shared", "tasks": tasks}).status_code == 201


def interfaces(service: Service) -> dict[str, Interface]:
    return {
        "rest-1": rest(service),
        "rest-2": rest(service),
        "http-1": over_http(service, "auto"),
        "http-2": over_http(service, "legacy"),
        "sse-1": over_sse(service),
        "sse-2": over_sse(service),
        "stdio-1": over_stdio(service),
        "stdio-2": over_stdio(service),
    }


@pytest.mark.parametrize("kill", [False, True], ids=["undisturbed", "killed"])
async def test_agents_on_every_interface_never_share_a_task_and_finish_each_once(
    start_service: Start, database: Address, kill: bool
) -> None:
    service = start_service()
    with service.http() as http:
        plan(http)
    agents = interfaces(service)
    ledger = Ledger(LAYERS * WIDTH, len(agents))
    with anyio.fail_after(WHOLE_RUN):
        async with anyio.create_task_group() as tasks:
            for name, interface in agents.items():
                tasks.start_soon(Agent(name, interface, ledger, is_rest=name.startswith("rest")).run)
            if kill:
                await ledger.until(ledger.tasks // 3)
                await anyio.to_thread.run_sync(kill_and_start_again, service)
    if kill:
        assert ledger.lost
    with service.http() as http:
        judge(ledger, history.all_events(http), http, database)
    assert {lease.agent.split("-")[0] for lease in ledger.leases} == {"rest", "http", "sse", "stdio"}, (
        "each had its share"
    )


async def test_a_server_that_is_killed_again_and_again_loses_nothing(start_service: Start, database: Address) -> None:
    service = start_service()
    with service.http() as http:
        plan(http)
    ledger = Ledger(LAYERS * WIDTH, AGENTS)
    with anyio.fail_after(WHOLE_RUN):
        async with anyio.create_task_group() as tasks:
            for number in range(AGENTS):
                tasks.start_soon(Agent(f"rest-{number}", rest(service), ledger, is_rest=True).run)
            for share in range(1, KILLS + 1):
                await ledger.until(share * LAYERS * WIDTH // (KILLS + 1))
                await anyio.to_thread.run_sync(kill_server, service)
    assert ledger.lost >= KILLS
    assert all(ledger.written[kind] for kind in KINDS), "each kind of work was done"
    with service.http() as http:
        judge(ledger, history.all_events(http), http, database)


def kill_server(service: Service) -> None:
    service.kill()
    service.start()


def kill_and_start_again(service: Service) -> None:
    """Kill the server and the MCP process of one of the agents."""
    own = [child for child in psutil.Process().children() if "mcp" in child.cmdline()]
    own[0].kill()
    kill_server(service)


def judge(ledger: Ledger, events: list[dict[str, Any]], http: httpx.Client, database: Address) -> None:
    assert ledger.complete, f"only {len(ledger.finished)} were finished in {WHOLE_RUN} s"
    history.check_numbers(events)
    leases = history.check_one_holder(events)
    history.check_observed_leases(ledger.leases)
    given = sorted((task, agent, fence) for task, claims in leases.items() for agent, fence in claims)
    seen = sorted((lease.task_id, lease.agent, lease.fence) for lease in ledger.leases)
    assert given == seen, "each lease of the log was one answer, and each answer is in the log"
    assert sorted(history.finished(events)) == sorted(ledger.finished) == list(range(1, LAYERS * WIDTH + 1))
    reports = Counter(
        event["author"] for event in events if event["type"] == "task.logged" and event["kind"] == "progress"
    )
    assert reports == Counter(lease.agent for lease in ledger.leases)
    types = Counter(event["type"] for event in events)
    assert {kind: types[kind] for kind in KINDS} == {kind: ledger.written[kind] for kind in KINDS}
    board = http.get("/api/tasks", params={"limit": 500}).json()["items"]
    assert {task["status"] for task in board} == {"DONE"}
    assert {task["lock"] for task in board} == {None}
    invariants.check_database(database, now=time.time_ns() // 1_000_000, max_attempts=MAX_ATTEMPTS)
