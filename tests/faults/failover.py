"""Failovers of the database below services with agents at work, and checks of the acknowledged writes after each."""

import contextlib
import random
import subprocess
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from project_manager.store import history_check
from project_manager.store.postgres.hosts import SCHEMA
from tests.e2e.service import CHECKOUT, COMMAND, Service, environment
from tests.faults.failover_clients import Agent, EventKey, Follower, Lease, Record, Text
from tests.faults.failover_faults import Planted
from tests.postgres_cluster import DATABASE, PostgresCluster
from tests.stored_rows import snapshot

START_SECONDS = 120.0
"""Bound on the start of all services at once, on a busy machine."""
PROGRESS_SECONDS = 60.0
"""Bound on the wait for progress after a failover."""
CUT_OFF_SECONDS = 0.5
"""Time without a standby before a kill, in which commits must not be acknowledged when they wait for a standby."""
REQUEST_SECONDS = 30.0
"""Bound on a request: 10 seconds in which the service waits for a server, and a busy machine."""
PAUSE = (25, 60)
"""Least and most acknowledged writes before a kill."""
SERVED_WRITES = 10
"""Acknowledged writes after which the service works again."""
LOST_WRITES = 10
"""Acknowledged writes that do not reach the standby before an asynchronous failover."""

_TASKS = f"SELECT name, id, status FROM {SCHEMA}.tasks"
_LEASES = f"""
SELECT task_id, fence, agent_id FROM {SCHEMA}.ended_leases
UNION ALL SELECT id, fence, lock_holder FROM {SCHEMA}.tasks WHERE lock_holder IS NOT NULL
"""
_TEXTS = f"""
SELECT 'submission', summary FROM {SCHEMA}.submissions
UNION ALL SELECT 'review', body FROM {SCHEMA}.submissions WHERE verdict IS NOT NULL
UNION ALL SELECT 'question', text FROM {SCHEMA}.questions
UNION ALL SELECT 'answer', answer FROM {SCHEMA}.questions WHERE state = 'answered'
UNION ALL SELECT 'message', body FROM {SCHEMA}.messages
UNION ALL SELECT 'pause', reason FROM {SCHEMA}.pauses
"""
_EVENTS = f"SELECT seq, type, task_id FROM {SCHEMA}.events ORDER BY seq"
_EPOCH = f"SELECT epoch FROM {SCHEMA}.meta"
_FINGERPRINT = f"""
SELECT (SELECT md5(string_agg(counter::text, ',')) FROM {SCHEMA}.counter),
    (SELECT md5(string_agg(meta::text, ',')) FROM {SCHEMA}.meta),
    (SELECT md5(string_agg(batch_marks::text, ',' ORDER BY writer)) FROM {SCHEMA}.batch_marks),
    (SELECT md5(string_agg(instances::text, ',' ORDER BY id)) FROM {SCHEMA}.instances),
    (SELECT (count(*), max(seq))::text FROM {SCHEMA}.events),
    (SELECT (count(*), sum(version), sum(fence))::text FROM {SCHEMA}.tasks)
"""

Kept = TypeVar("Kept")


@dataclass(frozen=True)
class Stored:
    """The rows of the database that acknowledged writes are compared with."""

    created: dict[str, int]
    finished: set[str]
    claims: dict[Lease, str]
    texts: set[Text]
    events: list[EventKey]
    epoch: str


def read_stored(cluster: PostgresCluster) -> Stored:
    tasks = cluster.read(_TASKS)
    return Stored(
        created={name: number for name, number, _ in tasks},
        finished={name for name, _, status in tasks if status == "DONE"},
        claims={(task, fence): agent for task, fence, agent in cluster.read(_LEASES)},
        texts={(kind, text) for kind, text in cluster.read(_TEXTS)},
        events=[(seq, kind, task) for seq, kind, task in cluster.read(_EVENTS)],
        epoch=cluster.read(_EPOCH)[0][0],
    )


@dataclass
class Failover:
    """One kill of the primary, with seconds of the pause, and the numbers of lost writes and of repeated requests."""

    gap: float
    longest_request: float
    lost: int
    unavailable: int


