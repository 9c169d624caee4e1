"""A database of a newer release, or of a preview, is neither reported as damaged nor replaced."""

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


def give_schema(cli: CommandLine, revision: str) -> None:
    """Give the database and the backup `next.db` the schema of another release."""
    cli.says("backup", "next.db")
    (cli.folder / "next.db.sha256").unlink()
    for name in (DATABASE, "next.db"):
        change(cli.folder / name, f"UPDATE alembic_version SET version_num = '{revision}'")


@pytest.fixture
def newer(cli: CommandLine) -> CommandLine:
    give_schema(cli, "9999")
    return cli


def refusal(cli: CommandLine, words: list[str]) -> str:
    """Return the sentence of a command that must fail, report no damage and change no file."""
    before = {name: (cli.folder / name).read_bytes() for name in (DATABASE, "next.db")}
    sentence = cli.refuses(5, *words)
    for wrong in ("is damaged", "restore", "unfinished"):
        assert wrong not in sentence
    assert {name: (cli.folder / name).read_bytes() for name in before} == before
    assert not (cli.folder / "copy.db").exists()
    return sentence


every_command = pytest.mark.parametrize(
    "words",
    [["verify"], ["verify", "next.db"], ["backup", "copy.db"], ["restore", "next.db"], ["tasks"], ["migrate"]],
    ids=" ".join,
)


@every_command
def test_a_command_on_a_newer_database_names_the_release_to_use(newer: CommandLine, words: list[str]) -> None:
    sentence = refusal(newer, words)
    assert "has schema 9999 of a newer release" in sentence
    assert f"supports schemas up to {revisions.head()}: use the newer release" in sentence


@every_command
def test_a_command_on_a_database_of_a_preview_names_the_way_to_move_it(cli: CommandLine, words: list[str]) -> None:
    give_schema(cli, "0017")
    sentence = refusal(cli, words)
    assert "has schema 0017 of a preview of version 0.1.0, and this release cannot migrate it" in sentence
    assert "export its plans with that preview, and import them into a new database" in sentence


def test_verify_finds_damage_in_a_newer_database(newer: CommandLine) -> None:
    database = newer.folder / DATABASE
    database.write_bytes(database.read_bytes()[:8192] + b"noise" * 40_000)
    assert "is damaged" in newer.refuses(1, "verify")


def test_a_compatible_newer_database_is_checked(newer: CommandLine) -> None:
    change(newer.folder / DATABASE, f"INSERT INTO running_releases VALUES ('9999', '{revisions.head()}')")
    assert "is intact" in newer.says("verify")
    assert "verified" in newer.says("backup", "copy.db")
