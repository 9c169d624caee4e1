"""Settings of the database or of the user that would disturb the connections of the service."""

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from project_manager.store.opening import open_backend
from tests.postgres_server import PostgresServer

HARMFUL = {
    "client_encoding": "LATIN1",
    "default_transaction_isolation": "serializable",
    "statement_timeout": "20ms",
    "lock_timeout": "20ms",
    "idle_session_timeout": "20ms",
    "max_parallel_workers_per_gather": "8",
}
NEEDED = {
    "client_encoding": "UTF8",
    "default_transaction_isolation": "read committed",
    "statement_timeout": "0",
    "lock_timeout": "5s",
    "idle_session_timeout": "0",
    "max_parallel_workers_per_gather": "0",
}


@pytest.fixture
def url(postgresql_server: PostgresServer, postgresql_url: str) -> Iterator[str]:
    """Return the URL of a migrated database for a user with harmful settings."""
    with psycopg.connect(postgresql_server.url("postgres"), autocommit=True) as connection:
        connection.execute("CREATE ROLE unusual LOGIN SUPERUSER")
        for name, value in HARMFUL.items():
            connection.execute(f"ALTER ROLE unusual SET {name} = '{value}'".encode())
    yield postgresql_url.replace("postgres@", "unusual@")
    with psycopg.connect(postgresql_server.url("postgres"), autocommit=True) as connection:
        connection.execute("DROP ROLE unusual")


def test_each_connection_has_the_settings_that_it_needs(url: str) -> None:
    backend = open_backend(url)
    for connect in (backend.connect_writer, backend.connect_reader, backend.connect_long_read, backend.connect_tail):
        with closing(connect()) as session:
            found = {name: session.connection.execute(f"SHOW {name}").fetchone()[0] for name in NEEDED}
            assert found == NEEDED
            assert session.connection.execute("SELECT 'ł'").fetchone() == ("ł",)
