"""The service when a connection to its PostgreSQL server, or the server itself, is lost."""

import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

import anyio
import anyio.to_thread
import psycopg
import pytest

from project_manager.runtime.open import open_runtime
from project_manager.store.postgres import hosts, outage
from project_manager.store.postgres.tail_session import PostgresTailSession
from project_manager.store.postgres.write_connection import PostgresWriteConnection
from tests import postgres_server
from tests.http_service import HttpService, run_http_service
from tests.integration import invariants
from tests.integration.cut_connections import Cut, Proxy, proxy_of, through
from tests.operations_client import TIMEOUT, Json, MovableClock, OperationsClient
from tests.postgres_server import FAST, PostgresServer
from tests.stored_rows import address_of, read, settings_of

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

AGENTS = 20
CUTS = 100
TERMINATIONS = 30
SEED = 20
NEVER = 3600.0
FAILOVER_SECONDS = 0.3
EACH_BACKEND = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
LOCKS = ("SELECT commits FROM project_manager.counter FOR UPDATE", "LOCK project_manager.tasks IN EXCLUSIVE MODE")


@pytest.fixture
def proxy(postgresql_server: PostgresServer) -> Iterator[Proxy]:
    with proxy_of(postgresql_server.folder) as opened:
        yield opened


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """Start a server that a test may stop. Unlike that of the other tests, it keeps each commit after a crash."""
    with postgres_server.running({**FAST, "synchronous_commit": "on"}) as server:
        yield server


