"""Migration of a SQLite database with the first schema, with all of its content."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic import command

from project_manager.store import revisions
from project_manager.store.errors import DatabaseOpenError
from project_manager.store.migrations import configuration, oldest_release, upgrade
from project_manager.store.sqlite import backup, driver, schema_check
from project_manager.store.sqlite.database import prepare
from project_manager.store.tables import metadata
from tests.integration.first_release import FIRST, ROWS, WITHOUT_HASH, without_additions

pytestmark = pytest.mark.slow

LOST = (
    "EXPLAIN QUERY PLAN SELECT task_id FROM ended_leases WHERE agent_id = 'ann' AND ended_at > 1 "
    "AND reason IN ('forced', 'lock_expired', 'unconfirmed') ORDER BY ended_at"
)


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """Create a database with the first schema and with rows in every table."""
    path = tmp_path / "first.db"
    upgrade(str(path), FIRST)
    execute(path, *ROWS)
    return path


def execute(path: Path, *statements: str) -> list[tuple[Any, ...]]:
    """Run the statements and return the rows of the last one."""
    found: list[tuple[Any, ...]] = []
    with closing(driver.connect(str(path))) as connection:
        for statement in statements:
            found = connection.execute(statement).fetchall()
    return found


def contents(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of all tables, except for the releases, which each migration adds."""
    present = {row[0] for row in execute(path, "SELECT name FROM sqlite_master")} - {"running_releases"}
    return {name: execute(path, f"SELECT * FROM {name}") for name in metadata.tables if name in present}


def schema(path: Path) -> list[tuple[Any, ...]]:
    return execute(path, "SELECT name, sql FROM sqlite_master ORDER BY name")


def test_a_database_of_the_first_schema_keeps_every_row(first: Path) -> None:
    before = contents(first)
    assert all(before.values())
    upgrade(str(first))
    assert without_additions(contents(first), before) == before
    assert execute(first, "PRAGMA foreign_key_check") == []
    assert execute(first, "PRAGMA integrity_check") == [("ok",)]
    assert any("ix_ended_leases_lost" in row[-1] for row in execute(first, LOST))


def test_the_time_of_work_begins_with_the_kept_leases_without_reviews(first: Path) -> None:
    upgrade(str(first), "0023")
    leases = {
        "'ann', 0, 65400, 65400, 'auto_release', 'REVIEW'": 65,
        "'ann', 0, 3500, 9000, 'lock_expired', 'TODO'": 4,
        "'ann', 9, 9, 9, 'failed', 'TODO'": 0,
        "'ann', 0, 9000, 9000, 'unconfirmed', 'TODO'": 0,
        "'bob', 0, 99000, 20000, 'auto_release', 'DONE'": 0,
        "'cid', 0, 99000, 20000, 'explicit_release', 'REVIEW'": 0,
        "'cid', 0, 9000, 9000, 'lock_expired', 'REVIEW'": 0,
        "'cid', 0, 9000, 9000, 'unconfirmed', 'REVIEW'": 0,
        "'cid', 0, 99000, 20000, 'forced', 'REVIEW'": 20,
    }
    of_task = ", ".join(row[1] for row in execute(first, "PRAGMA table_info(tasks)") if row[1] != "id")
    columns = "task_id, fence, project_id, task_name, agent_id, acquired_at, expires_at, ended_at, reason, status"
    for number, lease in enumerate(leases, 20):
        execute(
            first,
            f"INSERT INTO tasks (id, {of_task}) SELECT {number}, {of_task} FROM tasks WHERE id = 8",
            f"INSERT INTO ended_leases ({columns}) VALUES ({number}, 1, 1, '', 'ann', 0, 7000, 7000, 'failed', 'TODO')",
            f"INSERT INTO ended_leases ({columns}) VALUES ({number}, 2, 1, '', {lease})",
            "INSERT INTO submissions (task_id, round, author, fence, summary, evidence, digest, created_at, reviewer) "
            f"VALUES ({number}, 1, 'ann', 1, '', '[]', '', 3000, 'bob')",
        )
    upgrade(str(first))
    worked = execute(first, "SELECT worked_seconds FROM tasks WHERE id >= 20 ORDER BY id")
    assert [row[0] for row in worked] == [7 + seconds for seconds in leases.values()]


