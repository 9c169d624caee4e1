"""Verified backups, and restores after which no fence or event number is used twice."""

import errno
import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from project_manager.domain.actors import LOCAL, Actor, Role
from project_manager.domain.errors import StaleFence
from project_manager.schemas.leases import AcquireTaskLock, ClaimNextTask
from project_manager.schemas.tasks import CreateTask, UpdateTaskStatus
from project_manager.services import claim_queue, leases, statuses, tasks
from project_manager.store import events, instances, meta, revisions
from project_manager.store.backend import Verified
from project_manager.store.errors import BackupError, DatabaseInUse, RestoreNotVerified
from project_manager.store.instances import this_host
from project_manager.store.migrations import upgrade
from project_manager.store.sqlite import backup, driver
from project_manager.store.sqlite.restore import restore
from project_manager.store.transaction import Tx
from tests.integration.first_release import FIRST, ROWS

pytestmark = pytest.mark.slow

NOW = 1_763_892_000_000
ADA = Actor("ada", "agent", Role.AGENT)
BOB = Actor("bob", "agent", Role.AGENT)
HOLDER = """
import sys
from project_manager.store.sqlite import driver
connection = driver.connect(sys.argv[1])
connection.execute("SELECT count(*) FROM tasks").fetchone()
print("open", flush=True)
sys.stdin.read()
"""


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    connection = driver.connect(str(path))
    try:
        yield connection
    finally:
        connection.close()


def do(path: Path, work: Callable[[Tx], Any], actor: Actor = LOCAL, now: int = NOW) -> Any:
    """Run `work` in a transaction of its own and commit it."""
    with opened(path) as connection:
        connection.execute(driver.BEGIN_WRITE)
        outcome = work(Tx(connection, now, actor, "", 5))
        connection.execute("COMMIT")
    return outcome


def make(path: Path, name: str, **fields: Any) -> int:
    new = CreateTask.model_validate({"name": name, **fields})
    return int(do(path, lambda tx: tasks.create(tx, new))["id"])


def claim(path: Path, task_id: int, actor: Actor = ADA, now: int = NOW) -> Any:
    wanted = AcquireTaskLock.model_validate({"task_id": task_id, "ttl_seconds": 3600})
    return do(path, lambda tx: leases.acquire(tx, wanted), actor, now).lock


def names(path: Path) -> list[str]:
    with opened(path) as connection:
        return [row[0] for row in connection.execute("SELECT name FROM tasks ORDER BY id")]


def test_a_backup_holds_everything_that_was_committed_while_it_is_still_in_the_log(
    database_file: Path, tmp_path: Path
) -> None:
    with opened(database_file) as in_use:
        in_use.execute("PRAGMA wal_autocheckpoint=0")
        make(database_file, "Paint")
        assert database_file.with_name(f"{database_file.name}-wal").stat().st_size > 0
        made = backup.back_up(database_file, tmp_path / "copy.db")
    assert names(made.path) == ["Paint"]
    assert (made.bytes, made.revision) == (made.path.stat().st_size, revisions.head())


def test_a_backup_has_a_checksum_file_that_sha256sum_reads(database_file: Path, tmp_path: Path) -> None:
    made = backup.back_up(database_file, tmp_path / "copy.db")
    assert made.sha256 == hashlib.sha256(made.path.read_bytes()).hexdigest()
    checked = subprocess.run(["sha256sum", "-c", "copy.db.sha256"], cwd=tmp_path, capture_output=True, timeout=5)
    assert checked.returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.db", "copy.db.sha256", "pm.db"]


@pytest.mark.promise("backup:whole")
def test_every_byte_that_flips_in_a_backup_is_found(database_file: Path, tmp_path: Path) -> None:
    path = backup.back_up(database_file, tmp_path / "copy.db").path
    whole = path.read_bytes()
    for place in random.Random(1).sample(range(len(whole)), 20):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert backup.check_file(path).problems != ()
    path.write_bytes(whole)
    assert backup.check_file(path).problems == ()


