"""Clients of a service during failovers of its database: agents with a record of acknowledged writes, and followers."""

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import anyio
import httpx
import orjson
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from project_manager.clock import monotonic
from tests.e2e.service import Service

THINKING_SECONDS = 0.3
"""Most time between two requests of an agent, so that clients and servers share the processors."""
RECONNECT_SECONDS = 0.1
MOST_SECONDS = 60.0
"""Bound on the wait for a response, longer than the service waits for a server."""
TTL_SECONDS = 3600
RELEASED, SUBMITTED, ASKED, STEERED = 6, 6, 7, 8
"""Of 18 tasks, those below the first number are released, and one each is submitted, asked about, and paused."""
GONE = (404, 409, 412)
"""Statuses of a request about a task that a failover has lost or has taken back to an earlier state."""

Lease = tuple[int, int]
"""Task id and fence."""
Text = tuple[str, str]
"""Kind of a write, and its text."""
EventKey = tuple[int, str, int | None]
"""Number, type and task id of an event."""


@dataclass
class Record:
    """Acknowledged writes of all agents: ids of created tasks by name, agents by lease, and fences of finished tasks.

    Tasks have unique names, because the id of a lost task may be used for another one. `texts` has the kind and the
    unique text of each submission, verdict, question, answer, message and pause. `issued` has all leases, also those
    that a failover has lost.
    """

    created: dict[str, int] = field(default_factory=dict)
    claims: dict[Lease, str] = field(default_factory=dict)
    finished: dict[str, int] = field(default_factory=dict)
    texts: set[Text] = field(default_factory=set)
    issued: set[Lease] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    acknowledged: int = 0
    refused: int = 0
    unavailable: int = 0
    highest_fence: int = 0
    fence_floor: int = 0
    floor_since: float = 0.0
    longest_gap: float = 0.0
    longest_request: float = 0.0
    _last: float = 0.0
    _one_more: anyio.Event = field(default_factory=anyio.Event)

    def begin_pause(self) -> None:
        """Measure the longest time without an acknowledged write, and the longest request, from now on."""
        self._last = monotonic()
        self.longest_gap = self.longest_request = 0.0

    def raise_floor(self) -> None:
        """Require of all claims from now on a higher fence than all before."""
        self.fence_floor, self.floor_since = self.highest_fence, monotonic()

    def acknowledge(self) -> None:
        now = monotonic()
        self.longest_gap = max(self.longest_gap, now - self._last)
        self._last = now
        self.acknowledged += 1
        self._one_more.set()
        self._one_more = anyio.Event()

    def claim(self, lease: Lease, agent: str, began: float) -> None:
        """Record a lease of a request that began at this instant of `monotonic`."""
        task, fence = lease
        if lease in self.issued:
            self.problems.append(f"fence {fence} of task {task} was issued twice")
        if began > self.floor_since and fence <= self.fence_floor:
            self.problems.append(f"fence {fence} of task {task} is not above {self.fence_floor}, issued before")
        self.highest_fence = max(self.highest_fence, fence)
        self.issued.add(lease)
        self.claims[lease] = agent

    def forget(
        self, created: Iterable[str], finished: Mapping[str, int], claims: Iterable[Lease], texts: Iterable[Text]
    ) -> None:
        """Remove writes that a failover has lost. Another lease may have finished such a task meanwhile."""
        self.texts.difference_update(texts)
        for name in created:
            del self.created[name]
        for lease in claims:
            del self.claims[lease]
        for name, fence in finished.items():
            if self.finished[name] == fence:
                del self.finished[name]

    async def more(self, number: int) -> None:
        """Wait until this number of further writes is acknowledged."""
        until = self.acknowledged + number
        while self.acknowledged < until:
            await self._one_more.wait()


