"""Drop the resource subscriptions of MCP sessions, which are now in the memory of the instance with the session.

Older revisions write to the table, so they do not run on this schema. No release has used the table.
"""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None
oldest_release = "0014"


def upgrade() -> None:
    op.drop_index("ix_mcp_subscriptions_session_id", "mcp_subscriptions")
    op.drop_table("mcp_subscriptions")
