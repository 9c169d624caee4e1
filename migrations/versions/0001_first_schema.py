"""Create the first schema.

The previous release must run on the new schema. A migration therefore only adds. Removals follow one release
later.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "agents",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("first_seen_at", sa.Integer(), nullable=False),
        sa.Column("last_seen_at", sa.Integer(), nullable=False),
        sa.CheckConstraint("kind IN ('human', 'agent', 'system')", name=op.f("ck_agents_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agents")),
    )
    op.create_table(
        "answers",
        sa.Column("actor_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("actor_id", "key", name=op.f("pk_answers")),
        comment="first responses, by idempotency key",
        sqlite_with_rowid=False,
    )
    op.create_index("ix_answers_created_at", "answers", ["created_at"], unique=False)

    op.create_table(
        "events",
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("at", sa.Integer(), nullable=False),
        sa.Column("actor_id", sa.Text(), nullable=False),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=True),
        sa.Column("epic_id", sa.Integer(), nullable=True),
        sa.Column("task_id", sa.Integer(), nullable=True),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_events")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_at", "events", ["at"], unique=False)
    op.create_index(
        "ix_events_task_id_seq", "events", ["task_id", "seq"], unique=False, sqlite_where=sa.text("task_id IS NOT NULL")
    )

    op.create_table(
        "instances",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("started_at", sa.Integer(), nullable=False),
        sa.Column("heartbeat_at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instances")),
    )
    op.create_table(
        "meta",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Text(), nullable=False),
        sa.Column("clock_high", sa.Integer(), nullable=False),
        sa.Column("fence_floor", sa.Integer(), nullable=False),
        sa.Column("event_floor", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Integer(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_meta_single_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_meta")),
    )
    op.create_table(
        "projects",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.Integer(), nullable=False),
        sa.Column("archived_at", sa.Integer(), nullable=True),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 200", name=op.f("ck_projects_name_length")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_projects")),
        sa.UniqueConstraint("name", name=op.f("uq_projects_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "tokens",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=True),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Integer(), nullable=False),
        sa.Column("revoked_at", sa.Integer(), nullable=True),
        sa.CheckConstraint("role IN ('viewer', 'agent', 'operator')", name=op.f("ck_tokens_role")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        sa.UniqueConstraint("hash", name=op.f("uq_tokens_hash")),
        sa.UniqueConstraint("name", name=op.f("uq_tokens_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "waiters",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=True),
        sa.Column("epic_id", sa.Integer(), nullable=True),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=True),
        sa.Column("expires_at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_waiters")),
        comment="claim queue, in order of arrival",
        sqlite_autoincrement=True,
    )
    op.create_table(
        "epics",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.Integer(), nullable=False),
        sa.CheckConstraint("status IN ('ACTIVE', 'PLANNED', 'COMPLETED', 'CANCELLED')", name=op.f("ck_epics_status")),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 200", name=op.f("ck_epics_name_length")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_epics_project_id_projects"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_epics")),
        sa.UniqueConstraint("project_id", "name", name=op.f("uq_epics_project_id_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "tasks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("epic_id", sa.Integer(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("acceptance", sa.Text(), nullable=False),
        sa.Column("defer_until", sa.Integer(), nullable=True),
        sa.Column("due_at", sa.Integer(), nullable=True),
        sa.Column("estimate_minutes", sa.Integer(), nullable=True),
        sa.Column("external_key", sa.Text(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.Integer(), nullable=False),
        sa.Column("completed_at", sa.Integer(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lock_holder", sa.Text(), nullable=True),
        sa.Column("lock_acquired_at", sa.Integer(), nullable=True),
        sa.Column("lock_expires_at", sa.Integer(), nullable=True),
        sa.Column("lock_ttl", sa.Integer(), nullable=True),
        sa.Column("lock_fenced", sa.Integer(), nullable=False),
        sa.Column("lock_from", sa.Text(), nullable=True),
        sa.Column("open_dependencies", sa.Integer(), nullable=False),
        sa.Column("unblocks", sa.Integer(), nullable=False),
        sa.Column("deferred", sa.Integer(), nullable=False),
        sa.Column("archived", sa.Integer(), nullable=False),
        sa.CheckConstraint("(status = 'DONE') = (completed_at IS NOT NULL)", name=op.f("ck_tasks_completed")),
        sa.CheckConstraint("json_type(labels) = 'array'", name=op.f("ck_tasks_labels")),
        sa.CheckConstraint("lock_holder IS NULL OR status = 'IN_PROGRESS'", name=op.f("ck_tasks_lock_in_progress")),
        sa.CheckConstraint(
            "status IN ('BACKLOG', 'TODO', 'IN_PROGRESS', 'REVIEW', 'BLOCKED', 'DONE', 'CANCELLED')",
            name=op.f("ck_tasks_status"),
        ),
        sa.CheckConstraint(
            "(lock_holder IS NULL) = (lock_acquired_at IS NULL) AND (lock_holder IS NULL) = (lock_expires_at IS NULL) "
            "AND (lock_holder IS NULL) = (lock_ttl IS NULL) AND (lock_holder IS NULL) = (lock_from IS NULL)",
            name=op.f("ck_tasks_lock_whole"),
        ),
        sa.CheckConstraint("archived IN (0, 1)", name=op.f("ck_tasks_archived")),
        sa.CheckConstraint("attempts >= 0", name=op.f("ck_tasks_attempts")),
        sa.CheckConstraint("json_type(acceptance) = 'array'", name=op.f("ck_tasks_acceptance")),
        sa.CheckConstraint("open_dependencies >= 0", name=op.f("ck_tasks_open_dependencies")),
        sa.CheckConstraint("deferred = 0 OR defer_until IS NOT NULL", name=op.f("ck_tasks_deferred_until")),
        sa.CheckConstraint("deferred IN (0, 1)", name=op.f("ck_tasks_deferred")),
        sa.CheckConstraint("estimate_minutes >= 0", name=op.f("ck_tasks_estimate_minutes")),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 200", name=op.f("ck_tasks_name_length")),
        sa.CheckConstraint("priority BETWEEN 0 AND 4", name=op.f("ck_tasks_priority")),
        sa.CheckConstraint("unblocks >= 0", name=op.f("ck_tasks_unblocks")),
        sa.ForeignKeyConstraint(["epic_id"], ["epics.id"], name=op.f("fk_tasks_epic_id_epics"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_tasks_project_id_projects"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tasks")),
        sa.UniqueConstraint("project_id", "external_key", name=op.f("uq_tasks_project_id_external_key")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_tasks_claimable",
        "tasks",
        ["priority", sa.literal_column("unblocks DESC"), "id"],
        unique=False,
        sqlite_where=sa.text("status = 'TODO' AND open_dependencies = 0 AND deferred = 0 AND archived = 0"),
    )
    op.create_index(
        "ix_tasks_claimable_in_project",
        "tasks",
        ["project_id", "priority", sa.literal_column("unblocks DESC"), "id"],
        unique=False,
        sqlite_where=sa.text("status = 'TODO' AND open_dependencies = 0 AND deferred = 0 AND archived = 0"),
    )
    op.create_index(
        "ix_tasks_completed_at",
        "tasks",
        ["completed_at"],
        unique=False,
        sqlite_where=sa.text("completed_at IS NOT NULL"),
    )
    op.create_index(
        "ix_tasks_defer_until", "tasks", ["defer_until"], unique=False, sqlite_where=sa.text("deferred = 1")
    )
    op.create_index("ix_tasks_epic_id", "tasks", ["epic_id"], unique=False)
    op.create_index(
        "ix_tasks_lock_expires_at",
        "tasks",
        ["lock_expires_at"],
        unique=False,
        sqlite_where=sa.text("lock_holder IS NOT NULL"),
    )
    op.create_index(
        "ix_tasks_lock_holder", "tasks", ["lock_holder"], unique=False, sqlite_where=sa.text("lock_holder IS NOT NULL")
    )
    op.create_index("ix_tasks_project_id_status", "tasks", ["project_id", "status"], unique=False)
    op.create_index("ix_tasks_status", "tasks", ["status"], unique=False)

    op.create_table(
        "task_conflicts",
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("other_id", sa.Integer(), nullable=False),
        sa.CheckConstraint("task_id <> other_id", name=op.f("ck_task_conflicts_not_itself")),
        sa.ForeignKeyConstraint(
            ["other_id"], ["tasks.id"], name=op.f("fk_task_conflicts_other_id_tasks"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.id"], name=op.f("fk_task_conflicts_task_id_tasks"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("task_id", "other_id", name=op.f("pk_task_conflicts")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_task_conflicts_other_id", "task_conflicts", ["other_id"], unique=False)

    op.create_table(
        "task_dependencies",
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("depends_on_id", sa.Integer(), nullable=False),
        sa.CheckConstraint("task_id <> depends_on_id", name=op.f("ck_task_dependencies_not_itself")),
        sa.ForeignKeyConstraint(
            ["depends_on_id"], ["tasks.id"], name=op.f("fk_task_dependencies_depends_on_id_tasks"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.id"], name=op.f("fk_task_dependencies_task_id_tasks"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("task_id", "depends_on_id", name=op.f("pk_task_dependencies")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_task_dependencies_depends_on_id", "task_dependencies", ["depends_on_id"], unique=False)

    op.create_table(
        "task_logs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('comment', 'progress', 'handoff', 'evidence', 'system')", name=op.f("ck_task_logs_kind")
        ),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_task_logs_task_id_tasks"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task_logs")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_task_logs_task_id_id", "task_logs", ["task_id", "id"], unique=False)
    op.execute(
        "INSERT INTO meta (id, epoch, clock_high, fence_floor, event_floor, created_at) "
        "VALUES (1, lower(hex(randomblob(8))), 0, 0, 0, 0)"
    )
    _create_search()


def _create_search() -> None:
    """Create the full-text search over names and descriptions. Triggers keep it up to date."""
    op.execute(
        "CREATE VIRTUAL TABLE tasks_fts USING fts5("
        "name, description, content='tasks', content_rowid='id', tokenize='unicode61 remove_diacritics 2')"
    )
    op.execute(
        "CREATE TRIGGER tasks_fts_insert AFTER INSERT ON tasks BEGIN "
        "INSERT INTO tasks_fts (rowid, name, description) VALUES (new.id, new.name, new.description); END"
    )
    op.execute(
        "CREATE TRIGGER tasks_fts_delete AFTER DELETE ON tasks BEGIN "
        "INSERT INTO tasks_fts (tasks_fts, rowid, name, description) "
        "VALUES ('delete', old.id, old.name, old.description); END"
    )
    op.execute(
        "CREATE TRIGGER tasks_fts_update AFTER UPDATE OF name, description ON tasks BEGIN "
        "INSERT INTO tasks_fts (tasks_fts, rowid, name, description) "
        "VALUES ('delete', old.id, old.name, old.description); "
        "INSERT INTO tasks_fts (rowid, name, description) VALUES (new.id, new.name, new.description); END"
    )
