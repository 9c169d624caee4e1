"""The table of questions about tasks."""

from sqlalchemy import Column, ForeignKey, Index, Table, text

from project_manager.store.functions import Number
from project_manager.store.tables_base import PartialIndex, integers, metadata, texts

questions = Table(
    "questions",
    metadata,
    Column("id", Number, primary_key=True),
    Column("task_id", Number, ForeignKey("tasks.id", ondelete="CASCADE"), nullable=False),
    *texts("asker", "text", "options", "state"),
    Column("asked_at", Number, nullable=False),
    *texts("answer", "answered_by", "via", nullable=True),
    *integers("closed_at", nullable=True),
    Index("ix_questions_task_id_id", "task_id", "id"),
    PartialIndex("uq_questions_open", "task_id", unique=True, where=text("state = 'open'")),
    PartialIndex("ix_questions_open", "id", where=text("state = 'open'")),
    sqlite_autoincrement=True,
    comment="at most one question of a task is open",
)
