"""A copy that ends early, for any reason: the target is empty or missing, and the copy can be repeated."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE

import pytest

from project_manager.domain.errors import ProjectManagerError
from project_manager.runtime.open import open_runtime
from project_manager.store import copying
from project_manager.store.migrations import upgrade
from project_manager.store.postgres import hosts
from project_manager.store.sqlite import driver as sqlite
from tests import postgres_server
from tests.integration.first_release import ROWS
from tests.stored_rows import Address, read, settings_of, write

pytestmark = pytest.mark.slow

SECONDS = 60
PAUSED = """
import signal
import sys
from project_manager.__main__ import main
from project_manager.store import copying

def pause(*sides):
    print("filled", flush=True)
    sys.stdin.read()
    return verify(*sides)

verify, copying._verify = copying._verify, pause
sys.argv[1:1] = ["copy"]
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell makes its background jobs ignore it
main()
"""
"""The command, which waits with all rows in the target until its standard input ends."""


@pytest.fixture(params=["to-postgresql", "to-sqlite"])
def addresses(
    request: pytest.FixtureRequest, database_file: Path, postgresql_url: str, tmp_path: Path
) -> list[Address]:
    """Return a source with rows and an empty target."""
    found: list[Address] = [database_file, postgresql_url]
    if request.param == "to-sqlite":
        found = [postgresql_url, tmp_path / "copy.db"]
    fill(found[0])
    return found


def fill(address: Address) -> None:
    for row in ROWS:
        if "INSERT INTO instances" not in row:
            write(address, row)
    write(address, "UPDATE tasks SET open_dependencies = 1 WHERE id = 7")
    write(address, "UPDATE tasks SET unblocks = 1 WHERE id = 8")


@contextmanager
def paused_copy(source: Address, target: Address) -> "Iterator[subprocess.Popen[str]]":
    """Start the command and yield it when all rows are in the target. It continues when its standard input ends."""
    command = [sys.executable, "-c", PAUSED, str(source), str(target)]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "filled\n"
            yield process
        finally:
            process.kill()


def finished(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """Let the command continue, and return its exit status and its standard error."""
    _, errors = process.communicate(timeout=SECONDS)
    return process.returncode, errors


def is_empty(address: Address) -> bool:
    if isinstance(address, Path):
        return not address.exists()
    return all(
        read(address, f"SELECT count(*) AS n FROM {name}") == [{"n": 0}] for name in ("events", "tasks", "agents")
    )


def test_a_copy_that_a_signal_ends_leaves_nothing_and_can_be_repeated(addresses: list[Address]) -> None:
    source, target = addresses
    for number in (signal.SIGKILL, signal.SIGINT):
        with paused_copy(source, target) as process:
            assert is_empty(target)
            process.send_signal(number)
            assert process.wait(SECONDS) != 0
            assert process.stderr is not None
            assert "Traceback" not in process.stderr.read()
        assert is_empty(target)
    assert copying.copy(source, target).tables["tasks"].rows == 2
    if isinstance(target, Path):
        assert [path.name for path in target.parent.iterdir() if "unfinished" in path.name] == []


async def test_nothing_starts_on_either_side_during_a_copy(
    addresses: list[Address], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_MS", 10)
    monkeypatch.setattr(sqlite, "_PRAGMAS", ("busy_timeout=10",))
    monkeypatch.setattr(hosts, "_SETTINGS", hosts._SETTINGS.replace("'5s'", "'10ms'"))
    source, target = addresses
    with paused_copy(source, target) as process:
        for used in (source, target) if isinstance(target, str) else (source,):
            with pytest.raises(ProjectManagerError, match="is locked by another"):
                async with open_runtime(settings_of(used)):
                    raise AssertionError("it was opened")
        assert finished(process)[0] == 0
    for used in (source, target):
        async with open_runtime(settings_of(used)):
            pass


def test_a_lost_server_ends_a_copy_with_one_sentence(database_file: Path) -> None:
    fill(database_file)
    with postgres_server.running() as server:
        url = server.url(server.create_database()).replace("postgres@", "postgres:hush@")
        upgrade(url)
        with paused_copy(database_file, url) as process:
            server.crash()
            status, said = finished(process)
        assert status == 5
        assert re.fullmatch(r"The connection to postgresql:///test_1 was lost: .*\. The target is unchanged\.\n", said)
        server.start()
        assert is_empty(url)
        assert copying.copy(database_file, url).tables["tasks"].rows == 2
