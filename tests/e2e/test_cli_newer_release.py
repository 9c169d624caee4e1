"""A database of a newer release is neither reported as damaged nor replaced."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from project_manager.store import revisions
from tests.e2e.command_line import CommandLine

DATABASE = "data/tasks.db"


def change(database: Path, statement: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(statement)


@pytest.fixture
def newer(cli: CommandLine) -> CommandLine:
    """Give the database and the backup `next.db` the schema of a later release."""
    cli.says("backup", "next.db")
    (cli.folder / "next.db.sha256").unlink()
    for name in (DATABASE, "next.db"):
        change(cli.folder / name, "UPDATE alembic_version SET version_num = '9999'")
    return cli


@pytest.mark.parametrize(
    "words",
    [["verify"], ["verify", "next.db"], ["backup", "copy.db"], ["restore", "next.db"], ["tasks"], ["migrate"]],
    ids=" ".join,
)
def test_a_command_on_a_newer_database_names_the_release_to_use(newer: CommandLine, words: list[str]) -> None:
    before = {name: (newer.folder / name).read_bytes() for name in (DATABASE, "next.db")}
    sentence = newer.refuses(5, *words)
    assert "has schema 9999 of a newer release" in sentence
    assert f"supports schemas up to {revisions.head()}: use the newer release" in sentence
    assert "is damaged" not in sentence
    assert "restore" not in sentence
    assert "unfinished" not in sentence
    assert {name: (newer.folder / name).read_bytes() for name in before} == before
    assert not (newer.folder / "copy.db").exists()


def test_verify_finds_damage_in_a_newer_database(newer: CommandLine) -> None:
    database = newer.folder / DATABASE
    database.write_bytes(database.read_bytes()[:8192] + b"noise" * 40_000)
    assert "is damaged" in newer.refuses(1, "verify")


def test_a_compatible_newer_database_is_checked(newer: CommandLine) -> None:
    change(newer.folder / DATABASE, f"INSERT INTO running_releases VALUES ('9999', '{revisions.head()}')")
    assert "is intact" in newer.says("verify")
    assert "verified" in newer.says("backup", "copy.db")