@dataclass
class Trial:
    """Services on a cluster with agents at work. The record has their `problems`."""

    cluster: PostgresCluster
    services: list[Service]
    chance: random.Random
    record: Record = field(default_factory=Record)
    followers: list[Follower] = field(default_factory=list)
    seen: dict[tuple[str, int], EventKey] = field(default_factory=dict)
    failovers: list[Failover] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        return self.record.problems

    async def run(self, kills: int, agents: int) -> None:
        """Let the agents work, and kill the primary again and again. Stop at the first problem."""
        await _thread(self.cluster.add_standby)
        async with anyio.create_task_group() as following:
            self._start_followers(following)
            async with self._agents_at_work(agents):
                for _ in range(kills):
                    await self._fail_over()
                    if self.problems:
                        break
            if not self.problems:
                await self._check_end()
            following.cancel_scope.cancel()

    def _start_followers(self, tasks: TaskGroup) -> None:
        for service in self.services:
            follower = Follower(self.seen, self.problems)
            self.followers.append(follower)
            tasks.start_soon(follower.follow, service)

    @contextlib.asynccontextmanager
    async def _agents_at_work(self, number: int) -> AsyncIterator[None]:
        stopping = anyio.Event()
        async with anyio.create_task_group() as tasks:
            for index in range(number):
                chance = random.Random(self.chance.getrandbits(64))
                agent = Agent(f"agent-{index}", self.record, chance, is_synchronous=self.cluster.is_synchronous)
                tasks.start_soon(agent.work, self.services[index % len(self.services)], stopping)
            yield
            stopping.set()

    async def _fail_over(self) -> None:
        """Kill the primary, promote the standby, check the writes, and make the old primary the standby."""
        await self._progress(self.chance.randint(*PAUSE))
        before, epoch = await self._cut_off(), (await _thread(self.cluster.read, _EPOCH))[0][0]
        unavailable = self.record.unavailable
        self.record.begin_pause()
        await _thread(self.cluster.primary.kill)
        if not self.cluster.is_synchronous:
            self.record.raise_floor()
        await _thread(self.cluster.promote)
        await self._progress(SERVED_WRITES)
        pause = (self.record.longest_gap, self.record.longest_request)
        lost = await self._check(before)
        self.failovers.append(Failover(*pause, lost, self.record.unavailable - unavailable))
        if pause[1] > REQUEST_SECONDS:
            self.problems.append(f"a request took {pause[1]:.1f} s")
        if not self.cluster.is_synchronous:
            await self._check_new_epoch(epoch)
        await self._check_old_primary()
        await _thread(self.cluster.add_standby)

    async def _cut_off(self) -> "Acknowledged":
        """Return the acknowledged writes that the standby must have. Disconnect it, at random if commits wait for it.

        An asynchronous failover then loses some writes. With a synchronous standby, no write is acknowledged meanwhile.
        """
        before = Acknowledged.copy(self.record)
        if self.cluster.is_synchronous:
            if self.chance.randrange(2):
                await _thread(self.cluster.cut_off_standby)
                with anyio.move_on_after(CUT_OFF_SECONDS):
                    await self.record.more(LOST_WRITES)
        else:
            await _thread(self.cluster.wait_for_standby)
            await _thread(self.cluster.cut_off_standby)
            await self._progress(LOST_WRITES)
        return before

    async def _progress(self, number: int) -> None:
        """Wait until this number of further writes is acknowledged."""
        with anyio.move_on_after(PROGRESS_SECONDS) as waiting:
            await self.record.more(number)
        if waiting.cancelled_caught:
            self.problems.append(f"no {number} writes within {PROGRESS_SECONDS:.0f} s")

    async def _check(self, before: "Acknowledged") -> int:
        """Compare the acknowledged writes with the database, and return how many are lost.

        A synchronous failover loses none. An asynchronous one keeps those of `before`.
        """
        acknowledged, seen = Acknowledged.copy(self.record), dict(self.seen)
        stored = await _thread(read_stored, self.cluster)
        lost = acknowledged.missing_in(stored)
        kept = acknowledged if self.cluster.is_synchronous else before
        self.problems.extend(f"lost: {write}" for write in kept.missing_in(stored).writes())
        self._check_events(stored, seen)
        self.problems.extend(await _thread(self._differences))
        self.record.forget(lost.created, lost.finished, lost.claims, lost.texts)
        return len(lost.writes())

    def _differences(self) -> tuple[str, ...]:
        """Return the differences between the tables and the events, and breaks of the hash chain."""
        with snapshot(self.cluster.primary.url(DATABASE)) as tx:
            return history_check.check(tx).differences

    def _check_events(self, stored: Stored, seen: Mapping[tuple[str, int], EventKey]) -> None:
        """Check the numbers of the stored events, and that followers saw the same ones."""
        numbers = [number for number, _, _ in stored.events]
        if numbers != list(range(1, len(numbers) + 1)):
            self.problems.append("the numbers of the events have a gap")
        for (epoch, number), event in seen.items():
            if epoch != stored.epoch and not self.cluster.is_synchronous:
                continue
            if number > len(numbers) or stored.events[number - 1] != event:
                self.problems.append(f"followers saw {event}, which is not in the database")
                return

    async def _check_new_epoch(self, epoch: str) -> None:
        """Check that the database has begun a new epoch, and that each follower had to resync."""
        ((new,),) = await _thread(self.cluster.read, _EPOCH)
        if new == epoch:
            self.problems.append("no new epoch has begun after the failover")
            return
        with anyio.move_on_after(PROGRESS_SECONDS) as waiting:
            for follower in self.followers:
                await follower.until(new, 0)
        if waiting.cancelled_caught:
            self.problems.append("a follower of events got no resync after the failover")

    async def _check_old_primary(self) -> None:
        """Start the old primary again, and check that no service writes to it, also on a new connection."""
        old = self.cluster.standby
        await _thread(old.start)
        read = partial(_thread, partial(old.query, _FINGERPRINT, database=DATABASE))
        before = await read()
        await _thread(self.cluster.terminate_clients)
        await self._progress(2 * SERVED_WRITES)
        if await read() != before:
            self.problems.append("a service has written to the old primary")
        await _thread(old.stop)

    async def _check_end(self) -> None:
        """Compare all writes with the database, in both directions, and its history with its tables."""
        await self._check(Acknowledged.copy(self.record))
        stored, record = await _thread(read_stored, self.cluster), self.record
        compared: tuple[tuple[str, Collection[Any], Collection[Any]], ...] = (
            ("tasks", stored.created, record.created),
            ("finished tasks", stored.finished, set(record.finished)),
            ("leases", stored.claims, record.claims),
            ("texts", stored.texts, record.texts),
        )
        for name, found, expected in compared:
            if found != expected:
                self.problems.append(f"{name}: {set(found) ^ set(expected)} differ from the acknowledged ones")
        with anyio.move_on_after(PROGRESS_SECONDS) as waiting:
            for follower in self.followers:
                await follower.until(stored.epoch, len(stored.events))
        if waiting.cancelled_caught:
            self.problems.append("a follower of events has not seen the last one")
        self._check_events(stored, self.seen)
        await _thread(self._verify)

    def _verify(self) -> None:
        variables = environment(DATABASE_URL=self.cluster.url)
        done = subprocess.run([*COMMAND, "verify"], env=variables, capture_output=True, text=True, timeout=120)
        if done.returncode != 0 or "is intact" not in done.stdout:
            self.problems.append(f"verify: {done.stdout}{done.stderr}")


