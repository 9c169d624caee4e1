"""A PostgreSQL server of Debian's package for the other queues, with its default durability, and its CPU time."""

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from tests.bench.servers import CPUCLOCK_SCHED, NotServing, free_ports

INSTALLED = Path("/usr/lib/postgresql")
USER = "postgres"


class Postgres:
    """A running server. `location` is the connection string of the database `bench`."""

    def __init__(self, location: str, pid: int, version: str) -> None:
        self.location = location
        self.version = version
        self._pid = pid

    def cpu_seconds(self) -> float:
        """Return the CPU time of the server, of its running backends and of those that have ended."""
        ticks = sum(map(int, Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()[13:15]))
        backends = Path(f"/proc/{self._pid}/task/{self._pid}/children").read_text().split()
        return ticks / os.sysconf("SC_CLK_TCK") + sum(map(_cpu_seconds, [self._pid, *map(int, backends)]))


def _cpu_seconds(pid: int) -> float:
    try:
        return time.clock_gettime((~pid << 3) | CPUCLOCK_SCHED)
    except OSError:  # it ended
        return 0.0


@contextmanager
def running() -> Iterator[Postgres]:
    """Start a server on a new folder, and stop it. Raises NotServing when it is not installed.

    PostgreSQL refuses to run as root, so root runs it as the user of Debian's package.
    """
    programs = sorted(INSTALLED.glob("*/bin"), key=lambda path: int(path.parent.name))
    if not programs:
        raise NotServing("PostgreSQL is not installed: add --install-postgresql")
    folder = Path(mkdtemp(prefix="bench-postgresql-", dir="/var/tmp"))
    try:
        if os.geteuid() == 0:
            user = pwd.getpwnam(USER)
            os.chown(folder, user.pw_uid, user.pw_gid)
        yield from _served(programs[-1], folder)
    finally:
        shutil.rmtree(folder)


def _served(programs: Path, folder: Path) -> Iterator[Postgres]:
    (port,) = free_ports(1)
    data, control = folder / "data", programs / "pg_ctl"
    options = f"-p {port} -k {folder} -c listen_addresses=''"
    _run(programs / "initdb", "-D", data, "-U", USER, "--auth=trust", "-E", "UTF8")
    _run(control, "-D", data, "-l", folder / "log", "-w", "-o", options, "start")
    try:
        _run(programs / "createdb", "-h", folder, "-p", str(port), "-U", USER, "bench")
        pid = int((data / "postmaster.pid").read_text().splitlines()[0])
        location = f"postgresql://{USER}@/bench?host={folder}&port={port}"
        yield Postgres(location, pid, (data / "PG_VERSION").read_text().strip())
    finally:
        _run(control, "-D", data, "-m", "fast", "-w", "stop")


def _run(*command: Path | str) -> None:
    words = [str(word) for word in command]
    prefix = ["runuser", "-u", USER, "--"] if os.geteuid() == 0 else []
    done = subprocess.run([*prefix, *words], capture_output=True, text=True, check=False, cwd="/")
    if done.returncode:
        raise NotServing(f"{words[0]} failed: {done.stderr.strip()}")
