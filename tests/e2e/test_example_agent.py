"""The example agent does what its page says, against a real server."""

import subprocess
import sys
from pathlib import Path

import httpx

from tests.e2e.conftest import Start
from tests.e2e.service import Service, environment

AGENT = Path(__file__).parents[2] / "examples" / "agent.py"


def run_agent(service: Service, name: str) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        str(AGENT),
        "--url",
        f"http://127.0.0.1:{service.mcp_port}/mcp",
        "--name",
        name,
        "--once",
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())


def plan(service: Service) -> None:
    tasks = [{"ref": "a", "name": "first"}, *({"name": f"then {number}", "depends_on": ["a"]} for number in range(5))]
    answer = httpx.post(f"{service.url}/api/tasks/bulk", json={"project_name": "P", "tasks": tasks})
    assert answer.status_code == 201


def test_two_example_agents_finish_a_plan_together_and_leave_their_reports(start_service: Start) -> None:
    service = start_service()
    plan(service)
    agents = [run_agent(service, f"agent-{number}") for number in (1, 2)]
    printed = [agent.communicate(timeout=60) for agent in agents]
    late = run_agent(service, "agent-3")
    printed.append(late.communicate(timeout=60))
    assert [agent.returncode for agent in (*agents, late)] == [0, 0, 0], printed
    done = httpx.get(f"{service.url}/api/tasks", params={"status": "DONE"}).json()
    assert done["total"] == 6
    taken = [line.split()[2] for out, _ in printed for line in out.splitlines() if " takes " in line]
    assert sorted(taken) == sorted(f"#{task['id']}" for task in done["items"])
    log = httpx.get(f"{service.url}/api/tasks/{done['items'][0]['id']}/log").json()["items"]
    assert [entry["kind"] for entry in log] == ["evidence"]


def test_the_example_agent_goes_on_with_what_it_held_before_it_was_stopped(start_service: Start) -> None:
    service = start_service()
    plan(service)
    claim = httpx.post(f"{service.url}/api/tasks/claim", json={"agent_id": "agent-1"}).json()
    out, err = run_agent(service, "agent-1").communicate(timeout=60)
    assert f"agent-1 goes on with #{claim['task']['id']}" in out, err
    assert httpx.get(f"{service.url}/api/tasks", params={"status": "DONE"}).json()["total"] == 6
