"""`project-manager mcp` started by a client that configures no database."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.e2e.command_line import CommandLine

HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "pipe", "version": "1"}},
}


def initialize(folder: Path, *words: str, **variables: str) -> tuple[dict[str, Any], str]:
    """Send `initialize` and return the response and standard error."""
    done = CommandLine(folder).run("mcp", *words, stdin=orjson.dumps(HELLO).decode() + "\n", **variables)
    assert done.returncode == 0, done.stderr
    return orjson.loads(done.stdout.splitlines()[0]), done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a working directory that the client chose arbitrarily."""
    (tmp_path / "somewhere").mkdir()
    return tmp_path / "somewhere"


def test_without_a_path_the_database_is_in_the_data_folder_of_the_user(folder: Path, tmp_path: Path) -> None:
    answer, said = initialize(folder, XDG_DATA_HOME=str(tmp_path / "share"))
    database = tmp_path / "share" / "project-manager" / "tasks.db"
    assert "result" in answer
    assert list(folder.iterdir()) == []
    assert database.exists()
    assert [orjson.loads(line)["action"] for line in said.splitlines()] == ["database_created"]
    assert str(database) in said
    assert initialize(folder, XDG_DATA_HOME=str(tmp_path / "share"))[1] == ""


@pytest.mark.parametrize("data_home", ["", "relative/share"])
def test_without_a_usable_data_folder_the_database_is_below_the_home_folder(
    folder: Path, tmp_path: Path, data_home: str
) -> None:
    initialize(folder, XDG_DATA_HOME=data_home, HOME=str(tmp_path))
    assert (tmp_path / ".local/share/project-manager/tasks.db").exists()
    assert list(folder.iterdir()) == []


def test_an_existing_database_in_the_working_directory_is_used(folder: Path, tmp_path: Path) -> None:
    CommandLine(folder).says("migrate")
    _, said = initialize(folder, XDG_DATA_HOME=str(tmp_path / "share"))
    assert said == ""
    assert not (tmp_path / "share").exists()


@pytest.mark.parametrize("words", [("--db-path", "named.db"), ()])
def test_a_named_database_is_created_and_logged(folder: Path, words: tuple[str, ...]) -> None:
    variables = {} if words else {"DATABASE_URL": "sqlite:///named.db"}
    _, said = initialize(folder, *words, **variables)
    assert "database_created" in said
    assert (folder / "named.db").exists()