class Agent:
    """An agent that creates a task, claims any task, and finishes it, again and again. It releases some tasks first.

    It submits other tasks, which a second agent id reviews, or asks a question, which that one answers, or writes to
    that one and pauses the task.
    """

    def __init__(self, name: str, record: Record, chance: random.Random, *, is_synchronous: bool) -> None:
        self.name = name
        self._record = record
        self._chance = chance
        self._may_lose = not is_synchronous
        self._numbers: Iterator[int] = count()

    async def work(self, service: Service, stopping: anyio.Event) -> None:
        """Work until the end of the task during which `stopping` is set."""
        async with service.client(timeout=MOST_SECONDS) as http:
            while not stopping.is_set():
                await self._one_task(http)

    async def _one_task(self, http: httpx.AsyncClient) -> None:
        name = f"{self.name} task {next(self._numbers)}"
        created = await self._send(http, "POST", "/api/tasks", {"name": name, "project_name": "Shared"})
        if created is not None:
            self._record.created[name] = created["id"]
        began = monotonic()
        claimed = await self._send(http, "POST", "/api/tasks/claim", {"ttl_seconds": TTL_SECONDS})
        if claimed is None or claimed["task"] is None:
            return
        task, fence = claimed["task"], claimed["lock"]["fence"]
        self._record.claim((task["id"], fence), self.name, began)
        path, held = f"/api/tasks/{task['id']}", {"fence": fence}
        choice = self._chance.randrange(18)
        if choice < RELEASED:
            await self._send(http, "DELETE", f"{path}/lock", held)
            return
        if choice == SUBMITTED:
            is_done = await self._submit(http, path, held)
        elif choice == ASKED:
            is_done = await self._ask(http, path, held)
        else:
            if choice == STEERED:
                await self._steer_and_pause(http, task["id"])
            is_done = await self._send(http, "POST", f"{path}/status", {**held, "status": "DONE"}) is not None
        if is_done:
            self._record.finished[task["name"]] = fence

    async def _submit(self, http: httpx.AsyncClient, path: str, held: dict[str, Any]) -> bool:
        """Submit the task, and review it as another agent. Return whether it is DONE."""
        summary = self._unique_text()
        submitted = await self._send(http, "POST", f"{path}/status", {**held, "status": "REVIEW", "summary": summary})
        if submitted is None:
            return False
        self._record.texts.add(("submission", summary))
        verdict = self._chance.choice(("approved", "changes_requested"))
        body = {"digest": submitted["submission"]["digest"], "verdict": verdict, "body": self._unique_text()}
        reviewed = await self._send(http, "POST", f"{path}/reviews", {**body, "agent_id": self._other})
        if reviewed is None:
            return False
        self._record.texts.add(("review", body["body"]))
        return verdict == "approved"

    async def _ask(self, http: httpx.AsyncClient, path: str, held: dict[str, Any]) -> bool:
        """Ask a question, and answer it as another agent. Return False: the task waits for its asker."""
        body = {"text": self._unique_text()}
        asked = await self._send(http, "POST", f"{path}/questions", {**held, **body})
        if asked is None:
            return False
        self._record.texts.add(("question", body["text"]))
        answer = {"text": self._unique_text(), "agent_id": self._other}
        if await self._send(http, "POST", f"{path}/questions/{asked['question']['id']}/answer", answer) is not None:
            self._record.texts.add(("answer", answer["text"]))
        return False

    async def _steer_and_pause(self, http: httpx.AsyncClient, task_id: int) -> None:
        """Write to another agent, and pause the task, which no agent could claim now."""
        message = {"to_agent": self._other, "kind": "steer", "body": self._unique_text()}
        if await self._send(http, "POST", "/api/messages", message) is not None:
            self._record.texts.add(("message", message["body"]))
        pause = {"scope": "task", "id": str(task_id), "reason": self._unique_text()}
        paused = await self._send(http, "POST", "/api/pauses", pause)
        if paused is not None and paused["reason"] == pause["reason"]:
            self._record.texts.add(("pause", pause["reason"]))

    @property
    def _other(self) -> str:
        return f"{self.name}-lead"

    def _unique_text(self) -> str:
        return f"{self._chance.getrandbits(64):x}"

    async def _send(
        self, http: httpx.AsyncClient, method: str, path: str, body: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Send a request until the service is available. Return the response, or None if its task was lost."""
        headers = {"Idempotency-Key": f"{self._chance.getrandbits(64):x}"}
        while True:
            await anyio.sleep(self._chance.uniform(0, THINKING_SECONDS))
            began = monotonic()
            answer = await http.request(method, path, json={"agent_id": self.name, **body}, headers=headers)
            self._record.longest_request = max(self._record.longest_request, monotonic() - began)
            if answer.status_code != 503:
                break
            self._record.unavailable += 1
            await anyio.sleep(int(answer.headers["retry-after"]))
        if self._may_lose and answer.status_code in GONE:
            self._record.refused += 1
            return None
        if not answer.is_success:
            self._record.problems.append(f"{method} {path}: {answer.status_code} {answer.text}")
            return None
        self._record.acknowledge()
        found: dict[str, Any] = orjson.loads(answer.content)
        return found


@dataclass
class Follower:
    """A client of the events that resumes after its last one. `seen` has each event by its epoch and number."""

    seen: dict[tuple[str, int], EventKey]
    problems: list[str]
    epoch: str = ""
    last: int = 0
    resyncs: int = 0
    _progress: anyio.Event = field(default_factory=anyio.Event)

    async def follow(self, service: Service) -> None:
        """Follow until it is cancelled."""
        while True:
            try:
                await self._connected(service)
            except (ConnectionClosed, InvalidHandshake, OSError):
                await anyio.sleep(RECONNECT_SECONDS)

    async def until(self, epoch: str, last: int) -> None:
        """Wait for the event with this number."""
        while self.epoch != epoch or self.last < last:
            await self._progress.wait()

    async def _connected(self, service: Service) -> None:
        resume = f"?since={self.last}&epoch={self.epoch}" if self.epoch else "?since=0"
        async with connect(service.websocket_url + resume, proxy=None, max_queue=None) as socket:
            async for message in socket:
                self._receive(orjson.loads(message))
                self._progress.set()
                self._progress = anyio.Event()

    def _receive(self, frame: dict[str, Any]) -> None:
        if frame["type"] == "hello":
            self.epoch = self.epoch or frame["epoch"]
        elif frame["type"] == "resync":
            self.resyncs += 1
            self.epoch, self.last = frame["epoch"], frame["seq"]
        else:
            self._take(frame["seq"], (frame["seq"], frame["type"], frame["task_id"]))

    def _take(self, number: int, event: EventKey) -> None:
        if number != self.last + 1:
            self.problems.append(f"event {number} came after {self.last}")
        self.last = number
        if self.seen.setdefault((self.epoch, number), event) != event:
            self.problems.append(f"event {number} came twice: {self.seen[self.epoch, number]} and {event}")
