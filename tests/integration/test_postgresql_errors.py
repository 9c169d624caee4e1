"""Errors of the driver and of the server of PostgreSQL that do not come from a lost writer."""

import select as sockets
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import anyio
import anyio.to_thread
import psycopg
import pytest
from sqlalchemy import bindparam, select

from project_manager.domain.actors import SYSTEM
from project_manager.domain.service_errors import DatabaseUnavailable, Internal
from project_manager.runtime.open import open_runtime
from project_manager.store import meta
from project_manager.store.errors import DatabaseOpenError
from project_manager.store.long_reads import PIECE_CHARACTERS
from project_manager.store.opening import open_backend
from project_manager.store.postgres import driver
from project_manager.store.postgres.backend import PostgresBackend
from project_manager.store.readers import ReadSession
from project_manager.store.statement import Statement
from project_manager.store.tables import projects
from project_manager.store.transaction import Tx
from tests.stored_rows import settings_of

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

LIMIT_SECONDS = 5
READ_SECONDS = 0.9
BY_NAME = Statement(select(projects.c.id).where(projects.c.name == bindparam("name")))
REFUSED = "a\x00b"
"""A text that the driver refuses, because the server cannot store it."""
PREPARED = "SELECT count(*) FROM pg_prepared_statements"
OTHERS = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


def end_other_connections(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(OTHERS)


async def test_a_value_that_the_driver_refuses_fails_only_its_own_write(postgresql_url: str) -> None:
    async with open_runtime(settings_of(postgresql_url)) as runtime:
        writer = runtime.database.writer

        async def refused() -> None:
            with pytest.raises(Internal):
                await writer.run("refused", lambda tx: BY_NAME.value(tx, name=REFUSED), SYSTEM, "")

        async def accepted() -> None:
            assert await writer.run("accepted", lambda tx: BY_NAME.value(tx, name="none"), SYSTEM, "") is None

        with anyio.fail_after(LIMIT_SECONDS):
            async with anyio.create_task_group() as batch:
                batch.start_soon(refused)
                batch.start_soon(accepted)
        assert writer.failure is None


async def test_a_value_that_the_driver_refuses_in_a_read_is_a_defect_and_no_lost_server(postgresql_url: str) -> None:
    async with open_runtime(settings_of(postgresql_url)) as runtime:
        with pytest.raises(Internal):
            await runtime.database.readers.run("refused", lambda tx: BY_NAME.value(tx, name=REFUSED), SYSTEM, "")


async def test_a_reader_keeps_its_prepared_statements(postgresql_url: str) -> None:
    def prepared(tx: Tx) -> int:
        (found,) = tx.connection.execute(PREPARED).fetchone()
        for _ in range(2):
            meta.epoch(tx)
        return int(found)

    async with open_runtime(settings_of(postgresql_url, DATABASE_POOL_SIZE=1)) as runtime:
        readers = runtime.database.readers
        await readers.run("prepared", prepared, SYSTEM, "")
        assert await readers.run("prepared", prepared, SYSTEM, "") > 0


async def test_a_long_read_that_loses_its_connection_reports_an_unavailable_database(postgresql_url: str) -> None:
    def pieces(tx: Tx) -> Iterator[str]:
        while True:
            yield meta.epoch(tx).ljust(PIECE_CHARACTERS)

    async with (
        open_runtime(settings_of(postgresql_url)) as runtime,
        runtime.database.long_reads.open("pieces", pieces, SYSTEM, "") as read,
    ):
        assert await read.next()
        await anyio.to_thread.run_sync(end_other_connections, postgresql_url)
        with pytest.raises(DatabaseUnavailable):
            await read.next()


def test_a_long_read_without_a_server_reports_an_unavailable_database(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable):
        open_backend(f"postgresql:///tasks?host={tmp_path}").connect_long_read()


def test_a_transaction_that_was_idle_for_too_long_is_a_lost_connection(postgresql_url: str) -> None:
    with closing(driver.Connection(postgresql_url)) as connection:
        connection.run_script("BEGIN; SET LOCAL idle_in_transaction_session_timeout = '1ms'")
        assert sockets.select([connection._dbapi.fileno()], [], [], LIMIT_SECONDS)[0]
        with pytest.raises(psycopg.Error) as raised:
            connection.execute("SELECT 1")
        assert connection.is_lost
        assert isinstance(driver.as_domain_error(raised.value), DatabaseUnavailable)


def test_the_statements_of_a_read_have_one_timeout_together(postgresql_url: str) -> None:
    with closing(open_backend(postgresql_url).connect_reader()) as session:
        session.begin(READ_SECONDS)
        with pytest.raises(psycopg.errors.QueryCanceled):
            sleep_repeatedly(session)
        session.end()
        session.begin(LIMIT_SECONDS)
        assert session.connection.execute("SELECT 1").fetchone() == (1,)


def sleep_repeatedly(session: ReadSession) -> None:
    """Execute statements that are each shorter than the read, and together longer."""
    for _ in range(4):
        session.connection.execute(f"SELECT pg_sleep({READ_SECONDS / 3})")


async def test_a_database_that_cannot_be_opened_leaves_no_connection_open(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(backend: PostgresBackend) -> None:
        raise psycopg.OperationalError("no connection is left")

    monkeypatch.setattr(PostgresBackend, "connect_tail", fail)
    with pytest.raises(DatabaseOpenError, match="no connection is left"):
        async with open_runtime(settings_of(postgresql_url)):
            pass
    with anyio.fail_after(LIMIT_SECONDS):
        # The server ends its part a moment later.
        while await anyio.to_thread.run_sync(number_of_other_connections, postgresql_url):
            pass


def number_of_other_connections(url: str) -> int:
    with psycopg.connect(url) as connection:
        (row,) = connection.execute(OTHERS.replace("pg_terminate_backend(pid)", "*").encode())
        return int(row[0])
