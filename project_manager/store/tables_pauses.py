"""The table of active pauses. The end of a pause deletes its row.

tables.py has the other tables and the rules for all tables.
"""

from sqlalchemy import Column, ForeignKey, Index, Table, UniqueConstraint, text

from project_manager.store.functions import Number, OrderedText
from project_manager.store.tables_base import PartialIndex, metadata, texts

pauses = Table(
    "pauses",
    metadata,
    Column("id", Number, primary_key=True),
    *texts("target", "scope"),
    Column("project_id", Number, ForeignKey("projects.id", ondelete="CASCADE")),
    Column("task_id", Number, ForeignKey("tasks.id", ondelete="CASCADE")),
    Column("agent_id", OrderedText),
    *texts("reason", "author"),
    Column("created_at", Number, nullable=False),
    Column("stopped", Number, nullable=False, server_default="0"),
    UniqueConstraint("target"),
    Index("ix_pauses_project_id", "project_id"),
    Index("ix_pauses_task_id", "task_id"),
    sqlite_autoincrement=True,
)
PartialIndex("ix_pauses_agent_id", pauses.c.agent_id, where=text("agent_id IS NOT NULL"))
