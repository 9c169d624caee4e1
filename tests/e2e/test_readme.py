"""The sections of the quickstart, run as written and in another order."""

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
QUICKSTART = CHECKOUT / "docs" / "quickstart.md"
SECONDS = 20


def blocks(heading: str) -> list[str]:
    """Return the shell blocks of a section of the quickstart."""
    section = QUICKSTART.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"```bash\n(.*?)```", section, re.DOTALL)


def shell_environment(service: Service) -> dict[str, str]:
    """Return the environment of a shell: the commands of this project on the path, and the database of the server."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return environment(PATH=path, DATABASE_PATH=str(service.database))


def run_block(service: Service, block: str) -> list[str]:
    """Run a block on this server and return the lines that it prints."""
    done = subprocess.run(
        ["bash", "-euc", block.replace("localhost:8080", f"127.0.0.1:{service.port}")],
        cwd=CHECKOUT,
        env=shell_environment(service),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def finish_a_task_over_rest(service: Service) -> None:
    """Run the block that creates, claims and finishes a task."""
    [block] = blocks("Use the REST API")
    created, finished = (
        json.loads(line) for line in "\n".join(run_block(service, block)).replace("}{", "}\n{").splitlines()
    )
    assert (finished["task_id"], finished["status"]) == (created["id"], "DONE")


def import_the_plan(service: Service) -> None:
    [block] = blocks("Import a plan")
    assert run_block(service, block)[-1].startswith("Imported: ")


@contextmanager
def example_agent(service: Service) -> Iterator[str]:
    """Start the example agent as written, on this server. Yield its name when it works on its first task."""
    *_, block = blocks("Connect an agent")
    _, *words = shlex.split(block)
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
        assert process.stdout.readline().startswith(f"{name} claims ")
        yield name
    finally:
        process.kill()
        process.communicate()


def test_the_sections_of_the_quickstart_work_in_any_order(start_service: Start) -> None:
    service = start_service()
    finish_a_task_over_rest(service)
    import_the_plan(service)
    finish_a_task_over_rest(service)
    import_the_plan(service)


def test_the_rest_section_works_while_the_example_agent_waits_for_tasks(start_service: Start) -> None:
    service = start_service()
    import_the_plan(service)
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
        finish_a_task_over_rest(service)
        holders = {lease["agent_id"] for lease in http.get("/api/leases").json()["items"]}
        assert holders == {agent, "script-1"}
