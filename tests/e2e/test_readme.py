"""The first steps of the README, as they are written."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.e2e.conftest import Start
from tests.e2e.service import Service, environment

CHECKOUT = Path(__file__).parents[2]
SECONDS = 20


def first_steps() -> list[str]:
    """The commands that work on a running server; what activates the environment is done by the test."""
    text = (CHECKOUT / "README.md").read_text()
    steps = text[text.index("## First steps") : text.index("## Read on")]
    lines = "\n".join(re.findall(r"```bash\n(.*?)```", steps, re.DOTALL)).splitlines()
    return [line for line in lines if line.startswith(("project-manager ", "curl "))]


def say(service: Service, command: str) -> str:
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


def test_the_first_steps_lead_from_a_plan_to_a_finished_task(start_service: Start) -> None:
    service = start_service()
    imported, created, claimed, finished = (say(service, command) for command in first_steps())
    assert imported.splitlines()[-1].startswith("Imported: ")
    assert json.loads(claimed)["lock"]["task_id"] == json.loads(created)["id"]
    assert (json.loads(finished)["task_id"], json.loads(finished)["status"]) == (json.loads(created)["id"], "DONE")
