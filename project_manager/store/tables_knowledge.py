"""The tables of knowledge and assumptions. tables.py has the other tables and the rules for all tables."""

from sqlalchemy import Column, ForeignKey, Index, Integer, Table, Text

from project_manager.store.tables_base import integers, metadata, texts

knowledge_items = Table(
    "knowledge_items",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project_id", Integer, ForeignKey("projects.id", ondelete="CASCADE"), nullable=False),
    Column("epic_id", Integer, ForeignKey("epics.id", ondelete="SET NULL")),
    Column("task_id", Integer, ForeignKey("tasks.id", ondelete="SET NULL")),
    Column("parent_id", Integer, ForeignKey("knowledge_items.id", ondelete="SET NULL")),
    *texts("title", "content"),
    Column("category", Text),
    Column("tags", Text, nullable=False),
    *integers("priority", "active"),
    Column("metadata", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("updated_by", Text, nullable=False),
    Column("updated_at", Integer, nullable=False),
    Index("ix_knowledge_items_project_id_priority_updated_at", "project_id", "priority", "updated_at"),
    Index("ix_knowledge_items_epic_id", "epic_id"),
    Index("ix_knowledge_items_task_id", "task_id"),
    Index("ix_knowledge_items_parent_id", "parent_id"),
    sqlite_autoincrement=True,
)

knowledge_versions = Table(
    "knowledge_versions",
    metadata,
    Column("knowledge_id", Integer, ForeignKey("knowledge_items.id", ondelete="CASCADE"), primary_key=True),
    Column("version", Integer, primary_key=True),
    *integers("epic_id", "task_id", "parent_id", nullable=True),
    *texts("title", "content"),
    Column("category", Text),
    Column("tags", Text, nullable=False),
    *integers("priority", "active"),
    *texts("metadata", "changed"),
    Column("reason", Text),
    Column("author", Text, nullable=False),
    Column("created_at", Integer, nullable=False),
    comment="all versions of each item, including the current one; ids as of that version",
)

knowledge_logs = Table(
    "knowledge_logs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("knowledge_id", Integer, ForeignKey("knowledge_items.id", ondelete="CASCADE"), nullable=False),
    Column("action_type", Text, nullable=False),
    Column("change_reason", Text),
    *texts("author", "metadata"),
    Column("created_at", Integer, nullable=False),
    Index("ix_knowledge_logs_knowledge_id_id", "knowledge_id", "id"),
    sqlite_autoincrement=True,
)

assumptions = Table(
    "assumptions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("task_id", Integer, ForeignKey("tasks.id", ondelete="CASCADE"), nullable=False),
    *texts("type", "text"),
    Column("file_path", Text),
    Column("line_number", Integer),
    Column("code_snippet", Text),
    Column("author", Text, nullable=False),
    Column("created_at", Integer, nullable=False),
    Index("ix_assumptions_task_id_id", "task_id", "id"),
    sqlite_autoincrement=True,
)

assumption_verdicts = Table(
    "assumption_verdicts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("assumption_id", Integer, ForeignKey("assumptions.id", ondelete="CASCADE"), nullable=False),
    Column("verdict", Text, nullable=False),
    Column("confidence", Integer, nullable=False),
    *texts("reason", "reviewer"),
    Column("created_at", Integer, nullable=False),
    Index("ix_assumption_verdicts_assumption_id_id", "assumption_id", "id"),
    sqlite_autoincrement=True,
)
