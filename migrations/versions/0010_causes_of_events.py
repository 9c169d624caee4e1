"""Add the token and the request of each event, and an index of tokens bound to an agent id.

The previous release runs on the new schema, because it names the columns that it writes. Both columns are empty in its
events and in older events.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None
oldest_release = "0005"


def upgrade() -> None:
    op.add_column("events", sa.Column("token_id", sa.Integer(), nullable=True))
    op.add_column("events", sa.Column("request_id", sa.Text(), nullable=True))
    op.create_index(
        "ix_tokens_agent_id_live",
        "tokens",
        ["agent_id"],
        unique=False,
        sqlite_where=sa.text("agent_id IS NOT NULL AND revoked_at IS NULL"),
    )
