"""The tables of knowledge and assumptions. tables.py has the other tables and the rules for all tables."""

from sqlalchemy import Column, ForeignKey, Index, Table, text

from project_manager.store.functions import Number, OrderedText
from project_manager.store.tables_base import PartialIndex, integers, metadata, texts

knowledge_items = Table(
    "knowledge_items",
    metadata,
    Column("id", Number, primary_key=True),
    Column("project_id", Number, ForeignKey("projects.id", ondelete="CASCADE"), nullable=False),
    Column("epic_id", Number, ForeignKey("epics.id", ondelete="SET NULL")),
    Column("task_id", Number, ForeignKey("tasks.id", ondelete="SET NULL")),
    Column("parent_id", Number, ForeignKey("knowledge_items.id", ondelete="SET NULL")),
    *texts("title", "content"),
    Column("category", OrderedText),
    Column("tags", OrderedText, nullable=False),
    *integers("priority", "active"),
    Column("metadata", OrderedText, nullable=False),
    Column("version", Number, nullable=False),
    Column("created_by", OrderedText, nullable=False),
    Column("created_at", Number, nullable=False),
    Column("updated_by", OrderedText, nullable=False),
    Column("updated_at", Number, nullable=False),
    Index("ix_knowledge_items_project_id_priority_updated_at", "project_id", "priority", "updated_at"),
    Index("ix_knowledge_items_project_id_title", "project_id", "title"),
    Index("ix_knowledge_items_epic_id", "epic_id"),
    Index("ix_knowledge_items_task_id", "task_id"),
    Index("ix_knowledge_items_parent_id", "parent_id"),
    sqlite_autoincrement=True,
)

PartialIndex(
    "ix_knowledge_items_active",
    knowledge_items.c.project_id,
    knowledge_items.c.priority,
    knowledge_items.c.updated_at,
    knowledge_items.c.id,
    where=text("active = 1"),
)

knowledge_versions = Table(
    "knowledge_versions",
    metadata,
    Column("knowledge_id", Number, ForeignKey("knowledge_items.id", ondelete="CASCADE"), primary_key=True),
    Column("version", Number, primary_key=True),
    *integers("epic_id", "task_id", "parent_id", nullable=True),
    *texts("title", "content"),
    Column("category", OrderedText),
    Column("tags", OrderedText, nullable=False),
    *integers("priority", "active"),
    *texts("metadata", "changed"),
    Column("reason", OrderedText),
    Column("author", OrderedText, nullable=False),
    Column("created_at", Number, nullable=False),
    comment="all versions of each item, including the current one; ids as of that version",
)

knowledge_logs = Table(
    "knowledge_logs",
    metadata,
    Column("id", Number, primary_key=True),
    Column("knowledge_id", Number, ForeignKey("knowledge_items.id", ondelete="CASCADE"), nullable=False),
    Column("action_type", OrderedText, nullable=False),
    Column("change_reason", OrderedText),
    *texts("author", "metadata"),
    Column("created_at", Number, nullable=False),
    Index("ix_knowledge_logs_knowledge_id_id", "knowledge_id", "id"),
    sqlite_autoincrement=True,
)

assumptions = Table(
    "assumptions",
    metadata,
    Column("id", Number, primary_key=True),
    Column("task_id", Number, ForeignKey("tasks.id", ondelete="CASCADE"), nullable=False),
    *texts("type", "text"),
    Column("file_path", OrderedText),
    Column("line_number", Number),
    Column("code_snippet", OrderedText),
    Column("author", OrderedText, nullable=False),
    Column("created_at", Number, nullable=False),
    Index("ix_assumptions_task_id_id", "task_id", "id"),
    sqlite_autoincrement=True,
)

assumption_verdicts = Table(
    "assumption_verdicts",
    metadata,
    Column("id", Number, primary_key=True),
    Column("assumption_id", Number, ForeignKey("assumptions.id", ondelete="CASCADE"), nullable=False),
    Column("verdict", OrderedText, nullable=False),
    Column("confidence", Number, nullable=False),
    *texts("reason", "reviewer"),
    Column("created_at", Number, nullable=False),
    Index("ix_assumption_verdicts_assumption_id_id", "assumption_id", "id"),
    sqlite_autoincrement=True,
)
