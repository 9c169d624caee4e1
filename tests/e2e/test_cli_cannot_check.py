"""A database that cannot be checked now is not reported as damaged."""

import json
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from shutil import copyfile

import pytest

from tests.e2e.command_line import COMMAND, CommandLine
from tests.e2e.service import environment
from tests.e2e.test_process_refused import AS_OWNER_ONLY

DATABASE = "data/tasks.db"
NOBODY = 65534


@pytest.fixture
def cli(tmp_path: Path, template: Path) -> CommandLine:
    (tmp_path / "data").mkdir()
    copyfile(template, tmp_path / DATABASE)
    return CommandLine(tmp_path)


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Hold a lock, as another program, that prevents all reads."""
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        yield


def as_a_user(cli: CommandLine, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run a command that is subject to file permissions, also when the tests run as root."""
    return subprocess.run(
        [*AS_OWNER_ONLY, *COMMAND, *words],
        cwd=cli.folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
    )


def test_a_locked_database_cannot_be_checked_copied_or_read(cli: CommandLine) -> None:
    cli.says("backup", "good.db")
    with locked(cli.folder / DATABASE):
        said = cli.refuses(5, "verify")
        assert "cannot be checked now: it is locked by another process" in said
        assert "damaged" not in said
        assert "restore" not in said
        assert "cannot be copied now: it is locked by another process" in cli.refuses(5, "backup", "copy.db")
        assert "locked by another process" in cli.refuses(5, "tasks")
    with locked(cli.folder / "good.db"):
        assert "cannot be checked now" in cli.refuses(5, "restore", "good.db")
    assert "is intact" in cli.says("verify")


def test_a_database_in_a_read_only_folder_is_checked_and_copied(cli: CommandLine) -> None:
    data = cli.folder / "data"
    data.chmod(0o555)
    try:
        checked = as_a_user(cli, "verify")
        copied = as_a_user(cli, "backup", "copy.db", "--json")
        beside = as_a_user(cli, "backup")
    finally:
        data.chmod(0o755)
    assert (checked.returncode, "is intact" in checked.stdout) == (0, True), checked.stderr
    assert json.loads(copied.stdout)["path"] == "copy.db"
    assert "This backup is missing from the metrics" in copied.stderr
    assert "is intact" in cli.says("verify", "copy.db")
    assert beside.returncode == 1
    assert beside.stderr.startswith("Cannot create folder data/backups: the folder data is read-only for uid ")
    assert sorted(path.name for path in data.iterdir()) == ["tasks.db"]


def test_a_database_with_a_wal_in_a_read_only_folder_must_be_copied_first(cli: CommandLine) -> None:
    data = cli.folder / "data"
    (data / "tasks.db-wal").write_bytes(b"left by a process that was killed")
    data.chmod(0o555)
    try:
        checked = as_a_user(cli, "verify")
    finally:
        data.chmod(0o755)
    assert checked.returncode == 5
    assert "cannot be checked now" in checked.stderr
    assert "copy tasks.db, tasks.db-wal to another folder and check the copy" in checked.stderr
    assert "damaged" not in checked.stderr


@pytest.mark.parametrize("name", ["good.db", "good.db.sha256"])
def test_an_unreadable_backup_cannot_be_checked(cli: CommandLine, name: str) -> None:
    cli.says("backup", "good.db")
    os.chown(cli.folder / name, NOBODY, NOBODY)
    (cli.folder / name).chmod(0o000)
    for words in (["verify", "good.db"], ["restore", "good.db"]):
        done = as_a_user(cli, *words)
        assert (done.returncode, "cannot be checked now: Permission denied" in done.stderr) == (5, True), done.stderr


def test_a_backup_into_a_read_only_folder_names_the_folder_and_the_reason(cli: CommandLine) -> None:
    (cli.folder / "ro").mkdir(0o555)
    for target in ("ro/copy.db", "ro/"):
        done = as_a_user(cli, "backup", target)
        assert done.returncode == 1
        assert "cannot be written to the folder ro: the folder ro is read-only for uid " in done.stderr
        assert "has mode 0555" in done.stderr
    assert list((cli.folder / "ro").iterdir()) == []


def test_files_that_root_creates_belong_to_the_user_of_the_service(cli: CommandLine) -> None:
    """Only root can change the owner of a file. Without root, files keep the current user."""
    data = cli.folder / "data"
    if os.geteuid() == 0:
        os.chown(data, NOBODY, NOBODY)
        os.chown(data / "tasks.db", NOBODY, NOBODY)
    data.chmod(0o750)
    (data / "tasks.db").chmod(0o640)
    cli.says("backup")
    cli.says("migrate", "--db-path", "data/new.db")
    owner = (data.stat().st_uid, data.stat().st_gid)
    made = [*data.rglob("*")]
    assert {path.suffix for path in made} == {"", ".db", ".sha256", ".json"}
    assert {path: (path.stat().st_uid, path.stat().st_gid) for path in made} == dict.fromkeys(made, owner)
    modes = {path.name.rpartition(".")[2]: path.stat().st_mode & 0o777 for path in made if path.name != "tasks.db"}
    assert modes == {"backups": 0o700, "db": 0o600, "sha256": 0o600, "json": 0o640}


def test_a_database_with_a_missing_table_is_reported_as_damaged(cli: CommandLine) -> None:
    with closing(sqlite3.connect(cli.folder / DATABASE)) as database:
        database.execute("DROP TABLE events")
    said = cli.refuses(1, "verify")
    assert "is damaged" in said
    assert "no such table" in said


def test_an_outdated_checksum_is_ignored_for_a_database_in_use(cli: CommandLine) -> None:
    (cli.folder / f"{DATABASE}.sha256").write_text("0" * 64 + "  tasks.db\n")
    assert json.loads(cli.says("verify", "--json"))["integrity"] is True
    assert "its checksum does not match" in cli.refuses(1, "verify", DATABASE)
