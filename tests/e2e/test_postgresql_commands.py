"""Commands with the URL of a PostgreSQL server. Only a migration runs there, and no output contains the password."""

import subprocess
from collections.abc import Iterator

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


@pytest.mark.parametrize(
    "words",
    [["serve"], ["mcp"], ["import", "plan.yaml"], ["export"], ["tasks"], ["backup", "copy.db"], ["verify"]],
    ids=" ".join,
)
def test_other_commands_are_refused(cli: CommandLine, words: list[str]) -> None:
    done = cli.run(*words, DATABASE_URL=UNREACHABLE, LOG_FORMAT="text")
    sentence = "DATABASE_URL names postgresql://127.0.0.1:1/pm, and PostgreSQL is not supported yet by this command.\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", sentence)


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
