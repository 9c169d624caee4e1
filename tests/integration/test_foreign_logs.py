"""Logs that SQLite has left at the path of a database never become a part of another database."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shutil import copyfile

import pytest

from project_manager.store.errors import BackupError, DatabaseInUse, DatabaseTemporarilyUnavailable
from project_manager.store.migrations import upgrade
from project_manager.store.sqlite import backup, files
from project_manager.store.sqlite.database import move_foreign_logs, prepare
from project_manager.store.sqlite.restore import restore
from tests.e2e.command_line import SECONDS
from tests.integration.test_backup import HOLDER, NOW, make, names, opened

pytestmark = pytest.mark.slow

PROBE = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('SELECT count(*) FROM tasks')"


@pytest.fixture
def source(database_file: Path, tmp_path: Path) -> Path:
    """Return a backup with one task."""
    make(database_file, "Before")
    return backup.back_up(database_file, tmp_path / "good.db").path


def leave_log(database: Path) -> bytes:
    """Leave the log of a killed process, with its writes and without its locks, and return its path."""
    with opened(database) as killed:
        killed.execute("PRAGMA wal_autocheckpoint=0")
        for number in range(50):
            make(database, f"After {number}")
        left = {log: log.read_bytes() for log in files.logs_of(database)}
    for log, content in left.items():
        log.write_bytes(content)
    return left[files.log_path(database, "-wal")]


@contextmanager
def opened_elsewhere(database: Path) -> Iterator[None]:
    """Keep the database open in another process."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        yield
        holder.communicate(timeout=SECONDS)


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_a_restore_sets_aside_the_log_of_a_removed_database(database_file: Path, source: Path, suffix: str) -> None:
    log = leave_log(database_file)
    database_file.unlink()
    if suffix == "-journal":
        files.log_path(database_file, "-shm").unlink()
        files.log_path(database_file, "-wal").rename(files.log_path(database_file, "-journal"))
    done = restore(source, database_file, NOW)
    assert done.previous is None
    assert {path.name.rpartition("-")[2] for path in done.logs} >= {suffix[1:]}
    assert next(path for path in done.logs if path.name.endswith(suffix)).read_bytes() == log
    assert files.logs_of(database_file) == []
    assert names(database_file) == ["Before"]
    assert backup.check_file(database_file).problems == ()


def test_a_restore_through_a_symbolic_link_finds_the_logs_where_sqlite_keeps_them(
    database_file: Path, source: Path, tmp_path: Path
) -> None:
    link = tmp_path / "link" / "tasks.db"
    link.parent.mkdir()
    link.symlink_to(database_file)
    leave_log(database_file)
    database_file.unlink()
    done = restore(source, link, NOW)
    assert {log.parent for log in done.logs} == {database_file.parent}
    assert link.is_symlink()
    assert names(link) == ["Before"]


def test_a_restore_sets_aside_a_log_next_to_a_backup_copied_into_place(database_file: Path, source: Path) -> None:
    """The file was copied next to the log of a killed process. A checkpoint of that log would damage the file."""
    leave_log(database_file)
    copyfile(source, database_file)
    done = restore(source, database_file, NOW)
    assert done.previous is not None
    assert done.previous.read_bytes() == source.read_bytes()
    assert names(database_file) == ["Before"]


def test_a_restored_database_has_no_checksum_of_the_file_that_it_replaces(database_file: Path, source: Path) -> None:
    other = backup.back_up(database_file, database_file.with_name("other.db")).path
    backup.checksum_path(other).write_text("0" * 64 + "  other.db\n")
    restore(source, other, NOW)
    assert backup.check_file(other).problems == ()


@pytest.mark.parametrize("file_is_there", [True, False], ids=["replaced", "removed"])
def test_a_restore_finds_a_process_that_has_a_removed_database_file_open(
    database_file: Path, source: Path, file_is_there: bool
) -> None:
    with opened_elsewhere(database_file):
        database_file.unlink()
        if file_is_there:
            copyfile(source, database_file)
        with pytest.raises(DatabaseInUse, match="open"):
            restore(source, database_file, NOW)
        with pytest.raises(DatabaseInUse, match="open"):
            backup.back_up(source, database_file)


def test_a_restore_finds_a_process_that_has_a_removed_database_and_its_logs_open(
    database_file: Path, source: Path
) -> None:
    with opened_elsewhere(database_file):
        for path in (database_file, *files.logs_of(database_file)):
            path.unlink()
        with pytest.raises(DatabaseInUse, match="although the file was removed"):
            restore(source, database_file, NOW)
    restore(source, database_file, NOW)
    assert names(database_file) == ["Before"]


def test_no_new_database_is_made_where_a_process_has_the_removed_one_open(database_file: Path) -> None:
    with opened_elsewhere(database_file):
        make(database_file, "In the log")
        database_file.unlink()
        with pytest.raises(DatabaseTemporarilyUnavailable, match="was removed but is still open in a process"):
            prepare(database_file, auto_migrate=True)
        assert not database_file.exists()


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_a_backup_is_not_written_next_to_a_log_that_would_become_part_of_it(
    database_file: Path, tmp_path: Path, suffix: str
) -> None:
    (tmp_path / f"copy.db{suffix}").write_bytes(b"left over")
    with pytest.raises(BackupError, match=f"copy.db{suffix} belongs to another database"):
        backup.back_up(database_file, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


@pytest.mark.parametrize(
    "make_database", [lambda path: prepare(path, auto_migrate=True), lambda path: upgrade(str(path))]
)
def test_a_new_database_is_created_next_to_a_left_over_log_which_is_kept(
    database_file: Path, make_database: Callable[[Path], None]
) -> None:
    log = leave_log(database_file)
    database_file.unlink()
    make_database(database_file)
    kept = [
        path for path in database_file.parent.iterdir() if ".left-over-" in path.name and path.name.endswith("-wal")
    ]
    assert [path.read_bytes() for path in kept] == [log]
    assert names(database_file) == []


def test_a_start_sets_the_log_of_another_database_aside_and_leaves_one_of_its_own(
    database_file: Path, source: Path
) -> None:
    leave_log(database_file)
    move_foreign_logs(database_file)
    assert len(names(database_file)) == 51
    leave_log(database_file)
    copyfile(source, database_file)
    assert any("belongs to another database" in fault for fault in backup.check_file(database_file).problems)
    with pytest.raises(BackupError, match="belongs to another database"):
        backup.back_up(database_file, database_file.with_name("copy.db"))
    prepare(database_file, auto_migrate=True)
    assert names(database_file) == ["Before"]
    assert backup.check_file(database_file).problems == ()


def test_no_database_is_opened_next_to_the_log_of_a_removed_one_that_is_open(database_file: Path, source: Path) -> None:
    with opened_elsewhere(database_file):
        make(database_file, "In the log")
        database_file.unlink()
        copyfile(source, database_file)
        with pytest.raises(
            DatabaseTemporarilyUnavailable, match="belongs to a removed database that is still open in a process"
        ):
            prepare(database_file, auto_migrate=True)
    prepare(database_file, auto_migrate=True)
    assert names(database_file) == ["Before"]


def test_the_database_stays_locked_while_its_logs_are_checked(source: Path) -> None:
    source.with_name("good.db-wal").write_bytes(b"left over")
    probe = [sys.executable, "-c", PROBE, str(source)]
    with ExitStack() as opened_files, files.exclusive_locks(source) as free:
        assert free
        assert files.foreign_logs(source, opened_files) == [source.with_name("good.db-wal")]
        probed = subprocess.run(probe, capture_output=True, text=True, check=False, timeout=SECONDS)
        assert "locked" in probed.stderr
