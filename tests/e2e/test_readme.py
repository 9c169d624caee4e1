"""The first steps of the README, run as written."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.conftest import Start
from tests.e2e.service import Service, environment

CHECKOUT = Path(__file__).parents[2]
SECONDS = 20


def first_steps(*programs: str) -> list[str]:
    """Return the commands that begin with one of `programs`. The test itself activates the environment."""
    text = (CHECKOUT / "README.md").read_text()
    steps = text[text.index("## First steps") : text.index("## Read on")]
    lines = "\n".join(re.findall(r"```bash\n(.*?)```", steps, re.DOTALL)).splitlines()
    return [line for line in lines if line.startswith(programs)]


def run_command(service: Service, command: str) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command.replace("localhost:8080", f"127.0.0.1:{service.port}"),
        shell=True,
        cwd=CHECKOUT,
        env=environment(PATH=path, DATABASE_PATH=str(service.database)),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def example_agent(service: Service) -> Iterator[str]:
    """Start the example agent as in the README, on this server. Yield its name when it works on its first task."""
    (line,) = first_steps(".venv/bin/python examples/agent.py ")
    _, *words = shlex.split(line)
    process = subprocess.Popen(
        [sys.executable, *words, "--url", f"{service.mcp_url}/mcp"],
        cwd=CHECKOUT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    name = words[words.index("--name") + 1]
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(f"{name} takes ")
        yield name
    finally:
        process.kill()
        process.communicate()


def test_the_first_steps_work_while_the_example_agent_waits_for_tasks(start_service: Start) -> None:
    service = start_service()
    (imported,) = first_steps("project-manager ")
    run_command(service, imported)
    with service.http() as http:
        _, *others = http.get("/api/tasks/available?limit=500").json()["items"]
        for other in others:
            http.post(f"/api/tasks/{other['id']}/status", json={"status": "BACKLOG"}).raise_for_status()
    with example_agent(service) as agent, service.http() as http:

        def waits() -> bool:
            """Return whether no task is ready for the agent, so that it would claim any new task at once."""
            tasks = http.get("/api/tasks?status=IN_PROGRESS,TODO&limit=500").json()["items"]
            return not any(task["ready"] or task["lock"] for task in tasks)

        service.wait_until(waits, SECONDS)
        created, claimed, finished = (json.loads(run_command(service, command)) for command in first_steps("curl "))
        assert claimed["lock"]["task_id"] == created["id"]
        assert claimed["lock"]["holder"] != agent
        assert (finished["task_id"], finished["status"]) == (created["id"], "DONE")


def test_the_first_steps_lead_from_a_plan_to_a_finished_task(start_service: Start) -> None:
    service = start_service()
    commands = first_steps("project-manager ", "curl ")
    imported, created, claimed, finished = (run_command(service, command) for command in commands)
    assert imported.splitlines()[-1].startswith("Imported: ")
    assert json.loads(claimed)["lock"]["task_id"] == json.loads(created)["id"]
    assert (json.loads(finished)["task_id"], json.loads(finished)["status"]) == (json.loads(created)["id"], "DONE")
