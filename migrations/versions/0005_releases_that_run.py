"""Add a table of the older releases that run on the present schema.

Such a release can be started during a rolling update, and after a rollback of the new release.

`oldest_release` of a migration is the schema of the oldest release that still runs on the new schema.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None
oldest_release = "0005"


def upgrade() -> None:
    op.create_table(
        "running_releases",
        sa.Column("schema", sa.Text(), nullable=False),
        sa.Column("release", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("schema", "release", name=op.f("pk_running_releases")),
        comment="releases that run on a schema, by the newest schema that they support",
        sqlite_with_rowid=False,
    )
