"""Add evidence, submissions, policies, questions, messages, pauses, paths, subtasks and issued agent ids.

The previous release runs on the new schema. It treats a task that is withheld for any reason as a task of an archived
project, so it claims none of them.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None
oldest_release = "0018"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
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
OFFERED = sa.text("offered_to IS NOT NULL")
IN_REVIEW = sa.text("status = 'REVIEW' AND submission_id IS NOT NULL")


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        _widen_on_postgresql()
    else:
        _widen_on_sqlite()
    op.add_column("tasks", sa.Column("lock_kind", TEXT))
    op.add_column("tasks", sa.Column("blocked_by", TEXT))
    op.add_column("tasks", sa.Column("offered_to", TEXT))
    op.add_column("tasks", sa.Column("offered_until", NUMBER))
    op.add_column("tasks", sa.Column("offered_reason", TEXT))
    op.add_column("tasks", sa.Column("submission_id", NUMBER))
    op.add_column("tasks", sa.Column("rework_id", NUMBER))
    op.add_column("tasks", sa.Column("answer_id", NUMBER))
    op.add_column("tasks", sa.Column("completed_by", TEXT))
    op.add_column("tasks", sa.Column("paths", TEXT, nullable=False, server_default="[]"))
    _create_index("ix_tasks_offered_to", ["offered_to"], OFFERED)
    _create_index("ix_tasks_in_review", ["priority", sa.text("unblocks DESC"), "id"], IN_REVIEW)
    op.add_column("tasks", sa.Column("parent_id", NUMBER))  # no foreign key: Alembic cannot add one on SQLite
    _create_index("ix_tasks_parent_id", ["parent_id"], sa.text("parent_id IS NOT NULL"))
    _create_submissions()
    _create_questions()
    _create_identities()
    _create_paths()
    op.add_column("task_logs", sa.Column("details", TEXT))
    op.add_column("projects", sa.Column("policy", TEXT, nullable=False, server_default="{}"))
    op.create_index("ix_knowledge_items_project_id_title", "knowledge_items", ["project_id", "title"])
    is_active, rank = sa.text("active = 1"), ["project_id", "priority", "updated_at", "id"]
    op.create_index(
        "ix_knowledge_items_active", "knowledge_items", rank, sqlite_where=is_active, postgresql_where=is_active
    )
    op.add_column("tokens", sa.Column("attests", NUMBER, nullable=False, server_default="0"))
    _create_pauses()
    _create_messages()


def _create_pauses() -> None:
    op.create_table(
        "pauses",
        sa.Column("id", NUMBER, sa.Identity(), primary_key=True),
        sa.Column("target", TEXT, nullable=False),
        sa.Column("scope", TEXT, nullable=False),
        sa.Column("project_id", NUMBER),
        sa.Column("task_id", NUMBER),
        sa.Column("agent_id", TEXT),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("author", TEXT, nullable=False),
        sa.Column("created_at", NUMBER, nullable=False),
        sa.Column("stopped", NUMBER, nullable=False, server_default="0"),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_pauses_project_id_projects", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name="fk_pauses_task_id_tasks", ondelete="CASCADE"),
        sa.UniqueConstraint("target", name="uq_pauses_target"),
        sa.CheckConstraint(
            "scope = 'all' OR (scope = 'project' AND project_id IS NOT NULL)"
            " OR (scope = 'task' AND task_id IS NOT NULL) OR (scope = 'agent' AND agent_id IS NOT NULL)",
            name=op.f("ck_pauses_scope"),
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_pauses_project_id", "pauses", ["project_id"])
    op.create_index("ix_pauses_task_id", "pauses", ["task_id"])
    named = sa.text("agent_id IS NOT NULL")
    op.create_index("ix_pauses_agent_id", "pauses", ["agent_id"], sqlite_where=named, postgresql_where=named)


def _create_messages() -> None:
    op.create_table(
        "messages",
        sa.Column("id", NUMBER, sa.Identity(), primary_key=True),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("sender", TEXT, nullable=False),
        sa.Column("sender_kind", TEXT, nullable=False),
        sa.Column("to_agent", TEXT),
        sa.Column("to_task", NUMBER),
        sa.Column("to_project", NUMBER),
        sa.Column("body", TEXT, nullable=False),
        sa.Column("created_at", NUMBER, nullable=False),
        sa.Column("expires_at", NUMBER, nullable=False),
        sa.Column("open", NUMBER, nullable=False),
        sa.Column("attention", NUMBER, nullable=False),
        sa.ForeignKeyConstraint(["to_task"], ["tasks.id"], name="fk_messages_to_task_tasks", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["to_project"], ["projects.id"], name="fk_messages_to_project_projects", ondelete="CASCADE"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_messages_sender_id", "messages", ["sender", "id"])
    op.create_index("ix_messages_to_agent_id", "messages", ["to_agent", "id"])
    op.create_index("ix_messages_to_task", "messages", ["to_task"])
    op.create_index("ix_messages_to_project", "messages", ["to_project"])
    for name, column, where in (
        ("ix_messages_open", "expires_at", "open = 1"),
        ("ix_messages_open_to_agent", "to_agent", "open = 1 AND to_agent IS NOT NULL"),
        ("ix_messages_open_to_task", "to_task", "open = 1 AND to_task IS NOT NULL"),
        ("ix_messages_open_to_project", "to_project", "open = 1 AND to_project IS NOT NULL"),
        ("ix_messages_attention", "id", "attention = 1"),
    ):
        op.create_index(name, "messages", [column], sqlite_where=sa.text(where), postgresql_where=sa.text(where))
    op.create_table(
        "message_receipts",
        sa.Column("message_id", NUMBER, primary_key=True),
        sa.Column("agent_id", TEXT, primary_key=True),
        sa.Column("delivered_at", NUMBER, nullable=False),
        sa.Column("repeated_at", NUMBER, nullable=False),
        sa.Column("acknowledged_at", NUMBER),
        sa.ForeignKeyConstraint(
            ["message_id"], ["messages.id"], name="fk_message_receipts_message_id_messages", ondelete="CASCADE"
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_message_receipts_agent_id", "message_receipts", ["agent_id"])


def _create_index(name: str, columns: list[Any], where: sa.TextClause) -> None:
    op.create_index(name, "tasks", columns, sqlite_where=where, postgresql_where=where)


def _create_submissions() -> None:
    op.create_table(
        "submissions",
        sa.Column("id", NUMBER, sa.Identity(), primary_key=True),
        sa.Column("task_id", NUMBER, sa.ForeignKey("tasks.id", ondelete="CASCADE"), nullable=False),
        sa.Column("round", NUMBER, nullable=False),
        sa.Column("author", TEXT, nullable=False),
        sa.Column("token_id", NUMBER),
        sa.Column("fence", NUMBER, nullable=False),
        sa.Column("summary", TEXT, nullable=False),
        sa.Column("branch", TEXT),
        sa.Column("commit_id", TEXT),
        sa.Column("pull_request", TEXT),
        sa.Column("evidence", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("created_at", NUMBER, nullable=False),
        sa.Column("verdict", TEXT),
        sa.Column("reviewer", TEXT),
        sa.Column("reviewer_kind", TEXT),
        sa.Column("body", TEXT),
        sa.Column("reviewed_at", NUMBER),
        sqlite_autoincrement=True,
        comment="each submission with its review, if any; the first verdict stays",
    )
    op.create_index("ix_submissions_task_id_id", "submissions", ["task_id", "id"])


def _create_identities() -> None:
    op.create_table(
        "identities",
        sa.Column("key", TEXT, primary_key=True),
        sa.Column("agent_id", TEXT, nullable=False),
        sa.Column("created_at", NUMBER, nullable=False),
        sqlite_with_rowid=False,
        comment="agent id of a connection, by the hash of the caller and its session or idempotency key",
    )
    op.create_index("ix_identities_agent_id", "identities", ["agent_id"])
    op.create_index("ix_identities_created_at", "identities", ["created_at"])


def _create_questions() -> None:
    op.create_table(
        "questions",
        sa.Column("id", NUMBER, sa.Identity(), primary_key=True),
        sa.Column("task_id", NUMBER, sa.ForeignKey("tasks.id", ondelete="CASCADE"), nullable=False),
        sa.Column("asker", TEXT, nullable=False),
        sa.Column("text", TEXT, nullable=False),
        sa.Column("options", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("asked_at", NUMBER, nullable=False),
        sa.Column("answer", TEXT),
        sa.Column("answered_by", TEXT),
        sa.Column("via", TEXT),
        sa.Column("closed_at", NUMBER),
        sqlite_autoincrement=True,
        comment="at most one question of a task is open",
    )
    op.create_index("ix_questions_task_id_id", "questions", ["task_id", "id"])
    is_open = sa.text("state = 'open'")
    op.create_index(
        "uq_questions_open", "questions", ["task_id"], unique=True, sqlite_where=is_open, postgresql_where=is_open
    )
    op.create_index("ix_questions_open", "questions", ["id"], sqlite_where=is_open, postgresql_where=is_open)


def _create_paths() -> None:
    op.create_table(
        "path_globs",
        sa.Column("id", NUMBER, sa.Identity(), primary_key=True),
        sa.Column("project_id", NUMBER, sa.ForeignKey("projects.id", ondelete="CASCADE"), nullable=False),
        sa.Column("glob", TEXT, nullable=False),
        sa.UniqueConstraint("project_id", "glob"),
        sqlite_autoincrement=True,
        comment="the distinct globs of the tasks of a project",
    )
    op.create_table(
        "glob_overlaps",
        _glob("glob_id"),
        _glob("other_id"),
        sqlite_with_rowid=False,
        comment="globs that can match the same file, in both directions; each glob overlaps itself",
    )
    op.create_index("ix_glob_overlaps_other_id", "glob_overlaps", ["other_id"])
    op.create_table("task_paths", _task(), _glob("glob_id"), sqlite_with_rowid=False)
    op.create_index("ix_task_paths_glob_id", "task_paths", ["glob_id"])
    op.create_table(
        "path_reservations",
        _glob("glob_id"),
        sa.Column("task_id", NUMBER, primary_key=True),
        sa.Column("fence", NUMBER, nullable=False),
        sa.Column("ended", NUMBER, nullable=False),
        sqlite_with_rowid=False,
        comment="globs of leased tasks; an ended one stays until all parked tasks are returned, also of a deleted task",
    )
    op.create_index("ix_path_reservations_task_id", "path_reservations", ["task_id"])
    ended = sa.text("ended = 1")
    op.create_index(
        "ix_path_reservations_ended", "path_reservations", ["ended"], sqlite_where=ended, postgresql_where=ended
    )
    op.create_table(
        "parked_paths",
        _glob("glob_id"),
        _task(),
        sqlite_with_rowid=False,
        comment="globs of the tasks that are withheld from claims because of their paths",
    )
    op.create_index("ix_parked_paths_task_id", "parked_paths", ["task_id"])


def _glob(name: str) -> sa.Column[int]:
    return sa.Column(name, NUMBER, sa.ForeignKey("path_globs.id", ondelete="CASCADE"), primary_key=True)


def _task() -> sa.Column[int]:
    return sa.Column("task_id", NUMBER, sa.ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True)


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
