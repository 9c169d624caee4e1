"""The table of agent ids that connections keep."""

from sqlalchemy import Column, Index, Table

from project_manager.store.functions import Number, OrderedText
from project_manager.store.tables_base import metadata, texts

identities = Table(
    "identities",
    metadata,
    Column("key", OrderedText, primary_key=True),
    *texts("agent_id"),
    Column("created_at", Number, nullable=False),
    Index("ix_identities_agent_id", "agent_id"),
    Index("ix_identities_created_at", "created_at"),
    sqlite_with_rowid=False,
    comment="agent id of a connection, by the hash of the caller and its session or idempotency key",
)
