"""Migration of a PostgreSQL database: from nothing, from the first schema, and by several processes at once."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import psycopg
import pytest
from alembic import command
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from project_manager.store import revisions
from project_manager.store.errors import DatabaseOpenError, DatabaseTemporarilyUnavailable
from project_manager.store.migrations import configuration, oldest_release, transaction, upgrade
from project_manager.store.postgres import hosts, migrations
from project_manager.store.postgres.database import revision
from project_manager.store.tables import metadata
from tests.integration.first_release import FIRST, ROWS, WITHOUT_HASH, without_additions
from tests.postgres_server import PostgresServer

pytestmark = pytest.mark.slow

PROCESSES = 6
SECONDS = 60
UPGRADE = """
import sys
from project_manager.store.errors import DatabaseOpenError
from project_manager.store.migrations import upgrade
sys.stdin.read()
try:
    upgrade(sys.argv[1])
except DatabaseOpenError:
    sys.exit(1)
"""
WITHOUT_DRIVER = """
import sys
sys.modules["psycopg"] = None  # an import of it fails, as if it were not installed
from project_manager.store.migrations import upgrade
upgrade(sys.argv[1])
"""
ORPHAN = """
from alembic import op

revision = "9001"
down_revision = {previous!r}


def upgrade():
    op.execute("CREATE TABLE colours (name TEXT)")
    op.execute("INSERT INTO task_conflicts (task_id, other_id) VALUES (1, 99)")
"""
COLUMNS = """
    SELECT table_name, column_name, data_type, collation_name, is_nullable
    FROM information_schema.columns WHERE table_schema = current_schema()
"""
INDEXES = "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema()"
CONSTRAINTS = """
    SELECT relname, conname, pg_get_constraintdef(pg_constraint.oid)
    FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
    WHERE relnamespace = current_schema()::regnamespace AND contype <> 'c'
