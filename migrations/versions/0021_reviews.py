"""Add what takes a task from the end of the work to a reviewed result.

The previous release runs on the new schema. It takes a task that is withheld for any reason for one of an archived
project, so it claims none of them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None
oldest_release = "0018"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
WIDENED = (
    ("tasks", "ck_tasks_archived", "archived IN (0, 1)", "archived >= 0"),
    (
        "tasks",
        "ck_tasks_lock_in_progress",
        "lock_holder IS NULL OR status = 'IN_PROGRESS'",
        "lock_holder IS NULL OR status = 'IN_PROGRESS' OR status = 'REVIEW'",
    ),
    (
        "task_logs",
        "ck_task_logs_kind",
        "kind = 'comment' OR kind = 'progress' OR kind = 'handoff' OR kind = 'evidence' OR kind = 'system'",
        "kind = 'comment' OR kind = 'progress' OR kind = 'handoff' OR kind = 'evidence' OR kind = 'system' "
        "OR kind = 'question' OR kind = 'answer'",
    ),
)
"""Constraints that accept more values: table, name, condition before, and condition after."""


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        _widen_on_postgresql()
    else:
        _widen_on_sqlite()
    op.add_column("tasks", sa.Column("lock_kind", sa.Text()))
    op.add_column("tasks", sa.Column("blocked_by", sa.Text()))
    op.add_column("tasks", sa.Column("offered_to", sa.Text()))
    op.add_column("tasks", sa.Column("offered_until", NUMBER))
    op.add_column("tasks", sa.Column("offered_reason", sa.Text()))
    op.add_column("task_logs", sa.Column("details", sa.Text()))
    op.add_column("projects", sa.Column("policy", sa.Text(), nullable=False, server_default="{}"))
    op.add_column("tokens", sa.Column("attests", NUMBER, nullable=False, server_default="0"))


def _widen_on_postgresql() -> None:
    for table, name, _, after in WIDENED:
        op.drop_constraint(name, table)
        op.create_check_constraint(name, table, after)


def _widen_on_sqlite() -> None:
    """Replace the conditions in the stored schema.

    SQLite cannot alter a constraint, and a copy of the table would fire its triggers. A wider condition needs no other
    change, so the documentation of ALTER TABLE recommends this way (section 7).
    """
    connection = op.get_bind()
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    for table, name, before, after in WIDENED:
        stored = connection.exec_driver_sql("SELECT sql FROM sqlite_schema WHERE name = ?", (table,)).scalar_one()
        start = stored.index(name)
        changed = stored[:start] + stored[start:].replace(f"({before})", f"({after})", 1)
        if changed == stored:
            raise RuntimeError(f"the constraint {name} of {table} is not the expected one")
        connection.exec_driver_sql("UPDATE sqlite_schema SET sql = ? WHERE name = ?", (changed, table))
    connection.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema = RESET")
