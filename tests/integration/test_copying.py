"""A copy of a database between SQLite and PostgreSQL: all rows are equal, and new ids continue."""

import json
import random
import string
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from project_manager.clock import SystemClock
from project_manager.schemas.tasks import CreateTask
from project_manager.services import tasks
from project_manager.store import copying, revisions, search
from project_manager.store.errors import BackupError, DatabaseOpenError
from project_manager.store.postgres import hosts
from project_manager.store.sqlite import driver
from project_manager.store.statement import Statement
from tests.integration.first_release import FIRST
from tests.integration.test_backup import NOW, damage
from tests.postgres_server import PostgresServer
from tests.stored_rows import Address, read, rolled_back, snapshot, write, writing

pytestmark = pytest.mark.slow

LARGEST = 2**63 - 1
LETTERS = f"{string.printable}\x01\x7f\u00e9\u0301\u0130\u00df\u202e\u3042\ufeff\uffff\U0001f600\U0010ffff"
ODD_TEXTS = ("", "\\N", "\\.", "a\tb\r\n\\", "'\"", "NULL", " ", "z", "Z", "é", "x" * 3000)
NUMBERS = (0, 1, 2**31 - 1, 2**31, 2**53 + 1, LARGEST)
JSON_OBJECTS = ('{"a": 1e400, "b": 0.1000, "b": -0}', '{"n": 123456789012345678901234567890, "s": "\\u0000"}', "{}")
CHOICES = {
    "role": ("viewer", "agent", "operator"),
    "verdict": ("validated", "rejected", "partial"),
    "actor_kind": ("human", "agent", "system"),
    "scope": ("all",),
}
KINDS = {"agents": ("human", "agent", "system"), "task_logs": ("comment", "progress", "handoff", "evidence", "system")}
SMALL = {"priority", "confidence", "open_dependencies", "unblocks", "deferred", "archived", "active", "lock_fenced"}
IDS = {
    "project_id",
    "epic_id",
    "task_id",
    "depends_on_id",
    "other_id",
    "glob_id",
    "knowledge_id",
    "assumption_id",
    "message_id",
    "to_task",
    "to_project",
    "parent_id",
}
ROWS_EACH = 25
REMOVED = 1_000_000
"""The highest id that was ever assigned in each table. Its row was deleted."""


@pytest.fixture
def other_url(postgresql_server: PostgresServer, postgresql_template: str) -> Iterator[str]:
    with postgresql_server.database(postgresql_template) as url:
        yield url


