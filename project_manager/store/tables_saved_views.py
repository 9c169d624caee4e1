"""The table of saved views. tables.py has the other tables and the rules for all tables."""

from sqlalchemy import Column, Table, UniqueConstraint

from project_manager.store.functions import Number
from project_manager.store.tables_base import integers, metadata, texts

saved_views = Table(
    "saved_views",
    metadata,
    Column("id", Number, primary_key=True),
    *texts("name", "name_key", "query", "author"),
    *integers("position", "created_at", "updated_at"),
    UniqueConstraint("name_key"),
    sqlite_autoincrement=True,
)
