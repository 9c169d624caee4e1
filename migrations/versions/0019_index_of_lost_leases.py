"""Add an index of lost leases, so that the context of an agent does not read its other ended leases.

The previous release runs on the new schema.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None
oldest_release = "0018"

LOST = sa.text("reason IN ('forced', 'lock_expired', 'unconfirmed')")


def upgrade() -> None:
    op.create_index(
        "ix_ended_leases_lost", "ended_leases", ["agent_id", "ended_at"], sqlite_where=LOST, postgresql_where=LOST
    )
