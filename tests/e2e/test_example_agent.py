"""The example agent works as its documentation describes, against a real server."""

import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Start
from tests.e2e.service import START_SECONDS, TIMEOUT, Service, environment, sample

AGENT = Path(__file__).parents[2] / "examples" / "agent.py"
WORK_UNTIL_INPUT = """
import runpy, sys, anyio
sys.argv = sys.argv[1:]
example = runpy.run_path(sys.argv[0])
async def work(task):
    print("working", flush=True)
    await anyio.to_thread.run_sync(sys.stdin.readline)
    return "done after the signal"
example["finish"].__globals__["work"] = work
example["main"]()
"""
"""The example agent with work that lasts until it reads a line from standard input."""


def command(service: Service, name: str, *more: str) -> list[str]:
    return [str(AGENT), "--url", f"http://127.0.0.1:{service.mcp_port}/mcp", "--name", name, *more]


def run_agent(service: Service, name: str, *more: str, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *command(service, name, "--once", *more)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**variables),
    )


class Printing:
    """An agent that claims tasks without an end. The test ends each task. The output is read line by line."""

    def __init__(self, service: Service, name: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORK_UNTIL_INPUT, *command(service, name)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(),
        )
        self.lines: list[str] = []
        self._coming: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as printed:
            for line in printed:
                self._coming.put(line)

    def wait_for(self, word: str, seconds: float = START_SECONDS) -> None:
        """Wait for the next line that contains this word."""
        while True:
            self.lines.append(self._coming.get(timeout=seconds))
            if word in self.lines[-1]:
                return

    def finish_work(self) -> None:
        """Finish the current work, or else the next."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.kill()
        self.process.wait(TIMEOUT)
        self._reader.join(TIMEOUT)


def plan(service: Service) -> None:
    tasks = [{"ref": "a", "name": "first"}, *({"name": f"then {number}", "depends_on": ["a"]} for number in range(5))]
    answer = httpx.post(f"{service.url}/api/tasks/bulk", json={"project_name": "P", "tasks": tasks})
    assert answer.status_code == 201


def add(service: Service, name: str) -> None:
    body = {"name": name, "project_name": "P"}
    assert httpx.post(f"{service.url}/api/tasks", json=body).status_code == 201


def tasks_of(service: Service, **filters: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = httpx.get(f"{service.url}/api/tasks", params=filters).json()["items"]
    return found


def test_two_example_agents_finish_a_plan_together_and_write_their_reports(start_service: Start) -> None:
    service = start_service()
    plan(service)
    agents = [run_agent(service, f"agent-{number}") for number in (1, 2)]
    printed = [agent.communicate(timeout=60) for agent in agents]
    late = run_agent(service, "agent-3")
    printed.append(late.communicate(timeout=60))
    assert [agent.returncode for agent in (*agents, late)] == [0, 0, 0], printed
    done = httpx.get(f"{service.url}/api/tasks", params={"status": "DONE"}).json()
    assert done["total"] == 6
    taken = [line.split()[2] for out, _ in printed for line in out.splitlines() if " claims " in line]
    assert sorted(taken) == sorted(f"#{task['id']}" for task in done["items"])
    log = httpx.get(f"{service.url}/api/tasks/{done['items'][0]['id']}/log").json()["items"]
    assert [entry["kind"] for entry in log] == ["evidence"]


def test_the_example_agent_waits_when_it_is_rate_limited(start_service: Start) -> None:
    service = start_service(RATE_LIMIT_PER_SECOND="5")
    for number in range(5):
        add(service, f"Task {number}")
    agent = run_agent(service, "eager")
    with service.http() as other:

        def was_rate_limited() -> bool:
            other.get("/api/context", params={"agent_id": "eager"})  # uses up the call rate of the agent
            return '"interface":"mcp","outcome":"rate_limited"' in service.log

        service.wait_until(was_rate_limited, 2 * START_SECONDS)
    _, said = agent.communicate(timeout=2 * START_SECONDS)
    assert agent.returncode == 0, said
    assert len(tasks_of(service, status="DONE")) == 5


def test_the_example_agent_resumes_the_task_that_it_claimed_before_a_stop(start_service: Start) -> None:
    service = start_service()
    plan(service)
    claim = httpx.post(f"{service.url}/api/tasks/claim", json={"agent_id": "agent-1"}).json()
    out, err = run_agent(service, "agent-1").communicate(timeout=60)
    assert f"agent-1 resumes #{claim['task']['id']}" in out, err
    assert httpx.get(f"{service.url}/api/tasks", params={"status": "DONE"}).json()["total"] == 6


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_the_example_agent_survives_server_restarts_while_it_waits_and_while_it_works(
    start_service: Start, ending: signal.Signals
) -> None:
    service = start_service()
    agent = Printing(service, "agent-1")

    def end_server() -> None:
        service.signal(ending)
        service.process.wait(TIMEOUT)

    try:
        service.wait_until(lambda: waiting(service), START_SECONDS)
        end_server()
        agent.wait_for("retries claim_next_task")
        service.start()
        add(service, "one")
        agent.wait_for("working")
        add(service, "two")
        end_server()
        agent.finish_work()
        agent.wait_for("retries add_task_log")
        service.start()
        agent.wait_for("#2")
        agent.finish_work()
        service.wait_until(lambda: len(tasks_of(service, status="DONE")) == 2, START_SECONDS)
    finally:
        agent.end()
    assert "Traceback" not in "".join(agent.lines)
    assert [task["attempts"] for task in tasks_of(service)] == [0, 0]
    reports = [httpx.get(f"{service.url}/api/tasks/{number}/log").json()["items"] for number in (1, 2)]
    assert [[entry["body"] for entry in report] for report in reports] == [
        ["done after the signal"],
        ["done after the signal"],
    ]


def waiting(service: Service) -> bool:
    """Return whether the claim queue has a waiter."""
    page = httpx.get(f"{service.url}/metrics").text
    return sample(page, 'pm_query_duration_seconds_count{query="serve_queue"}') > 0


def test_an_agent_without_a_valid_token_reports_it_in_one_sentence(start_service: Start) -> None:
    service = start_service(AUTH_REQUIRED=True)
    for more in ([], ["--token", "pm_wrong"]):
        agent = run_agent(service, "agent-1", *more)
        out, err = agent.communicate(timeout=60)
        assert (agent.returncode, out) == (1, "")
        assert err.count("\n") == 1
        assert "requires a valid token" in err


def test_an_agent_authenticates_with_the_token_of_its_environment(start_service: Start) -> None:
    service = start_service()
    plan(service)
    made = httpx.post(f"{service.url}/api/tokens", json={"name": "boss", "role": "operator"}).json()
    agent = run_agent(service, "agent-1", PM_TOKEN=made["secret"])
    out, err = agent.communicate(timeout=60)
    assert (agent.returncode, err) == (0, ""), err
    assert out.count(" claims ") == 6
