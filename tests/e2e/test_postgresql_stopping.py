"""The end of a service whose PostgreSQL server does not answer, or waits for a standby that is away."""

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import count
from typing import Any

import psycopg
import pytest

from tests import postgres_server
from tests.e2e.conftest import Start
from tests.e2e.service import Service
from tests.postgres_server import FAST, PostgresServer

pytestmark = pytest.mark.slow

PROMISED_SECONDS = 5
ON_A_BUSY_MACHINE = PROMISED_SECONDS + 3
STANDBYS = "ALTER SYSTEM SET synchronous_standby_names = 'missing'"
STATE = "SELECT wait_event, state = 'idle' AND query LIKE 'CREATE%%' FROM pg_stat_activity WHERE pid = %s"
WRITE = b'POST /api/tasks HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 15\r\n\r\n{"name":"lost"}'
READ = b"GET /api/tasks HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
LONG_READ = b"GET /api/export HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"

Trouble = Callable[[PostgresServer], AbstractContextManager[None]]


@contextmanager
def stopped_server(server: PostgresServer) -> Iterator[None]:
    with server.stopped():
        yield


@contextmanager
def missing_standby(server: PostgresServer) -> Iterator[None]:
    with psycopg.connect(server.url("postgres"), autocommit=True) as administrator:
        administrator.execute(STANDBYS)
        administrator.execute("SELECT pg_reload_conf()")
        waiting = next(found for number in count() if (found := waiting_session(server, administrator, number)))
        yield
        waiting.close()


def waiting_session(
    server: PostgresServer, administrator: psycopg.Connection[Any], number: int
) -> psycopg.Connection[Any] | None:
    """Commit on a new connection. Return it if the commit waits for a standby, or None if the commit has ended."""
    session = psycopg.connect(server.url("postgres"), autocommit=True)
    session.pgconn.send_query(f"CREATE TABLE waiting_{number} ()".encode())
    while True:
        ((wait_event, has_ended),) = administrator.execute(STATE, (session.info.backend_pid,))
        if wait_event == "SyncRep":
            return session
        if has_ended:
            session.close()
            return None


@pytest.fixture
def service(prepare_service: Start) -> Iterator[tuple[Service, PostgresServer]]:
    """Start a service on a server of its own, which keeps each commit."""
    with postgres_server.running({**FAST, "synchronous_commit": "on"}) as server:
        started = prepare_service(DATABASE_PATH="", DATABASE_URL=server.url("postgres")).start()
        yield started, server
        started.end()


@pytest.mark.parametrize("trouble", [stopped_server, missing_standby])
def test_an_idle_service_ends_in_time(service: tuple[Service, PostgresServer], trouble: Trouble) -> None:
    process, server = service
    with trouble(server):
        ends_in_time(process)


@pytest.mark.parametrize("trouble", [stopped_server, missing_standby])
def test_a_service_with_requests_that_wait_for_the_server_ends_in_time(
    service: tuple[Service, PostgresServer], trouble: Trouble
) -> None:
    process, server = service
    with trouble(server), waiting_requests(process), process.http() as http:
        assert http.get("/livez").is_success
        ends_in_time(process)


@contextmanager
def waiting_requests(service: Service) -> Iterator[None]:
    """Send a write, a read and a long read, each on its own connection."""
    with ExitStack() as stack:
        for request in (WRITE, READ, LONG_READ):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", service.port)))
            connection.sendall(request)
        yield


def ends_in_time(service: Service) -> None:
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(ON_A_BUSY_MACHINE) == 0
    (left,) = service.lines("leave_failed")
    assert left["message"] == "cannot unregister this instance: the database does not answer"
