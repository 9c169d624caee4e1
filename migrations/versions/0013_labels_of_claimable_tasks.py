"""Add a table of the labels of ready tasks, and an index of the ready tasks of an epic.

Triggers insert the labels when a task becomes ready, and delete them when it changes. A claim deletes them itself. A
trigger on the columns that a claim sets would cost each claim 2.6 microseconds, even without labels. Each other write
of a status also sets `attempts`, which fires the triggers.

The previous release runs on the new schema. When it claims a task, the labels of the task stay in the table until its
status changes again. Searches ignore these labels.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None
oldest_release = "0012"

WATCHED = "attempts, priority, unblocks, open_dependencies, deferred, archived, labels, project_id, epic_id"


def upgrade() -> None:
    op.create_table(
        "claimable_labels",
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("epic_id", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("label", "priority", "rank", "task_id", name=op.f("pk_claimable_labels")),
        comment="labels of ready tasks in claim order, maintained by triggers; rank is minus unblocks",
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_tasks_claimable_in_epic",
        "tasks",
        ["epic_id", "priority", sa.text("unblocks DESC"), "id"],
        unique=False,
        sqlite_where=sa.text(f"{_claimable('')} AND epic_id IS NOT NULL"),
    )
    insert = "INSERT OR IGNORE INTO claimable_labels (label, priority, rank, task_id, project_id, epic_id)"
    columns = "priority, -{0}unblocks, {0}id, {0}project_id, {0}epic_id"
    op.execute(
        f"{insert} SELECT value, tasks.{columns.format('tasks.')} FROM tasks, json_each(tasks.labels) "
        f"WHERE {_claimable('tasks.')}"
    )
    added = f"{insert} SELECT value, new.{columns.format('new.')} FROM json_each(new.labels)"
    removed = (
        "DELETE FROM claimable_labels WHERE label IN (SELECT value FROM json_each(old.labels)) "
        "AND priority = old.priority AND rank = -old.unblocks AND task_id = old.id"
    )
    op.execute(
        "CREATE TRIGGER claimable_labels_insert AFTER INSERT ON tasks "
        f"WHEN new.labels <> '[]' AND {_claimable('new.')} BEGIN {added}; END"
    )
    op.execute(
        f"CREATE TRIGGER claimable_labels_update AFTER UPDATE OF {WATCHED} ON tasks "
        f"WHEN old.labels <> '[]' OR new.labels <> '[]' "
        f"BEGIN {removed}; {added} WHERE {_claimable('new.')}; END"
    )
    op.execute(
        f"CREATE TRIGGER claimable_labels_delete AFTER DELETE ON tasks WHEN old.labels <> '[]' BEGIN {removed}; END"
    )


def _claimable(row: str) -> str:
    """Return the condition of the partial indexes. `row` is the prefix "new.", "old.", or "" for the table itself."""
    return f"{row}status = 'TODO' AND {row}open_dependencies = 0 AND {row}deferred = 0 AND {row}archived = 0"