"""


@pytest.fixture
def empty(postgresql_server: PostgresServer) -> Iterator[str]:
    """Return the URL of an empty database."""
    name = postgresql_server.create_database()
    yield postgresql_server.url(name)
    postgresql_server.drop_database(name)


@pytest.fixture
def first(empty: str) -> str:
    """Return the URL of a database with the first schema and with rows in every table."""
    upgrade(empty, FIRST)
    execute(empty, *ROWS)
    return empty


def execute(url: str, *statements: str, schema: str = hosts.SCHEMA) -> list[tuple[Any, ...]]:
    """Run the statements and return the rows of the last one, if it has rows."""
    with psycopg.connect(url) as connection:
        for statement in (f"SET search_path = {schema}", *statements):
            cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def contents(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of all tables, except for the releases, which each migration adds."""
    tables = execute(url, "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
    present = {row[0] for row in tables} - {"running_releases"}
    return {name: sorted(execute(url, f"TABLE {name}"), key=repr) for name in metadata.tables if name in present}


def definitions(url: str, schema: str) -> set[tuple[Any, ...]]:
    """Return the columns, the indexes and the constraints, except for CHECKs, of the tables of the store."""
    rows = [row for query in (COLUMNS, INDEXES, CONSTRAINTS) for row in execute(url, query, schema=schema)]
    return {tuple(str(value).replace(f"{schema}.", "") for value in row) for row in rows if row[0] in metadata.tables}


def test_an_empty_database_gets_the_newest_schema(empty: str) -> None:
    assert revision(empty) is None
    upgrade(empty)
    assert revision(empty) == revisions.head()
    assert execute(empty, "TABLE counter") == [(1, 0, 0, "", 0)]
    ((epoch, facts),) = execute(empty, "SELECT epoch, floor_facts FROM meta")
    assert (re.fullmatch("[0-9a-f]{16}", epoch) is not None, facts) == (True, "{}")
    running = sorted(release for release in revisions.known_revisions() if release >= oldest_release())
    assert execute(empty, "TABLE running_releases") == [(revisions.head(), release) for release in running]
    assert execute(empty, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == []


def test_a_database_of_the_first_schema_keeps_every_row(first: str, postgresql_url: str) -> None:
    before = contents(first)
    assert all(before.values())
    upgrade(first)
    assert without_additions(contents(first), before) == before
    assert revision(first) == revisions.head()
    assert definitions(first, hosts.SCHEMA) == definitions(postgresql_url, hosts.SCHEMA)
    indexed = ("ended_leases", "ix_ended_leases_lost")
    assert indexed in {row[:2] for row in definitions(first, hosts.SCHEMA)}


def start_upgrade(url: str) -> "subprocess.Popen[bytes]":
    """Start a process that migrates the database as soon as its standard input ends."""
    return subprocess.Popen([sys.executable, "-c", UPGRADE, url], stdin=subprocess.PIPE)


def let_go(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin is not None
    process.stdin.close()


def upgrade_at_once(url: str) -> None:
    started = [start_upgrade(url) for _ in range(PROCESSES)]
    for process in started:
        let_go(process)
    assert [process.wait(SECONDS) for process in started] == [0] * PROCESSES


def test_processes_that_migrate_at_once_migrate_once(first: str) -> None:
    before = contents(first)
    upgrade_at_once(first)
    assert without_additions(contents(first), before) == before
    assert execute(first, "TABLE alembic_version") == [(revisions.head(),)]


def test_processes_that_create_the_schema_at_once_create_it_once(empty: str) -> None:
    upgrade_at_once(empty)
    assert len(execute(empty, "TABLE meta")) == 1
    assert execute(empty, "TABLE alembic_version") == [(revisions.head(),)]


def test_a_migration_waits_for_another_one_and_reads_what_it_has_committed(first: str) -> None:
    waiting = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    process = start_upgrade(first)
    with transaction(first) as connection, psycopg.connect(first, autocommit=True) as observer:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        let_go(process)
        deadline = monotonic() + SECONDS
        while not observer.execute(waiting).fetchall():
            assert monotonic() < deadline
    assert process.wait(SECONDS) == 1
    assert revision(first) == "9999"


def test_a_migration_waits_for_a_table_for_at_most_five_seconds_and_for_no_batch_meanwhile(first: str) -> None:
    with transaction(first) as connection, psycopg.connect(first) as writer:
        assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == "5s"
        writer.execute(f"SET search_path = {hosts.SCHEMA}".encode())
        with pytest.raises(psycopg.errors.LockNotAvailable):
            writer.execute("SELECT FROM counter WHERE id = 1 FOR UPDATE NOWAIT")


def test_a_table_that_stays_locked_is_reported_as_temporary(first: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = [setting.replace("'5s'", "'10ms'") for setting in migrations._SETTINGS]
    monkeypatch.setattr(migrations, "_SETTINGS", settings)
    with psycopg.connect(first) as other:
        other.execute(f"LOCK {hosts.SCHEMA}.ended_leases".encode())
        with pytest.raises(DatabaseTemporarilyUnavailable, match=r"lock timeout.*Nothing was changed"):
            upgrade(first)
    assert revision(first) == FIRST


def test_a_migration_that_fails_changes_nothing(first: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripts = tmp_path / "migrations"
    shutil.copytree(revisions.scripts_folder(), scripts)
    (scripts / "versions" / "9001_orphan.py").write_text(ORPHAN.format(previous=revisions.head()))
    monkeypatch.setattr("project_manager.store.migrations.scripts_folder", lambda: scripts)
    before = contents(first)
    with pytest.raises(DatabaseOpenError, match=r"violates foreign key .*Nothing was changed"):
        upgrade(first)
    assert without_additions(contents(first), before) == before
    assert revision(first) == FIRST
    assert execute(first, "SELECT to_regclass('colours')") == [(None,)]


def test_a_database_of_a_preview_or_of_a_newer_release_is_refused(first: str) -> None:
    for other, words in (("0017", "of a preview"), ("9999", "of a newer release")):
        execute(first, f"UPDATE alembic_version SET version_num = '{other}'")
        with pytest.raises(DatabaseTemporarilyUnavailable, match=f"schema {other} {words}"):
            upgrade(first)
    execute(first, f"INSERT INTO running_releases VALUES ('9999', '{revisions.head()}')")
    upgrade(first)
    assert revision(first) == "9999"


def test_tables_of_other_programs_are_left_alone(empty: str) -> None:
    execute(empty, "CREATE TABLE alembic_version (version_num TEXT)", "CREATE TABLE tasks (id INT)", schema="public")
    upgrade(empty)
    assert execute(empty, "TABLE alembic_version", schema="public") == []
    execute(empty, "DROP SCHEMA project_manager CASCADE", "CREATE SCHEMA project_manager")
    execute(empty, "CREATE TABLE songs (title TEXT)")
    with pytest.raises(DatabaseOpenError, match="was created by another program"):
        upgrade(empty)


def test_a_user_who_may_not_create_the_schema_gets_a_remedy(postgresql_server: PostgresServer, empty: str) -> None:
    execute(empty, "CREATE ROLE clerk LOGIN")
    url = empty.replace("postgres@", "clerk@")
    with pytest.raises(DatabaseOpenError, match="may not create it: run `CREATE SCHEMA project_manager"):
        upgrade(url)
    execute(empty, "CREATE SCHEMA project_manager AUTHORIZATION clerk")
    upgrade(url)
    assert revision(url) == revisions.head()
    execute(empty, "REASSIGN OWNED BY clerk TO postgres", "DROP ROLE clerk")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql://u:hush@127.0.0.1:1/pm", r"the database postgresql://127\.0\.0\.1:1/pm cannot be reached: "),
        ("postgresql://u:hush@127.0.0.1:1,127.0.0.1:1/pm", r"127\.0\.0\.1:1,127\.0\.0\.1:1/pm cannot be reached: "),
        ("postgresql://u:hu%zzsh@db/pm", "DATABASE_URL is malformed"),
        ("postgresql://u:hush@db/pm?nonsense=hush", "nonsense"),
    ],
)
def test_a_server_that_cannot_be_used_is_reported_without_the_password(url: str, reason: str) -> None:
    for work in (upgrade, revision):
        with pytest.raises(DatabaseOpenError, match=reason) as refused:
            work(url)
        assert "hush" not in str(refused.value)


def test_without_the_driver_the_remedy_is_its_package() -> None:
    command = [sys.executable, "-c", WITHOUT_DRIVER, "postgresql://u:hush@db/pm"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    assert "run `pip install project-manager-queue[postgresql]`" in done.stderr.splitlines()[-1]
    assert "hush" not in done.stderr


def test_an_event_without_a_hash_is_refused(first: str) -> None:
    with pytest.raises(psycopg.errors.NotNullViolation):
        execute(first, WITHOUT_HASH)


def test_migrations_and_tables_agree(postgresql_url: str) -> None:
    command.check(configuration(postgresql_url))
    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(postgresql_url, options="-c search_path=declared"),
        poolclass=NullPool,
    )
    execute(postgresql_url, "CREATE SCHEMA declared")
    metadata.create_all(engine)
    assert definitions(postgresql_url, hosts.SCHEMA) == definitions(postgresql_url, "declared")
