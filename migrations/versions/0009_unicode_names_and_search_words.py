"""Convert single-line texts to NFC, make names unique by key, and index search words that Python splits.

Rows with the same name or key in NFC keep their ids. The oldest row keeps the name. Each other row gets a suffix
` (2)`, ` (3)` .., and a warning in the log names it.

The previous release runs on the new schema, but writes no name keys and no words. Triggers clear the key and insert the
id into `search_due`. The release of this migration adds the keys and words when it starts.
"""

import json
import logging
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import sqlalchemy as sa
from alembic import op

from project_manager.domain.names import composed, name_key
from project_manager.domain.words import index_words

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None
oldest_release = "0005"

log = logging.getLogger("project_manager.migrations")

NAME_CHARACTERS = 200
KEY_CHARACTERS = 200
AT_ONCE = 500

TEXTS = (
    ("tasks", "name"),
    ("tasks", "created_by"),
    ("tasks", "lock_holder"),
    ("tasks", "worked_by"),
    ("ended_leases", "agent_id"),
    ("ended_leases", "task_name"),
    ("task_logs", "author"),
    ("events", "actor_id"),
    ("tokens", "agent_id"),
    ("waiters", "agent_id"),
    ("mcp_subscriptions", "owner"),
    ("knowledge_items", "title"),
    ("knowledge_items", "category"),
    ("knowledge_items", "created_by"),
    ("knowledge_items", "updated_by"),
    ("knowledge_versions", "title"),
    ("knowledge_versions", "category"),
    ("knowledge_versions", "author"),
    ("knowledge_logs", "action_type"),
    ("knowledge_logs", "author"),
    ("assumptions", "author"),
    ("assumption_verdicts", "reviewer"),
)
"""Columns without uniqueness, where equal values after NFC cause no conflict."""
SETS = (("tasks", "labels"), ("waiters", "labels"), ("knowledge_items", "tags"), ("knowledge_versions", "tags"))
LISTS = (("tasks", "acceptance"),)
AGENTS_IN_EVENTS = ("agent_id", "author", "holder")


def upgrade() -> None:
    connection = op.get_bind()
    _register(connection)
    _drop_search()
    op.add_column("projects", sa.Column("name_key", sa.Text(), nullable=True))
    op.add_column("epics", sa.Column("name_key", sa.Text(), nullable=True))
    op.create_index("uq_projects_name_key", "projects", ["name_key"], unique=True)
    op.create_index("uq_epics_project_id_name_key", "epics", ["project_id", "name_key"], unique=True)
    _compose_names(connection, "projects", "1")
    _compose_names(connection, "epics", "project_id")
    _compose_unique(connection, "tasks", "external_key", "project_id", KEY_CHARACTERS)
    _compose_unique(connection, "tokens", "name", "revoked_at", NAME_CHARACTERS)
    _compose_agents(connection)
    _compose_answers(connection)
    _compose_texts(connection)
    _create_key_triggers()
    _create_search()


def _register(connection: sa.Connection) -> None:
    """Register domain functions in SQLite. The conversion in SQL keeps memory independent of table sizes."""
    driver = connection.connection.driver_connection
    if driver is None:
        raise RuntimeError("there is no driver connection")
    functions: dict[str, Callable[[str | None], str | None]] = {
        "nfc": lambda text: None if text is None else composed(text),
        "nfc_list": _composed_list,
        "nfc_set": _composed_set,
        "nfc_event": _composed_event,
        "search_words": lambda text: " ".join(index_words(text or "")),
    }
    for name, function in functions.items():
        driver.create_function(name, 1, function, deterministic=True)


def _composed_list(text: str | None) -> str | None:
    """Return a JSON list of texts in NFC."""
    if text is None or _is_composed(text):
        return text
    values = json.loads(text)
    found = [composed(value) for value in values]
    return text if found == values else json.dumps(found, ensure_ascii=False)


def _composed_set(text: str | None) -> str | None:
    """Return a JSON list of distinct texts in NFC."""
    new = _composed_list(text)
    return text if new is None or new == text else json.dumps(list(dict.fromkeys(json.loads(new))), ensure_ascii=False)


def _is_composed(text: str) -> bool:
    return text.isascii() and "\\u" not in text


