"""Set missing name keys, index missing search words, and drop the triggers for releases that write neither.

A row without a key and with the name of another row gets a suffix ` (2)`, ` (3)` .., and a warning in the log
names it. Older revisions write to the dropped table `search_due`, so they do not run on it. No release has used it.
"""

import logging
from itertools import count

import sqlalchemy as sa
from alembic import op

from project_manager.domain.names import name_key
from project_manager.domain.words import index_words

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None
oldest_release = "0015"

log = logging.getLogger("project_manager.migrations")

NAME_CHARACTERS = 200


def upgrade() -> None:
    connection = op.get_bind()
    for table, scope in (("projects", "1"), ("epics", "project_id")):
        op.execute(f"DROP TRIGGER {table}_name_key")
        _set_missing_keys(connection, table, scope)
    _register_words(connection)
    _index_missing("tasks_fts", "tasks", "task", ("name", "description", "external_key"))
    _index_missing("knowledge_fts", "knowledge_items", "knowledge", ("title", "content", "category", "tags"))
    op.drop_table("search_due")


def _set_missing_keys(connection: sa.Connection, table: str, scope: str) -> None:
    """Set the key of each row without one. Rows with a free name come first. Each other row gets a numbered name."""
    missing = sa.text(f"SELECT id, {scope}, name FROM {table} WHERE name_key IS NULL ORDER BY id")
    taken = sa.text(
        f"SELECT 1 FROM {table} WHERE {scope} = :inside AND id <> :id AND (name_key = :key OR name = :name)"
    )
    write = sa.text(f"UPDATE {table} SET name = :name, name_key = :key, version = version + :step WHERE id = :id")

    def set_name(row_id: int, inside: int, name: str, step: int = 0) -> bool:
        row = {"id": row_id, "name": name, "key": name_key(name)}
        if connection.execute(taken, {**row, "inside": inside}).first() is not None:
            return False
        connection.execute(write, {**row, "step": step})
        return True

    rows = connection.execute(missing).fetchall()
    for row_id, inside, name in [row for row in rows if not set_name(*row)]:
        endings = (f" ({number})" for number in count(2))
        names = (name[: NAME_CHARACTERS - len(ending)] + ending for ending in endings)
        new = next(new for new in names if set_name(row_id, inside, new, step=1))
        log.warning(
            "%s %s has the same name as another one, %r, and has %r now",
            table.removesuffix("s"),
            row_id,
            name,
            new,
            extra={"action": "renamed_by_migration"},
        )


def _register_words(connection: sa.Connection) -> None:
    driver = connection.connection.driver_connection
    if driver is None:
        raise RuntimeError("there is no driver connection")
    driver.create_function("search_words", 1, lambda text: " ".join(index_words(text or "")), deterministic=True)


def _index_missing(index: str, table: str, kind: str, texts: tuple[str, ...]) -> None:
    op.execute(f"DROP TRIGGER {index}_insert")
    op.execute(f"DROP TRIGGER {index}_update")
    columns, words = ", ".join(texts), ", ".join(f"search_words({name})" for name in texts)
    op.execute(
        f"INSERT OR REPLACE INTO {index} (rowid, {columns}) SELECT id, {words} FROM {table} "
        f"WHERE id IN (SELECT id FROM search_due WHERE kind = '{kind}') ORDER BY id"
    )