@pytest.mark.slow
@pytest.mark.promise("backup:whole")
def test_a_damaged_database_gives_no_backup_and_the_old_one_stays(database_file: Path, tmp_path: Path) -> None:
    for number in range(200):
        make(database_file, f"Task {number}")
    target = backup.back_up(database_file, tmp_path / "copy.db").path
    before = (target.read_bytes(), backup.checksum_path(target).read_bytes())
    damage(database_file)
    with pytest.raises(BackupError):
        backup.back_up(database_file, target)
    assert (target.read_bytes(), backup.checksum_path(target).read_bytes()) == before
    assert sorted(path.name for path in tmp_path.glob("*copy*")) == ["copy.db", "copy.db.sha256"]


def damage(path: Path) -> None:
    """Overwrite the beginning of each page in the middle with zeros."""
    whole = bytearray(path.read_bytes())
    for page in range(3, len(whole) // 4096 - 1):
        whole[page * 4096 : page * 4096 + 64] = bytes(64)
    path.write_bytes(bytes(whole))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("DELETE FROM events WHERE seq = 2", "event 2 is missing"),
        ("UPDATE tasks SET open_dependencies = 7", "wrong dependency counters"),
        ("DELETE FROM claimable_labels WHERE label = 'paint'", "task 3 is missing from the label index"),
        ("UPDATE claimable_labels SET rank = 7 WHERE label = 'paint'", "task 3 is missing from the label index"),
        ("DELETE FROM task_labels WHERE label = 'paint'", "task 3 has wrong entries in task_labels"),
        ("INSERT INTO task_labels VALUES ('paint', 1)", "task 1 has wrong entries in task_labels"),
        ("PRAGMA foreign_keys=OFF; DELETE FROM projects", "refers to a missing row"),
        ("ALTER TABLE meta RENAME TO songs", "not a Project Manager database"),
        ("DROP TABLE alembic_version", "not a Project Manager database"),
    ],
)
def test_a_check_finds_damage_in_the_content_of_intact_pages(database_file: Path, damage: str, words: str) -> None:
    for number in range(2):
        make(database_file, f"Task {number}")
    make(database_file, "With labels", labels=["wood", "paint"])
    assert backup.check_file(database_file).problems == ()
    with opened(database_file) as connection:
        connection.executescript(damage)
    found = backup.check_file(database_file)
    assert any(words in difference for difference in (*found.problems, *found.differences))


def test_a_file_that_is_no_database_is_reported_as_such(tmp_path: Path) -> None:
    other = tmp_path / "letter.txt"
    other.write_text("Dear Ada")
    assert backup.check_file(other).problems == ("it is not a database",)
    with pytest.raises(BackupError, match="no database at"):
        backup.back_up(tmp_path / "nowhere.db", tmp_path / "copy.db")


def test_a_backup_makes_no_folder(database_file: Path, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="new not found"):
        backup.back_up(database_file, tmp_path / "new" / "copy.db")
    assert not (tmp_path / "new").exists()


def test_an_examination_changes_no_byte(database_file: Path, tmp_path: Path) -> None:
    path = backup.back_up(database_file, tmp_path / "copy.db").path
    before = path.read_bytes()
    backup.check_file(path)
    assert path.read_bytes() == before
    assert sorted(found.name for found in tmp_path.glob("copy*")) == ["copy.db", "copy.db.sha256"]


