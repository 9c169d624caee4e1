"""The service when its PostgreSQL server does not answer, and when another instance holds the lock of the writers."""

import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import count
from subprocess import PIPE, Popen

import anyio
import anyio.to_thread
import psycopg
import pytest

from project_manager.domain.actors import LOCAL
from project_manager.domain.errors import ProjectManagerError
from project_manager.domain.service_errors import WriteUnconfirmed
from project_manager.schemas import validation
from project_manager.schemas.tasks import CreateTask
from project_manager.services import tasks
from project_manager.store.postgres import hosts, outage, probing_connection
from project_manager.store.postgres.write_connection import PostgresWriteConnection
from project_manager.store.transaction import Tx
from tests import postgres_server
from tests.http_service import run_http_service
from tests.integration.cut_connections import Cut, Proxy, proxy_of, through
from tests.integration.test_postgresql_connections import Work, instance, refused_request, refused_write, subscribed
from tests.operations_client import TIMEOUT, OperationsClient
from tests.postgres_server import FAST, PostgresServer
from tests.stored_rows import read

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

QUICKLY = "&connect_timeout=2"
WAITS_FOR_LOCK = "SELECT wait_event_type FROM pg_stat_activity WHERE pid = %s"
STANDBYS = "ALTER SYSTEM SET synchronous_standby_names = '{}'"
HOLDER = "tests.integration.lock_holder"


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """Start a server that a test may stop. It waits for a standby if it has the name of one."""
    with postgres_server.running({**FAST, "synchronous_commit": "on"}) as server:
        yield server


