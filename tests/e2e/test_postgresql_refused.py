"""The start of the service on a PostgreSQL database that it cannot use: one sentence, and the exit status."""

from collections.abc import Iterator

import psycopg
import pytest

from project_manager.store import revisions
from tests.e2e.command_line import CommandLine
from tests.e2e.service import free_port
from tests.postgres_server import PostgresServer

pytestmark = pytest.mark.slow

USER = "limited"
NEWER = "9999"
ATTEMPTS = 5_000
SET_REVISION = "UPDATE project_manager.alembic_version SET version_num ="


@pytest.fixture
def url(postgresql_url: str) -> Iterator[str]:
    """Return the URL of a migrated database for a new user with all privileges on the tables."""
    execute(
        postgresql_url,
        f"CREATE ROLE {USER} LOGIN PASSWORD 'right'",
        f"GRANT USAGE ON SCHEMA project_manager TO {USER}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA project_manager TO {USER}",
    )
    yield postgresql_url.replace("postgres@", f"{USER}@")
    execute(postgresql_url, f"REASSIGN OWNED BY {USER} TO postgres", f"DROP OWNED BY {USER}", f"DROP ROLE {USER}")


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def as_administrator(url: str, *statements: str) -> None:
    execute(url.replace(f"{USER}@", "postgres@"), *statements)


def refusal(cli: CommandLine, status: int, url: str, **settings: str) -> str:
    """Start the service, which must end with this status and one sentence. Return the sentence."""
    ports = {"DEFAULT_PORT": str(free_port()), "MCP_PORT": str(free_port())}
    sentence = cli.refuses(status, "serve", DATABASE_URL=url, LOG_FORMAT="text", **ports, **settings)
    assert sentence.count("\n") == 1
    return sentence


def test_the_database_is_missing(cli: CommandLine, url: str) -> None:
    sentence = refusal(cli, 5, url.replace("/test_", "/missing_"))
    assert sentence.startswith("The database postgresql:///missing_")
    assert "does not exist" in sentence


def test_the_server_is_missing(cli: CommandLine) -> None:
    sentence = refusal(cli, 5, "postgresql://u:hush@127.0.0.1:1/pm")
    assert sentence.startswith("The database postgresql://127.0.0.1:1/pm cannot be reached: ")
    assert "hush" not in sentence


def test_the_password_is_wrong(cli: CommandLine, url: str, postgresql_server: PostgresServer) -> None:
    rules = postgresql_server.folder / "data" / "pg_hba.conf"
    trusting = rules.read_text()
    try:
        rules.write_text(f"local all {USER} scram-sha-256\n{trusting}")
        as_administrator(url, "SELECT pg_reload_conf()")
        wait_for_rules(url)
        sentence = refusal(cli, 5, url.replace(f"{USER}@", f"{USER}:hush@"))
    finally:
        rules.write_text(trusting)
        as_administrator(url, "SELECT pg_reload_conf()")
    assert "cannot be reached" in sentence
    assert "hush" not in sentence


def wait_for_rules(url: str) -> None:
    """Return when the server asks for the password."""
    for _ in range(ATTEMPTS):
        try:
            execute(url)
        except psycopg.OperationalError:
            return
    raise AssertionError("the server has not read its rules")


def test_the_user_has_too_few_connections(cli: CommandLine, url: str) -> None:
    as_administrator(url, f"ALTER ROLE {USER} CONNECTION LIMIT 2")
    assert "cannot be reached: " in refusal(cli, 5, url)


def test_the_user_may_not_create_the_schema(cli: CommandLine, url: str) -> None:
    as_administrator(url, "DROP SCHEMA project_manager CASCADE")
    assert "run `CREATE SCHEMA project_manager AUTHORIZATION`" in refusal(cli, 1, url)


@pytest.mark.parametrize(
    "change",
    [
        f"REVOKE USAGE ON SCHEMA project_manager FROM {USER}",
        f"REVOKE SELECT ON project_manager.alembic_version FROM {USER}",
        f"REVOKE UPDATE ON project_manager.counter FROM {USER}",
        f"REVOKE INSERT ON project_manager.events FROM {USER}",
    ],
)
def test_the_user_lacks_a_privilege(cli: CommandLine, url: str, change: str) -> None:
    as_administrator(url, change)
    sentence = refusal(cli, 1, url)
    assert "make the user of DATABASE_URL the owner of the schema project_manager" in sentence
    assert "LINE" not in sentence


def test_the_user_may_not_migrate(cli: CommandLine, url: str) -> None:
    as_administrator(url, "DELETE FROM project_manager.running_releases", f"{SET_REVISION} '0018'")
    assert "make the user of DATABASE_URL the owner" in refusal(cli, 1, url)
    assert "run `project-manager migrate`" in refusal(cli, 1, url, AUTO_MIGRATE="false")


def test_a_newer_release_has_migrated_the_database(cli: CommandLine, url: str) -> None:
    as_administrator(url, f"{SET_REVISION} '{NEWER}'")
    sentence = refusal(cli, 5, url)
    assert f"has schema {NEWER} of a newer release" in sentence
    assert f"up to {revisions.head()}: use the newer release" in sentence
    assert "use the newer release" in cli.refuses(5, "verify", DATABASE_URL=url)


def test_the_database_is_read_only(cli: CommandLine, url: str) -> None:
    as_administrator(url, f"ALTER ROLE {USER} SET default_transaction_read_only = on")
    assert "is read-only: name the primary server in DATABASE_URL" in refusal(cli, 5, url)


def test_the_database_has_another_encoding(cli: CommandLine, postgresql_server: PostgresServer) -> None:
    url = postgresql_server.url("latin")
    execute(
        postgresql_server.url("postgres"),
        "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C' LOCALE_PROVIDER libc",
    )
    assert "has the encoding LATIN1" in refusal(cli, 1, url)
    postgresql_server.drop_database("latin")
