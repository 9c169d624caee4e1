"""A primary and a standby of PostgreSQL, and a supervisor that promotes the standby after the primary was killed."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT, Popen
from typing import Any

import psutil
import psycopg

from tests.postgres_server import FAST, SORTED_AS_ENGLISH, USER, own_folder, program_arguments, stopped_processes

NAMES = ("one", "two")
DATABASE = "tasks"
STANDBY = "standby"
SETTINGS = {
    **FAST,
    "synchronous_commit": "on",
    "wal_keep_size": "256MB",
    "max_wal_size": "512MB",
    "wal_receiver_timeout": "5s",
    "wal_receiver_status_interval": "1s",
}
"""Settings of both servers. A killed process loses nothing that it has written to a file, also without fsync."""
SECONDS = 120.0
"""Bound on each wait for a server."""
POLL_SECONDS = 0.02

# The standard input of this program is a pipe from the tests. It ends with their process, even if that was killed.
_SUPERVISOR = """
folder=$1
trap 'rm -rf "$folder"' EXIT
cat
for node in one two; do
  pg_ctl --pgdata="$folder/$node/data" --mode=immediate --silent stop
done
"""

_STATES = f"SELECT sync_state FROM pg_stat_replication WHERE application_name = '{STANDBY}' AND state = 'streaming'"
_POSITION = "SELECT pg_current_wal_lsn()"
_HAS_RECEIVED = "SELECT pg_last_wal_receive_lsn() >= %s::pg_lsn"
_COMMIT = "SELECT pg_logical_emit_message(true, 'cluster', '')"
_TERMINATE = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
    " WHERE datname = %s AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)


class Node:
    """One server of a cluster, with its data and its socket in a folder."""

    def __init__(self, folder: Path, program: dict[str, Any]) -> None:
        self.folder = folder
        self._program = program

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def run(self, command: str, *arguments: str) -> None:
        """Run a program of PostgreSQL."""
        done = subprocess.run(
            [command, *arguments],
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            text=True,
            timeout=SECONDS,
            **self._program,
        )
        assert done.returncode == 0, f"{command}: {done.stdout}\n{self.log}"

    def control(self, *arguments: str) -> None:
        # The server inherits the output, so that it must not be a pipe.
        command = ["pg_ctl", f"--pgdata={self.data}", "--silent", *arguments]
        done = subprocess.run(command, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, timeout=SECONDS, **self._program)
        assert done.returncode == 0, f"{' '.join(command)}\n{self.log}"

    @property
    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text()[-2000:] if path.exists() else ""

    def initialize(self) -> None:
        """Create the data of a primary."""
        self.run(
            "initdb", f"--pgdata={self.data}", f"--username={USER}", "--auth=trust", "--encoding=UTF8", "--no-sync",
            *SORTED_AS_ENGLISH,
        )  # fmt: skip

    def copy(self, primary: "Node") -> None:
        """Replace the data by those of a standby of the primary."""
        self.run("rm", "-rf", str(self.data))
        self.run(
            "pg_basebackup", f"--pgdata={self.data}", "--write-recovery-conf", "--checkpoint=fast", "--no-sync",
            f"--dbname=host={primary.folder} user={USER} application_name={STANDBY}",
        )  # fmt: skip

    def start(self) -> None:
        """Start the server, and wait until it accepts connections."""
        settings = {**SETTINGS, "listen_addresses": "''", "unix_socket_directories": str(self.folder)}
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        self.control(f"--log={self.folder}/log", f"--options={options}", "start")

    def stop(self) -> None:
        self.control("--mode=immediate", "stop")

    def kill(self) -> None:
        """Kill all processes of the server, as the loss of its machine does."""
        server = psutil.Process(int((self.data / "postmaster.pid").read_text().splitlines()[0]))
        server.suspend()  # it starts no further process
        processes = [server, *server.children(recursive=True)]
        for process in processes:
            os.kill(process.pid, signal.SIGKILL)
        wait_until(lambda: not any(_is_running(process) for process in processes))
        # A container without an init process keeps the number of the server, which then seems to be running.
        for lock in (self.data / "postmaster.pid", self.folder / ".s.PGSQL.5432.lock"):
            lock.unlink()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop all processes of the server, so that it accepts connections and does not answer."""
        with stopped_processes(int((self.data / "postmaster.pid").read_text().splitlines()[0])):
            yield

    def url(self, database: str) -> str:
        return f"postgresql://{USER}@/{database}?host={self.folder}"

    def query(self, sql: str, *parameters: object, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement on a new connection, and return its rows."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(sql.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []


class PostgresCluster:
    """Two servers that swap their roles at each failover. `is_synchronous` makes each commit wait for the standby.

    As with the usual tools for failover, commits wait for no standby from the promotion until there is one again.
    """

    def __init__(self, folder: Path, program: dict[str, Any], *, is_synchronous: bool) -> None:
        self.nodes = [Node(folder / name, program) for name in NAMES]
        self.primary, self.standby = self.nodes
        self.is_synchronous = is_synchronous
        for node in self.nodes:
            node.run("mkdir", str(node.folder))
        self.primary.initialize()
        self.primary.start()
        self.primary.query(f"CREATE DATABASE {DATABASE}")

    @property
    def url(self) -> str:
        """The URL of the database on the server that takes writes."""
        hosts = ",".join(str(node.folder) for node in self.nodes)
        return f"postgresql://{USER}@/{DATABASE}?host={hosts}&target_session_attrs=read-write"

    def add_standby(self) -> None:
        """Copy the primary to the other server, and wait until it streams, or until commits wait for it."""
        self.standby.copy(self.primary)
        self.standby.start()
        wait_until(lambda: self.primary.query(_STATES) == [("async",)])
        if self.is_synchronous:
            self._set(self.primary, "synchronous_standby_names", STANDBY)
            wait_until(lambda: self.primary.query(_STATES) == [("sync",)])
            # The process of the checkpoints makes commits wait. It reads the settings before a checkpoint.
            self.primary.query("CHECKPOINT")
            self.primary.query(_COMMIT)

    def wait_for_standby(self) -> None:
        """Wait until the standby has everything that the primary has committed until now."""
        ((position,),) = self.primary.query(_POSITION)
        wait_until(lambda: self.standby.query(_HAS_RECEIVED, position) == [(True,)])

    def cut_off_standby(self) -> None:
        """Disconnect the standby from the primary, so that it gets no further commits."""
        self._set(self.standby, "primary_conninfo", "")
        wait_until(lambda: self.primary.query(_STATES) == [])

    def promote(self) -> None:
        """Make the standby the primary, after the old one was killed."""
        self.standby.control("promote")
        self.primary, self.standby = self.standby, self.primary

    def terminate_clients(self) -> None:
        """End the connections of the clients to the primary."""
        self.primary.query(_TERMINATE, DATABASE)

    def read(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query of the database on the primary."""
        return self.primary.query(sql, *parameters, database=DATABASE)

    def _set(self, node: Node, name: str, value: str) -> None:
        node.query(f"ALTER SYSTEM SET {name} = '{value}'")
        node.query("SELECT pg_reload_conf()")


@contextmanager
def running_cluster(*, is_synchronous: bool) -> Iterator[PostgresCluster]:
    """Yield a primary without a standby, then stop the servers and delete their data.

    This happens even if this process is killed. Raises NotInstalled.
    """
    program, folder = program_arguments(), own_folder()
    with Popen(
        ["sh", "-c", _SUPERVISOR, "supervisor", folder],
        stdin=PIPE,
        stdout=DEVNULL,
        stderr=DEVNULL,
        start_new_session=True,  # Ctrl+C ends the tests, which then end the servers
        **program,
    ):
        yield PostgresCluster(folder, program, is_synchronous=is_synchronous)


def wait_until(condition: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Poll the condition until it is true. Raises AssertionError when the time is over."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"not within {seconds} s"
        time.sleep(POLL_SECONDS)


def _is_running(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
