import json
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from tests.deploy.mcp_session import Session
from tests.deploy.stack import API, SERVICE, Container, Stack, docker, http, updates_of, wait_until
from tests.deploy.worker_agents import agents_working, make_tasks

TEXT = "x" * 64 * 1024
BACKEND = "project-manager_backend"
MCP_OF_SMALL = "http://127.0.0.1:18081"


@pytest.fixture
def small_disk() -> Iterator[Stack]:
    stack = Stack(
        ["tests/deploy/small-disk.yaml"],
        {"PUBLISH_PORT": "18080", "PUBLISH_MCP_PORT": "18081"},
        project="project-manager-small",
    )
    stack.up(2)
    yield stack
    stack.down()


def starts(container: Container) -> tuple[str, int]:
    seen = container.inspect()
    return seen["State"]["StartedAt"], seen["RestartCount"]


def test_a_killed_instance_costs_no_work_and_comes_back(stack: Stack, api: httpx.Client, project: int) -> None:
    make_tasks(api, project, 3000)
    victim = stack.instances[0]
    before = starts(victim)
    with agents_working(project) as agents:
        agents.wait_until_finished(50)
        victim.signal("KILL")
        agents.wait_until_finished(100)
        wait_until("it was started again", lambda: starts(victim) != before, 15)
        wait_until("it answers again", victim.answers, 15)
    agents.check(api)


def test_a_stopped_process_costs_no_work(stack: Stack, api: httpx.Client, project: int) -> None:
    make_tasks(api, project, 3000)
    victim = stack.instances[1]
    with agents_working(project) as agents:
        agents.wait_until_finished(50)
        victim.signal("STOP")
        try:
            wait_until("the load balancer has noticed", lambda: agents.faults or not victim.answers(), 10)
        finally:
            victim.signal("CONT")
        agents.wait_until_finished(100)
    agents.check(api)


def test_an_instance_cut_off_the_network_costs_no_work(stack: Stack, api: httpx.Client, project: int) -> None:
    make_tasks(api, project, 3000)
    victim = stack.instances[2]
    with agents_working(project) as agents:
        agents.wait_until_finished(50)
        docker("network", "disconnect", BACKEND, victim.id)
        agents.wait_until_finished(100)
        docker("network", "connect", "--alias", SERVICE, BACKEND, victim.id)
        wait_until("it answers again", victim.answers, 15)
        agents.wait_until_finished(50)
    agents.check(api)


def test_a_restart_of_the_load_balancer_costs_no_work(stack: Stack, api: httpx.Client, project: int) -> None:
    make_tasks(api, project, 3000)
    with agents_working(project) as agents:
        agents.wait_until_finished(50)
        stack.compose("restart", "lb")
        agents.wait_until_finished(100)
    agents.check(api)


def test_a_full_disk_refuses_writes_and_serves_reads_until_space_is_freed(small_disk: Stack) -> None:
    session = Session()
    with httpx.Client(base_url="http://127.0.0.1:18080", timeout=20) as client:
        session.open(MCP_OF_SMALL)
        made = client.post("/api/projects", json={"name": "before"})
        assert made.status_code == 201
        one = small_disk.instances[0]
        one.execute("sh", "-c", "head -c 24M /dev/zero > /app/data/ballast")
        body = {"name": "big", "description": TEXT, "project_id": made.json()["id"]}
        refused = wait_until("a write is refused", lambda: first_refusal(client, body), 30)
        assert refused is not None
        assert (refused.status_code, refused.json()["code"]) == (507, "storage_full")
        kept = client.get("/api/projects").json()
        assert [project["name"] for project in kept["items"]] == ["before"]
        wait_until("the load balancer has no instance that can write", lambda: none_for_agents(small_disk), 30)
        assert session.refusal(MCP_OF_SMALL, "create_task", name="another").startswith("STORAGE_FULL")
        assert all(starts(instance)[1] == 0 for instance in small_disk.instances)
        one.execute("rm", "/app/data/ballast")
        wait_until("writes are taken again", lambda: client.post("/api/tasks", json=body).status_code == 201, 20)
        checked = one.execute("sqlite3", "/app/data/tasks.db", "PRAGMA integrity_check")
        assert checked == "ok"


