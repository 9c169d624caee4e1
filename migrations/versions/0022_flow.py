"""Add hourly roll-ups of the flow of tasks. The previous release runs on the new schema."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None
oldest_release = "0018"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
COUNTERS = (
    *("created", "completed", "cancelled", "reopened", "failed", "expired", "submitted", "approved"),
    *("changes_requested", "cycle_ms", "review_ms", "ready_ms", "leased_ms", "idle_ms"),
)


def upgrade() -> None:
    op.create_table(
        "flow_hours",
        sa.Column("scope", TEXT, primary_key=True),
        sa.Column("hour", NUMBER, primary_key=True),
        *[sa.Column(name, NUMBER, nullable=False) for name in COUNTERS],
        *[sa.Column(name, TEXT, nullable=False) for name in ("cycle", "review", "ready")],
        sa.Column("counts", TEXT),
        sqlite_with_rowid=False,
        comment="roll-ups by scope and hour since the epoch; an hour without events has no row",
    )
    op.create_index("ix_flow_hours_hour", "flow_hours", ["hour"])
    op.create_table(
        "flow_states",
        sa.Column("side", NUMBER, primary_key=True),
        sa.Column("key", TEXT, primary_key=True),
        sa.Column("value", TEXT, nullable=False),
        sqlite_with_rowid=False,
        comment="state of each task, agent and scope: side 0 at the last folded event, side 1 for a rebuild",
    )
    op.create_table(
        "flow_position",
        sa.Column("id", NUMBER, primary_key=True, autoincrement=False),
        *[
            sa.Column(name, NUMBER, nullable=False)
            for name in ("seq", "base_seq", "known_since", "kept_hour", "kept_seq", "seed_id")
        ],
        comment="one row: the progress of the fold",
    )