def test_only_the_oldest_backups_of_this_database_are_removed(database_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    made = [
        backup.back_up(database_file, backup.backup_name(folder, database_file, NOW + day)).path for day in range(4)
    ]
    others = [folder / "team-20261123T100000000Z.db", folder / "pm-mine.db"]
    for other in others:
        other.write_text("")
    assert backup.keep_newest(folder, database_file, 2) == made[:2]
    assert sorted(folder.glob("*.db")) == sorted([*made[2:], *others])
    assert len(list(folder.glob("*.sha256"))) == 2


def test_the_last_backup_can_be_read_by_the_processes_that_serve_the_database(database_file: Path) -> None:
    assert backup.last_verified(database_file) is None
    backup.record_verification(database_file, Verified(1763892000.5, 0.25))
    assert backup.last_verified(database_file) == Verified(1763892000.5, 0.25)


def test_a_restore_brings_back_the_backup_and_keeps_the_replaced_database(database_file: Path, tmp_path: Path) -> None:
    make(database_file, "Before")
    source = backup.back_up(database_file, tmp_path / "copy.db").path
    make(database_file, "After")
    done = restore(source, database_file, NOW)
    assert names(database_file) == ["Before"]
    assert done.previous is not None
    assert names(done.previous) == ["Before", "After"]
    assert backup.check_file(database_file).problems == ()


@pytest.mark.promise("restore:nothing-twice")
def test_no_fence_that_was_handed_out_is_handed_out_again(database_file: Path, tmp_path: Path) -> None:
    task_id = make(database_file, "Paint")
    source = backup.back_up(database_file, tmp_path / "copy.db").path
    given = [claim(database_file, task_id, now=NOW + round_trip * 3_700_000).fence for round_trip in range(3)]
    restore(source, database_file, NOW + 20_000_000)
    again = claim(database_file, task_id, now=NOW + 20_000_000).fence
    fresh = claim(database_file, make(database_file, "New"), now=NOW + 20_000_000).fence
    assert min(again, fresh) > max(given)
    restore(source, database_file, NOW)  # the clock has stepped back
    assert claim(database_file, task_id, now=NOW).fence > again


def test_a_second_restore_at_the_same_instant_keeps_the_files_that_the_first_one_kept(
    database_file: Path, tmp_path: Path
) -> None:
    source = backup.back_up(database_file, tmp_path / "copy.db").path
    make(database_file, "First")
    kept = []
    for name in ("First", "Second"):
        kept.append(restore(source, database_file, NOW).previous)
        make(database_file, name)
    assert [names(path) for path in kept if path is not None] == [["First"], ["First"]]
    assert kept[0] != kept[1]


def test_an_agent_with_a_lease_from_before_is_refused_and_the_task_is_offered_again(
    database_file: Path, tmp_path: Path
) -> None:
    task_id = make(database_file, "Paint")
    lock = claim(database_file, task_id)
    source = backup.back_up(database_file, tmp_path / "copy.db").path
    done = restore(source, database_file, NOW + 1000)
    assert done.released == 1
    ended = "SELECT worked_by, worked_seconds, lock_holder, unconfirmed_fence FROM tasks"
    assert do(database_file, lambda tx: tx.connection.execute(ended, ()).fetchall()) == [(ADA.id, 1, None, None)]
    late = UpdateTaskStatus.model_validate({"task_id": task_id, "status": "DONE", "fence": lock.fence})
    with pytest.raises(StaleFence):
        do(database_file, lambda tx: statuses.update_status(tx, late), ADA, NOW + 2000)
    assert claim(database_file, task_id, Actor("bob", "agent", Role.AGENT), NOW + 2000).holder == "bob"
    types = do(database_file, lambda tx: [event.type for event in events.after(tx, 0, 100)])
    assert types[-4:] == ["task.status_changed", "task.unlocked", "task.locked", "task.status_changed"]


def test_a_task_that_a_restore_releases_is_found_by_its_label(database_file: Path, tmp_path: Path) -> None:
    new = CreateTask.model_validate({"name": "Paint", "labels": ["wood"]})
    task_id = do(database_file, lambda tx: tasks.create(tx, new))["id"]
    claim(database_file, task_id)
    restore(backup.back_up(database_file, tmp_path / "copy.db").path, database_file, NOW + 1000)
    command = ClaimNextTask.model_validate({"labels": ["wood"]})
    claimed = do(
        database_file, lambda tx: claim_queue.claim_next(tx, command), Actor("bob", "agent", Role.AGENT), NOW + 2000
    )
    assert claimed.lock.task_id == task_id


@pytest.mark.promise("restore:nothing-twice")
def test_a_restored_database_begins_another_epoch_and_knows_no_instances(database_file: Path, tmp_path: Path) -> None:
    source = backup.back_up(database_file, tmp_path / "copy.db").path
    before = do(database_file, meta.epoch)
    done = restore(source, database_file, NOW)
    assert do(database_file, meta.epoch) == done.epoch != before
    assert do(database_file, instances.live) == []


def test_a_database_that_cannot_be_read_any_more_is_restored_and_set_aside(database_file: Path, tmp_path: Path) -> None:
    make(database_file, "Before")
    source = backup.back_up(database_file, tmp_path / "copy.db").path
    database_file.write_bytes(b"noise" * 5000)
    done = restore(source, database_file, NOW)
    assert names(database_file) == ["Before"]
    assert done.previous is not None
    assert done.previous.read_bytes() == b"noise" * 5000


def test_a_restore_where_nothing_was_makes_the_database(database_file: Path, tmp_path: Path) -> None:
    make(database_file, "Before")
    source = backup.back_up(database_file, tmp_path / "copy.db").path
    done = restore(source, tmp_path / "new.db", NOW)
    assert names(tmp_path / "new.db") == ["Before"]
    assert done.previous is None


def test_a_copy_with_its_log_is_restored_with_the_content_of_the_log(database_file: Path, tmp_path: Path) -> None:
    with opened(database_file) as in_use:
        in_use.execute("PRAGMA wal_autocheckpoint=0")
        make(database_file, "In the log")
        for suffix in ("", "-wal"):
            (tmp_path / f"copy.db{suffix}").write_bytes(
                database_file.with_name(database_file.name + suffix).read_bytes()
            )
    restore(tmp_path / "copy.db", tmp_path / "new.db", NOW)
    assert names(tmp_path / "new.db") == ["In the log"]


def test_a_backup_that_is_not_whole_is_refused_and_nothing_changes(database_file: Path, tmp_path: Path) -> None:
    source = backup.back_up(database_file, tmp_path / "copy.db").path
    source.write_bytes(source.read_bytes()[:-1] + b"\x01")
    before = database_file.read_bytes()
    with pytest.raises(BackupError, match="damaged"):
        restore(source, database_file, NOW)
    with pytest.raises(BackupError, match="not found"):
        restore(tmp_path / "nowhere.db", database_file, NOW)
    with pytest.raises(BackupError, match="itself"):
        restore(database_file, database_file, NOW)
    assert database_file.read_bytes() == before
    assert list(tmp_path.glob("*before-restore*")) == []


def test_a_restore_is_refused_while_a_process_has_the_database_open(database_file: Path, tmp_path: Path) -> None:
    source = backup.back_up(database_file, tmp_path / "copy.db").path
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(database_file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        holder.send_signal(signal.SIGSTOP)
        with pytest.raises(DatabaseInUse, match="open"):
            restore(source, database_file, NOW)
        holder.send_signal(signal.SIGCONT)
        holder.communicate(timeout=5)
        restore(source, database_file, NOW)
    finally:
        holder.kill()
        holder.wait(5)


def lose_page(target: Path) -> None:
    """Damage the file, like a disk that loses a page."""
    with target.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096)


def fail_fsync(_target: Path) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.mark.parametrize(
    ("fault", "problem"), [(lose_page, "is damaged"), (fail_fsync, "may not be on disk")], ids=["page", "fsync"]
)
def test_a_restore_that_cannot_be_verified_reports_that_the_database_was_replaced(
    database_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Callable[[Path], None], problem: str
) -> None:
    make(database_file, "present")
    source = backup.back_up(database_file, tmp_path / "copy.db").path
    make(database_file, "later")
    real = backup.replace_file

    def replace(finished: Path, target: Path) -> None:
        real(finished, target)
        fault(target)

    monkeypatch.setattr(backup, "replace_file", replace)
    with pytest.raises(RestoreNotVerified) as caught:
        restore(source, database_file, NOW)
    (kept,) = database_file.parent.glob("*.before-restore-*")
    assert f"was replaced, but the new file {problem}" in str(caught.value)
    assert f"the previous database is kept as {kept}" in str(caught.value)
    assert names(kept) == ["present", "later"]


def test_a_backup_with_an_older_schema_is_restored_and_then_migrated(database_file: Path, tmp_path: Path) -> None:
    older = tmp_path / "older.db"
    upgrade(str(older), FIRST)
    with opened(older) as connection:
        for statement in ROWS:
            connection.execute(statement)
    source = backup.back_up(older, tmp_path / "copy.db").path
    restore(source, database_file, NOW)
    with opened(database_file) as connection:
        assert revisions.current(connection) == FIRST
    upgrade(str(database_file))
    assert names(database_file) == ["Paint", "Oil"]
    with opened(database_file) as connection:
        leased = "SELECT status, lock_holder, lock_kind FROM tasks WHERE id = 7"
        assert connection.execute(leased).fetchone() == ("TODO", None, None)


def test_a_restore_ends_the_lease_of_a_review_and_keeps_the_submission(database_file: Path, tmp_path: Path) -> None:
    task_id = make(database_file, "Paint", paths=["src/**"])
    submit = UpdateTaskStatus.model_validate({"task_id": task_id, "status": "REVIEW", "summary": "painted"})
    do(database_file, lambda tx: statuses.update_status(tx, submit), ADA)
    review = ClaimNextTask.model_validate({"kind": "review"})
    assert do(database_file, lambda tx: claim_queue.claim_next(tx, review), BOB).lock.kind == "review"
    restore(backup.back_up(database_file, tmp_path / "copy.db").path, database_file, NOW)
    with opened(database_file) as connection:
        found = connection.execute("SELECT status, lock_holder, lock_kind, submission_id FROM tasks").fetchone()
        moved = connection.execute("SELECT count(*) FROM events WHERE type = 'task.status_changed'").fetchone()
    assert found == ("REVIEW", None, None, 1)
    assert moved == (1,), "the restore changed no status"
    assert backup.check_file(database_file).differences == ()


@pytest.mark.parametrize("is_there", [True, False], ids=["database", "folder"])
def test_a_restored_database_keeps_its_owner(database_file: Path, tmp_path: Path, is_there: bool) -> None:
    """Only an administrator can change the owner of a file. For other users the owner stays the same."""
    source = backup.back_up(database_file, tmp_path / "copy.db").path
    before = database_file if is_there else database_file.parent
    if os.geteuid() == 0:
        os.chown(before, 4321, 1234)
    if not is_there:
        database_file.unlink()
    owner = before.stat()
    restore(source, database_file, NOW)
    after = database_file.stat()
    assert (after.st_uid, after.st_gid) == (owner.st_uid, owner.st_gid)


@pytest.mark.parametrize(
    ("host", "pid", "age", "refused"),
    [
        ("elsewhere", 1, 0, True),
        ("elsewhere", 1, 25_000, False),
        (this_host(), os.getppid(), 0, True),
        (this_host(), 2**22 + 1, 0, False),
        (f"{socket.gethostname()}@another-machine", 2**22 + 1, 0, True),
    ],
    ids=["elsewhere", "elsewhere-long-ago", "here", "here-but-gone", "another-machine-of-this-name"],
)
def test_a_restore_is_refused_while_an_instance_gives_signs_of_life(
    database_file: Path, tmp_path: Path, host: str, pid: int, age: int, refused: bool
) -> None:
    source = backup.back_up(database_file, tmp_path / "copy.db").path
    enter: Callable[[Tx], None] = lambda tx: instances.register(tx, "i", host=host, pid=pid, version="1", kind="serve")  # noqa: E731
    do(database_file, enter, now=NOW - age)
    if refused:
        with pytest.raises(DatabaseInUse, match=str(pid)):
            restore(source, database_file, NOW)
    else:
        restore(source, database_file, NOW)
