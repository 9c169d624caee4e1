"""Agents that finish the tasks of a project through the load balancer during a change of the deployment."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from tests.deploy.stack import API, wait_until

MAX_ATTEMPTS = 40
"""Number of repetitions after a failed request. The wait before each repetition is short."""

PACE = 0.05
"""Seconds that an agent rests after a task, to leave CPU time for the deployment."""


class Refused(AssertionError):
    """A response that no agent should get."""


@dataclass
class WorkerAgents:
    """Agents that claim and finish tasks. `faults` are errors of requests that were repeated with the same key."""

    project_id: int
    claimed: list[tuple[str, int, int]] = field(default_factory=list)
    finished: list[int] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    ended: list[BaseException] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def work(self, agent: str) -> None:
        try:
            with httpx.Client(base_url=API, timeout=20) as client:
                while not self.stop.is_set():
                    self._one_task(client, agent)
        except BaseException as error:  # noqa: BLE001  the error of an agent belongs into the test's report
            self.ended.append(error)

    def _one_task(self, client: httpx.Client, agent: str) -> None:
        wanted = {"agent_id": agent, "project_id": self.project_id, "ttl_seconds": 120, "wait_seconds": 1}
        claim = self._send(client, "/api/tasks/claim", wanted)
        if claim["task"] is None:
            return
        task_id, fence = claim["task"]["id"], claim["lock"]["fence"]
        self.claimed.append((agent, task_id, fence))
        done = {"agent_id": agent, "status": "DONE", "fence": fence}
        self._send(client, f"/api/tasks/{task_id}/status", done)
        self.finished.append(task_id)
        self.stop.wait(PACE)

    def _send(self, client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
        key = {"Idempotency-Key": secrets.token_hex(8)}
        for _ in range(MAX_ATTEMPTS):
            try:
                answer = client.post(path, json=body, headers=key)
            except httpx.HTTPError as error:
                self.faults.append(f"{datetime.now(UTC):%H:%M:%S.%f} {path}: {error!r}")
            else:
                if answer.status_code == 200:
                    result: dict[str, Any] = answer.json()
                    return result
                if answer.status_code < 500:
                    raise Refused(f"{path} answered {answer.status_code}: {answer.text}")
                self.faults.append(f"{datetime.now(UTC):%H:%M:%S.%f} {path}: {answer.status_code} {answer.text[:200]}")
            self.stop.wait(0.25)
        raise Refused(f"{path} failed {MAX_ATTEMPTS} times: {self.faults[-1]}")

    def wait_until_finished(self, more: int) -> None:
        """Wait until this number of further tasks is done."""
        goal = len(self.finished) + more
        wait_until(f"{more} more tasks are done", lambda: len(self.finished) >= goal or self.ended, 30)
        assert self.ended == []

    def check(self, client: httpx.Client) -> None:
        """Check that no task was claimed twice and no finished task was lost."""
        assert self.ended == []
        ids = [task_id for _, task_id, _ in self.claimed]
        assert len(ids) == len(set(ids))
        assert len({fence for _, _, fence in self.claimed}) == 1
        done = set[int]()
        page: dict[str, str | int] = {"project_id": self.project_id, "status": "DONE", "limit": 500}
        while True:
            answer = client.get("/api/tasks", params=page)
            assert answer.status_code == 200, answer.text
            listed = answer.json()
            done |= {task["id"] for task in listed["items"]}
            if listed["next_cursor"] is None:
                break
            page["cursor"] = listed["next_cursor"]
        assert set(self.finished) <= done


def make_tasks(client: httpx.Client, project_id: int, count: int) -> list[int]:
    ids: list[int] = []
    for start in range(0, count, 200):
        tasks = [{"name": f"task {number}"} for number in range(start, min(count, start + 200))]
        made = client.post("/api/tasks/bulk", json={"project_id": project_id, "tasks": tasks})
        assert made.status_code == 201, made.text
        ids += [task["id"] for task in made.json()["items"]]
    return ids


@contextmanager
def agents_working(project_id: int, number: int = 6) -> Iterator[WorkerAgents]:
    """Run agents until the block ends. All of them have stopped afterwards."""
    agents = WorkerAgents(project_id)
    threads = [threading.Thread(target=agents.work, args=(f"agent-{index}",)) for index in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield agents
    finally:
        agents.stop.set()
        for thread in threads:
            thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
