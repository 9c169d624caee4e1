"""Add the resource subscriptions of MCP sessions.

The previous release must run on the new schema. A migration therefore only adds. Removals follow one release
later.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "mcp_subscriptions",
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("used_at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("uri", "session_id", name=op.f("pk_mcp_subscriptions")),
        comment="resources to which each session is subscribed, for all instances",
        sqlite_with_rowid=False,
    )
    op.create_index("ix_mcp_subscriptions_session_id", "mcp_subscriptions", ["session_id"], unique=False)
