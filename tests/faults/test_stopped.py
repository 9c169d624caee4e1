"""Stopped processes: an agent past the end of its lease, and servers that share one file."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from websockets.sync.client import connect

from project_manager.store.sqlite.driver import several_processes_are_safe
from tests.e2e.conftest import Start
from tests.e2e.service import START_SECONDS, TIMEOUT, Service, environment
from tests.faults import history
from tests.faults.shim import Shim

BUSY_SECONDS = 10
"""Seconds, longer than a server waits for the write lock of another one."""

AGENT = """
import json, sys, urllib.error, urllib.request

def ask(path, **body):
    request = urllib.request.Request(sys.argv[1] + path, json.dumps(body).encode(), method="POST")
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5) as answer:
            print(answer.status, answer.read().decode(), flush=True)
    except urllib.error.HTTPError as refusal:
        print(refusal.code, refusal.read().decode(), flush=True)

ask("/api/tasks/1/lock", agent_id="sleeper", ttl_seconds=1)
sys.stdin.readline()
ask("/api/tasks/1/status", agent_id="sleeper", fence=1, status="DONE")
sys.stdin.readline()
"""


@pytest.fixture
def make_service(make_service_on: Start) -> Start:
    return make_service_on


@contextmanager
def agent_process(service: Service) -> Iterator[subprocess.Popen[str]]:
    """Start an agent that claims task 1 for a second. On a line of input it sets DONE with its fence."""
    command = [sys.executable, "-c", AGENT, service.url]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment()) as process:
        try:
            yield process
        finally:
            process.kill()


def line_of(process: subprocess.Popen[str]) -> tuple[int, dict[str, Any]]:
    assert process.stdout is not None
    status, body = process.stdout.readline().split(" ", 1)
    return int(status), json.loads(body)


def test_an_agent_that_slept_past_its_lease_cannot_finish_the_task(start_service: Start) -> None:
    service = start_service()
    with service.http() as http:
        http.post("/api/tasks", json={"name": "contested"})
        with agent_process(service) as agent:
            status, claimed = line_of(agent)
            assert (status, claimed["lock"]["fence"]) == (200, 1)
            agent.send_signal(signal.SIGSTOP)
            query: dict[str, str | int] = {"since": 0, "types": "task.unlocked", "wait_seconds": 4}
            ended = http.get("/api/events", params=query).json()["items"]
            assert [(event["agent_id"], event["reason"]) for event in ended] == [("sleeper", "lock_expired")]
            taken = http.post("/api/tasks/claim", json={"agent_id": "other"}).json()
            assert taken["lock"]["fence"] == 2
            assert agent.stdin is not None
            agent.stdin.write("\n")
            agent.stdin.flush()
            agent.send_signal(signal.SIGCONT)
            status, refused = line_of(agent)
        assert (status, refused["code"]) == (409, "stale_fence")
        assert (refused["details"]["holder"], refused["details"]["fence"]) == ("other", 2)
        assert http.get("/api/tasks/1").json()["lock"]["holder"] == "other"


@pytest.fixture
def pair(prepare_service: Start, shim: Shim) -> tuple[Service, Service]:
    """Start two servers on one database. The first one runs on the simulated disk, if the database is a file."""
    one, two = prepare_service(), prepare_service()
    return one.start(**shim.variables(one.database)), two.start()


async def test_two_servers_on_one_database_never_give_a_task_to_both(pair: tuple[Service, Service]) -> None:
    leases: list[history.ObservedLease] = []
    agents = {f"agent-{number}" for number in range(6)}
    all_at_work = anyio.Event()
    with pair[0].http() as http:
        http.post("/api/tasks/bulk", json={"tasks": [{"name": f"task {number}"} for number in range(60)]})

    async def agent(service: Service, name: str) -> None:
        async with service.client() as http:
            while True:
                lock = (await http.post("/api/tasks/claim", json={"agent_id": name})).raise_for_status().json()["lock"]
                if lock is None:
                    return
                leases.append(history.ObservedLease(lock["task_id"], name, lock["fence"], 0, 0))
                if {lease.agent for lease in leases} == agents:
                    all_at_work.set()
                await all_at_work.wait()

    with connect(pair[0].websocket_url, proxy=None) as first, connect(pair[1].websocket_url, proxy=None) as second:
        hellos = [json.loads(watcher.recv(TIMEOUT)) for watcher in (first, second)]
        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                for number in range(6):
                    tasks.start_soon(agent, pair[number % 2], f"agent-{number}")
        with pair[1].http() as http:
            events = history.all_events(http)
        wanted = [event for event in events if event["seq"] > max(hello["seq"] for hello in hellos)]
        for watcher in (first, second):
            assert received(watcher, wanted[0]["seq"], wanted[-1]["seq"]) == wanted
    assert sorted(lease.task_id for lease in leases) == list(range(1, 61))
    history.check_numbers(events)
    history.check_one_holder(events)


def received(watcher: Any, first: int, last: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while not found or found[-1]["seq"] < last:
        event = json.loads(watcher.recv(TIMEOUT))
        if event["seq"] >= first:
            found.append(event)
    return found


def test_a_server_keeps_working_while_another_one_is_stopped(pair: tuple[Service, Service]) -> None:
    stopped, other = pair
    stopped.signal(signal.SIGSTOP)
    with other.http() as http:
        assert http.post("/api/tasks", json={"name": "meanwhile"}).status_code == 201
        assert http.post("/api/tasks/claim", json={"agent_id": "a"}).json()["lock"]["fence"] == 1
    stopped.signal(signal.SIGCONT)
    with stopped.http() as http:
        assert http.get("/api/tasks/1").json()["lock"]["holder"] == "a"
        assert http.post("/api/tasks/1/lock", json={"agent_id": "b"}).json()["code"] == "lock_held"


@pytest.mark.sqlite_only
def test_a_server_that_stops_in_the_middle_of_a_commit_makes_others_refuse_and_not_hang(
    pair: tuple[Service, Service], shim: Shim
) -> None:
    stopped, other = pair
    with other.http() as http:
        assert http.post("/api/tasks", json={"name": "before"}).status_code == 201
    shim.stop_at_sync()
    with (
        httpx.Client(base_url=stopped.url, timeout=0.5, trust_env=False) as http,
        pytest.raises(httpx.TimeoutException),
    ):
        http.post("/api/tasks", json={"name": "in the middle"}, headers={"Idempotency-Key": "once"})
    stopped.wait_until(lambda: is_stopped(stopped))
    with httpx.Client(base_url=other.url, timeout=BUSY_SECONDS, trust_env=False) as http:
        refused = http.post("/api/tasks", json={"name": "meanwhile"})
        assert (refused.status_code, refused.json()["code"]) == (503, "database_busy")
        assert "Retry-After" in refused.headers
        assert [task["name"] for task in http.get("/api/tasks").json()["items"]] == ["before"]
        stopped.signal(signal.SIGCONT)
        assert http.post("/api/tasks", json={"name": "after"}).status_code == 201
    with stopped.http() as http:
        http.post("/api/tasks", json={"name": "in the middle"}, headers={"Idempotency-Key": "once"})
        first, *later = [task["name"] for task in http.get("/api/tasks").json()["items"]]
        # The stopped commit may be one of a background job. Then the task in the middle is written after it.
        assert (first, sorted(later)) == ("before", ["after", "in the middle"])
        history.check_numbers(history.all_events(http))


def is_stopped(service: Service) -> bool:
    state = Path(f"/proc/{service.pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state == "T"


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ((3, 40, 1), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 53, 4), True),
        ((4, 0, 0), True),
    ],
)
def test_only_some_versions_of_sqlite_are_safe_for_several_processes(version: tuple[int, ...], safe: bool) -> None:
    assert several_processes_are_safe(version) is safe


@pytest.fixture
def affected(tmp_path: Path) -> dict[str, str]:
    """Return variables that make the driver report a SQLite with the WAL-reset bug."""
    folder = tmp_path / "drivers" / "pysqlite3"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "dbapi2.py").write_text("from sqlite3.dbapi2 import *\nsqlite_version_info = (3, 40, 1)\n")
    return {"PYTHONPATH": f"{folder.parent}:{environment()['PYTHONPATH']}"}


@pytest.mark.sqlite_only
def test_a_second_server_is_refused_on_a_sqlite_that_could_corrupt_the_file(
    prepare_service: Start, affected: dict[str, str]
) -> None:
    first = prepare_service()
    second = prepare_service()
    first.start(**affected)
    second.spawn(**affected)
    assert second.process.wait(START_SECONDS) not in (0, -6, -9, -11)
    sentence = second.log.splitlines()[-1]
    assert str(first.pid) in sentence
    assert "3.40.1" in sentence
    assert first.stop() == 0
    second.start(**affected)


@pytest.mark.sqlite_only
def test_a_killed_server_starts_again_at_once_on_any_sqlite(prepare_service: Start, affected: dict[str, str]) -> None:
    service = prepare_service().start(**affected)
    service.kill()
    service.start(**affected)
