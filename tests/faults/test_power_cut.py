"""A power cut at any moment: acknowledged data is still there, and no number repeats.

The service runs on a journal of its file writes and syncs. The test builds files from that journal as a disk may have
them after a cut. All synced data is there. Of the rest nothing or any part is there.
"""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from tests.e2e.conftest import Start
from tests.e2e.service import Service
from tests.faults.shim import DATABASE, LOG, SYNC, WRITE, Change, Shim

AGENTS, ROUNDS, TASKS = 8, 25, 150
CUTS = 80
SECTOR = 512


@dataclass(frozen=True, slots=True)
class Answered:
    """A claim with a response at a journal length of `at` bytes."""

    at: int
    task_id: int
    fence: int
    finished: bool


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
    answered, seen = await work(service, shim)
    service.kill()
    changes = list(shim.changes())
    written_back = [change for change in changes if change.kind == WRITE and change.file == DATABASE]
    assert written_back, "the log was written back into the database at least once"
    assert len(answered) > AGENTS * ROUNDS
    for number, (position, files) in enumerate(cuts(before, changes, [answer.at for answer in answered])):
        path = tmp_path / f"cut-{number}.db"
        path.write_bytes(files[DATABASE])
        path.with_name(f"{path.name}-wal").write_bytes(files[LOG])
        with closing(sqlite3.connect(path)) as database:
            check(database, [answer for answer in answered if answer.at <= position], max_seen(seen, position))


def cuts(before: bytearray, changes: list[Change], at: list[int]) -> Iterator[tuple[int, dict[int, bytearray]]]:
    """Yield (length of the journal, files) at random moments, half of them just after a response."""
    chance = random.Random(7)
    moments = sorted([*chance.sample(at, CUTS // 2), *(chance.choice(changes).end for _ in range(CUTS // 2))])
    disk = Disk({DATABASE: bytearray(before), LOG: bytearray()})
    for change in changes:
        while moments and moments[0] < change.end:
            yield moments.pop(0), disk.cut(chance)
        disk.take(change)


async def work(service: Service, shim: Shim) -> tuple[list[Answered], list[tuple[int, int]]]:
    """Let agents claim, finish and release while a subscriber follows. Return responses and seen events with their
    times.
    """
    answered: list[Answered] = []
    seen: list[tuple[int, int]] = []

    async def agent(name: str) -> None:
        async with service.client() as http:
            for turn in range(ROUNDS):
                lock = (await http.post("/api/tasks/claim", json={"agent_id": name})).raise_for_status().json()["lock"]
                answered.append(Answered(shim.written, lock["task_id"], lock["fence"], False))
                held = {"agent_id": name, "fence": lock["fence"]}
                path = f"/api/tasks/{lock['task_id']}"
                if turn % 2:
                    (await http.request("DELETE", f"{path}/lock", json=held)).raise_for_status()
                else:
                    (await http.post(f"{path}/status", json={**held, "status": "DONE"})).raise_for_status()
                    answered.append(Answered(shim.written, lock["task_id"], lock["fence"], True))

    async def watch() -> None:
        async with service.client() as http:
            since = 0
            while True:
                page = (await http.get("/api/events", params={"since": since, "limit": 500, "wait_seconds": 1})).json()
                since = page["last_seq"]
                seen.append((shim.written, since))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        async with anyio.create_task_group() as agents:
            for number in range(AGENTS):
                agents.start_soon(agent, f"agent-{number}")
        tasks.cancel_scope.cancel()
    return answered, seen


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
