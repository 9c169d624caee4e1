"""Add the time that agents worked on each task. The previous release runs on the new schema.

The first values come from the lease history. Unconfirmed leases are left out. The history does not name the leases for
a review, so those of agents that reviewed the task are left out, and those that left the task in REVIEW without a
verdict.
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None
oldest_release = "0018"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
WORKED = """
UPDATE tasks SET worked_seconds = worked.seconds
FROM (
    SELECT task_id, sum((CASE WHEN expires_at < ended_at THEN expires_at ELSE ended_at END - acquired_at + 500) / 1000)
        AS seconds
    FROM ended_leases
    WHERE acquired_at < ended_at AND acquired_at < expires_at AND reason <> 'unconfirmed'
    AND NOT (status = 'REVIEW' AND reason IN ('explicit_release', 'lock_expired'))
    AND NOT EXISTS (
        SELECT 1 FROM submissions
        WHERE submissions.task_id = ended_leases.task_id AND submissions.reviewer = ended_leases.agent_id
    )
    GROUP BY task_id
) AS worked
WHERE tasks.id = worked.task_id
"""


def upgrade() -> None:
    op.add_column("tasks", sa.Column("worked_seconds", NUMBER, nullable=False, server_default="0"))
    op.execute(WORKED)