@dataclass(frozen=True)
class Acknowledged:
    """Acknowledged writes at some instant."""

    created: dict[str, int]
    finished: dict[str, int]
    claims: dict[Lease, str]
    texts: set[Text]

    @classmethod
    def copy(cls, record: Record) -> "Acknowledged":
        return cls(dict(record.created), dict(record.finished), dict(record.claims), set(record.texts))

    def missing_in(self, stored: Stored) -> "Acknowledged":
        return Acknowledged(
            _missing(self.created, stored.created),
            {name: fence for name, fence in self.finished.items() if name not in stored.finished},
            _missing(self.claims, stored.claims),
            self.texts - stored.texts,
        )

    def writes(self) -> list[str]:
        return [
            *(f"created {name!r} with id {number}" for name, number in self.created.items()),
            *(f"finished {name!r}" for name in self.finished),
            *(f"fence {fence} of task {task} for {agent}" for (task, fence), agent in self.claims.items()),
            *(f"{kind} {text!r}" for kind, text in sorted(self.texts)),
        ]


def _missing(expected: Mapping[Any, Kept], found: Mapping[Any, Kept]) -> dict[Any, Kept]:
    return {key: value for key, value in expected.items() if found.get(key) != value}


async def _thread(function: Any, *arguments: Any) -> Any:
    return await anyio.to_thread.run_sync(function, *arguments)


@contextlib.contextmanager
def services_on(
    cluster: PostgresCluster, folder: Path, number: int, fault: Planted | None = None
) -> Iterator[list[Service]]:
    """Yield services on the database of a cluster, with a planted fault."""
    services = [Service(folder, DATABASE_PATH="", DATABASE_URL=cluster.url) for _ in range(number)]
    variables = {} if fault is None else _plant(fault, cluster, folder)
    try:
        for service in services:
            service.spawn(**variables)
        for service in services:
            service.wait_until(service.is_healthy, START_SECONDS)
        yield services
    finally:
        for service in services:
            service.end()


def _plant(fault: Planted, cluster: PostgresCluster, folder: Path) -> dict[str, str]:
    """Plant a fault, and return the variables of services that have it."""
    if fault.statement:
        cluster.primary.query(fault.statement)
    (folder / "sitecustomize.py").write_text(fault.code)  # Python imports this module first
    return {"PYTHONPATH": f"{folder}:{CHECKOUT}"}
