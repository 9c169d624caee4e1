"""Failures of `alembic upgrade head` and `project-manager migrate`.

The output ends with one sentence. It is JSON where logs are JSON.
"""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from project_manager.store import revisions
from tests.e2e.command_line import COMMAND
from tests.e2e.service import CHECKOUT, environment
from tests.e2e.test_process_refused import AS_OWNER_ONLY

ALEMBIC = [sys.executable, "-m", "alembic", "upgrade", "head"]
MIGRATE = [*COMMAND, "migrate"]
SECONDS = 60
OWNER = 4321
NEXT = """
import os, signal
from alembic import op

revision = "9001"
down_revision = {previous!r}


def upgrade():
    op.execute("CREATE TABLE colours (name TEXT)")
    {last}
"""


def failure(command: list[str], folder: Path = CHECKOUT, **variables: str) -> list[str]:
    """Return the output lines of a migration that must fail."""
    done = subprocess.run(
        [*AS_OWNER_ONLY, *command],
        cwd=folder,
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    return done.stderr.splitlines()


@pytest.mark.parametrize("command", [ALEMBIC, MIGRATE], ids=["alembic", "migrate"])
@pytest.mark.parametrize("form", ["json", "text"])
def test_the_error_for_a_folder_of_another_user_names_the_owner_and_a_remedy(
    tmp_path: Path, command: list[str], form: str
) -> None:
    """This is the case of a host folder in a container. Only root can give the folder to another user."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    if os.geteuid() == 0:
        os.chown(folder, OWNER, OWNER)
    folder.chmod(0o555)
    (line,) = failure(command, DATABASE_PATH=str(folder / "tasks.db"), LOG_FORMAT=form)
    sentence = json.loads(line)["message"] if form == "json" else line
    assert f"tasks.db cannot be used: the folder {folder} is read-only for uid {os.geteuid()};" in sentence
    assert f"belongs to uid {folder.stat().st_uid} and has mode 0555" in sentence
    assert (f"chown -R 0 {folder}" if os.geteuid() == 0 else f"chmod u+rwX {folder}") in sentence
    assert list(folder.iterdir()) == []


def test_a_newer_and_a_foreign_database_stay_unchanged(tmp_path: Path, template: Path) -> None:
    newer, foreign = tmp_path / "newer.db", tmp_path / "foreign.db"
    shutil.copyfile(template, newer)
    for path, statement in (
        (newer, "UPDATE alembic_version SET version_num = '9999'"),
        (foreign, "CREATE TABLE songs (title TEXT)"),
    ):
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(statement)
    (line,) = failure(ALEMBIC, DATABASE_PATH=str(newer))
    assert line.endswith("use the newer release.")
    (line,) = failure(ALEMBIC, DATABASE_PATH=str(foreign))
    assert line.endswith(f"the database {foreign} was created by another program.")
    with closing(sqlite3.connect(foreign)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("songs",)]


def test_a_malformed_setting_ends_a_migration_with_one_line(tmp_path: Path) -> None:
    (line,) = failure(ALEMBIC, DATABASE_PATH=str(tmp_path / "tasks.db"), MAX_ATTEMPTS="five", LOG_FORMAT="json")
    said = json.loads(line)
    assert (said["level"], said["action"]) == ("ERROR", "migration_failed")
    assert said["message"].startswith("MAX_ATTEMPTS is 'five', but must be")


@pytest.fixture
def with_next_migration(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that creates a folder with one more migration, which ends with the given statement."""

    def create(last: str) -> Path:
        shutil.copytree(revisions.scripts_folder(), tmp_path / "migrations")
        migration = NEXT.format(previous=revisions.head(), last=last)
        (tmp_path / "migrations" / "versions" / "9001_colour.py").write_text(migration)
        shutil.copyfile(CHECKOUT / "pyproject.toml", tmp_path / "pyproject.toml")
        return tmp_path

    return create


def schema(database: Path) -> list[tuple[str]]:
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(revisions.head(),)]
        return connection.execute("SELECT name FROM sqlite_master").fetchall()


def test_an_error_in_a_migration_prints_a_sentence_after_its_traceback(
    with_next_migration: Callable[[str], Path], database: Path
) -> None:
    before = schema(database)
    lines = failure(ALEMBIC, with_next_migration('raise KeyError("colour")'), DATABASE_PATH=str(database))
    assert any("Traceback" in line for line in lines)
    assert lines[-1].endswith(f"the database {database} cannot be migrated: KeyError('colour'). Nothing was changed.")
    assert schema(database) == before


def test_a_migration_that_is_killed_changes_nothing_and_the_next_one_succeeds(
    with_next_migration: Callable[[str], Path], database: Path
) -> None:
    before = schema(database)
    variables = environment(DATABASE_PATH=str(database))
    folder = with_next_migration("os.kill(os.getpid(), signal.SIGKILL)")
    assert subprocess.run(ALEMBIC, cwd=folder, env=variables, timeout=SECONDS).returncode == -signal.SIGKILL
    assert schema(database) == before
    subprocess.run(ALEMBIC, cwd=CHECKOUT, env=variables, timeout=SECONDS, check=True)
    assert schema(database) == before
