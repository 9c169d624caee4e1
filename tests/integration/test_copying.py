"""A copy of a database between SQLite and PostgreSQL: all rows are equal, and new ids continue."""

import json
import random
import string
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from project_manager.store import copying
from project_manager.store.sqlite import driver
from tests.postgres_server import PostgresServer
from tests.stored_rows import Address, read

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
}
KINDS = {"agents": ("human", "agent", "system"), "task_logs": ("comment", "progress", "handoff", "evidence", "system")}
SMALL = {"priority", "confidence", "open_dependencies", "unblocks", "deferred", "archived", "active", "lock_fenced"}
IDS = {"project_id", "epic_id", "task_id", "depends_on_id", "other_id", "knowledge_id", "assumption_id", "parent_id"}
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
            made |= {"unblocks": int(number < ROWS_EACH)} if number % 2 else {"status": "TODO", "completed_at": None}
        if table.name in ("task_dependencies", "task_conflicts"):
            made |= {"task_id": number, "depends_on_id": number - 1, "other_id": number + 1}
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
