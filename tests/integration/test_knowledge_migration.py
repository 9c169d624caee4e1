"""Migration of a database with the first schema, with all of its content."""

from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config

from project_manager.store import revisions
from project_manager.store.errors import DatabaseOpenError
from project_manager.store.migrations import upgrade
from project_manager.store.sqlite import driver
from project_manager.store.sqlite.database import prepare

pytestmark = pytest.mark.slow

FIRST = (
    "INSERT INTO projects (id, name, description, version, created_at, updated_at) "
    "VALUES (1, 'Garden', 'green', 3, 10, 20)",
    "INSERT INTO epics (id, project_id, name, description, status, position, version, created_at, updated_at) "
    "VALUES (1, 1, 'Fence', '', 'ACTIVE', 0, 1, 10, 10)",
    "INSERT INTO tasks (id, project_id, epic_id, name, description, status, priority, labels, acceptance, created_by, "
    "created_at, updated_at, version, fence, attempts, lock_holder, lock_acquired_at, lock_expires_at, lock_ttl, "
    "lock_fenced, lock_from, open_dependencies, unblocks, deferred, archived) VALUES (7, 1, 1, 'Paint', 'slowly', "
    "'IN_PROGRESS', 2, '[\"a\"]', '[]', 'ann', 10, 10, 4, 3, 1, 'ann', 10, 99, 89, 1, 'TODO', 0, 0, 0, 0)",
    "INSERT INTO task_logs VALUES (5, 7, 'ann', 'progress', 'half', 15)",
    "INSERT INTO events VALUES (11, 'task.unlocked', 12, 'system', 'system', 1, 1, 7, "
    '\'{"agent_id": "ann", "reason": "lock_expired"}\')',
    "INSERT INTO agents VALUES ('ann', 'agent', 1, 2)",
    "INSERT INTO answers VALUES ('ann', 'k', 'h', '{}', 3)",
    "INSERT INTO tokens VALUES (4, 'worker', 'agent', 'ann', 'h1', 5, 6)",
)
OF_EVENTS = ("token_id", "request_id", "sealed", "hash")
OF_META = ("clock_offset", "clock_boot", "clock_jump_at", "clock_followed_at", "floor_hash", "floor_facts")
LATER = ("name_key", *OF_EVENTS, *OF_META)
CHAINED = ("0011", "0012")
"""The last schema without the hash chain, and the first one with it."""
WITHOUT_HASH = (
    "INSERT INTO events (type, at, actor_id, actor_kind, data) VALUES ('task.unlocked', 12, 'system', 'system', '{}')"
)


def configuration(path: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(revisions.scripts_folder()))
    config.attributes["path"] = str(path)
    return config


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """Create a database with the first schema and with rows in every important table."""
    path = tmp_path / "first.db"
    command.upgrade(configuration(path), "0001")
    connection = driver.connect(str(path))
    for statement in FIRST:
        connection.execute(statement)
    connection.close()
    return path


def contents(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of all tables of the first schema, and the schema itself."""
    connection = driver.connect(str(path))
    try:
        names = ("projects", "epics", "tasks", "task_logs", "events", "agents", "answers", "tokens", "meta")
        found = {name: connection.execute(f"SELECT * FROM {name}") for name in names}
        return {name: [_known(rows, row) for row in rows] for name, rows in found.items()}
    finally:
        connection.close()


def _known(rows: Any, row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the row without the columns that the first schema lacks."""
    return tuple(value for value, column in zip(row, rows.description, strict=True) if column[0] not in LATER)


def asked(path: Path, question: str) -> list[tuple[Any, ...]]:
    connection = driver.connect(str(path))
    try:
        found: list[tuple[Any, ...]] = connection.execute(question).fetchall()
        return found
    finally:
        connection.close()


def test_a_database_with_orphaned_rows_is_refused_in_one_sentence(first: Path) -> None:
    connection = driver.connect(str(first))
    connection.execute("PRAGMA foreign_keys=OFF")
    connection.execute("DELETE FROM projects")
    connection.close()
    before = contents(first)
    with pytest.raises(DatabaseOpenError, match=r"first\.db cannot be migrated: \d+ rows .* the first in \w+"):
        prepare(first, auto_migrate=True)
    assert contents(first) == before


def test_a_database_of_the_first_schema_keeps_every_row(first: Path) -> None:
    before = contents(first)
    assert all(before.values())
    upgrade(str(first))
    after = contents(first)
    (task,), (kept,) = before.pop("tasks"), after.pop("tasks")
    assert kept == (*task, "ann", None)
    assert after == before
    assert asked(first, "PRAGMA foreign_key_check") == []
    assert asked(first, "PRAGMA integrity_check") == [("ok",)]


def test_the_name_of_a_revoked_token_is_free_after_the_migration_and_ids_continue(first: Path) -> None:
    upgrade(str(first))
    add = "INSERT INTO tokens (name, role, hash, created_at) VALUES ('worker', 'agent', ?, 7)"
    connection = driver.connect(str(first))
    connection.execute(add, ("h2",))
    with pytest.raises(driver.IntegrityError):
        connection.execute(add, ("h3",))
    connection.execute("DELETE FROM tokens")
    connection.execute(add, ("h3",))
    assert connection.execute("SELECT id FROM tokens").fetchall() == [(6,)]
    connection.close()


def test_tasks_of_before_are_found_by_their_external_keys(first: Path) -> None:
    asked(first, "UPDATE tasks SET external_key = 'FND-3'")
    upgrade(str(first))
    question = "SELECT rowid FROM tasks_fts WHERE tasks_fts MATCH '\"fnd 3\"*'"
    assert asked(first, question) == [(7,)]
    asked(first, "DELETE FROM tasks")
    assert asked(first, question) == []
    asked(first, "INSERT INTO tasks_fts (tasks_fts, rank) VALUES ('integrity-check', 1)")


def test_releases_before_the_hash_chain_can_write_to_the_schemas_before_it(first: Path) -> None:
    """New columns must be optional in every table that these releases write."""
    upgrade(str(first), CHAINED[0])
    for table in ("tasks", "projects"):
        asked(first, f"DELETE FROM {table}")
    connection = driver.connect(str(first))
    for statement in (*FIRST[:3], WITHOUT_HASH):
        connection.execute(statement)
    connection.close()
    assert asked(first, "SELECT name FROM tasks") == [("Paint",)]


def test_an_event_without_a_hash_is_refused_and_no_release_before_the_chain_runs_on_its_schema(first: Path) -> None:
    upgrade(str(first))
    with pytest.raises(driver.IntegrityError):
        asked(first, WITHOUT_HASH)
    assert asked(first, f"SELECT release FROM running_releases WHERE release < '{CHAINED[1]}'") == []


def test_migrations_and_tables_agree(first: Path) -> None:
    upgrade(str(first))
    command.check(configuration(first))


def test_migrating_twice_changes_nothing(first: Path) -> None:
    upgrade(str(first))
    tables = asked(first, "SELECT name, sql FROM sqlite_master ORDER BY name")
    upgrade(str(first))
    assert asked(first, "SELECT name, sql FROM sqlite_master ORDER BY name") == tables
    assert asked(first, "SELECT version_num FROM alembic_version") == [(revisions.head(),)]