def rows(address: Address) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of all tables that both databases have and that no process writes for itself."""
    names = {table.name for table in copying.COPIED} | {"claimable_labels", "task_labels", "running_releases"}
    found = {name: read(address, f"SELECT * FROM {name}") for name in names}
    return {name: sorted(of_table, key=repr) for name, of_table in found.items()}


class Filler:
    """Random rows in all tables, with the values that databases treat differently."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def text(self) -> str:
        if self.random.random() < 0.3:
            return self.random.choice(ODD_TEXTS)
        return "".join(self.random.choices(LETTERS, k=self.random.randrange(40)))

    def unique(self, number: int) -> str:
        return f"{self.text()[:100]}{number}"

    def value(self, table: str, column: Any, number: int) -> Any:  # noqa: C901 a value for each kind of column
        name = column.name
        if column.nullable and self.random.random() < 0.4:
            return None
        if name in IDS:
            return number
        if name in SMALL:
            return 0
        if name in ("hash", "floor_hash") and table in ("events", "meta"):
            return self.random.randbytes(32)
        if name in ("labels", "acceptance", "tags"):
            return json.dumps([self.text() for _ in range(self.random.randrange(4))], ensure_ascii=False)
        if name == "floor_facts":
            return '{"tasks": 3}'
        if name in ("metadata", "data", "sealed"):
            return self.random.choice(JSON_OBJECTS)
        if name in CHOICES or (name == "kind" and table in KINDS):
            return self.random.choice(CHOICES.get(name) or KINDS[table])
        if name in (
            "name",
            "name_key",
            "external_key",
            "title",
            "key",
            "hash",
            "content",
            "actor_id",
            "id",
            "target",
        ) and "TEXT" in str(column.type):
            return self.unique(number)
        if name == "status":
            return {"epics": "ACTIVE", "tasks": "DONE"}.get(table, "TODO")
        if "TEXT" in str(column.type):
            return self.text()
        return self.random.choice(NUMBERS[1:])

    def row(self, table: Any, number: int) -> dict[str, Any]:
        made = {column.name: self.value(table.name, column, number) for column in table.columns}
        made |= {name: number for name in ("id", "seq") if name in made and table.name != "agents"}
        if table.name == "tasks":
            made |= {name: None for name in made if name.startswith("lock_")} | {"lock_fenced": 0, "attempts": 2}
            made |= {"completed_at": 7, "estimate_minutes": LARGEST, "defer_until": None}
            made["parent_id"] = number % ROWS_EACH + 1 if number % 2 else None  # open subtasks would be counted
            made |= {"unblocks": int(number < ROWS_EACH)} if number % 2 else {"status": "TODO", "completed_at": None}
        if table.name in ("task_dependencies", "task_conflicts"):
            made |= {"task_id": number, "depends_on_id": number - 1, "other_id": number + 1}
        if table.name == "flow_hours":
            made["hour"] = number
        if table.name == "knowledge_items":
            made["parent_id"] = number % ROWS_EACH + 1  # often a later item
        return {column.name: made[column.name] for column in table.columns}

    def fill(self, path: Path) -> None:
        with closing(driver.connect(str(path))) as connection:
            connection.execute("PRAGMA foreign_keys=OFF")
            connection.execute(driver.BEGIN_WRITE)
            connection.execute("DELETE FROM meta")
            for table in copying.COPIED:
                for number in range(1, 1 + {"meta": 1, "task_conflicts": ROWS_EACH - 1}.get(table.name, ROWS_EACH)):
                    self.add(connection, table, number)
            connection.execute("UPDATE sqlite_sequence SET seq = ?", (REMOVED,))
            connection.execute("COMMIT")

    def add(self, connection: Any, table: Any, number: int) -> None:
        made = self.row(table, number)
        if table.name == "task_dependencies" and number % 2:
            return  # every other task needs the one before, which is done
        names, marks = ", ".join(f'"{name}"' for name in made), ", ".join("?" for _ in made)
        connection.execute(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", tuple(made.values()))


def test_random_rows_are_equal_on_both_databases_and_back_again(
    database_file: Path, postgresql_url: str, other_url: str, tmp_path: Path
) -> None:
    back, last = tmp_path / "back.db", tmp_path / "last.db"
    Filler(1).fill(database_file)
    before = rows(database_file)
    assert all(before.values())
    for source, target in (
        (database_file, postgresql_url),
        (postgresql_url, other_url),
        (other_url, back),
        (back, last),
    ):
        done = copying.copy(source, target)
        assert done.differences
        assert rows(target) == before
        assert {name: digest.rows for name, digest in done.tables.items()}.items() <= {
            name: len(of_table) for name, of_table in before.items()
        }.items()
    assert read(last, "SELECT name, seq FROM sqlite_sequence ORDER BY name") == [
        {"name": name, "seq": REMOVED} for name in sorted(copying.NUMBERED)
    ]


def test_new_rows_get_the_next_ids_and_are_found(database_file: Path, postgresql_url: str, tmp_path: Path) -> None:
    for name in ("Alpha", "Beta"):
        add_task(database_file, name)
    write(database_file, "UPDATE sqlite_sequence SET seq = 50 WHERE name = 'tasks'")
    copying.copy(database_file, postgresql_url)
    assert add_task(postgresql_url, "Gamma") == 51
    assert found(postgresql_url, "alph gamm") == []
    back = tmp_path / "back.db"
    done = copying.copy(postgresql_url, back)
    assert add_task(back, "Delta") == 52
    assert (done.differences, done.revision) == ((), revisions.head())
    for word, number in (("alph", 1), ("beta", 2), ("gam", 51), ("delta", 52)):
        assert found(back, word) == [number]


def add_task(address: Address, name: str) -> int:
    """Create a task, like a service."""
    with writing(address) as tx:
        tx.now = NOW
        created: int = tasks.create(tx, CreateTask.model_validate({"name": name}))["id"]
    return created


def found(address: Address, words: str) -> list[int]:
    """Return the ids of the tasks that a search finds."""
    with snapshot(address) as tx:
        expression = search.match_expression(tx, search.tasks_fts, words)
        matching = select(search.tasks_fts.c.rowid).where(search.matches(search.tasks_fts, "q"))
        return [row[0] for row in Statement(matching).rows(tx, q=expression)]


def refusal(source: Address, target: Address) -> str:
    """Return the sentence with which a copy is refused."""
    with pytest.raises((BackupError, DatabaseOpenError)) as refused:
        copying.copy(source, target)
    return str(refused.value)


def test_a_target_with_rows_is_refused_and_stays(database_file: Path, postgresql_url: str, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    add_task(postgresql_url, "Kept")
    other.write_text("a letter")
    before = rows(postgresql_url)
    assert "is not empty, it has events" in refusal(database_file, postgresql_url)
    assert "already exists: copy to a new file" in refusal(database_file, other)
    assert rows(postgresql_url) == before
    assert other.read_text() == "a letter"


def test_a_log_beside_the_target_is_refused(database_file: Path, tmp_path: Path) -> None:
    log = tmp_path / "copy.db-wal"
    log.write_text("pages")
    assert "copy.db-wal belongs to another database" in refusal(database_file, tmp_path / "copy.db")
    assert log.read_text() == "pages"


def test_a_database_that_an_instance_uses_is_refused(
    database: Address, other_database: Address, tmp_path: Path
) -> None:
    """The row is one of another machine, which no process id can prove wrong."""
    columns = "id, host, pid, version, kind, started_at, heartbeat_at"
    insert = f"INSERT INTO instances ({columns}) VALUES ('i', 'elsewhere@boot', 1, '0.1.0', 'serve', ?, ?)"
    beat = SystemClock().now() + 60_000
    write(database, insert, beat, beat)
    said = refusal(database, tmp_path / "copy.db")
    assert "cannot be copied now: process 1 on elsewhere@boot (serve) uses the database: stop it first" in said
    if isinstance(database, str):
        assert "process 1 on elsewhere@boot" in refusal(other_database, database)
    assert not (tmp_path / "copy.db").exists()


def test_a_file_that_a_process_has_open_is_refused(database_file: Path, tmp_path: Path) -> None:
    with closing(driver.connect(str(database_file))) as connection:
        connection.execute("SELECT count(*) FROM tasks").fetchone()
        assert "is in use: stop the service" in refusal(database_file, tmp_path / "copy.db")
    copying.copy(database_file, tmp_path / "copy.db")


def test_a_batch_in_progress_on_a_server_is_refused(postgresql_url: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(hosts, "_SETTINGS", hosts._SETTINGS.replace("'5s'", "'10ms'"))
    with rolled_back(postgresql_url):
        assert "is in use: stop the service" in refusal(postgresql_url, tmp_path / "copy.db")


def test_a_schema_of_another_release_is_refused(database: Address, other_database: Address, tmp_path: Path) -> None:
    for schema, remedy in ((FIRST, "run `project-manager migrate` on it first"), ("9999", "use the newer release")):
        write(database, f"UPDATE alembic_version SET version_num = '{schema}'")
        for source, target in ((database, tmp_path / "copy.db"), (other_database, database)):
            if source == database or isinstance(target, str):  # as a target, a file is refused before
                said = refusal(source, target)
                assert f"has schema {schema}" in said
                assert remedy in said


def test_a_damaged_file_is_refused(database_file: Path, postgresql_url: str) -> None:
    for number in range(200):
        add_task(database_file, f"Task {number} {'x' * 100}")
    with closing(driver.connect(str(database_file))) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    damage(database_file)
    assert "is damaged" in refusal(database_file, postgresql_url)
    assert read(postgresql_url, "SELECT * FROM events") == []


@pytest.mark.parametrize("change", ["description = CAST(x'610062' AS TEXT)", "updated_at = 1.5"])
def test_a_value_that_a_server_cannot_store_is_refused(database_file: Path, postgresql_url: str, change: str) -> None:
    add_task(database_file, "Alpha")
    write(database_file, f"UPDATE tasks SET {change}")
    assert "the copy has failed on postgresql:///test_" in refusal(database_file, postgresql_url)
    assert read(postgresql_url, "SELECT * FROM tasks") == []


def test_a_text_that_is_not_unicode_is_refused(database_file: Path, postgresql_url: str) -> None:
    add_task(database_file, "Alpha")
    write(database_file, "UPDATE tasks SET description = CAST(x'c328' AS TEXT)")
    assert "pm.db has a value that cannot be copied" in refusal(database_file, postgresql_url)


def test_contents_that_do_not_match_their_events_are_copied_with_a_report(
    database_file: Path, postgresql_url: str
) -> None:
    add_task(database_file, "Alpha")
    write(database_file, "UPDATE tasks SET description = 'changed by hand'")
    done = copying.copy(database_file, postgresql_url)
    assert done.differences == ("task 1 was changed, but no event records the change",)
    assert rows(postgresql_url) == rows(database_file)
