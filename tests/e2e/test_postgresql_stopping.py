"""The end of a service whose PostgreSQL server does not answer, or waits for a standby that is away."""

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

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
WRITE = b'POST /api/tasks HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 15\r\n\r\n{"name":"lost"}'
READ = b"GET /api/tasks HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"

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
        yield


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
    with trouble(server), waiting_request(process, WRITE), waiting_request(process, READ), process.http() as http:
        assert http.get("/livez").is_success
        ends_in_time(process)


@contextmanager
def waiting_request(service: Service, request: bytes) -> Iterator[None]:
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.sendall(request)
        yield


def ends_in_time(service: Service) -> None:
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(ON_A_BUSY_MACHINE) == 0
    (left,) = service.lines("leave_failed")
    assert left["message"] == "cannot unregister this instance: the database does not answer"
