"""A power cut at any moment: acknowledged data is still there, and no number repeats.

The service runs on a journal of its file writes and syncs. The test builds files from that journal as a disk may have
them after a cut. All synced data is there. Of the rest nothing or any part is there.
"""

import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx

from tests.e2e.conftest import Start
from tests.e2e.service import Service
from tests.faults.shim import DATABASE, LOG, SYNC, WRITE, Change, Shim
from tests.integration.invariants import check_database

AGENTS, ROUNDS, TASKS = 8, 25, 150
CUTS = 80
SECTOR = 512
SUBMITS, ASKS = 6, 12
"""Turns of each agent in which it submits its task, and asks about it."""
CHECKED_WHOLE = 20
"""Every such cut is checked for all invariants of the database."""
MAX_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Answered:
    """A claim with a response at a journal length of `at` bytes."""

    at: int
    task_id: int
    fence: int
    finished: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """Another write with a response at a journal length of `at` bytes: a query for its row, and its parameters."""

    at: int
    query: str
    parameters: tuple[Any, ...]


SUBMITTED = "SELECT id FROM submissions WHERE digest = ?"
REVIEWED = "SELECT id FROM submissions WHERE digest = ? AND verdict = 'changes_requested'"
ASKED = "SELECT id FROM questions WHERE id = ? AND text = ?"
ANSWERED = "SELECT id FROM questions WHERE id = ? AND answer = ?"
SENT = "SELECT id FROM messages WHERE id = ? AND body = ?"
PAUSED = "SELECT id FROM pauses WHERE id = ? AND agent_id = ?"


