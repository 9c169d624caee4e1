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
from project_manager.domain.errors import DatabaseUnavailable, Internal
from project_manager.runtime.open import open_runtime
from project_manager.store import meta
from project_manager.store.long_reads import PIECE_CHARACTERS
from project_manager.store.opening import open_backend
from project_manager.store.postgres import driver
from project_manager.store.statement import Statement
from project_manager.store.tables import projects
from project_manager.store.transaction import Tx
from tests.stored_rows import settings_of

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

LIMIT_SECONDS = 5
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
        assert sockets.select([connection._link.fileno()], [], [], LIMIT_SECONDS)[0]
        with pytest.raises(psycopg.Error) as raised:
            connection.execute("SELECT 1")
        assert connection.is_lost
        assert isinstance(driver.as_domain_error(raised.value), DatabaseUnavailable)
