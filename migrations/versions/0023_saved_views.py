"""Add named views of the dashboard. The previous release runs on the new schema."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None
oldest_release = "0018"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "saved_views",
        sa.Column("id", NUMBER, sa.Identity(), primary_key=True),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("name_key", TEXT, nullable=False),
        sa.Column("query", TEXT, nullable=False),
        sa.Column("author", TEXT, nullable=False),
        sa.Column("position", NUMBER, nullable=False),
        sa.Column("created_at", NUMBER, nullable=False),
        sa.Column("updated_at", NUMBER, nullable=False),
        sa.UniqueConstraint("name_key", name="uq_saved_views_name_key"),
        sqlite_autoincrement=True,
    )