@contextmanager
def short_limits() -> Iterator[None]:
    """Notice a server that does not answer soon, and wait for it only for a moment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probing_connection, "PROBE_AFTER_SECONDS", 0.3)
        patch.setattr(outage, "FAILOVER_SECONDS", 0.3)
        yield


async def test_requests_are_refused_while_the_server_is_stopped_and_succeed_when_it_goes_on(
    own_server: PostgresServer,
) -> None:
    work = Work()
    async with (
        instance(own_server.url("postgres") + QUICKLY) as api,
        run_http_service(api.runtime) as service,
        subscribed(api) as subscriber,
    ):
        await work.one_task(api, "ann")
        with own_server.stopped(), short_limits():
            async with anyio.create_task_group() as group:
                group.start_soon(refused_write, service, "database_unavailable")
                for _ in range(3 * api.runtime.settings.database_pool_size):
                    group.start_soon(refused_request, service, "database_unavailable", "GET", "/api/tasks")
        await work.one_task(api, "bob")
        work.check(api)
        await subscriber.until(await api.last_seq())


async def test_connections_that_a_network_has_forgotten_are_replaced(
    postgresql_server: PostgresServer, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing_connection, "PROBE_AFTER_SECONDS", 0.3)
    work = Work()
    with proxy_of(postgresql_server.folder) as proxy:
        async with instance(through(proxy, postgresql_url)) as api, subscribed(api) as subscriber:
            await work.one_task(api, "ann")
            proxy.silence()
            await work.one_task(api, "ann")
            work.check(api)
            await subscriber.until(await api.last_seq())


async def test_a_statement_that_the_server_still_runs_is_awaited(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing_connection, "PROBE_AFTER_SECONDS", 0.1)
    asked = threading.Semaphore(0)
    is_served = probing_connection.ProbingConnection._is_served

    def observed(connection: probing_connection.ProbingConnection) -> bool:
        found = is_served(connection)
        asked.release()
        return found

    monkeypatch.setattr(probing_connection.ProbingConnection, "_is_served", observed)
    async with instance(postgresql_url) as api:
        async with (
            await psycopg.AsyncConnection.connect(postgresql_url) as administrator,
            anyio.create_task_group() as group,
        ):
            await administrator.execute("SELECT FROM project_manager.counter FOR UPDATE")
            group.start_soon(api.create_task, "delayed")
            for _ in range(3):
                assert await anyio.to_thread.run_sync(asked.acquire, True, TIMEOUT)
            await administrator.rollback()
        assert [row["name"] for row in read(postgresql_url, "SELECT name FROM tasks")] == ["delayed"]


@pytest.mark.usefixtures("without_background_jobs")
async def test_a_write_is_unconfirmed_while_the_standby_is_away(own_server: PostgresServer) -> None:
    url = own_server.url("postgres")
    async with instance(url) as api, run_http_service(api.runtime) as service:
        await api.create_task("first")
        await set_standbys(url, "missing")
        with short_limits():
            await refused_write(service, "write_unconfirmed")
        await set_standbys(url, "")
        await api.create_task("last")
        names = [row["name"] for row in read(url, "SELECT name FROM tasks ORDER BY id")]
        assert names == ["first", "lost", "last"]


async def test_a_stopped_instance_that_holds_the_lock_delays_others_only_briefly_and_its_batch_is_not_kept(
    postgresql_url: str,
) -> None:
    with lock_holder(postgresql_url) as holder:
        os.kill(holder.pid, signal.SIGSTOP)
        async with instance(postgresql_url) as api:
            await api.create_task("of another instance")
            os.kill(holder.pid, signal.SIGCONT)
            await anyio.to_thread.run_sync(holder.communicate, "go on\n", TIMEOUT)
            assert holder.returncode == 0
        names = [row["name"] for row in read(postgresql_url, "SELECT name FROM tasks ORDER BY created_at, id")]
        assert names == ["of another instance", "attempt 2"]


@pytest.mark.parametrize("cut", Cut)
async def test_a_lost_batch_is_found_out_after_another_session_has_held_the_lock(
    cut: Cut, postgresql_server: PostgresServer, postgresql_url: str
) -> None:
    with proxy_of(postgresql_server.folder) as proxy, short_lock_timeout() as timeouts:
        async with instance(through(proxy, postgresql_url)) as api, lost_batch(api, proxy, cut, postgresql_url) as lost:
            assert await anyio.to_thread.run_sync(timeouts.acquire, True, TIMEOUT)
            await lost.release_lock()
            await lost.finished.wait()
            assert lost.error is None
    names = [row["name"] for row in read(postgresql_url, "SELECT name FROM tasks")]
    assert names == ["attempt 1" if cut is Cut.AFTER else "attempt 2"]


@pytest.mark.usefixtures("without_background_jobs")
@pytest.mark.parametrize("cut", Cut)
async def test_a_lost_batch_is_unconfirmed_while_another_session_holds_the_lock(
    cut: Cut, postgresql_server: PostgresServer, postgresql_url: str
) -> None:
    with proxy_of(postgresql_server.folder) as proxy, short_lock_timeout(), short_limits():
        async with instance(through(proxy, postgresql_url)) as api:
            async with lost_batch(api, proxy, cut, postgresql_url) as lost:
                await lost.finished.wait()
                assert isinstance(lost.error, WriteUnconfirmed)
                await lost.release_lock()
            await api.create_task("last")
    names = [row["name"] for row in read(postgresql_url, "SELECT name FROM tasks ORDER BY id")]
    assert names == (["attempt 1", "last"] if cut is Cut.AFTER else ["last"])


@contextmanager
def short_lock_timeout() -> Iterator[threading.Semaphore]:
    """Let the writer wait for the lock only for a moment, and yield a semaphore that each such timeout releases."""
    timeouts = threading.Semaphore(0)
    begin = PostgresWriteConnection._begin_with_lock

    def observed(connection: PostgresWriteConnection) -> None:
        try:
            begin(connection)
        except psycopg.errors.LockNotAvailable:
            timeouts.release()
            raise

    shortened = hosts._SETTINGS.replace("lock_timeout = '5s'", "lock_timeout = '100ms'")
    with pytest.MonkeyPatch.context() as patch:
        # The batch waits for the other session in its transaction.
        patch.setattr(hosts, "_SETTINGS", shortened.replace("'3s'", "'30s'"))
        patch.setattr(PostgresWriteConnection, "_begin_with_lock", observed)
        yield timeouts


@dataclass
class LostBatch:
    """A write with a connection that is cut at its COMMIT. Then another session has the lock of the writers."""

    release_lock: Callable[[], Awaitable[None]]
    finished: anyio.Event = field(default_factory=anyio.Event)
    error: ProjectManagerError | None = None

    async def write(self, api: OperationsClient, create: Callable[[Tx], None]) -> None:
        try:
            await api.runtime.database.writer.run("create", create, LOCAL, "")
        except ProjectManagerError as error:
            self.error = error
        self.finished.set()


@asynccontextmanager
async def lost_batch(api: OperationsClient, proxy: Proxy, cut: Cut, url: str) -> AsyncIterator[LostBatch]:
    """Lose a batch. The instance connects again only when the other session has the lock, not before it."""
    attempts = count(1)
    has_lock, goes_on = threading.Event(), threading.Event()
    is_taken = anyio.Event()

    def create(tx: Tx) -> None:
        attempt = next(attempts)
        tasks.create(tx, validation.read(CreateTask, {"name": f"attempt {attempt}"}))
        if attempt == 1:
            proxy.closes_at_cut = True
            proxy.cut_next(cut)
        has_lock.set()
        assert goes_on.wait(TIMEOUT)

    async def take_lock() -> None:
        await holder.execute("SELECT FROM project_manager.counter FOR UPDATE")
        is_taken.set()

    async with await psycopg.AsyncConnection.connect(url) as holder, anyio.create_task_group() as group:
        lost = LostBatch(holder.rollback)
        with anyio.fail_after(TIMEOUT):
            group.start_soon(lost.write, api, create)
            await anyio.to_thread.run_sync(has_lock.wait, TIMEOUT)
            group.start_soon(take_lock)
            await waits_for_lock(holder.info.backend_pid, url)
            goes_on.set()
            await is_taken.wait()
            proxy.open()
            yield lost


async def waits_for_lock(pid: int, url: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as administrator:
        while await (await administrator.execute(WAITS_FOR_LOCK, (pid,))).fetchone() != ("Lock",):
            pass


@contextmanager
def lock_holder(url: str) -> Iterator[Popen[str]]:
    """Start an instance as a process, and wait until its writer holds the lock in the middle of a batch."""
    with Popen([sys.executable, "-m", HOLDER, url], stdin=PIPE, stdout=PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            yield holder
        finally:
            holder.kill()


async def set_standbys(url: str, names: str) -> None:
    """Set the standbys that a commit waits for, and wait until the server does so."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as administrator:
        await administrator.execute(STANDBYS.format(names).encode())
        await administrator.execute("SELECT pg_reload_conf()")
        with anyio.fail_after(TIMEOUT):
            while True:
                row = await (await administrator.execute("SHOW synchronous_standby_names")).fetchone()
                if row == (names,):
                    return
