"""The tables.

Instants are integers (milliseconds since the epoch, UTC). Lists are JSON text. Every constraint has a name.

The CHECKs exclude invalid states. A lease has all of its parts or none, a held task is IN_PROGRESS, and DONE has a
`completed_at`. The row keeps the counters that a claim needs at once: `open_dependencies`, `unblocks`, `deferred` and
`archived`. They are written in the same transaction as the rows that they count.
"""

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from project_manager.domain.statuses import EpicStatus, Status
from project_manager.store import tables_knowledge
from project_manager.store.tables_base import in_check, metadata, name_length

__all__ = ["metadata", "tables_knowledge"]
"""`metadata` contains the knowledge tables too, because this module imports their module."""

meta = Table(
    "meta",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("epoch", Text, nullable=False),
    Column("clock_high", Integer, nullable=False),
    Column("fence_floor", Integer, nullable=False),
    Column("event_floor", Integer, nullable=False),
    Column("created_at", Integer, nullable=False),
    *(Column(name, Integer) for name in ("clock_offset", "clock_jump_at", "clock_followed_at")),
    Column("clock_boot", Text),
    Column("floor_hash", LargeBinary, nullable=False),
    Column("floor_facts", Text, nullable=False),
    CheckConstraint("id = 1", name="single_row"),
)

running_releases = Table(
    "running_releases",
    metadata,
    Column("schema", Text, primary_key=True),
    Column("release", Text, primary_key=True),
    sqlite_with_rowid=False,
    comment="releases that run on a schema, by the newest schema that they support",
)

projects = Table(
    "projects",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("updated_at", Integer, nullable=False),
    Column("archived_at", Integer),
    Column("name_key", Text),
    UniqueConstraint("name"),
    Index("uq_projects_name_key", "name_key", unique=True),
    name_length(),
    sqlite_autoincrement=True,
)

epics = Table(
    "epics",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project_id", Integer, ForeignKey("projects.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("updated_at", Integer, nullable=False),
    Column("name_key", Text),
    CheckConstraint(in_check("status", EpicStatus), name="status"),
    UniqueConstraint("project_id", "name"),
    Index("uq_epics_project_id_name_key", "project_id", "name_key", unique=True),
    name_length(),
    sqlite_autoincrement=True,
)

