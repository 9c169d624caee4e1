"""The tutorial with three agents and a person: its commands, and the running script of the agents."""

import re
import signal
import subprocess
import threading
from queue import Empty, Queue
from typing import Any

import httpx

from tests.e2e import test_readme
from tests.e2e.service import Service

PAGE = test_readme.CHECKOUT / "docs" / "tutorial-team.md"
AGENTS = ("codex", "claude", "gemini")
REASON = "I read the plan first"
STEER = "Write short summaries"
QUESTION = "Choose the payment provider"
REWORK = "Refuse expired cards"
REWORK_REASON = "The page names no reason."
CART, DISCOUNTS = 3, 4
"""Tasks with paths that overlap: the discounts change a file of the cart."""
SECONDS = 20


def blocks(section: str) -> list[str]:
    """Return the shell blocks of a section of the tutorial, by the number of the section."""
    text = PAGE.read_text().partition(f"\n## {section}. ")[2].partition("\n## ")[0]
    return re.findall(r"```bash\n(.*?)```", text, re.DOTALL)


def run(service: Service, block: str) -> list[str]:
    """Run a block of the tutorial on this server and return the lines that it prints."""
    return test_readme.run_block(service, block.replace(".venv/bin/", ""))


class Team:
    """The running script of the agents, with the lines that it has printed.

    `stop_at` is the text of a line at which all agents stop until `resume`. The lease of that moment lasts so long.
    """

    def __init__(self, service: Service, block: str, seconds: float = 0.05, stop_at: str = "") -> None:
        *lines, start = block.replace(".venv/bin/", "").splitlines()
        start = f"exec {start} --url http://127.0.0.1:{service.port} --seconds {seconds}"
        self.process = subprocess.Popen(
            ["bash", "-euc", "\n".join([*lines, start])],
            cwd=test_readme.CHECKOUT,
            env=test_readme.shell_environment(service),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._printed: list[str] = []
        self.stop_at = stop_at
        self._queue: Queue[str | None] = Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                if self.stop_at and self.stop_at in line:
                    self.process.send_signal(signal.SIGSTOP)
                self._printed.append(line.rstrip())
                self._queue.put(line.rstrip())
        self._queue.put(None)

    def wait_for(self, text: str) -> None:
        """Wait until the script prints a line with the text."""
        while not any(text in line for line in self.lines):
            try:
                line = self._queue.get(timeout=SECONDS)
            except Empty:
                line = None
            assert line is not None, f"no line with {text!r}:\n" + "\n".join(self.lines)
            self.lines.append(line)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def wait_for_end(self) -> None:
        """Wait until the script has ended. No task of the project is open then."""
        self.wait_for("no task is open")
        assert self.process.wait(SECONDS) == 0

    def stop(self) -> None:
        """End the script, and print its lines for the report of a failed test."""
        self.process.kill()
        self.process.wait()
        self._reader.join(SECONDS)
        print("\n".join(self._printed))


def check_record(http: httpx.Client) -> None:
    """Check that reviews completed all tasks, that one was sent back, and that overlapping paths kept two apart."""
    tasks = http.get("/api/tasks?project_id=1&limit=500").json()["items"]
    assert [(task["status"], task["completed_by"]) for task in tasks] == [("DONE", "review")] * 12
    rounds = [one for task in tasks for one in http.get(f"/api/tasks/{task['id']}/submissions").json()["items"]]
    verdicts = [(one["task_id"], one["review"]["verdict"]) for one in rounds]
    [rework] = [task["id"] for task in tasks if task["name"] == REWORK]
    assert sorted(verdicts) == sorted([(rework, "changes_requested"), *((task["id"], "approved") for task in tasks)])
    assert all(one["review"]["reviewer"] != one["author"] for one in rounds)
    assert not overlap(http.get("/api/leases?limit=500").json()["items"], CART, DISCOUNTS)


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
