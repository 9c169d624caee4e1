"""A scripted fleet of agents that submit, ask, fail and fall silent while a person uses the dashboard."""

import random
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.e2e.dashboard.browser import RestClient
from tests.e2e.service import TIMEOUT, Service

QUESTION, OPTIONS = "Which format shall the export have?", ["CSV", "JSON"]
BEHAVIORS = {"submit": 55, "complete": 15, "ask": 12, "block": 6, "fail": 7, "fall silent": 5}
"""Ends of a first lease, with their weights. A task that comes back is submitted or completed."""
SILENT_LEASE_SECONDS = 2
LEASE_SECONDS = 60
WAIT_SECONDS = 2
IN_CHAIN = 3
"""Number of tasks in a row that depend on each other, so that a review withholds tasks."""


@dataclass
class Fleet:
    """Agents as threads, each a client over REST. `seconds` is the range of the work on one task.

    `done` counts the ends of leases by behavior, `empty_claims` the claims without a task, and `stale` the writes of
    silent agents that the service refused.
    """

    service: Service
    seed: int
    agents: int = 12
    seconds: tuple[float, float] = (0.2, 1.0)
    done: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    empty_claims: int = 0
    stale: int = 0
    _stopping: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)

    def create_tasks(self, client: RestClient, project: int, number: int) -> None:
        """Create chains of tasks. The names contain the position, so that a person can tell them apart."""
        for first in range(0, number, 300):
            rows = [
                {
                    "name": f"Export {position}",
                    "ref": f"t{position}",
                    "depends_on": [f"t{position - 1}"] if position % IN_CHAIN and position > first else [],
                    "labels": ["even" if position % 2 == 0 else "odd"],
                }
                for position in range(first, min(first + 300, number))
            ]
            client.send("POST", "/api/tasks/bulk", {"project_id": project, "tasks": rows})

    def start(self) -> None:
        for number in range(1, self.agents + 1):
            thread = threading.Thread(target=self._run, args=(f"agent-{number:02}",), daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """End the agents and wait for them. Their leases stay."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(TIMEOUT + WAIT_SECONDS)

    def count(self, **changes: int) -> None:
        with self._lock:
            for name, more in changes.items():
                setattr(self, name, getattr(self, name) + more)

    def _run(self, name: str) -> None:
        try:
            with self.service.http() as http:
                _Agent(self, name, http, random.Random(f"{self.seed} {name}")).work()
        except (OSError, ValueError, LookupError, httpx.HTTPError) as error:  # a thread would lose it
            self.problems.append(f"{name}: {error!r}")


class _Agent:
    def __init__(self, fleet: Fleet, name: str, http: httpx.Client, chance: random.Random) -> None:
        self.fleet = fleet
        self.name = name
        self.http = http
        self.chance = chance

    def work(self) -> None:
        """Claim and work until the fleet stops."""
        while not self.fleet._stopping.is_set():
            body = {"agent_id": self.name, "ttl_seconds": LEASE_SECONDS, "wait_seconds": WAIT_SECONDS}
            claim = self.send("POST", "/api/tasks/claim", **body).json()
            if claim.get("task"):
                self.behave(claim["task"], claim["lock"]["fence"])
            else:
                self.fleet.count(empty_claims=1)

    def behave(self, task: dict[str, Any], fence: int) -> None:
        path = f"/api/tasks/{task['id']}"
        self.send("POST", f"{path}/log", agent_id=self.name, fence=fence, body=f"Began {task['name']}.")
        self.fleet._stopping.wait(self.chance.uniform(*self.fleet.seconds))
        behavior = self.choose(task)
        act = {
            "submit": self.submit,
            "complete": self.complete,
            "ask": self.ask,
            "block": self.block,
            "fail": self.fail,
            "fall silent": self.fall_silent,
        }[behavior]
        act(path, fence)
        with self.fleet._lock:
            self.fleet.done[behavior] += 1

    def choose(self, task: dict[str, Any]) -> str:
        if fence_is_first(task):
            return first_behavior(self.fleet.seed, task["name"])
        return self.chance.choice(["submit", "complete"])

    def submit(self, path: str, fence: int) -> None:
        evidence = [{"body": "All tests pass.", "command": "pytest", "exit_code": 0}]
        summary = f"{self.name} wrote the export of {path}."
        self.status(path, fence, status="REVIEW", summary=summary, commit="0" * 40, evidence=evidence)

    def complete(self, path: str, fence: int) -> None:
        self.status(path, fence, status="DONE", note="Done.")

    def block(self, path: str, fence: int) -> None:
        self.status(path, fence, status="BLOCKED", note="The sandbox has no network.")

    def ask(self, path: str, fence: int) -> None:
        self.send("POST", f"{path}/questions", agent_id=self.name, fence=fence, text=QUESTION, options=OPTIONS)

    def fail(self, path: str, fence: int) -> None:
        self.send("DELETE", f"{path}/lock", agent_id=self.name, fence=fence, failed=True, handoff="The tests time out.")

    def fall_silent(self, path: str, fence: int) -> None:
        """Let the lease expire, then write with the old fence."""
        self.send("PUT", f"{path}/lock", agent_id=self.name, fence=fence, ttl_seconds=SILENT_LEASE_SECONDS)
        if self.fleet._stopping.wait(SILENT_LEASE_SECONDS + 1):
            return
        answer = self.http.post(f"{path}/status", json={"agent_id": self.name, "fence": fence, "status": "DONE"})
        if answer.is_success:
            self.fleet.problems.append(f"{self.name}: a write with an expired lease was accepted: {answer.text}")
        self.fleet.count(stale=1)

    def status(self, path: str, fence: int, **fields: object) -> None:
        self.send("POST", f"{path}/status", agent_id=self.name, fence=fence, **fields)

    def send(self, method: str, path: str, **body: object) -> httpx.Response:
        """Send a request. A lease that the person ended refuses the write, which is not a problem of the service."""
        answer = self.http.request(method, path, json=body)
        if answer.status_code >= 500:
            self.fleet.problems.append(f"{self.name}: {method} {path}: {answer.status_code} {answer.text}")
        return answer


def fence_is_first(task: dict[str, Any]) -> bool:
    return task["fence"] <= 1 and not task["attempts"]


def first_behavior(seed: int, name: str) -> str:
    """Return the end of the first lease of a task. It depends on the seed and the name only, not on the agent."""
    [behavior] = random.Random(f"{seed} {name}").choices([*BEHAVIORS], [*BEHAVIORS.values()])
    return behavior
