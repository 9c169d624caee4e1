"""The figures of a PostgreSQL server in the metrics, and which of them its user may see."""

import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import psycopg
import pytest

from project_manager.runtime import maintenance
from project_manager.runtime.open import open_runtime
from tests import postgres_server
from tests.operations_client import TIMEOUT, MovableClock, OperationsClient
from tests.postgres_server import FAST, PostgresServer
from tests.stored_rows import settings_of

pytestmark = pytest.mark.anyio

PREFIX = "project_manager_postgresql_"
FIGURES = ("oldest_snapshot_seconds", "standbys", "synchronous_standbys", "replication_lag_bytes")
LOCK = "SELECT 1 FROM project_manager.counter FOR UPDATE"
IS_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
TERMINATE = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
GRANTS = """
CREATE ROLE worker LOGIN;
GRANT USAGE ON SCHEMA project_manager TO worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA project_manager TO worker;
"""


class Figures:
    """The exported figures of one instance."""

    def __init__(self, api: OperationsClient) -> None:
        self._runtime = api.runtime

    def __getitem__(self, name: str) -> float | None:
        return self._runtime.metrics.registry.get_sample_value(f"{PREFIX}{name}")

    async def measure(self) -> dict[str, float | None]:
        await maintenance.measure_database(self._runtime.database)
        return {name: self[name] for name in FIGURES}


@asynccontextmanager
async def instance(url: str) -> AsyncIterator[OperationsClient]:
    clock = MovableClock()
    async with open_runtime(settings_of(url, AUTO_MIGRATE=False), clock=clock) as runtime:
        yield OperationsClient(runtime, clock)


def query(connection: psycopg.Connection[Any], sql: str) -> Any:
    row = connection.execute(sql.encode()).fetchone()
    assert row is not None
    return row[0]


@pytest.fixture
def admin(postgresql_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        yield connection


async def until(connection: psycopg.Connection[Any], sql: str) -> None:
    """Wait until a query returns a number other than 0."""
    with anyio.fail_after(TIMEOUT):
        while not await anyio.to_thread.run_sync(query, connection, sql):
            await anyio.lowlevel.checkpoint()


async def test_each_batch_reports_how_long_it_waited_for_the_lock_and_held_it(
    postgresql_url: str, admin: psycopg.Connection[Any]
) -> None:
    async with instance(postgresql_url) as api:
        figures = Figures(api)
        await api.create_task("first")
        before = figures["lock_wait_seconds_count"]
        with psycopg.connect(postgresql_url) as holder:
            holder.execute(LOCK.encode())
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(api.create_task, "second")
                await until(admin, IS_WAITING)
                await anyio.to_thread.run_sync(holder.rollback)
        after = figures["lock_wait_seconds_count"]
        held = figures["lock_hold_seconds_count"]
        assert before is not None
        assert after is not None
        assert held is not None
        assert before < after <= held


async def test_a_lost_connection_is_counted_and_the_outage_ends_with_the_next_one(
    postgresql_url: str, admin: psycopg.Connection[Any]
) -> None:
    async with instance(postgresql_url) as api:
        figures = Figures(api)
        await api.create_task("first")
        assert (figures["reconnections_total"], figures["outage_seconds"]) == (0, 0)
        admin.execute(TERMINATE.encode())
        await api.create_task("second")
        assert figures["reconnections_total"] == 1
        with anyio.fail_after(TIMEOUT):  # the answer can come some milliseconds before the end of the outage
            while figures["outage_seconds"]:
                await anyio.lowlevel.checkpoint()


async def test_a_superuser_sees_the_age_of_a_forgotten_transaction(
    postgresql_url: str, admin: psycopg.Connection[Any]
) -> None:
    async with instance(postgresql_url) as api:
        figures = Figures(api)
        with psycopg.connect(postgresql_url) as forgotten:
            forgotten.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            forgotten.execute("SELECT 1")
            begun = query(forgotten, "SELECT CAST(extract(epoch FROM now()) AS DOUBLE PRECISION)")
            asked = query(admin, "SELECT CAST(extract(epoch FROM clock_timestamp()) AS DOUBLE PRECISION)")
            measured = await figures.measure()
            age = measured.pop("oldest_snapshot_seconds")
            assert age is not None
            assert age >= asked - begun
            assert measured == {"standbys": 0, "synchronous_standbys": 0, "replication_lag_bytes": None}


async def test_figures_that_a_user_may_not_see_are_absent_until_it_is_a_monitor(
    postgresql_url: str, admin: psycopg.Connection[Any]
) -> None:
    admin.execute(GRANTS.encode())
    try:
        async with instance(postgresql_url.replace("//postgres@", "//worker@")) as api:
            figures = Figures(api)
            assert await figures.measure() == dict.fromkeys(FIGURES)
            assert api.runtime.database.backend.size()[0] is not None
            admin.execute("GRANT pg_monitor TO worker")
            measured = await figures.measure()
            assert (measured["standbys"], measured["synchronous_standbys"]) == (0, 0)
            assert measured["oldest_snapshot_seconds"] is not None
    finally:
        admin.execute("DROP OWNED BY worker; DROP ROLE worker")


@contextmanager
def receiver(server: PostgresServer, folder: Path) -> Iterator[None]:
    """Receive the write-ahead log of a server, like a standby that never applies it."""
    program = sorted(postgres_server.INSTALLED.glob("*/bin/pg_receivewal"))[-1]
    to, of = f"--directory={folder}", f"--dbname={server.url('postgres')}"
    with subprocess.Popen([program, "--no-loop", "--synchronous", to, of]) as process:
        try:
            yield
        finally:
            process.terminate()


@pytest.mark.slow
async def test_a_synchronous_standby_is_counted_while_it_is_connected(tmp_path: Path) -> None:
    settings = {**FAST, "synchronous_standby_names": "pg_receivewal"}
    with postgres_server.running(settings) as server:
        url = server.url("postgres")
        async with open_runtime(settings_of(url), clock=MovableClock()) as runtime:
            figures = Figures(OperationsClient(runtime, MovableClock()))
            with psycopg.connect(url, autocommit=True) as connection:
                with receiver(server, tmp_path):
                    await until(connection, "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'")
                    measured = await figures.measure()
                    assert (measured["standbys"], measured["synchronous_standbys"]) == (1, 1)
                await until(connection, "SELECT CAST(count(*) = 0 AS INT) FROM pg_stat_replication")
            measured = await figures.measure()
            assert (measured["standbys"], measured["synchronous_standbys"]) == (0, 0)
