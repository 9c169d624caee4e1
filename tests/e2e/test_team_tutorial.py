"""The tutorial with three agents and a person, run as written."""

import json
import re
import subprocess
import sys
import threading
from pathlib import Path
from queue import Queue
from typing import Any

from tests.e2e import test_readme
from tests.e2e.conftest import Start
from tests.e2e.service import environment

PAGE = test_readme.CHECKOUT / "docs" / "tutorial-team.md"
SECONDS = 90


def blocks() -> list[str]:
    """Return the shell blocks of the tutorial."""
    return re.findall(r"```bash\n(.*?)```", PAGE.read_text(), re.DOTALL)


class Team:
    """The running script of the agents, with the lines that it has printed."""

    def __init__(self, block: str, port: int, database: Path) -> None:
        _, *words = block.split()
        command = [sys.executable, *words, "--url", f"http://127.0.0.1:{port}", "--seconds", "0.05"]
        env = environment(DATABASE_PATH=str(database))
        self.process = subprocess.Popen(
            command, cwd=test_readme.CHECKOUT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.lines: list[str] = []
        self._queue: Queue[str | None] = Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self._queue.put(line.rstrip())
        self._queue.put(None)

    def wait_for(self, text: str) -> None:
        """Wait until the script prints a line with the text."""
        while not any(text in line for line in self.lines):
            line = self._queue.get(timeout=SECONDS)
            assert line is not None, "\n".join(self.lines)
            self.lines.append(line)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join(SECONDS)


def test_three_agents_and_a_person_finish_the_project(start_service: Start) -> None:
    service = start_service()
    prepare, start, steer, answer, read = blocks()
    test_readme.run_block(service, prepare.replace(".venv/bin/", ""))
    team = Team(start, service.port, service.database)
    try:
        for agent in ("codex", "claude", "gemini"):
            team.wait_for(f"{agent}: waits, paused: I read the plan first")
        test_readme.run_block(service, steer)
        team.wait_for("codex: got a steer from local: Write short summaries")
        team.wait_for("asked about 'Choose the payment provider'")
        test_readme.run_block(service, answer)
        team.wait_for("no task is open")
        assert team.process.wait(SECONDS) == 0
    finally:
        team.stop()
    found = "\n".join(test_readme.run_block(service, read)).replace("}{", "}\n{").splitlines()
    tasks, rounds, messages = (json.loads(line) for line in found)
    assert [(task["status"], task["completed_by"]) for task in tasks["items"]] == [("DONE", "review")] * 12
    assert [one["review"]["verdict"] for one in rounds["items"]] == ["approved", "changes_requested"]
    assert [(message["kind"], message["state"]) for message in messages["items"]] == [("steer", "acknowledged")]
    assert any("reworks 'Refuse expired cards'" in line for line in team.lines)
    with service.http() as http:
        leases: list[dict[str, Any]] = http.get("/api/leases?limit=500").json()["items"]
        submissions = [http.get(f"/api/tasks/{task}/submissions").json()["items"] for task in range(1, 13)]
    assert not overlap(leases, 3, 4)
    for one in (one for of_task in submissions for one in of_task):
        assert one["review"]["reviewer"] != one["author"]


def overlap(leases: list[dict[str, Any]], one: int, other: int) -> bool:
    """Return whether two tasks were leased for work at the same time. Their first leases are for work."""
    of = {
        task: [lease for lease in leases if lease["task_id"] == task and lease["fence"] == 1] for task in (one, other)
    }
    return any(
        first["acquired_at"] < second["ended_at"] and second["acquired_at"] < first["ended_at"]
        for first in of[one]
        for second in of[other]
    )
