"""The PostgreSQL servers of the tests themselves."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import psycopg
import pytest

from tests import postgres_server
from tests.postgres_server import NotInstalled, PostgresServer, running

LIMIT_SECONDS = 5
PROGRAM = """
import signal
from tests.postgres_server import running
with running() as server:
    print(server.pid, server.folder, flush=True)
    signal.pause()
"""


def tables(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [name for (name,) in connection.execute("SELECT relname FROM pg_class WHERE relkind = 'r'")]


def is_running(pid: int) -> bool:
    """Return whether a process runs. In a container without init, it stays a zombie after its end."""
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_database_of_a_test_has_the_schema_and_ends_with_the_test(
    postgresql_server: PostgresServer, postgresql_url: str
) -> None:
    name = postgresql_server.create_database()
    with psycopg.connect(postgresql_server.url(name)):
        postgresql_server.drop_database(name)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(postgresql_server.url(name))
    assert "tasks" in tables(postgresql_url)
    assert "tasks" not in tables(postgresql_server.url("postgres"))


def test_the_server_sorts_texts_in_another_order_than_sqlite(postgresql_url: str) -> None:
    with psycopg.connect(postgresql_url) as connection:
        assert connection.execute("SELECT 'a' < 'B', 'a' < 'B' COLLATE \"C\"").fetchone() == (True, False)


def test_the_server_has_a_socket_and_no_port(postgresql_server: PostgresServer) -> None:
    process = psutil.Process(postgresql_server.pid)
    assert process.net_connections("unix") != []
    assert process.net_connections("inet") == []


@pytest.mark.slow
def test_a_server_ends_and_its_folder_is_deleted_when_the_process_of_the_tests_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as tests:
        assert tests.stdout is not None
        pid, folder = tests.stdout.readline().split()
        (supervisor,) = psutil.Process(tests.pid).children()
        ended = os.pidfd_open(supervisor.pid)
        tests.send_signal(signal.SIGKILL)
    try:
        assert select.select([ended], [], [], LIMIT_SECONDS)[0] == [ended]
    finally:
        os.close(ended)
    assert not is_running(int(pid))
    assert not Path(folder).exists()


def test_a_missing_server_is_an_error_with_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(postgres_server, "INSTALLED", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotInstalled, match="run scripts/postgresql"), running():
        pass


@pytest.mark.slow
def test_a_server_that_does_not_start_names_the_cause() -> None:
    with pytest.raises(RuntimeError, match="shared_buffers"), running({"shared_buffers": "none"}):
        pass
