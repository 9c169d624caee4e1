"""Add a table of the labels of all tasks, so that a list by label reads only the tasks with the label.

Triggers write the labels when a task is inserted or deleted, or when its labels change. A claim changes no labels.

The previous release runs on the new schema.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None
oldest_release = "0015"


def upgrade() -> None:
    op.create_table(
        "task_labels",
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("label", "task_id", name=op.f("pk_task_labels")),
        comment="labels of all tasks, maintained by triggers",
        sqlite_with_rowid=False,
    )
    insert = "INSERT OR IGNORE INTO task_labels (label, task_id)"
    op.execute(f"{insert} SELECT value, tasks.id FROM tasks, json_each(tasks.labels) ORDER BY 1, 2")
    added = f"{insert} SELECT value, new.id FROM json_each(new.labels)"
    removed = "DELETE FROM task_labels WHERE label IN (SELECT value FROM json_each(old.labels)) AND task_id = old.id"
    op.execute(f"CREATE TRIGGER task_labels_insert AFTER INSERT ON tasks WHEN new.labels <> '[]' BEGIN {added}; END")
    op.execute(
        "CREATE TRIGGER task_labels_update AFTER UPDATE OF labels ON tasks WHEN new.labels <> old.labels "
        f"BEGIN {removed}; {added}; END"
    )
    op.execute(f"CREATE TRIGGER task_labels_delete AFTER DELETE ON tasks WHEN old.labels <> '[]' BEGIN {removed}; END")
