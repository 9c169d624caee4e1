"""Add named views of the dashboard. The previous release runs on the new schema."""

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None
oldest_release = "0018"


def upgrade() -> None:
    pass
