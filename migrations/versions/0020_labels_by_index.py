"""Let the triggers of PostgreSQL find the entries of a task's labels by their index.

The planner expects a hundred labels of a task. It therefore read the whole index table for each task that ended.
An array has no such estimate. The previous release runs on the new schema.
"""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None
oldest_release = "0018"

LIST_LABELS = """
CREATE OR REPLACE FUNCTION list_labels() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND old.labels <> '[]' THEN
        DELETE FROM claimable_labels
        WHERE label = ANY (ARRAY(SELECT value FROM json_array_elements_text(old.labels::json)))
            AND priority = old.priority AND rank = -old.unblocks AND task_id = old.id;
    END IF;
    IF TG_OP <> 'DELETE' AND new.labels <> '[]'
        AND new.status = 'TODO' AND new.open_dependencies = 0 AND new.deferred = 0 AND new.archived = 0 THEN
        INSERT INTO claimable_labels (label, priority, rank, task_id, project_id, epic_id)
        SELECT value, new.priority, -new.unblocks, new.id, new.project_id, new.epic_id
        FROM json_array_elements_text(new.labels::json)
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $$
"""
LIST_TASK_LABELS = """
CREATE OR REPLACE FUNCTION list_task_labels() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        DELETE FROM task_labels
        WHERE label = ANY (ARRAY(SELECT value FROM json_array_elements_text(old.labels::json))) AND task_id = old.id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO task_labels (label, task_id) SELECT value, new.id FROM json_array_elements_text(new.labels::json)
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(LIST_LABELS)
        op.execute(LIST_TASK_LABELS)
