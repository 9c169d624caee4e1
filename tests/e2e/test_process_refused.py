"""Conditions under which the service does not start: one sentence names the cause, and no file changes."""

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.e2e.conftest import Start
from tests.e2e.service import CHECKOUT, START_SECONDS, Service

AS_OWNER_ONLY = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search,-fowner"]
"""Command prefix that makes file permissions apply to root too."""


def refusal(service: Service) -> str:
    """Start a service that must refuse to start, and return its last sentence. All files must stay unchanged."""
    before = contents(service.folder, service.output)
    service.spawn()
    assert service.process.wait(START_SECONDS) not in (0, -6, -9, -11)
    lines = service.log.splitlines()
    assert "Traceback" not in service.log
    assert len(lines) == 1, lines
    assert contents(service.folder, service.output) == before
    if service.settings.get("LOG_FORMAT") == "text":
        return lines[0]
    (line,) = service.lines("start_refused")
    assert line["level"] == "ERROR"
    return str(line["message"])


def contents(folder: Path, besides: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"a folder"
        for path in sorted(folder.rglob("*"))
        if path != besides
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WEBSOCKET_MAX_CONNECTIONS", "lots"),
        ("MCP_TRANSPORT", "carrier-pigeon"),
        ("DATABASE_URL", "postgresql://localhost/pm"),
        ("QUERY_TIMEOUT_SECONDS", "-1"),
    ],
)
def test_the_error_names_a_malformed_setting_and_nothing_is_created(
    prepare_service: Start, name: str, value: str
) -> None:
    sentence = refusal(prepare_service(empty=True, **{name: value}))
    assert name in sentence


@pytest.mark.parametrize("name", ["DEFAULT_PORT", "MCP_PORT"])
def test_the_error_names_a_busy_port_and_no_other_port_is_tried(
    prepare_service: Start, start_service: Start, tmp_path: Path, name: str
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    port = start_service(first).port
    sentence = refusal(prepare_service(second, empty=True, **{name: port}))
    assert name in sentence
    assert str(port) in sentence


def test_a_text_log_reports_a_refused_start_in_one_sentence(prepare_service: Start) -> None:
    sentence = refusal(prepare_service(empty=True, LOG_FORMAT="text", MAX_ATTEMPTS="five"))
    assert sentence.startswith("MAX_ATTEMPTS is 'five', but must be")


def test_a_newer_database_stays_unchanged(prepare_service: Start) -> None:
    service = prepare_service()
    with closing(sqlite3.connect(service.database)) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
    sentence = refusal(service)
    assert "newer" in sentence
    assert str(service.database) in sentence


def test_a_damaged_database_stays_unchanged(prepare_service: Start) -> None:
    service = prepare_service()
    whole = bytearray(service.database.read_bytes())
    for place in range(4096 * 2, len(whole), 4096):
        whole[place : place + 64] = bytes(255 - byte for byte in whole[place : place + 64])
    service.database.write_bytes(whole)
    assert "damaged" in refusal(service)


def test_a_truncated_database_stays_unchanged(prepare_service: Start) -> None:
    service = prepare_service()
    whole = service.database.read_bytes()
    service.database.write_bytes(whole[: len(whole) // 2])
    assert "damaged" in refusal(service)


def test_a_file_that_is_no_database_stays_unchanged(prepare_service: Start) -> None:
    service = prepare_service(empty=True)
    service.database.write_text("a shopping list, and a long one: " + "bread, " * 1000)
    assert "not a database" in refusal(service)


@pytest.mark.parametrize("also_migrated_by_alembic", [False, True])
def test_the_database_of_another_program_stays_unchanged(
    prepare_service: Start, also_migrated_by_alembic: bool
) -> None:
    service = prepare_service(empty=True)
    with closing(sqlite3.connect(service.database)) as database:
        database.execute("CREATE TABLE songs (title TEXT)")
        if also_migrated_by_alembic:
            database.execute("CREATE TABLE alembic_version (version_num TEXT)")
            database.execute("INSERT INTO alembic_version VALUES ('1975ea83b712')")
        database.commit()
    assert "another program" in refusal(service)


def test_a_folder_at_the_path_of_the_database_stays_unchanged(prepare_service: Start) -> None:
    service = prepare_service(empty=True)
    service.database.mkdir()
    assert "folder" in refusal(service)


def test_the_error_names_a_read_only_database(prepare_service: Start) -> None:
    service = prepare_service()
    service.launcher = AS_OWNER_ONLY
    service.database.chmod(0o444)
    user = os.geteuid()
    assert f"{service.database} is read-only for uid {user}; it belongs to uid {user} and has" in refusal(service)


@pytest.mark.parametrize("empty", [False, True])
def test_the_error_names_a_read_only_folder(prepare_service: Start, tmp_path: Path, empty: bool) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    service = prepare_service(inside, empty=empty)
    service.launcher = AS_OWNER_ONLY
    with read_only(inside):
        assert "read-only" in refusal(service)


def test_the_error_names_an_inaccessible_folder(prepare_service: Start, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    (inside / "data").mkdir(parents=True)
    service = prepare_service(DATABASE_PATH=inside / "data" / "pm.db")
    service.launcher = AS_OWNER_ONLY
    inside.chmod(0o000)
    try:
        service.spawn()
        assert service.process.wait(START_SECONDS) == 1
    finally:
        inside.chmod(0o755)
    (line,) = service.lines("start_refused")
    assert f"the folder {inside} is read-only for uid {os.geteuid()}" in line["message"]
    assert "has mode 0000" in line["message"]


def test_an_unexpected_error_is_one_log_line_with_its_traceback(prepare_service: Start, tmp_path: Path) -> None:
    """A module that cannot be loaded stands for an unexpected error."""
    (tmp_path / "uvloop.py").write_text("raise RuntimeError('colour')")
    service = prepare_service()
    service.launcher = ["env", f"PYTHONPATH={tmp_path}:{CHECKOUT}"]
    service.spawn()
    assert service.process.wait(START_SECONDS) == 1
    (line,) = service.lines("start_refused")
    assert line["message"] == "Internal error: RuntimeError('colour')."
    assert "Traceback" in line["exc_info"]
    assert len(service.log.splitlines()) == 1
    service.output.write_text("")


def test_the_error_names_a_folder_that_cannot_be_created(prepare_service: Start, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    sentence = refusal(prepare_service(DATABASE_PATH=tmp_path / "file" / "pm.db"))
    assert f"{tmp_path / 'file'} is not a folder; choose another path" in sentence


@pytest.mark.parametrize("path", ["file/pm.log", "file/folder/pm.log"])
def test_the_error_names_a_log_file_below_a_file(prepare_service: Start, tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_text("in the way")
    sentence = refusal(prepare_service(LOG_FILE=tmp_path / path))
    assert f"LOG_FILE '{tmp_path / path}': Not a directory; set another path." in sentence


def test_the_error_names_a_database_that_another_program_locks(prepare_service: Start) -> None:
    service = prepare_service()
    with closing(sqlite3.connect(service.database)) as other:
        other.isolation_level = None
        other.execute("BEGIN IMMEDIATE")
        service.spawn()
        assert service.process.wait(START_SECONDS) not in (0, -6, -9, -11)
    assert "Traceback" not in service.log
    assert re.search("another process", service.log.splitlines()[-1])


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    folder.chmod(0o555)
    try:
        yield
    finally:
        folder.chmod(0o755)