def none_for_agents(stack: Stack) -> bool:
    """Return whether every instance is marked down for MCP, although its MCP calls are answered."""
    return "backend mcp has no server available" in stack.load_balancer.logs()


def first_refusal(client: httpx.Client, body: dict[str, object]) -> httpx.Response | None:
    answer = client.post("/api/tasks", json=body)
    return None if answer.status_code == 201 else answer


def test_a_greedy_request_does_not_bring_an_instance_down(stack: Stack, api: httpx.Client, project: int) -> None:
    tasks = [{"name": f"big {number}", "description": TEXT[:60_000]} for number in range(15)]
    for _ in range(40):
        made = api.post("/api/tasks/bulk", json={"project_id": project, "tasks": tasks})
        assert made.status_code == 201, made.text
    before = {instance.id: starts(instance) for instance in stack.instances}
    greedy = [f"/api/tasks?project_id={project}&limit=500", f"/api/board/state?project_id={project}", "/api/export"]
    answers = [status_of(API + path) for path in greedy]
    with ThreadPoolExecutor(6) as pool:
        answers += pool.map(lambda path: status_of(API + path), greedy * 4)
    assert set(answers) <= {200, 413, 422, 503}
    assert {instance.id: starts(instance) for instance in stack.instances} == before
    assert not any(instance.state["OOMKilled"] for instance in stack.instances)
    assert http.delete(f"{API}/api/projects/{project}?force=true", timeout=20).status_code == 200


def status_of(url: str) -> int:
    with http.stream("GET", url, timeout=60) as answer:
        for _ in answer.iter_bytes():
            pass
        return answer.status_code


def test_bodies_that_are_too_large_are_refused_without_being_kept(stack: Stack) -> None:
    huge = json.dumps({"name": "x" * 3 * 1024 * 1024})
    answer = http.post(f"{API}/api/projects", content=huge, headers={"Content-Type": "application/json"}, timeout=20)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_a_stop_with_clients_connected_ends_within_its_time_with_status_zero(
    stack: Stack, api: httpx.Client, project: int
) -> None:
    instances = stack.instances
    with ExitStack() as opened:
        sockets = [opened.enter_context(updates_of(instance)) for instance in instances]
        streams = [
            opened.enter_context(http.stream("GET", f"{instance.mcp}/sse", timeout=20)) for instance in instances
        ]
        waiting = opened.enter_context(ThreadPoolExecutor(3))
        long_polls = [waiting.submit(wait_for_task, instance, project) for instance in instances]
        assert [stream.status_code for stream in streams] == [200, 200, 200]
        assert all(json.loads(socket.recv(5))["type"] == "hello" for socket in sockets)
        stack.compose("stop", SERVICE)
        for socket in sockets:
            assert code_of_close(socket) == 1001
        assert all(poll.result().status_code in (200, 503) for poll in long_polls)
    assert [instance.state["ExitCode"] for instance in instances] == [0, 0, 0]
    for instance in instances:
        assert '"message":"stopping"' in instance.logs()


def code_of_close(socket: ClientConnection) -> int | None:
    """Return the close code of the server; None if it ended the connection without one."""
    with suppress(ConnectionClosed):
        while True:
            socket.recv(5)
    return socket.close_code


def wait_for_task(instance: Container, project: int) -> httpx.Response:
    body = {"agent_id": f"patient-{secrets.token_hex(2)}", "project_id": project, "wait_seconds": 50}
    return http.post(f"{instance.api}/api/tasks/claim", json=body, timeout=60)


def test_a_stop_of_the_whole_stack_stops_the_load_balancer_too(stack: Stack) -> None:
    containers = [*stack.instances, stack.load_balancer]
    stack.compose("stop")
    assert [container.state["Status"] for container in containers] == ["exited"] * 4
    assert [container.state["ExitCode"] for container in containers[:3]] == [0, 0, 0]
