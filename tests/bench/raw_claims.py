"""The lower bound of storage: claims in plain SQL on one connection, with the small schema of the comparisons.

A claim takes the best task in one statement and writes one event. The product does at least the same.
"""

import time
from pathlib import Path

from sqlalchemy import Column, Index, Integer, MetaData, Table, Text

from project_manager.store.sqlite import driver as dialect

driver = dialect.driver
PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000", "cache_size=-16000")

metadata = MetaData()
tasks = Table(
    "tasks",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("holder", Text),
    Column("expires_at", Integer),
    Column("fence", Integer, nullable=False),
)
Index("tasks_by_order", tasks.c.status, tasks.c.priority, tasks.c.created_at, tasks.c.id)
events = Table(
    "events",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("type", Text, nullable=False),
    Column("at", Integer, nullable=False),
    Column("task_id", Integer, nullable=False),
    Column("actor", Text, nullable=False),
    Column("data", Text, nullable=False),
    sqlite_autoincrement=True,
)

_CLAIM = (
    "UPDATE tasks SET status = 'IN_PROGRESS', holder = ?, expires_at = ?, fence = fence + 1 WHERE id = (SELECT id "
    "FROM tasks WHERE status = 'TODO' ORDER BY priority, created_at, id LIMIT 1) RETURNING id, name, fence"
)
_EVENT = "INSERT INTO events (type, at, task_id, actor, data) VALUES (?, ?, ?, ?, ?) RETURNING seq"


def prepare(path: str, count: int) -> None:
    """Create a database with `count` ready tasks."""
    Path(path).unlink(missing_ok=True)
    connection = driver.connect(path, isolation_level=None)
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    for statement in ddl():
        connection.execute(statement)
    connection.execute("BEGIN")
    rows = ((f"task {number}", "TODO", number % 5, number, 0) for number in range(count))
    connection.executemany("INSERT INTO tasks (name, status, priority, created_at, fence) VALUES (?, ?, ?, ?, ?)", rows)
    connection.execute("COMMIT")
    connection.close()


def ddl() -> list[str]:
    from sqlalchemy.schema import CreateIndex, CreateTable  # noqa: PLC0415

    made = [str(CreateTable(table).compile(dialect=dialect.compiler)) for table in (tasks, events)]
    return [*made, *(str(CreateIndex(index).compile(dialect=dialect.compiler)) for index in tasks.indexes)]


class RawClaims:
    """Claims in this process, with `batch` claims per transaction, each in its savepoint."""

    def __init__(self, path: Path, count: int) -> None:
        prepare(str(path), count)
        self._connection = driver.connect(str(path), isolation_level=None)
        for pragma in PRAGMAS:
            self._connection.execute(f"PRAGMA {pragma}")

    def slice(self, seconds: float, batch: int) -> tuple[int, float, float]:
        """Free all tasks, then claim for this number of seconds. Return claims, seconds and CPU seconds."""
        execute = self._connection.execute
        execute("UPDATE tasks SET status = 'TODO', holder = NULL WHERE status <> 'TODO'")
        claims, began, cpu = 0, time.perf_counter(), time.thread_time()
        while time.perf_counter() - began < seconds:
            execute("BEGIN IMMEDIATE")
            for number in range(batch):
                execute("SAVEPOINT one")
                now = int(time.time() * 1000)
                row = execute(_CLAIM, (f"agent-{number}", now + 900_000)).fetchone()
                execute(_EVENT, ("task.locked", now, row[0], f"agent-{number}", '{"fence":1}')).fetchone()
                execute("RELEASE one")
            execute("COMMIT")
            claims += batch
        return claims, time.perf_counter() - began, time.thread_time() - cpu

    def close(self) -> None:
        self._connection.close()
