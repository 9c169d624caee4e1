"""Throwaway PostgreSQL servers for tests, on a Unix socket only, and databases on them."""

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT, Popen
from tempfile import mkdtemp
from typing import Any

import psycopg

INSTALLED = Path("/usr/lib/postgresql")
USER = "postgres"
IN_MEMORY = "/dev/shm"
NEEDED_MEMORY = 2 * 1024**3
"""Free bytes that all workers together need there. Docker's default has less."""
FAST = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "jit": "off",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "max_wal_size": "64MB",
    "min_wal_size": "32MB",
}
"""Settings of a server with data that no one needs after the tests."""
SORTED_AS_ENGLISH = ("--locale-provider=icu", "--icu-locale=en-US", "--locale=C")
"""Options of initdb. SQLite compares texts byte by byte, so a statement that relies on it fails on this server."""

# The standard input of this program is a pipe from the tests. It ends with their process, even if that was killed.
_SUPERVISOR = """
folder=$1 settings=$2
shift 2
trap 'rm -rf "$folder"' EXIT
initdb --pgdata="$folder/data" --username=postgres --auth=trust --encoding=UTF8 --no-sync "$@" > "$folder/log" 2>&1 &&
  pg_ctl --pgdata="$folder/data" --log="$folder/log" --options="$settings" --silent start ||
  { cat "$folder/log"; exit 1; }
echo started
cat
pg_ctl --pgdata="$folder/data" --mode=immediate --silent stop
"""


class NotInstalled(RuntimeError):
    """No PostgreSQL server is installed."""


class PostgresServer:
    """A running server."""

    def __init__(self, folder: Path, options: str, program: dict[str, Any]) -> None:
        """`options` are those of the server, and `program` the arguments of Popen for its programs."""
        self.folder = folder
        self._options = options
        self._program = program
        self._names = (f"test_{number}" for number in count(1))

    @property
    def pid(self) -> int:
        return int((self.folder / "data" / "postmaster.pid").read_text().splitlines()[0])

    @property
    def version(self) -> str:
        """The version of the server without its minor part, such as 15."""
        return (self.folder / "data" / "PG_VERSION").read_text().strip()

    def url(self, database: str) -> str:
        return f"postgresql://{USER}@/{database}?host={self.folder}"

    def create_database(self, template: str = "template1") -> str:
        """Create a database as a copy of another one, which has no connections, and return its name."""
        name = next(self._names)
        # The other strategy writes each block to the log of the server, which takes three times as long.
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        return name

    @contextmanager
    def database(self, template: str = "template1") -> Iterator[str]:
        """Yield the URL of a copy of a database, and drop the copy at the end."""
        name = self.create_database(template)
        yield self.url(name)
        self.drop_database(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, and close the connections to it."""
        self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def crash(self) -> None:
        """Stop the server at once, without a message to its clients. It recovers at the next start."""
        self._control("--mode=immediate", "stop")

    def start(self, **variables: str) -> None:
        """Start the server again with more environment variables, and wait until it accepts connections."""
        self._control(f"--log={self.folder}/log", f"--options={self._options}", "start", **variables)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop all processes of the server, so that it accepts connections and does not answer."""
        with stopped_processes(self.pid):
            yield

    def _control(self, *arguments: str, **variables: str) -> None:
        command = ["pg_ctl", f"--pgdata={self.folder}/data", "--silent", *arguments]
        program = {**self._program, "env": {**self._program["env"], **variables}}
        subprocess.run(command, check=True, stdin=DEVNULL, stdout=DEVNULL, **program)

    def _execute(self, sql: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(sql.encode())


@contextmanager
def stopped_processes(main: int) -> Iterator[None]:
    """Stop a server with this process id and its processes while the body runs."""
    os.kill(main, signal.SIGSTOP)  # it starts no other process from now on
    children = [int(pid) for pid in Path(f"/proc/{main}/task/{main}/children").read_text().split()]
    for pid in children:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in (*children, main):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@contextmanager
def running(
    settings: Mapping[str, str] = FAST, locale: Sequence[str] = SORTED_AS_ENGLISH, parent: str | None = None
) -> Iterator[PostgresServer]:
    """Start a server on a new folder in `parent`, then stop it and delete the folder, even if this process is killed.

    The default `parent` is in memory, if there is enough: a database is created there ten times as fast as on a disk.
    Raises NotInstalled.
    """
    program = program_arguments()
    folder = own_folder(parent)
    given = {"listen_addresses": "''", "unix_socket_directories": str(folder), **settings}
    options = " ".join(f"-c {name}={value}" for name, value in given.items())
    with Popen(
        ["sh", "-c", _SUPERVISOR, "supervisor", folder, options, *locale],
        stdin=PIPE,
        stdout=PIPE,
        stderr=STDOUT,
        text=True,
        start_new_session=True,  # Ctrl+C ends the tests, which then end the server
        **program,
    ) as supervisor:
        assert supervisor.stdout is not None
        first = supervisor.stdout.readline()
        if first != "started\n":
            raise RuntimeError(f"PostgreSQL did not start: {first}{supervisor.stdout.read()}")
        yield PostgresServer(folder, options, program)


def program_arguments() -> dict[str, Any]:
    """Return the arguments of Popen for the programs of PostgreSQL. Raises NotInstalled."""
    programs = _programs()
    arguments: dict[str, Any] = {"cwd": "/", "env": {"PATH": f"{programs}:{os.environ['PATH']}"}}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        user = pwd.getpwnam(USER)
        arguments |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    return arguments


def own_folder(parent: str | None = None) -> Path:
    """Create a folder for the data of servers, which belongs to their user."""
    # The path of a socket has at most 107 bytes, so that the usual folders of tests are too deep.
    folder = Path(mkdtemp(prefix="pm-postgresql-", dir=parent or _fastest_folder()))
    if os.geteuid() == 0:
        user = pwd.getpwnam(USER)
        os.chown(folder, user.pw_uid, user.pw_gid)
    return folder


def _fastest_folder() -> str:
    has_memory = Path(IN_MEMORY).is_dir() and shutil.disk_usage(IN_MEMORY).free >= NEEDED_MEMORY
    return IN_MEMORY if has_memory else "/tmp"


def _programs() -> Path:
    """Return the folder of the programs of the newest server. Debian does not put it on the PATH."""
    found = sorted(INSTALLED.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    if not found and not on_path:
        raise NotInstalled("PostgreSQL is not installed: run scripts/postgresql, as root")
    return found[-1].parent if found else Path(str(on_path)).parent