def _composed_event(text: str | None) -> str | None:
    """Return the JSON data of an event with its agent ids in NFC."""
    if text is None or _is_composed(text):
        return text
    data = json.loads(text)
    for part in (data, data.get("lock")):
        for name in AGENTS_IN_EVENTS if isinstance(part, dict) else ():
            if isinstance(part.get(name), str):
                part[name] = composed(part[name])
    written = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text if json.loads(text) == data else written


def _compose_names(connection: sa.Connection, table: str, scope: str) -> None:
    """Convert the names of projects or epics to NFC and set the row keys, one scope at a time."""
    scopes = [row[0] for row in connection.execute(sa.text(f"SELECT DISTINCT {scope} FROM {table}"))]
    inside = sa.text(f"SELECT id, name FROM {table} WHERE {scope} = :inside ORDER BY id")
    write = sa.text(f"UPDATE {table} SET name = :name, name_key = :key, version = version + :step WHERE id = :id")
    for number in scopes:
        rows = connection.execute(inside, {"inside": number}).fetchall()
        names = {row_id: composed(name)[:NAME_CHARACTERS] for row_id, name in rows}
        for row_id, name, is_new in _unique_names(table, names):
            values = {"id": row_id, "name": name, "key": name_key(name), "step": int(is_new)}
            connection.execute(write, values)


def _unique_names(table: str, names: dict[int, str]) -> list[tuple[int, str, bool]]:
    """Return a tuple (id, name, whether a number was added) for each row.

    The caller writes the rows in this order. Rows with a new number come first, because the oldest row may get the
    present name of one of them.
    """
    keys: dict[str, int] = {}
    for row_id, name in names.items():
        keys.setdefault(name_key(name), row_id)
    numbered = []
    for row_id, name in names.items():
        if keys[name_key(name)] != row_id:
            new = _numbered(name, NAME_CHARACTERS, lambda text: name_key(text) in keys)
            keys[name_key(new)] = row_id
            numbered.append((row_id, new, True))
            _log_rename(table, "name", row_id, name, new)
    changed = {row_id for row_id, _, _ in numbered}
    return numbered + [(row_id, name, False) for row_id, name in names.items() if row_id not in changed]


def _compose_unique(connection: sa.Connection, table: str, column: str, scope: str, longest: int) -> None:
    """Convert a column that is unique within its scope to NFC. Only few rows change, so each is written separately."""
    changing = f"SELECT id, {scope}, {column} FROM {table} WHERE {column} IS NOT nfc({column}) AND id > :after"
    among = sa.text(f"SELECT min(id) FROM {table} WHERE {column} = :text AND id <> :but AND {scope} IS :inside")
    write = sa.text(f"UPDATE {table} SET {column} = :text WHERE id = :id")
    for row_id, inside, text in _rows(connection, changing):
        wanted = composed(text)[:longest]

        def taken(by: str, but: int = row_id, within: object = inside) -> int | None:
            found: int | None = connection.execute(among, {"text": by, "but": but, "inside": within}).scalar()
            return found

        other = taken(wanted)
        if other is not None:
            newer = max(row_id, other)
            new = _numbered(wanted, longest, lambda text: taken(text) is not None)
            connection.execute(write, {"id": newer, "text": new})
            _log_rename(table, column, newer, wanted, new)
        if other is None or other > row_id:
            connection.execute(write, {"id": row_id, "text": wanted})


def _numbered(text: str, longest: int, taken: Callable[[str], bool]) -> str:
    """Return the text with the first free number as a suffix, at most `longest` characters."""
    for number in count(2):
        ending = f" ({number})"
        new = text[: longest - len(ending)] + ending
        if not taken(new):
            break
    return new


def _log_rename(table: str, column: str, row_id: int, text: str, new: str) -> None:
    log.warning(
        "%s %s has the same %s as another one, %r, and has %r now",
        table.removesuffix("s"),
        row_id,
        column,
        text,
        new,
        extra={"action": "renamed_by_migration"},
    )


def _rows(connection: sa.Connection, statement: str) -> Iterator[Any]:
    """Yield the rows of a SELECT with `id > :after` in id order. Pages allow the caller to write between reads."""
    after = 0
    while True:
        rows = connection.execute(sa.text(f"{statement} ORDER BY id LIMIT {AT_ONCE}"), {"after": after}).fetchall()
        yield from rows
        if len(rows) < AT_ONCE:
            return
        after = rows[-1][0]


