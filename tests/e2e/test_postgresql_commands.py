"""Commands on a database of a PostgreSQL server. Those about files are refused. No output contains the password."""

import json
import subprocess
from collections.abc import Iterator

import psycopg
import pytest

from project_manager.store import revisions
from tests.e2e.command_line import CommandLine
from tests.e2e.service import CHECKOUT, environment
from tests.e2e.test_migration_failures import ALEMBIC, SECONDS
from tests.postgres_server import PostgresServer

pytestmark = pytest.mark.slow

UNREACHABLE = "postgresql://u:hush@127.0.0.1:1/pm?password=hush"


@pytest.fixture
def empty(postgresql_server: PostgresServer) -> Iterator[str]:
    """Return the URL of an empty database, with a password that the server does not ask for."""
    name = postgresql_server.create_database()
    yield postgresql_server.url(name).replace("postgres@", "postgres:hush@")
    postgresql_server.drop_database(name)


def test_migrate_creates_the_schema_and_reports_when_it_is_up_to_date(cli: CommandLine, empty: str) -> None:
    head = revisions.head()
    done = cli.run("migrate", DATABASE_URL=empty)
    name = done.stdout.partition(" ")[0]
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{name} now has schema {head} (none before).\n"
    assert name.startswith("postgresql:///test_")
    assert cli.says("migrate", DATABASE_URL=empty) == f"{name} already has schema {head}.\n"


def test_alembic_uses_the_settings_and_finds_no_difference_from_the_tables(empty: str) -> None:
    for words in (["upgrade", "head"], ["check"], ["current"]):
        command = [*ALEMBIC[:-2], *words]
        done = subprocess.run(
            command, cwd=CHECKOUT, env=environment(DATABASE_URL=empty), capture_output=True, text=True, timeout=SECONDS
        )
        assert done.returncode == 0, done.stderr
        assert "hush" not in done.stdout + done.stderr
    assert f"{revisions.head()} (head)" in done.stdout


def test_plans_tasks_and_tokens_are_those_of_the_server(cli: CommandLine, empty: str) -> None:
    assert cli.says("import", "plan.yaml", DATABASE_URL=empty) == (
        "Imported: 4 created, 0 changed, 0 unchanged, 0 deleted.\n"
    )
    assert "Cart  (ready)" in cli.says("tasks", DATABASE_URL=empty)
    assert "name: Pay" in cli.says("export", DATABASE_URL=empty)
    cli.says("token", "create", "ada", DATABASE_URL=empty)
    assert "ada" in cli.says("token", "list", DATABASE_URL=empty)
    assert cli.says("tasks", "--db-path", "data/tasks.db", DATABASE_URL=empty) == ""


@pytest.mark.parametrize("words", [["tasks"], ["export"], ["verify"], ["token", "list"]], ids=" ".join)
def test_a_command_that_reads_creates_no_tables(cli: CommandLine, empty: str, words: list[str]) -> None:
    refused = cli.refuses(3, *words, DATABASE_URL=empty)
    assert refused.startswith("No tables of Project Manager in postgresql:///test_")
    assert "project-manager migrate" in refused


def test_verify_finds_changes_by_another_program(cli: CommandLine, empty: str) -> None:
    cli.says("import", "plan.yaml", DATABASE_URL=empty)
    intact = cli.says("verify", DATABASE_URL=empty)
    assert f"is intact: counters and events; schema {revisions.head()}.\nLatest event: 5:" in intact
    change(empty, "UPDATE project_manager.tasks SET name = 'Trolley' WHERE id = 1")
    refused = cli.refuses(1, "verify", DATABASE_URL=empty)
    assert "task 1 was changed, but no event records the change" in refused
    assert "into another database" in refused
    found = json.loads(cli.run("verify", "--json", DATABASE_URL=empty).stdout)
    assert (found["integrity"], found["matches_events"]) == (True, False)


def test_verify_checks_a_file_also_with_the_url_of_a_server(cli: CommandLine) -> None:
    assert "is intact: pages, references" in cli.says("verify", "data/tasks.db", DATABASE_URL=UNREACHABLE)


@pytest.mark.parametrize("words", [["backup"], ["backup", "copy.db"], ["restore", "data/tasks.db"]], ids=" ".join)
def test_a_command_about_files_names_the_tools_of_the_server(cli: CommandLine, words: list[str]) -> None:
    assert cli.refuses(2, *words, DATABASE_URL=UNREACHABLE) == (
        "This command needs a database file, and DATABASE_URL names postgresql://127.0.0.1:1/pm: back up and restore "
        "PostgreSQL with its own tools, such as pg_dump and pg_restore, or pgBackRest.\n"
    )


def change(url: str, sql: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.encode())


def test_the_url_is_not_shown(cli: CommandLine) -> None:
    shown = cli.says("config", DATABASE_URL=UNREACHABLE)
    assert "hush" not in shown
    assert "(set, not shown)" in shown
    refused = cli.refuses(5, "migrate", DATABASE_URL=UNREACHABLE)
    assert "The database postgresql://127.0.0.1:1/pm cannot be reached" in refused
    assert "hush" not in refused
    variables = environment(DATABASE_URL=UNREACHABLE)
    done = subprocess.run(ALEMBIC, cwd=CHECKOUT, env=variables, capture_output=True, text=True, timeout=SECONDS)
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot be reached" in done.stderr
    assert "hush" not in done.stderr
