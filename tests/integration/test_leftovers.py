"""Unfinished files of killed processes: the next start or backup removes them, and keeps those of live processes."""

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from project_manager.store.sqlite import backup, private_files
from project_manager.store.sqlite.database import prepare
from tests.e2e.service import TIMEOUT, environment
from tests.integration.test_backup import NOW

WORKER = """
import sys
from pathlib import Path
from project_manager.store.sqlite import private_files
with private_files.workspace(Path(sys.argv[1]), sys.argv[2]) as unfinished:
    unfinished.write_text("half of it")
    print("open", flush=True)
    sys.stdin.read()
"""


@contextmanager
def worker(target: Path, word: str) -> Iterator["subprocess.Popen[str]"]:
    """Return a process that is writing the new content of `target`."""
    command = [sys.executable, "-c", WORKER, str(target), word]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield process
        process.kill()


def hidden(folder: Path) -> list[str]:
    return sorted(path.name.rpartition("-")[0] for path in folder.iterdir() if path.name.startswith("."))


@pytest.mark.parametrize("word", ["restoring", "unfinished"])
def test_the_next_start_removes_only_the_leftovers_of_killed_processes(database_file: Path, word: str) -> None:
    left, other = f".pm.db.{word}", ".other.db.restoring"
    with worker(database_file, word) as killed, worker(database_file.with_name("other.db"), "restoring") as of_another:
        prepare(database_file, auto_migrate=True)
        assert hidden(database_file.parent) == [other, left]
        for process in (killed, of_another):
            process.send_signal(signal.SIGKILL)
            process.wait(TIMEOUT)
    assert hidden(database_file.parent) == [other, left]
    prepare(database_file, auto_migrate=True)
    assert hidden(database_file.parent) == [other]


def test_the_next_backup_removes_the_leftovers_of_a_killed_one_in_its_folder(database_file: Path) -> None:
    kept = database_file.parent / "kept"
    kept.mkdir()
    with worker(kept / "pm-20261123T100000000Z.db", "unfinished") as killed:
        backup.back_up(database_file, backup.backup_name(kept, database_file, NOW))
        assert len(hidden(kept)) == 1
        killed.kill()
        killed.wait(TIMEOUT)
    backup.back_up(database_file, backup.backup_name(kept, database_file, NOW))
    assert hidden(kept) == []


def test_a_workspace_is_made_again_when_another_process_has_removed_it_before_it_was_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, real = tmp_path / "tasks.db", tempfile.mkdtemp
    removed: list[Path] = []

    def removed_once(*, prefix: str, dir: Path) -> str:
        made = real(prefix=prefix, dir=dir)
        if not removed:
            removed.extend(private_files.remove_leftovers(tmp_path, lambda name: name == target.name))
        return made

    monkeypatch.setattr(tempfile, "mkdtemp", removed_once)
    with private_files.workspace(target, "unfinished") as unfinished:
        assert unfinished.is_file()
    assert len(removed) == 1
    assert list(tmp_path.iterdir()) == []