tasks = Table(
    "tasks",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project_id", Integer, ForeignKey("projects.id", ondelete="CASCADE"), nullable=False),
    Column("epic_id", Integer, ForeignKey("epics.id", ondelete="CASCADE")),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("labels", Text, nullable=False),
    Column("acceptance", Text, nullable=False),
    *(Column(name, Integer) for name in ("defer_until", "due_at", "estimate_minutes")),
    Column("external_key", Text),
    Column("created_by", Text, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("updated_at", Integer, nullable=False),
    Column("completed_at", Integer),
    Column("version", Integer, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("lock_holder", Text),
    Column("lock_acquired_at", Integer),
    Column("lock_expires_at", Integer),
    Column("lock_ttl", Integer),
    Column("lock_fenced", Integer, nullable=False),
    Column("lock_from", Text),
    Column("open_dependencies", Integer, nullable=False),
    Column("unblocks", Integer, nullable=False),
    Column("deferred", Integer, nullable=False),
    Column("archived", Integer, nullable=False),
    Column("worked_by", Text),
    Column("unconfirmed_fence", Integer),
    CheckConstraint(in_check("status", Status), name="status"),
    CheckConstraint("priority BETWEEN 0 AND 4", name="priority"),
    CheckConstraint("json_type(labels) = 'array'", name="labels"),
    CheckConstraint("estimate_minutes >= 0", name="estimate_minutes"),
    CheckConstraint("attempts >= 0", name="attempts"),
    CheckConstraint("json_type(acceptance) = 'array'", name="acceptance"),
    CheckConstraint("open_dependencies >= 0", name="open_dependencies"),
    CheckConstraint("unblocks >= 0", name="unblocks"),
    CheckConstraint("deferred IN (0, 1)", name="deferred"),
    CheckConstraint("archived IN (0, 1)", name="archived"),
    UniqueConstraint("project_id", "external_key"),
    name_length(),
    CheckConstraint(
        "(lock_holder IS NULL) = (lock_acquired_at IS NULL) AND (lock_holder IS NULL) = (lock_expires_at IS NULL) "
        "AND (lock_holder IS NULL) = (lock_ttl IS NULL) AND (lock_holder IS NULL) = (lock_from IS NULL)",
        name="lock_whole",
    ),
    CheckConstraint("lock_holder IS NULL OR status = 'IN_PROGRESS'", name="lock_in_progress"),
    CheckConstraint("(status = 'DONE') = (completed_at IS NOT NULL)", name="completed"),
    CheckConstraint("deferred = 0 OR defer_until IS NOT NULL", name="deferred_until"),
    sqlite_autoincrement=True,
)

CLAIMABLE = text("status = 'TODO' AND open_dependencies = 0 AND deferred = 0 AND archived = 0")

Index("ix_tasks_claimable", tasks.c.priority, tasks.c.unblocks.desc(), tasks.c.id, sqlite_where=CLAIMABLE)
Index(
    "ix_tasks_claimable_in_project",
    tasks.c.project_id,
    tasks.c.priority,
    tasks.c.unblocks.desc(),
    tasks.c.id,
    sqlite_where=CLAIMABLE,
)
Index(
    "ix_tasks_claimable_in_epic",
    tasks.c.epic_id,
    tasks.c.priority,
    tasks.c.unblocks.desc(),
    tasks.c.id,
    sqlite_where=text(f"{CLAIMABLE} AND epic_id IS NOT NULL"),
)
Index("ix_tasks_lock_expires_at", tasks.c.lock_expires_at, sqlite_where=text("lock_holder IS NOT NULL"))
Index(
    "ix_tasks_lock_holder_lock_expires_at",
    tasks.c.lock_holder,
    tasks.c.lock_expires_at,
    sqlite_where=text("lock_holder IS NOT NULL"),
)
Index("ix_tasks_unconfirmed", tasks.c.lock_holder, sqlite_where=text("unconfirmed_fence IS NOT NULL"))
Index("ix_tasks_defer_until", tasks.c.defer_until, sqlite_where=text("deferred = 1"))
Index("ix_tasks_status_project_id", tasks.c.status, tasks.c.project_id)
Index("ix_tasks_epic_id", tasks.c.epic_id)
Index("ix_tasks_completed_at", tasks.c.completed_at, sqlite_where=text("completed_at IS NOT NULL"))

claimable_labels = Table(
    "claimable_labels",
    metadata,
    Column("label", Text, primary_key=True),
    Column("priority", Integer, primary_key=True),
    Column("rank", Integer, primary_key=True),
    Column("task_id", Integer, primary_key=True),
    Column("project_id", Integer, nullable=False),
    Column("epic_id", Integer),
    sqlite_with_rowid=False,
    comment="labels of ready tasks in claim order, maintained by triggers; rank is minus unblocks",
)

task_dependencies = Table(
    "task_dependencies",
    metadata,
    Column("task_id", Integer, ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
    Column("depends_on_id", Integer, ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
    CheckConstraint("task_id <> depends_on_id", name="not_itself"),
    Index("ix_task_dependencies_depends_on_id", "depends_on_id"),
    sqlite_with_rowid=False,
)

task_conflicts = Table(
    "task_conflicts",
    metadata,
    Column("task_id", Integer, ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
    Column("other_id", Integer, ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
    CheckConstraint("task_id <> other_id", name="not_itself"),
    Index("ix_task_conflicts_other_id", "other_id"),
    sqlite_with_rowid=False,
)

task_logs = Table(
    "task_logs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("task_id", Integer, ForeignKey("tasks.id", ondelete="CASCADE"), nullable=False),
    Column("author", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", Integer, nullable=False),
    CheckConstraint("kind IN ('comment', 'progress', 'handoff', 'evidence', 'system')", name="kind"),
    Index("ix_task_logs_task_id_id", "task_id", "id"),
    Index("ix_task_logs_handoff", "task_id", "id", sqlite_where=text("kind = 'handoff'")),
    sqlite_autoincrement=True,
)

ended_leases = Table(
    "ended_leases",
    metadata,
    Column("task_id", Integer, primary_key=True),
    Column("fence", Integer, primary_key=True),
    Column("agent_id", Text, nullable=False),
    Column("project_id", Integer, nullable=False),
    Column("task_name", Text, nullable=False),
    Column("acquired_at", Integer, nullable=False),
    Column("expires_at", Integer, nullable=False),
    Column("ended_at", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("status", Text, nullable=False),
    Index("ix_ended_leases_ended_at", "ended_at"),
    Index("ix_ended_leases_agent_id_ended_at", "agent_id", "ended_at"),
    sqlite_with_rowid=False,
    comment="no foreign keys: history is kept after the task is deleted",
)

events = Table(
    "events",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("type", Text, nullable=False),
    Column("at", Integer, nullable=False),
    Column("actor_id", Text, nullable=False),
    Column("actor_kind", Text, nullable=False),
    *(Column(name, Integer) for name in ("project_id", "epic_id", "task_id")),
    Column("data", Text, nullable=False),
    Column("token_id", Integer),
    *(Column(name, Text) for name in ("request_id", "sealed")),
    Column("hash", LargeBinary, nullable=False),
    CheckConstraint("length(hash) = 32", name="hash"),
    Index("ix_events_task_id_seq", "task_id", "seq", sqlite_where=text("task_id IS NOT NULL")),
    sqlite_autoincrement=True,
)

agents = Table(
    "agents",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("first_seen_at", Integer, nullable=False),
    Column("last_seen_at", Integer, nullable=False),
    CheckConstraint("kind IN ('human', 'agent', 'system')", name="kind"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("agent_id", Text),
    Column("hash", Text, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("revoked_at", Integer),
    UniqueConstraint("hash"),
    CheckConstraint("role IN ('viewer', 'agent', 'operator')", name="role"),
    Index("uq_tokens_name_live", "name", unique=True, sqlite_where=text("revoked_at IS NULL")),
    Index("ix_tokens_agent_id_live", "agent_id", sqlite_where=text("agent_id IS NOT NULL AND revoked_at IS NULL")),
    sqlite_autoincrement=True,
)

answers = Table(
    "answers",
    metadata,
    Column("actor_id", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request_hash", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", Integer, nullable=False),
    Index("ix_answers_created_at", "created_at"),
    sqlite_with_rowid=False,
    comment="first responses, by idempotency key",
)

waiters = Table(
    "waiters",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("agent_id", Text, nullable=False),
    Column("project_id", Integer),
    Column("epic_id", Integer),
    Column("labels", Text, nullable=False),
    Column("priority", Integer),
    Column("expires_at", Integer, nullable=False),
    sqlite_autoincrement=True,
    comment="claim queue, in order of arrival",
)

search_due = Table(
    "search_due",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("id", Integer, primary_key=True),
    CheckConstraint("kind IN ('task', 'knowledge')", name="kind"),
    sqlite_with_rowid=False,
    comment="texts to be added to the search index",
)

instances = Table(
    "instances",
    metadata,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("started_at", Integer, nullable=False),
    Column("heartbeat_at", Integer, nullable=False),
)
