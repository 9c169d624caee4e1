"""Add knowledge with versions, assumptions with verdicts, and an index of lost leases.

The previous release must run on the new schema. A migration therefore only adds. Removals follow one release
later.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "assumptions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("file_path", sa.Text(), nullable=True),
        sa.Column("line_number", sa.Integer(), nullable=True),
        sa.Column("code_snippet", sa.Text(), nullable=True),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Integer(), nullable=False),
        sa.CheckConstraint("line_number > 0", name=op.f("ck_assumptions_line_number")),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.id"], name=op.f("fk_assumptions_task_id_tasks"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assumptions")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_assumptions_task_id_id", "assumptions", ["task_id", "id"], unique=False)

    op.create_table(
        "knowledge_items",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("epic_id", sa.Integer(), nullable=True),
        sa.Column("task_id", sa.Integer(), nullable=True),
        sa.Column("parent_id", sa.Integer(), nullable=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("active", sa.Integer(), nullable=False),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Integer(), nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.Integer(), nullable=False),
        sa.CheckConstraint("json_type(metadata) = 'object'", name=op.f("ck_knowledge_items_metadata")),
        sa.CheckConstraint("json_type(tags) = 'array'", name=op.f("ck_knowledge_items_tags")),
        sa.CheckConstraint("active IN (0, 1)", name=op.f("ck_knowledge_items_active")),
        sa.CheckConstraint("length(content) > 0", name=op.f("ck_knowledge_items_content_length")),
        sa.CheckConstraint("length(title) BETWEEN 1 AND 500", name=op.f("ck_knowledge_items_title_length")),
        sa.CheckConstraint("parent_id <> id", name=op.f("ck_knowledge_items_not_its_parent")),
        sa.CheckConstraint("priority BETWEEN 0 AND 5", name=op.f("ck_knowledge_items_priority")),
        sa.ForeignKeyConstraint(
            ["epic_id"], ["epics.id"], name=op.f("fk_knowledge_items_epic_id_epics"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["parent_id"],
            ["knowledge_items.id"],
            name=op.f("fk_knowledge_items_parent_id_knowledge_items"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_knowledge_items_project_id_projects"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.id"], name=op.f("fk_knowledge_items_task_id_tasks"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_knowledge_items")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_knowledge_items_epic_id", "knowledge_items", ["epic_id"], unique=False)
    op.create_index("ix_knowledge_items_parent_id", "knowledge_items", ["parent_id"], unique=False)
    op.create_index(
        "ix_knowledge_items_project_id_priority_updated_at",
        "knowledge_items",
        ["project_id", "priority", "updated_at"],
        unique=False,
    )
    op.create_index("ix_knowledge_items_task_id", "knowledge_items", ["task_id"], unique=False)

    op.create_table(
        "assumption_verdicts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("assumption_id", sa.Integer(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("confidence", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("reviewer", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "verdict IN ('validated', 'rejected', 'partial')", name=op.f("ck_assumption_verdicts_verdict")
        ),
        sa.CheckConstraint("confidence BETWEEN 0 AND 100", name=op.f("ck_assumption_verdicts_confidence")),
        sa.ForeignKeyConstraint(
            ["assumption_id"],
            ["assumptions.id"],
            name=op.f("fk_assumption_verdicts_assumption_id_assumptions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assumption_verdicts")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_assumption_verdicts_assumption_id_id", "assumption_verdicts", ["assumption_id", "id"], unique=False
    )

    op.create_table(
        "knowledge_logs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("knowledge_id", sa.Integer(), nullable=False),
        sa.Column("action_type", sa.Text(), nullable=False),
        sa.Column("change_reason", sa.Text(), nullable=True),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["knowledge_id"],
            ["knowledge_items.id"],
            name=op.f("fk_knowledge_logs_knowledge_id_knowledge_items"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_knowledge_logs")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_knowledge_logs_knowledge_id_id", "knowledge_logs", ["knowledge_id", "id"], unique=False)

    op.create_table(
        "knowledge_versions",
        sa.Column("knowledge_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("epic_id", sa.Integer(), nullable=True),
        sa.Column("task_id", sa.Integer(), nullable=True),
        sa.Column("parent_id", sa.Integer(), nullable=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("active", sa.Integer(), nullable=False),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("changed", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["knowledge_id"],
            ["knowledge_items.id"],
            name=op.f("fk_knowledge_versions_knowledge_id_knowledge_items"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("knowledge_id", "version", name=op.f("pk_knowledge_versions")),
        comment="content of each version of an item, with the ids at that time",
    )
    op.create_index(
        "ix_events_loss_at",
        "events",
        ["at"],
        unique=False,
        sqlite_where=sa.text("type = 'task.unlocked' AND json_extract(data, '$.reason') IN ('lock_expired', 'forced')"),
    )
    _create_search()


def _create_search() -> None:
    """Create the full-text search over knowledge. Triggers keep it up to date."""
    op.execute(
        "CREATE VIRTUAL TABLE knowledge_fts USING fts5(title, content, category, tags, "
        "content='knowledge_items', content_rowid='id', tokenize='unicode61 remove_diacritics 2')"
    )
    op.execute(
        "CREATE TRIGGER knowledge_fts_insert AFTER INSERT ON knowledge_items BEGIN "
        "INSERT INTO knowledge_fts (rowid, title, content, category, tags) "
        "VALUES (new.id, new.title, new.content, new.category, new.tags); END"
    )
    op.execute(
        "CREATE TRIGGER knowledge_fts_delete AFTER DELETE ON knowledge_items BEGIN "
        "INSERT INTO knowledge_fts (knowledge_fts, rowid, title, content, category, tags) "
        "VALUES ('delete', old.id, old.title, old.content, old.category, old.tags); END"
    )
    op.execute(
        "CREATE TRIGGER knowledge_fts_update AFTER UPDATE OF title, content, category, tags ON knowledge_items BEGIN "
        "INSERT INTO knowledge_fts (knowledge_fts, rowid, title, content, category, tags) "
        "VALUES ('delete', old.id, old.title, old.content, old.category, old.tags); "
        "INSERT INTO knowledge_fts (rowid, title, content, category, tags) "
        "VALUES (new.id, new.title, new.content, new.category, new.tags); END"
    )