def test_a_migration_copies_the_database_with_the_older_schema(first: Path) -> None:
    before = contents(first)
    prepare(first, auto_migrate=True)
    copied = first.with_name(f"first.db.before-{revisions.head()}-from-{FIRST}")
    assert contents(copied) == before
    assert execute(copied, "SELECT version_num FROM alembic_version") == [(FIRST,)]
    assert copied.stat().st_mode & 0o777 == 0o600


def test_a_database_with_orphaned_rows_is_refused_in_one_sentence(first: Path) -> None:
    execute(first, "PRAGMA foreign_keys=OFF", "DELETE FROM projects")
    before, schema_before = contents(first), schema(first)
    with pytest.raises(DatabaseOpenError, match=r"first\.db cannot be migrated: \d+ rows .* the first in \w+"):
        prepare(first, auto_migrate=True)
    assert (contents(first), schema(first)) == (before, schema_before)


def test_a_database_of_a_preview_is_refused_with_a_remedy_and_left_unchanged(first: Path) -> None:
    execute(first, "UPDATE alembic_version SET version_num = '0017'", "PRAGMA wal_checkpoint(TRUNCATE)")
    before = first.read_bytes()
    refusal = r"schema 0017 of a preview .* export its plans with that preview"
    with pytest.raises(DatabaseOpenError, match=refusal):
        prepare(first, auto_migrate=True)
    with pytest.raises(DatabaseOpenError, match=refusal):
        upgrade(str(first))
    assert first.read_bytes() == before


def test_the_previous_release_can_write_to_the_new_schema(tmp_path: Path) -> None:
    """New columns must be optional in every table."""
    path = tmp_path / "new.db"
    upgrade(str(path))
    execute(path, *ROWS)
    assert execute(path, "SELECT name FROM tasks ORDER BY id") == [("Paint",), ("Oil",)]


def test_the_releases_that_run_on_the_new_schema_are_listed_in_the_database(first: Path) -> None:
    upgrade(str(first))
    running = sorted(release for release in revisions.known_revisions() if release >= oldest_release())
    listed = execute(first, "SELECT schema, release FROM running_releases ORDER BY release")
    assert listed == [(revisions.head(), release) for release in running]


def test_an_event_without_a_hash_is_refused(first: Path) -> None:
    upgrade(str(first))
    with pytest.raises(driver.IntegrityError):
        execute(first, WITHOUT_HASH)


def test_the_id_of_a_deleted_row_is_not_used_again(first: Path) -> None:
    upgrade(str(first))
    add = "INSERT INTO tokens (name, role, hash, created_at) VALUES ('worker', 'agent', 'h2', 7) RETURNING id"
    assert execute(first, "DELETE FROM tokens", add) == [(5,)]


def test_migrations_and_tables_agree(first: Path) -> None:
    upgrade(str(first))
    command.check(configuration(str(first)))


def test_the_schema_does_not_depend_on_the_release_that_created_the_database(first: Path, template: Path) -> None:
    upgrade(str(first))
    with closing(driver.connect(str(first))) as connection:
        assert schema_check.differences(connection, revisions.head()) == []
    assert schema(first) == schema(template)
    assert backup.check_file(template, sealed=False).differences == ()


def test_migrating_twice_changes_nothing(first: Path) -> None:
    upgrade(str(first))
    tables = schema(first)
    upgrade(str(first))
    assert schema(first) == tables
    assert execute(first, "SELECT version_num FROM alembic_version") == [(revisions.head(),)]
