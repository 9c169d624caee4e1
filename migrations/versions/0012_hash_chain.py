"""Add a hash chain over the events, and digests of the rows that they describe.

The chain begins with the oldest retained event and covers the events as they are at the migration. Existing rows need
no event, up to the ids in `meta.floor_facts`. Older releases write no hashes, so they do not run on this schema.
"""

import json
from hashlib import sha256
from typing import Any

import orjson
import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None
oldest_release = "0012"

COLUMNS = "seq, type, at, actor_id, actor_kind, project_id, epic_id, task_id, data, token_id, request_id"
TABLES = (
    "projects",
    "epics",
    "tasks",
    "task_logs",
    "tokens",
    "knowledge_items",
    "knowledge_logs",
    "assumptions",
    "assumption_verdicts",
)
NO_HASH = f"x'{bytes(32).hex()}'"


def upgrade() -> None:
    _add_floor()
    _chain_events()
    _note_rows()


def _add_floor() -> None:
    op.execute(f"ALTER TABLE meta ADD COLUMN floor_hash BLOB NOT NULL DEFAULT {NO_HASH}")
    op.execute("ALTER TABLE meta ADD COLUMN floor_facts TEXT NOT NULL DEFAULT '{}'")


def _chain_events() -> None:
    """Copy the events into a table that requires hashes. One pass in the order of `seq` keeps memory constant."""
    driver = op.get_bind().connection.driver_connection
    if driver is None:
        raise RuntimeError("there is no driver connection")
    previous = bytes(32)

    def link(*columns: Any) -> bytes:
        nonlocal previous
        previous = sha256(previous + orjson.dumps(columns)).digest()
        return previous

    driver.create_function("link", 12, link)
    highest = op.get_bind().exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = 'events'").scalar()
    op.create_table(
        "events_chained",
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("at", sa.Integer(), nullable=False),
        sa.Column("actor_id", sa.Text(), nullable=False),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=True),
        sa.Column("epic_id", sa.Integer(), nullable=True),
        sa.Column("task_id", sa.Integer(), nullable=True),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("token_id", sa.Integer(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("sealed", sa.Text(), nullable=True),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("length(hash) = 32", name=op.f("ck_events_hash")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_events")),
        sqlite_autoincrement=True,
    )
    op.execute(
        f"INSERT INTO events_chained ({COLUMNS}, hash) SELECT {COLUMNS}, link({COLUMNS}, NULL) FROM events ORDER BY seq"
    )
    op.drop_table("events")
    op.rename_table("events_chained", "events")
    op.execute("DELETE FROM sqlite_sequence WHERE name = 'events'")
    if highest is not None:  # never reuse the number of an event that retention has deleted
        op.execute(f"INSERT INTO sqlite_sequence (name, seq) VALUES ('events', {highest})")
    op.create_index(
        "ix_events_task_id_seq", "events", ["task_id", "seq"], unique=False, sqlite_where=sa.text("task_id IS NOT NULL")
    )


def _note_rows() -> None:
    connection = op.get_bind()
    facts: dict[str, int] = {}
    for table in TABLES:
        highest = connection.exec_driver_sql(f"SELECT max(id) FROM {table}").scalar()
        if highest is not None:
            facts[table] = highest
    floor = connection.exec_driver_sql("SELECT fence_floor FROM meta").scalar()
    if floor:
        facts["fence_floor"] = floor
    connection.execute(sa.text("UPDATE meta SET floor_facts = :facts"), {"facts": json.dumps(facts)})