def _compose_agents(connection: sa.Connection) -> None:
    """Merge the forms of each agent id into one agent with the earliest `first_seen_at` and latest `last_seen_at`."""
    op.execute(
        "INSERT INTO agents (id, kind, first_seen_at, last_seen_at) "
        "SELECT nfc(id), kind, first_seen_at, last_seen_at FROM agents WHERE id IS NOT nfc(id) "
        "ON CONFLICT (id) DO UPDATE SET first_seen_at = min(first_seen_at, excluded.first_seen_at), "
        "last_seen_at = max(last_seen_at, excluded.last_seen_at)"
    )
    op.execute("DELETE FROM agents WHERE id IS NOT nfc(id)")


def _compose_answers(connection: sa.Connection) -> None:
    """Convert idempotency keys to NFC. Of two forms of one key, the NFC form keeps its stored response."""
    op.execute(
        "UPDATE OR IGNORE answers SET actor_id = nfc(actor_id), key = nfc(key) "
        "WHERE actor_id IS NOT nfc(actor_id) OR key IS NOT nfc(key)"
    )
    op.execute("DELETE FROM answers WHERE actor_id IS NOT nfc(actor_id) OR key IS NOT nfc(key)")


def _compose_texts(connection: sa.Connection) -> None:
    for table, column in TEXTS:
        new = f"nfc({column})"
        if column == "name":  # NFC makes a few characters longer
            new = f"substr({new}, 1, {NAME_CHARACTERS})"
        op.execute(f"UPDATE {table} SET {column} = {new} WHERE {column} IS NOT {new}")
    for kind, columns in (("nfc_list", LISTS), ("nfc_set", SETS)):
        for table, column in columns:
            op.execute(f"UPDATE {table} SET {column} = {kind}({column}) WHERE {column} IS NOT {kind}({column})")
    op.execute("UPDATE events SET data = nfc_event(data) WHERE data IS NOT nfc_event(data)")


def _create_key_triggers() -> None:
    for table in ("projects", "epics"):
        op.execute(
            f"CREATE TRIGGER {table}_name_key AFTER UPDATE OF name ON {table} WHEN new.name IS NOT old.name BEGIN "
            f"UPDATE {table} SET name_key = NULL WHERE id = new.id; END"
        )


def _drop_search() -> None:
    for index in ("tasks_fts", "knowledge_fts"):
        for name in ("insert", "delete", "update"):
            op.execute(f"DROP TRIGGER {index}_{name}")
        op.execute(f"DROP TABLE {index}")


def _create_search() -> None:
    """Create the tables of words. The words are already folded, so the tokenizer only splits at spaces."""
    op.create_table(
        "search_due",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.CheckConstraint("kind IN ('task', 'knowledge')", name=op.f("ck_search_due_kind")),
        sa.PrimaryKeyConstraint("kind", "id", name=op.f("pk_search_due")),
        comment="texts that were written and are not in the search index yet",
        sqlite_with_rowid=False,
    )
    _create_index("tasks_fts", "tasks", "task", ("name", "description", "external_key"))
    _create_index("knowledge_fts", "knowledge_items", "knowledge", ("title", "content", "category", "tags"))


def _create_index(index: str, table: str, kind: str, texts: tuple[str, ...]) -> None:
    columns = ", ".join(texts)
    op.execute(f"CREATE VIRTUAL TABLE {index} USING fts5({columns}, tokenize='ascii')")
    words = ", ".join(f"search_words({name})" for name in texts)
    op.execute(f"INSERT INTO {index} (rowid, {columns}) SELECT id, {words} FROM {table} ORDER BY id")
    note = f"INSERT OR IGNORE INTO search_due (kind, id) VALUES ('{kind}', new.id)"
    changed = " OR ".join(f"new.{name} IS NOT old.{name}" for name in texts)
    op.execute(f"CREATE TRIGGER {index}_insert AFTER INSERT ON {table} BEGIN {note}; END")
    op.execute(f"CREATE TRIGGER {index}_update AFTER UPDATE OF {columns} ON {table} WHEN {changed} BEGIN {note}; END")
    op.execute(
        f"CREATE TRIGGER {index}_delete AFTER DELETE ON {table} BEGIN DELETE FROM {index} WHERE rowid = old.id; END"
    )