@pytest.fixture
def short_failover(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let writes and reads wait for a lost server only for a moment."""
    monkeypatch.setattr(outage, "FAILOVER_SECONDS", FAILOVER_SECONDS)


@asynccontextmanager
async def instance(url: str) -> AsyncIterator[OperationsClient]:
    clock = MovableClock()
    async with open_runtime(settings_of(url), clock=clock) as runtime:
        yield OperationsClient(runtime, clock)


@dataclass
class Subscriber:
    """A subscriber of an instance with the numbers of its events, each as often as it came."""

    api: OperationsClient
    numbers: list[int] = field(default_factory=list)
    _progress: anyio.Event = field(default_factory=anyio.Event)

    async def follow(self) -> None:
        async with self.api.runtime.follow(0) as subscription:
            while True:
                self.numbers += [event.seq for event in await subscription.next_batch()]
                self._progress.set()
                self._progress = anyio.Event()

    async def until(self, last: int) -> None:
        """Wait for the event with this number, and assert that each one up to it came once and in order."""
        with anyio.fail_after(TIMEOUT):
            while not self.numbers or self.numbers[-1] < last:
                await self._progress.wait()
        assert self.numbers == list(range(1, self.numbers[-1] + 1))


@asynccontextmanager
async def subscribed(api: OperationsClient) -> AsyncIterator[Subscriber]:
    subscriber = Subscriber(api)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(subscriber.follow)
        yield subscriber
        tasks.cancel_scope.cancel()


@dataclass
class Work:
    """The acknowledged work of agents: the names of tasks by id, and the fence of each lease."""

    created: dict[int, str] = field(default_factory=dict)
    fences: dict[int, int] = field(default_factory=dict)
    finished: set[int] = field(default_factory=set)
    progress: anyio.Event = field(default_factory=anyio.Event)
    _numbers: Iterator[int] = field(default_factory=count)

    async def one_task(self, api: OperationsClient, agent: str) -> None:
        """Create, claim, read and finish a task."""
        name = f"task {next(self._numbers)} of {agent}"
        task = (await api.create_task(name))["id"]
        self.created[task] = name
        self.fences[task] = (await api.claim(task, agent))["fence"]
        assert (await api.get_task(task))["lock"]["holder"] == agent
        await api.set_status(task, "DONE", agent, fence=self.fences[task])
        self.finished.add(task)
        self.progress.set()
        self.progress = anyio.Event()

    def check(self, api: OperationsClient) -> None:
        """Assert that the database has each acknowledged effect once and no others, and that its history is whole."""
        tasks = read(address_of(api.runtime), "SELECT id, name, status FROM tasks")
        assert {row["id"]: row["name"] for row in tasks} == self.created
        assert {row["id"] for row in tasks if row["status"] == "DONE"} == self.finished
        leases = read(address_of(api.runtime), "SELECT task_id, fence FROM ended_leases")
        assert sorted((row["task_id"], row["fence"]) for row in leases) == sorted(self.fences.items())
        kinds = Counter(row["type"] for row in read(address_of(api.runtime), "SELECT type FROM events"))
        assert kinds["task.created"] == len(self.created)
        assert kinds["task.locked"] == len(self.fences)
        invariants.check(api)


async def agents_work(api: OperationsClient, work: Work, goes_on: Callable[[], bool]) -> None:
    """Let all agents work on tasks of their own. Each ends after the task during which `goes_on` has changed."""

    async def agent(name: str) -> None:
        while goes_on():
            await work.one_task(api, name)

    async with anyio.create_task_group() as tasks:
        for number in range(AGENTS):
            tasks.start_soon(agent, f"agent-{number}")


async def one_cut(url: str, proxy: Proxy, cut: Cut) -> None:
    """Cut the connection at each commit of the work on one task, and assert that each effect is there once."""
    work = Work()
    async with instance(through(proxy, url)) as api, subscribed(api) as subscriber:
        await work.one_task(api, "ann")
        proxy.cut_next(cut, cut, cut)
        await work.one_task(api, "ann")
        assert proxy.cuts == {cut: 3}
        work.check(api)
        await subscriber.until(await api.last_seq())


@pytest.mark.parametrize("cut", Cut)
async def test_a_write_has_one_effect_when_the_connection_is_lost_at_its_commit(
    cut: Cut, postgresql_url: str, proxy: Proxy
) -> None:
    await one_cut(postgresql_url, proxy, cut)


async def test_a_kept_write_that_is_repeated_would_be_noticed(
    postgresql_url: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PostgresWriteConnection, "_is_kept", lambda self: False)
    with pytest.raises(ExceptionGroup) as failed:
        await one_cut(postgresql_url, proxy, Cut.AFTER)
    (cause,) = failed.value.exceptions
    assert isinstance(cause, AssertionError)


async def test_agents_notice_nothing_of_a_hundred_lost_connections_at_random_commits(
    postgresql_url: str, proxy: Proxy
) -> None:
    chance = random.Random(SEED)
    work = Work()
    async with instance(through(proxy, postgresql_url)) as api, subscribed(api) as subscriber:
        proxy.plan = (chance.choice((Cut.BEFORE, Cut.AFTER, None, None)) for _ in count())
        await agents_work(api, work, lambda: proxy.cuts.total() < CUTS)
        proxy.cut_next()
        assert min(proxy.cuts.values()) > CUTS / 4
        work.check(api)
        await subscriber.until(await api.last_seq())


async def test_agents_notice_nothing_when_all_connections_are_terminated_again_and_again(postgresql_url: str) -> None:
    work = Work()
    terminations = 0

    async def terminate(administrator: psycopg.AsyncConnection[tuple[int]]) -> None:
        nonlocal terminations
        while terminations < TERMINATIONS:
            await administrator.execute(EACH_BACKEND)
            terminations += 1
            with anyio.fail_after(TIMEOUT):
                await work.progress.wait()

    async with (
        instance(postgresql_url) as api,
        subscribed(api) as subscriber,
        await psycopg.AsyncConnection.connect(postgresql_url, autocommit=True) as administrator,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(terminate, administrator)
        await agents_work(api, work, lambda: terminations < TERMINATIONS)
        work.check(api)
        await subscriber.until(await api.last_seq())


async def test_events_of_another_instance_arrive_by_notification(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PostgresTailSession, "poll_interval", NEVER)
    async with instance(postgresql_url) as api, instance(postgresql_url) as other, subscribed(api) as subscriber:
        await other.create_task("first")
        await subscriber.until(await other.last_seq())
        await terminate_all(postgresql_url)
        await other.create_task("second")
        await subscriber.until(await other.last_seq())


async def terminate_all(url: str) -> None:
    """End the connections to a database."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as administrator:
        await administrator.execute(EACH_BACKEND)


async def test_requests_wait_for_a_server_that_restarts(own_server: PostgresServer) -> None:
    work = Work()
    async with instance(own_server.url("postgres")) as api, subscribed(api) as subscriber:
        await work.one_task(api, "ann")
        await anyio.to_thread.run_sync(own_server.crash)
        async with anyio.create_task_group() as tasks:
            for number in range(AGENTS):
                tasks.start_soon(work.one_task, api, f"agent-{number}")
                tasks.start_soon(api.call, "list_tasks")
            tasks.start_soon(api.stream_text, "export_plan")
            await anyio.wait_all_tasks_blocked()
            await anyio.to_thread.run_sync(own_server.start)
        assert len(work.finished) == AGENTS + 1
        work.check(api)
        await subscriber.until(await api.last_seq())


async def test_requests_fail_while_the_server_stays_away_and_succeed_when_it_is_back(
    own_server: PostgresServer, short_failover: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Work()
    async with (
        instance(own_server.url("postgres")) as api,
        run_http_service(api.runtime) as service,
        subscribed(api) as subscriber,
    ):
        await work.one_task(api, "ann")
        await anyio.to_thread.run_sync(own_server.crash)
        await refused(service, "database_unavailable")
        # A request that waits for the server now misses its deadline.
        monkeypatch.setattr(outage, "RETRY_SECONDS", 2 * TIMEOUT)
        for _ in range(3 * api.runtime.settings.database_pool_size):
            await refused(service, "database_unavailable")
        await anyio.to_thread.run_sync(own_server.start)
        await work.one_task(api, "bob")
        work.check(api)
        await subscriber.until(await api.last_seq())


async def refused(service: HttpService, code: str) -> None:
    """Assert that a write, a read and a long read are refused with this error."""
    await refused_write(service, code)
    await refused_request(service, code, "GET", "/api/tasks")
    await refused_request(service, code, "GET", "/api/export")


async def refused_write(service: HttpService, code: str) -> None:
    await refused_request(service, code, "POST", "/api/tasks", {"name": "lost", "project_name": "Garden"})


async def refused_request(service: HttpService, code: str, method: str, path: str, body: Json | None = None) -> None:
    """Assert that a request is refused with this error, and that the client is to repeat it later."""
    with anyio.fail_after(TIMEOUT):
        response = await service.send(method, path, body)
    assert (response.status_code, response.json()["code"]) == (503, code)
    assert int(response.headers["retry-after"]) >= 1


@pytest.mark.parametrize("lock", LOCKS, ids=("of the writers", "of a table"))
async def test_writes_are_refused_while_another_session_holds_a_lock(
    lock: str, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shortened = hosts._SETTINGS.replace("lock_timeout = '5s'", "lock_timeout = '100ms'")
    assert shortened != hosts._SETTINGS
    monkeypatch.setattr(hosts, "_SETTINGS", shortened)
    work = Work()
    async with instance(postgresql_url) as api, run_http_service(api.runtime) as service:
        async with await psycopg.AsyncConnection.connect(postgresql_url) as administrator:
            await administrator.execute(lock.encode())
            await refused_write(service, "database_busy")
            await service.ok("GET", "/api/tasks")
        await work.one_task(api, "ann")
        work.check(api)


@pytest.mark.usefixtures("without_background_jobs")
@pytest.mark.parametrize("cut", Cut)
async def test_a_write_is_unconfirmed_when_the_server_stays_away_after_its_commit(
    cut: Cut, postgresql_url: str, proxy: Proxy, short_failover: None
) -> None:
    work = Work()
    async with (
        instance(through(proxy, postgresql_url)) as api,
        run_http_service(api.runtime) as service,
        subscribed(api) as subscriber,
    ):
        await work.one_task(api, "ann")
        proxy.closes_at_cut = True
        proxy.cut_next(cut)
        await refused_write(service, "write_unconfirmed")
        await refused_write(service, "database_unavailable")
        proxy.open()
        if cut is Cut.AFTER:
            (kept,) = (await api.call("list_tasks", status="TODO"))["items"]
            work.created[kept["id"]] = "lost"
        await work.one_task(api, "bob")
        work.check(api)
        await subscriber.until(await api.last_seq())
