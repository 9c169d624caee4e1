"""Permissions and owners of the files that the program creates."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from project_manager.store.sqlite import private_files
from tests.e2e.command_line import CommandLine
from tests.e2e.conftest import Start

DATABASE = "data/tasks.db"


@contextmanager
def permissive() -> Iterator[None]:
    """Clear the umask, so that each new file gets all permissions that the program requests."""
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


def modes(folder: Path) -> dict[str, str]:
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*")}
    return {name: f"{stat.S_IMODE(path.stat().st_mode):o}" for name, path in found.items()}


def in_a_new_folder(cli: CommandLine) -> CommandLine:
    (cli.folder / "new").mkdir(0o755)
    (cli.folder / "new" / "plan.yaml").write_bytes((cli.folder / "plan.yaml").read_bytes())
    return CommandLine(cli.folder / "new")


def test_only_the_owner_can_access_the_files_that_a_command_creates(cli: CommandLine) -> None:
    new = in_a_new_folder(cli)
    with permissive():
        new.says("import", "plan.yaml")
        with closing(sqlite3.connect(new.folder / DATABASE)) as reader:
            reader.execute("SELECT count(*) FROM tasks").fetchone()
            beside = modes(new.folder / "data")
        new.says("backup")
        new.says("backup", "copy.db")
        new.says("export", "--output", "all.yaml")
        new.says("token", "create", "ada", "--output", "ada.token")
        new.says("restore", "copy.db", "--db-path", "restored.db")
    assert beside == {"tasks.db": "600", "tasks.db-wal": "600", "tasks.db-shm": "600"}
    made = modes(new.folder)
    folders = {name for name in made if (new.folder / name).is_dir()}
    assert {made[name] for name in folders & {"data", "data/backups"}} == {"700"}
    private = {name: mode for name, mode in made.items() if name not in folders | {"plan.yaml"}}
    assert private == dict.fromkeys(private, "600")
    assert {Path(name).suffix for name in private} >= {".db", ".sha256", ".json", ".yaml", ".token"}


def test_backups_and_their_folder_get_the_permissions_of_the_setting(cli: CommandLine) -> None:
    cli.says("backup", BACKUP_MODE="640")
    made = modes(cli.folder / "data" / "backups")
    assert sorted(made.values()) == ["640", "640"]
    assert modes(cli.folder / "data")["backups"] == "750"


def test_a_file_that_an_export_replaces_keeps_its_permissions(cli: CommandLine) -> None:
    target = cli.folder / "all.yaml"
    target.write_text("old")
    target.chmod(0o664)
    cli.says("export", "--output", "all.yaml")
    assert stat.S_IMODE(target.stat().st_mode) == 0o664


def test_files_that_root_creates_belong_to_the_owner_of_the_folder(cli: CommandLine) -> None:
    """Only root can change the owner of a file. Without root, files keep the current user."""
    kept = cli.folder / "kept"
    kept.mkdir()
    if os.geteuid() == 0:
        os.chown(kept, 4321, 1234)
    cli.says("backup", "kept/")
    cli.says("export", "--output", "kept/all.yaml")
    cli.says("token", "create", "ada", "--output", "kept/ada.token")
    cli.says("migrate", "--db-path", "kept/more/tasks.db")
    owner = (kept.stat().st_uid, kept.stat().st_gid)
    made = [*kept.rglob("*")]
    assert len(made) == 6
    assert {path: (path.stat().st_uid, path.stat().st_gid) for path in made} == dict.fromkeys(made, owner)


def test_a_secret_is_written_to_a_new_file_and_never_replaces_one(cli: CommandLine) -> None:
    victim = cli.folder / "victim"
    victim.write_text("mine")
    (cli.folder / "link").symlink_to(victim)
    for name in ("victim", "link"):
        assert "already exists; choose another" in cli.refuses(1, "token", "create", "ada", "--output", name)
    assert victim.read_text() == "mine"
    assert cli.run("token", "list").stdout == ""
    assert cli.says("token", "create", "ada", "--output", "ada.token") == ""
    assert (cli.folder / "ada.token").read_text().startswith("pm_")
    assert "token name 'ada' is already used" in cli.refuses(1, "token", "create", "ada", "--output", "again.token")
    assert not (cli.folder / "again.token").exists()


def test_a_temporary_folder_is_private_and_has_an_unpredictable_name(tmp_path: Path) -> None:
    seen = set()
    for _ in range(2):
        with permissive(), private_files.workspace(tmp_path / "copy.db", "unfinished") as unfinished:
            seen.add(unfinished.parent)
            assert sorted(modes(tmp_path).values()) == ["600", "700"]
    assert len(seen) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_start_warns_of_a_folder_and_a_database_that_other_users_can_reach(prepare_service: Start) -> None:
    service = prepare_service()
    service.folder.chmod(0o755)
    service.database.chmod(0o600)
    service.start()
    service.wait_until(lambda: service.lines("open_to_other_users"))
    (line,) = service.lines("open_to_other_users")
    assert (line["level"], str(service.folder) in line["message"]) == ("WARNING", True)
    assert str(service.database) not in line["message"]
    service.stop()
    assert stat.S_IMODE(service.folder.stat().st_mode) == 0o755
    service.folder.chmod(0o700)
    service.start()
    assert len(service.lines("open_to_other_users")) == 1
