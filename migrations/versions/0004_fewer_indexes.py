"""Reduce the number of indexes that each claim writes.

One index of status and project replaces two indexes. The index of lock holders gets the expiry as second column. The
index of event times is dropped, because queries find events by their number.

The previous release runs on the new schema, because no statement names a dropped index.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_tasks_status_project_id", "tasks", ["status", "project_id"], unique=False)
    op.create_index(
        "ix_tasks_lock_holder_lock_expires_at",
        "tasks",
        ["lock_holder", "lock_expires_at"],
        unique=False,
        sqlite_where=sa.text("lock_holder IS NOT NULL"),
    )
    op.drop_index("ix_tasks_status", "tasks")
    op.drop_index("ix_tasks_project_id_status", "tasks")
    op.drop_index("ix_tasks_lock_holder", "tasks")
    op.drop_index("ix_events_at", "events")
