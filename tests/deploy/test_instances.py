import json
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from tests.deploy.mcp_session import Session
from tests.deploy.stack import API, MCP, Container, Stack, docker, http, updates_of, wait_until
from tests.deploy.worker_agents import agents_working, make_tasks


@contextmanager
def updates(instance: Container, project: int) -> Iterator[ClientConnection]:
    """Open a subscriber of one instance and read its first message."""
    with updates_of(instance, f"project_id={project}") as socket:
        assert json.loads(socket.recv(5))["type"] == "hello"
        yield socket


def claim(base: str, task: int, agent: str) -> httpx.Response:
    return http.post(f"{base}/api/tasks/{task}/lock", json={"agent_id": agent, "ttl_seconds": 60}, timeout=20)


def test_exactly_one_of_several_agents_at_different_instances_gets_a_task(
    stack: Stack, api: httpx.Client, project: int
) -> None:
    addresses = [instance.api for instance in stack.instances]
    tasks = make_tasks(api, project, 40)
    with ThreadPoolExecutor(24) as pool:
        tries = [
            (task, pool.submit(claim, addresses[number % 3], task, f"agent-{number}"))
            for task in tasks
            for number in range(6)
        ]
        answers = [(task, submitted.result()) for task, submitted in tries]
    winners = [task for task, answer in answers if answer.status_code == 200]
    losers = [answer for _, answer in answers if answer.status_code != 200]
    assert sorted(winners) == sorted(tasks)
    assert {(answer.status_code, answer.json()["code"]) for answer in losers} == {(409, "lock_held")}


def test_a_team_behind_the_load_balancer_does_every_task_once(api: httpx.Client, project: int) -> None:
    make_tasks(api, project, 300)
    with agents_working(project, number=8) as agents:
        agents.wait_until_finished(300)
    assert agents.faults == []
    agents.check(api)


def test_an_event_made_at_one_instance_reaches_subscribers_of_the_others(
    stack: Stack, api: httpx.Client, project: int
) -> None:
    here, *others = stack.instances
    with ExitStack() as opened:
        sockets = [opened.enter_context(updates(other, project)) for other in others]
        made = http.post(f"{here.api}/api/tasks", json={"name": "seen elsewhere", "project_id": project}).json()
        for socket in sockets:
            event = json.loads(socket.recv(5))
            assert (event["type"], event["task_id"]) == ("task.created", made["id"])


def test_events_of_all_instances_arrive_everywhere_in_one_order_without_a_gap(
    stack: Stack, api: httpx.Client, project: int
) -> None:
    count = 60
    with ExitStack() as opened:
        sockets = [opened.enter_context(updates(instance, project)) for instance in stack.instances]
        with ThreadPoolExecutor(6) as pool:
            addresses = [instance.api for instance in stack.instances]
            urls = [f"{addresses[number % 3]}/api/tasks" for number in range(count)]
            body = {"name": "one of many", "project_id": project}
            made = list(pool.map(lambda url: http.post(url, json=body, timeout=20).json()["id"], urls))
        seen = [[json.loads(socket.recv(5)) for _ in range(count)] for socket in sockets]
    assert all([event["seq"] for event in events] == [event["seq"] for event in seen[0]] for events in seen)
    assert sorted(event["task_id"] for event in seen[0]) == sorted(made)
    assert [event["seq"] for event in seen[0]] == sorted(event["seq"] for event in seen[0])


def test_the_latency_of_events_between_instances_is_reported(stack: Stack, api: httpx.Client, project: int) -> None:
    here, there, _ = stack.instances
    taken = []
    with updates(there, project) as socket, httpx.Client(base_url=here.api) as client:
        for number in range(100):
            client.post("/api/tasks", json={"name": f"timed {number}", "project_id": project})
            answered = time.perf_counter()
            json.loads(socket.recv(5))
            taken.append((time.perf_counter() - answered) * 1000)
    p50, p99 = statistics.median(taken), sorted(taken)[98]
    print(f"event at another instance after the answer: p50 {p50:.0f} ms, p99 {p99:.0f} ms")