@dataclass
class Disk:
    """The content that is surely on the disk, and the content that may be there."""

    kept: dict[int, bytearray]
    pending: list[Change] = field(default_factory=list)

    def take(self, change: Change) -> None:
        if change.kind == SYNC:
            for earlier in [earlier for earlier in self.pending if earlier.file == change.file]:
                put(self.kept[change.file], earlier, len(earlier.data))
                self.pending.remove(earlier)
        else:
            self.pending.append(change)

    def cut(self, chance: random.Random) -> dict[int, bytearray]:
        """Return one of the possible states of the files after a cut now."""
        found = {file: bytearray(content) for file, content in self.kept.items()}
        nothing_more = chance.random() < 0.3
        for change in self.pending:
            share = chance.random()
            if not nothing_more and share < 0.5:
                put(found[change.file], change, len(change.data))
            elif not nothing_more and share < 0.7:
                put(found[change.file], change, SECTOR * chance.randrange(len(change.data) // SECTOR + 1))
        return found


def put(content: bytearray, change: Change, length: int) -> None:
    if change.kind == WRITE:
        content.extend(bytes(max(0, change.at + length - len(content))))
        content[change.at : change.at + length] = change.data[:length]
    elif change.at < len(content):
        del content[change.at :]
    else:
        content.extend(bytes(change.at - len(content)))


async def test_nothing_answered_is_lost_and_no_number_repeats(
    prepare_service: Start, shim: Shim, tmp_path: Path
) -> None:
    service = prepare_service().start()
    with service.http() as http:
        http.post("/api/tasks/bulk", json={"tasks": [{"name": "n" * 200, "description": "d" * 2000}] * TASKS})
    assert service.stop() == 0
    before = bytearray(service.database.read_bytes())
    service.start(**shim.variables(service.database, journal=True))
    work = Work(service, shim)
    await work.run()
    service.kill()
    changes = list(shim.changes())
    written_back = [change for change in changes if change.kind == WRITE and change.file == DATABASE]
    assert written_back, "the log was written back into the database at least once"
    assert len(work.answered) > AGENTS * ROUNDS
    responses = [*(each.at for each in work.answered), *(write.at for write in work.kept)]
    for number, (position, files) in enumerate(cuts(before, changes, responses)):
        path = tmp_path / f"cut-{number}.db"
        path.write_bytes(files[DATABASE])
        path.with_name(f"{path.name}-wal").write_bytes(files[LOG])
        with closing(sqlite3.connect(path)) as database:
            check(
                database, [answer for answer in work.answered if answer.at <= position], max_seen(work.seen, position)
            )
            for write in work.kept:
                assert write.at > position or database.execute(write.query, write.parameters).fetchall(), write
        if number % CHECKED_WHOLE == 0:
            check_database(path, now=time.time_ns() // 1_000_000, max_attempts=MAX_ATTEMPTS)


def cuts(before: bytearray, changes: list[Change], at: list[int]) -> Iterator[tuple[int, dict[int, bytearray]]]:
    """Yield (length of the journal, files) at random moments, half of them just after a response."""
    chance = random.Random(7)
    moments = sorted([*chance.sample(at, CUTS // 2), *(chance.choice(changes).end for _ in range(CUTS // 2))])
    disk = Disk({DATABASE: bytearray(before), LOG: bytearray()})
    for change in changes:
        while moments and moments[0] < change.end:
            yield moments.pop(0), disk.cut(chance)
        disk.take(change)


@dataclass
class Work:
    """Agents that claim, finish, release, submit and ask while a subscriber follows. `seen` has (time, last event).

    Each time is a length of the journal in bytes.
    """

    service: Service
    shim: Shim
    answered: list[Answered] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    seen: list[tuple[int, int]] = field(default_factory=list)

    async def run(self) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch)
            async with anyio.create_task_group() as agents:
                for number in range(AGENTS):
                    agents.start_soon(self._agent, f"agent-{number}")
            tasks.cancel_scope.cancel()

    async def _agent(self, name: str) -> None:
        async with self.service.client() as http:
            for turn in range(ROUNDS):
                lock = (await self._send(http, "/api/tasks/claim", {"agent_id": name}))["lock"]
                self.answered.append(Answered(self.shim.written, lock["task_id"], lock["fence"], False))
                held = {"agent_id": name, "fence": lock["fence"]}
                path = f"/api/tasks/{lock['task_id']}"
                if turn == SUBMITS:
                    await self._submit(http, path, held)
                elif turn == ASKS:
                    await self._ask(http, path, held)
                elif turn % 2:
                    (await http.request("DELETE", f"{path}/lock", json=held)).raise_for_status()
                else:
                    await self._send(http, f"{path}/status", {**held, "status": "DONE"})
                    self.answered.append(Answered(self.shim.written, lock["task_id"], lock["fence"], True))

    async def _submit(self, http: httpx.AsyncClient, path: str, held: dict[str, Any]) -> None:
        """Submit the task, let another agent request changes, and pause that one."""
        submitted = await self._send(http, f"{path}/status", {**held, "status": "REVIEW", "summary": "painted"})
        digest, other = submitted["submission"]["digest"], f"{held['agent_id']}-reviewer"
        self._keep(SUBMITTED, digest)
        verdict = {"digest": digest, "verdict": "changes_requested", "body": "Two boards are bare."}
        await self._send(http, f"{path}/reviews", {**verdict, "agent_id": other})
        self._keep(REVIEWED, digest)
        pause = await self._send(http, "/api/pauses", {"scope": "agent", "id": other, "reason": "it rains"})
        self._keep(PAUSED, pause["id"], other)

    async def _ask(self, http: httpx.AsyncClient, path: str, held: dict[str, Any]) -> None:
        """Ask a question, which a person answers, and write to the agent."""
        question = (await self._send(http, f"{path}/questions", {**held, "text": "which colour?"}))["question"]
        self._keep(ASKED, question["id"], "which colour?")
        await self._send(http, f"{path}/questions/{question['id']}/answer", {"text": "green"})
        self._keep(ANSWERED, question["id"], "green")
        sent = await self._send(http, "/api/messages", {"to_agent": held["agent_id"], "body": "see the answer"})
        self._keep(SENT, sent["id"], "see the answer")

    async def _watch(self) -> None:
        async with self.service.client() as http:
            since = 0
            while True:
                page = (await http.get("/api/events", params={"since": since, "limit": 500, "wait_seconds": 1})).json()
                since = page["last_seq"]
                self.seen.append((self.shim.written, since))

    async def _send(self, http: httpx.AsyncClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = (await http.post(path, json=body)).raise_for_status().json()
        return found

    def _keep(self, query: str, *parameters: object) -> None:
        self.kept.append(Kept(self.shim.written, query, parameters))


def max_seen(seen: list[tuple[int, int]], position: int) -> int:
    return max((number for at, number in seen if at <= position), default=0)


def check(database: sqlite3.Connection, answered: list[Answered], seen: int) -> None:
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    numbers = [row[0] for row in database.execute("SELECT seq FROM events ORDER BY seq")]
    assert numbers == list(range(1, len(numbers) + 1))
    assert numbers[-1] >= seen, "an event was shown that is gone, so that its number would be given again"
    fences = dict(database.execute("SELECT id, fence FROM tasks"))
    statuses = dict(database.execute("SELECT id, status FROM tasks"))
    claims = set(
        database.execute("SELECT task_id, json_extract(data, '$.lock.fence') FROM events WHERE type = 'task.locked'")
    )
    for answer in answered:
        assert (answer.task_id, answer.fence) in claims
        assert fences[answer.task_id] >= answer.fence
        assert not answer.finished or statuses[answer.task_id] == "DONE"
