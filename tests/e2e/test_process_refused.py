"""What the service does not start on: one sentence that names it, and nothing changed."""

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
"""Also for root, permissions are what the file says."""


def refusal(service: Service) -> str:
    """The sentence that a refused start ends with, when it leaves every file as it was."""
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
def test_a_malformed_setting_is_named_and_nothing_is_made(prepare_service: Start, name: str, value: str) -> None:
    sentence = refusal(prepare_service(empty=True, **{name: value}))
    assert name in sentence


@pytest.mark.parametrize("name", ["DEFAULT_PORT", "MCP_PORT"])
def test_a_busy_port_is_named_and_never_moved(
    prepare_service: Start, start_service: Start, tmp_path: Path, name: str
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    port = start_service(first).port
    sentence = refusal(prepare_service(second, empty=True, **{name: port}))
    assert name in sentence
    assert str(port) in sentence


def test_in_a_log_of_text_a_refusal_is_a_sentence(prepare_service: Start) -> None:
    sentence = refusal(prepare_service(empty=True, LOG_FORMAT="text", MAX_ATTEMPTS="five"))
    assert sentence.startswith("MAX_ATTEMPTS is 'five', but must be")


def test_a_newer_database_is_left_alone(prepare_service: Start) -> None:
    service = prepare_service()
    with closing(sqlite3.connect(service.database)) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
    sentence = refusal(service)
    assert "newer" in sentence
    assert str(service.database) in sentence


def test_a_damaged_database_is_left_alone(prepare_service: Start) -> None:
    service = prepare_service()
    whole = bytearray(service.database.read_bytes())
    for place in range(4096 * 2, len(whole), 4096):
        whole[place : place + 64] = bytes(255 - byte for byte in whole[place : place + 64])
    service.database.write_bytes(whole)
    assert "damaged" in refusal(service)


def test_a_database_that_was_cut_off_is_left_alone(prepare_service: Start) -> None:
    service = prepare_service()
    whole = service.database.read_bytes()
    service.database.write_bytes(whole[: len(whole) // 2])
    assert "damaged" in refusal(service)


def test_a_file_that_is_no_database_is_left_alone(prepare_service: Start) -> None:
    service = prepare_service(empty=True)
    service.database.write_text("a shopping list, and a long one: " + "bread, " * 1000)
    assert "not a database" in refusal(service)


@pytest.mark.parametrize("also_migrated_by_alembic", [False, True])
def test_the_database_of_another_program_is_left_alone(prepare_service: Start, also_migrated_by_alembic: bool) -> None:
    service = prepare_service(empty=True)
    with closing(sqlite3.connect(service.database)) as database:
        database.execute("CREATE TABLE songs (title TEXT)")
        if also_migrated_by_alembic:
            database.execute("CREATE TABLE alembic_version (version_num TEXT)")
            database.execute("INSERT INTO alembic_version VALUES ('1975ea83b712')")
        database.commit()
    assert "another program" in refusal(service)


def test_a_folder_in_the_database_s_place_is_left_alone(prepare_service: Start) -> None:
    service = prepare_service(empty=True)
    service.database.mkdir()
    assert "folder" in refusal(service)


def test_a_read_only_database_is_named(prepare_service: Start) -> None:
    service = prepare_service()
    service.launcher = AS_OWNER_ONLY
    service.database.chmod(0o444)
    user = os.geteuid()
    assert f"{service.database} is read-only for uid {user}; it belongs to uid {user} and has" in refusal(service)


@pytest.mark.parametrize("empty", [False, True])
def test_a_read_only_folder_is_named(prepare_service: Start, tmp_path: Path, empty: bool) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    service = prepare_service(inside, empty=empty)
    service.launcher = AS_OWNER_ONLY
    with read_only(inside):
        assert "read-only" in refusal(service)


def test_a_folder_that_hides_the_database_is_named(prepare_service: Start, tmp_path: Path) -> None:
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


def test_a_fault_of_the_program_is_one_line_with_its_traceback(prepare_service: Start, tmp_path: Path) -> None:
    """A module that cannot be loaded stands for a fault that nobody foresaw."""
    (tmp_path / "uvloop.py").write_text("raise RuntimeError('colour')")
    service = prepare_service()
    service.launcher = ["env", f"PYTHONPATH={tmp_path}:{CHECKOUT}"]
    service.spawn()
    assert service.process.wait(START_SECONDS) == 1
    (line,) = service.lines("start_refused")
    assert line["message"] == "The command has failed by a fault of the program: RuntimeError('colour')."
    assert "Traceback" in line["exc_info"]
    assert len(service.log.splitlines()) == 1
    service.output.write_text("")


def test_a_folder_that_cannot_be_made_is_named(prepare_service: Start, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    sentence = refusal(prepare_service(DATABASE_PATH=tmp_path / "file" / "pm.db"))
    assert str(tmp_path / "file") in sentence


def test_a_database_that_another_program_keeps_locked_is_named(prepare_service: Start) -> None:
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