def test_an_mcp_session_continues_on_any_instance(stack: Stack, api: httpx.Client, project: int) -> None:
    make_tasks(api, project, 6)
    session = Session()
    session.open(stack.instances[0].mcp)
    addresses = [instance.mcp for instance in stack.instances]
    for number in range(6):
        answer = session.call(addresses[number % 3], "claim_next_task", agent_id="wanderer", project_id=project)
        session.call(
            addresses[(number + 1) % 3],
            "update_task_status",
            task_id=answer["task"]["id"],
            agent_id="wanderer",
            fence=answer["lock"]["fence"],
            status="DONE",
        )
    done = api.get("/api/tasks", params={"project_id": project, "status": "DONE"}).json()
    assert done["total"] == 6


def test_a_session_of_mcp_survives_the_instance_that_opened_it(stack: Stack, api: httpx.Client, project: int) -> None:
    make_tasks(api, project, 2)
    session = Session()
    session.open(stack.instances[0].mcp)
    docker("kill", stack.instances[0].id)
    answer = session.call(MCP, "claim_next_task", agent_id="survivor", project_id=project)
    claimed = api.get(f"/api/tasks/{answer['task']['id']}").json()
    assert claimed["lock"]["holder"] == "survivor"


def test_after_the_death_of_an_instance_every_request_is_answered_by_another(
    stack: Stack, api: httpx.Client, project: int
) -> None:
    (task,) = make_tasks(api, project, 1)
    session = Session()
    session.open(stack.instances[2].mcp)

    def ask(number: int) -> None:
        if number % 3 == 0:
            at_once = Session(session.headers, number)
            assert at_once.call(MCP, "get_task_details", task_id=task)["task"]["id"] == task
        elif number % 3 == 1:
            assert http.get(f"{API}/api/tasks/{task}", timeout=20).status_code == 200
        else:
            made = http.post(f"{API}/api/tasks/{task}/log", json={"body": f"note {number}"}, timeout=20)
            assert made.status_code in (200, 201)

    docker("kill", stack.instances[2].id)
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(ask, range(180)))


def test_the_lease_of_an_agent_outlives_the_instance_that_gave_it(
    stack: Stack, api: httpx.Client, project: int
) -> None:
    (task,) = make_tasks(api, project, 1)
    giver, other, _ = stack.instances
    lock = claim(giver.api, task, "faithful").json()["lock"]
    docker("kill", giver.id)
    assert claim(other.api, task, "thief").json()["code"] == "lock_held"
    body = {"agent_id": "faithful", "fence": lock["fence"], "ttl_seconds": 60}
    renewed = http.put(f"{other.api}/api/tasks/{task}/lock", json=body)
    assert renewed.status_code == 200
    assert renewed.json()["lock"]["fence"] == lock["fence"]


def test_a_subscriber_resumes_at_another_instance_without_a_gap(stack: Stack, api: httpx.Client, project: int) -> None:
    here, there, _ = stack.instances
    with updates(here, project) as socket:
        make_tasks(api, project, 1)
        last = json.loads(socket.recv(5))["seq"]
    missed = make_tasks(api, project, 5)
    with updates_of(there, f"project_id={project}&since={last}") as socket:
        assert json.loads(socket.recv(5))["type"] == "hello"
        assert [json.loads(socket.recv(5))["task_id"] for _ in missed] == missed


def test_the_limit_of_websockets_holds_for_each_instance(stack: Stack) -> None:
    limit = 100
    for instance in stack.instances[:2]:
        with ExitStack() as opened:
            for _ in range(limit):
                socket = opened.enter_context(updates_of(instance))
                assert json.loads(socket.recv(5))["type"] == "hello"
            with pytest.raises(ConnectionClosed) as refused, updates_of(instance) as one_more:
                one_more.recv(5)
            assert refused.value.rcvd is not None
            assert refused.value.rcvd.code == 1013


def test_an_added_instance_gets_its_share_and_removing_one_fails_no_request(
    stack: Stack, api: httpx.Client, project: int
) -> None:
    make_tasks(api, project, 3000)
    with agents_working(project) as agents:
        agents.wait_until_finished(20)
        stack.up(4)
        wait_until("four instances are reached", lambda: len(served_by()) == 4, 15)
        agents.wait_until_finished(20)
        stack.up(2)
        agents.wait_until_finished(20)
        wait_until("two instances are reached", lambda: len(served_by()) == 2, 15)
    agents.check(api)


def served_by() -> set[str]:
    with httpx.Client(base_url=API) as client:
        answers = [client.get("/healthz", headers={"Connection": "close"}) for _ in range(24)]
    return {answer.headers.get("x-served-by", "") for answer in answers}
