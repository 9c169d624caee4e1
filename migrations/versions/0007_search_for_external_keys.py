"""Add external keys of tasks to the full-text search.

The previous release runs on the new schema, because it searches all columns without naming them.
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None
oldest_release = "0005"


def upgrade() -> None:
    for name in ("insert", "delete", "update"):
        op.execute(f"DROP TRIGGER tasks_fts_{name}")
    op.execute("DROP TABLE tasks_fts")
    op.execute(
        "CREATE VIRTUAL TABLE tasks_fts USING fts5(name, description, external_key, "
        "content='tasks', content_rowid='id', tokenize='unicode61 remove_diacritics 2')"
    )
    op.execute(
        "CREATE TRIGGER tasks_fts_insert AFTER INSERT ON tasks BEGIN "
        "INSERT INTO tasks_fts (rowid, name, description, external_key) "
        "VALUES (new.id, new.name, new.description, new.external_key); END"
    )
    op.execute(
        "CREATE TRIGGER tasks_fts_delete AFTER DELETE ON tasks BEGIN "
        "INSERT INTO tasks_fts (tasks_fts, rowid, name, description, external_key) "
        "VALUES ('delete', old.id, old.name, old.description, old.external_key); END"
    )
    op.execute(
        "CREATE TRIGGER tasks_fts_update AFTER UPDATE OF name, description, external_key ON tasks BEGIN "
        "INSERT INTO tasks_fts (tasks_fts, rowid, name, description, external_key) "
        "VALUES ('delete', old.id, old.name, old.description, old.external_key); "
        "INSERT INTO tasks_fts (rowid, name, description, external_key) "
        "VALUES (new.id, new.name, new.description, new.external_key); END"
    )
    op.execute("INSERT INTO tasks_fts (tasks_fts) VALUES ('rebuild')")
