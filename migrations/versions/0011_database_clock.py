"""Add the database clock: its offset from CLOCK_BOOTTIME, and the last jump of the wall clock that it saw or followed.

The previous release runs on the new schema. It writes only `clock_high`, which the present release reads.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None
oldest_release = "0005"

COLUMNS = (
    sa.Column("clock_offset", sa.Integer()),
    sa.Column("clock_boot", sa.Text()),
    sa.Column("clock_jump_at", sa.Integer()),
    sa.Column("clock_followed_at", sa.Integer()),
)


def upgrade() -> None:
    for column in COLUMNS:
        op.add_column("meta", column)
