"""The tables of messages and their receipts. tables.py has the other tables and the rules for all tables."""

from sqlalchemy import Column, ForeignKey, Index, Table, text

from project_manager.store.functions import Number, OrderedText
from project_manager.store.tables_base import PartialIndex, integers, metadata, texts

messages = Table(
    "messages",
    metadata,
    Column("id", Number, primary_key=True),
    *texts("kind", "sender", "sender_kind"),
    Column("to_agent", OrderedText),
    Column("to_task", Number, ForeignKey("tasks.id", ondelete="CASCADE")),
    Column("to_project", Number, ForeignKey("projects.id", ondelete="CASCADE")),
    Column("body", OrderedText, nullable=False),
    *integers("created_at", "expires_at", "open", "attention"),
    Index("ix_messages_sender_id", "sender", "id"),
    Index("ix_messages_to_agent_id", "to_agent", "id"),
    Index("ix_messages_to_task", "to_task"),
    Index("ix_messages_to_project", "to_project"),
    sqlite_autoincrement=True,
)
PartialIndex("ix_messages_open", messages.c.expires_at, where=text("open = 1"))
PartialIndex("ix_messages_open_to_agent", messages.c.to_agent, where=text("open = 1 AND to_agent IS NOT NULL"))
PartialIndex("ix_messages_open_to_task", messages.c.to_task, where=text("open = 1 AND to_task IS NOT NULL"))
PartialIndex("ix_messages_open_to_project", messages.c.to_project, where=text("open = 1 AND to_project IS NOT NULL"))
PartialIndex("ix_messages_attention", messages.c.id, where=text("attention = 1"))

message_receipts = Table(
    "message_receipts",
    metadata,
    Column("message_id", Number, ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True),
    Column("agent_id", OrderedText, primary_key=True),
    *integers("delivered_at", "repeated_at"),
    Column("acknowledged_at", Number),
    Index("ix_message_receipts_agent_id", "agent_id"),
    sqlite_with_rowid=False,
)
