"""Add a history of ended leases, the agent of the newest ended lease of a task, and unconfirmed leases.

An unconfirmed lease is a lease after which its agent has made no call.

The previous release runs on the new schema. It names no new column, no new table and no dropped index. The history does
not contain leases that the previous release starts and ends.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None
oldest_release = "0005"

NEWEST_AGENT = """
UPDATE tasks SET worked_by = (
  SELECT json_extract(data, '$.agent_id') FROM events
  WHERE events.task_id = tasks.id AND type = 'task.unlocked'
  ORDER BY seq DESC LIMIT 1)
"""

# The expiry of a past lease is that of its claim, or the end of the lease if that is later, because of renewals.
PAST_LEASES = """
INSERT OR IGNORE INTO ended_leases
  (task_id, fence, agent_id, project_id, task_name, acquired_at, expires_at, ended_at, reason, status)
SELECT ended.task_id, json_extract(began.data, '$.lock.fence'), json_extract(ended.data, '$.agent_id'),
  ended.project_id, coalesce((SELECT name FROM tasks WHERE tasks.id = ended.task_id), '?'), began.at,
  max(began.at + 1000 * json_extract(began.data, '$.timeout'), ended.at), ended.at,
  json_extract(ended.data, '$.reason'), json_extract(ended.data, '$.status')
FROM events AS ended JOIN events AS began ON began.seq = (
  SELECT granted.seq FROM events AS granted
  WHERE granted.task_id = ended.task_id AND granted.seq < ended.seq AND granted.type = 'task.locked'
    AND json_extract(granted.data, '$.renewed') IS NULL
  ORDER BY granted.seq DESC LIMIT 1)
WHERE ended.type = 'task.unlocked'
  AND json_extract(began.data, '$.lock.fence') IS NOT NULL AND json_extract(began.data, '$.timeout') IS NOT NULL
  AND json_extract(ended.data, '$.agent_id') IS NOT NULL AND ended.project_id IS NOT NULL
  AND json_extract(ended.data, '$.reason') IS NOT NULL AND json_extract(ended.data, '$.status') IS NOT NULL
"""


def upgrade() -> None:
    op.add_column("tasks", sa.Column("worked_by", sa.Text(), nullable=True))
    op.add_column("tasks", sa.Column("unconfirmed_fence", sa.Integer(), nullable=True))
    op.create_index(
        "ix_tasks_unconfirmed",
        "tasks",
        ["lock_holder"],
        unique=False,
        sqlite_where=sa.text("unconfirmed_fence IS NOT NULL"),
    )
    op.create_table(
        "ended_leases",
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("task_name", sa.Text(), nullable=False),
        sa.Column("acquired_at", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.Integer(), nullable=False),
        sa.Column("ended_at", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("task_id", "fence", name=op.f("pk_ended_leases")),
        sqlite_with_rowid=False,
        comment="no foreign keys: history is kept after the task is deleted",
    )
    op.create_index(
        "ix_task_logs_handoff", "task_logs", ["task_id", "id"], unique=False, sqlite_where=sa.text("kind = 'handoff'")
    )
    op.create_index("ix_ended_leases_ended_at", "ended_leases", ["ended_at"], unique=False)
    op.create_index("ix_ended_leases_agent_id_ended_at", "ended_leases", ["agent_id", "ended_at"], unique=False)
    op.execute(NEWEST_AGENT)
    op.execute(PAST_LEASES)
    op.drop_index("ix_events_loss_at", "events")
