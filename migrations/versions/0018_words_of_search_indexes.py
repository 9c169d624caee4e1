"""Add a view of the words of each full-text index, so that a search can replace a prefix by its words.

The views store nothing: they read the terms of the index.

The previous release runs on the new schema.
"""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None
oldest_release = "0015"


def upgrade() -> None:
    for index in ("tasks_fts", "knowledge_fts"):
        op.execute(f"CREATE VIRTUAL TABLE {index}_words USING fts5vocab('{index}', 'instance')")
