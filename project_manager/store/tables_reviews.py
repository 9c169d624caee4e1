"""The table of submissions with their reviews."""

from sqlalchemy import Column, ForeignKey, Index, Table

from project_manager.store.functions import Number, OrderedText
from project_manager.store.tables_base import integers, metadata, texts

submissions = Table(
    "submissions",
    metadata,
    Column("id", Number, primary_key=True),
    Column("task_id", Number, ForeignKey("tasks.id", ondelete="CASCADE"), nullable=False),
    Column("round", Number, nullable=False),
    Column("author", OrderedText, nullable=False),
    Column("token_id", Number),
    Column("fence", Number, nullable=False),
    Column("summary", OrderedText, nullable=False),
    *texts("branch", "commit_id", "pull_request", nullable=True),
    *texts("evidence", "digest"),
    Column("created_at", Number, nullable=False),
    *texts("verdict", "reviewer", "reviewer_kind", "body", nullable=True),
    *integers("reviewed_at", nullable=True),
    Index("ix_submissions_task_id_id", "task_id", "id"),
    sqlite_autoincrement=True,
    comment="each submission with its review, if any; the first verdict stays",
)
