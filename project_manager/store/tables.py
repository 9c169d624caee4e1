"""The tables. Instants are integers (milliseconds since the epoch, UTC). Lists are JSON text.

Only the migrations contain the CHECKs, which exclude invalid states. The columns of a lease are all set or all NULL, a
leased task is IN_PROGRESS or REVIEW, and only a DONE task has `completed_at`. A task row has the counters and flags
that a claim needs without a join: `open_dependencies`, `unblocks`, `deferred` and `withheld`. `open_dependencies` is
the number of its dependencies that are not DONE and of its subtasks that are neither DONE nor CANCELLED.
"""

from sqlalchemy import Column, ForeignKey, Index, LargeBinary, Table, UniqueConstraint, text

from project_manager.domain.leases import LOSS_REASONS, UnlockReason
from project_manager.store import (
    tables_flow,
    tables_identities,
    tables_knowledge,
    tables_messages,
    tables_paths,
    tables_pauses,
    tables_questions,
    tables_reviews,
    tables_saved_views,
)
from project_manager.store.functions import Number, OrderedText
from project_manager.store.tables_base import PartialIndex, integers, metadata, texts

__all__ = [
    "metadata",
    "tables_flow",
    "tables_identities",
    "tables_knowledge",
    "tables_messages",
    "tables_paths",
    "tables_pauses",
    "tables_questions",
    "tables_reviews",
    "tables_saved_views",
]
"""`metadata` contains the tables of the other modules too, because this module imports them."""

meta = Table(
    "meta",
    metadata,
    Column("id", Number, primary_key=True),
    Column("epoch", OrderedText, nullable=False),
    *integers("clock_high", "fence_floor", "event_floor", "created_at"),
    *integers("clock_offset", "clock_jump_at", "clock_followed_at", nullable=True),
    Column("clock_boot", OrderedText),
    Column("floor_hash", LargeBinary, nullable=False),
    Column("floor_facts", OrderedText, nullable=False),
)

running_releases = Table(
    "running_releases",
    metadata,
    Column("schema", OrderedText, primary_key=True),
    Column("release", OrderedText, primary_key=True),
    sqlite_with_rowid=False,
    comment="releases that run on a schema, by the newest schema that they support",
)

projects = Table(
    "projects",
    metadata,
    Column("id", Number, primary_key=True),
    *texts("name", "description"),
    *integers("version", "created_at", "updated_at"),
    Column("archived_at", Number),
    Column("name_key", OrderedText),
    Column("policy", OrderedText, nullable=False, server_default="{}"),
    UniqueConstraint("name"),
    Index("uq_projects_name_key", "name_key", unique=True),
    sqlite_autoincrement=True,
)

epics = Table(
    "epics",
    metadata,
    Column("id", Number, primary_key=True),
    Column("project_id", Number, ForeignKey("projects.id", ondelete="CASCADE"), nullable=False),
    *texts("name", "description", "status"),
    *integers("position", "version", "created_at", "updated_at"),
    Column("name_key", OrderedText),
    UniqueConstraint("project_id", "name"),
    Index("uq_epics_project_id_name_key", "project_id", "name_key", unique=True),
    sqlite_autoincrement=True,
)

tasks = Table(
    "tasks",
    metadata,
    Column("id", Number, primary_key=True),
    Column("project_id", Number, ForeignKey("projects.id", ondelete="CASCADE"), nullable=False),
    Column("epic_id", Number, ForeignKey("epics.id", ondelete="CASCADE")),
    *texts("name", "description", "status"),
    Column("priority", Number, nullable=False),
    *texts("labels", "acceptance"),
    *integers("defer_until", "due_at", "estimate_minutes", nullable=True),
    Column("external_key", OrderedText),
    Column("created_by", OrderedText, nullable=False),
    *integers("created_at", "updated_at"),
    Column("completed_at", Number),
    *integers("version", "fence", "attempts"),
    Column("lock_holder", OrderedText),
    *integers("lock_acquired_at", "lock_expires_at", "lock_ttl", nullable=True),
    Column("lock_fenced", Number, nullable=False),
    Column("lock_from", OrderedText),
    *integers("open_dependencies", "unblocks", "deferred"),
    # The flags of `Withheld`. The previous release knows only the first one, and the column has its name.
    Column("archived", Number, key="withheld", nullable=False),
    Column("worked_by", OrderedText),
    Column("unconfirmed_fence", Number),
    *texts("lock_kind", "blocked_by", "offered_to", nullable=True),
    Column("offered_until", Number),
    Column("offered_reason", OrderedText),
    *integers("submission_id", "rework_id", "answer_id", "parent_id", nullable=True),
    Column("completed_by", OrderedText),
    Column("paths", OrderedText, nullable=False, server_default="[]"),
    Column("worked_seconds", Number, nullable=False, server_default="0"),
    UniqueConstraint("project_id", "external_key"),
    sqlite_autoincrement=True,
)

READY_INDEX_CONDITION = text("status = 'TODO' AND open_dependencies = 0 AND deferred = 0 AND archived = 0")

PartialIndex("ix_tasks_claimable", tasks.c.priority, tasks.c.unblocks.desc(), tasks.c.id, where=READY_INDEX_CONDITION)
PartialIndex(
    "ix_tasks_claimable_in_project",
    tasks.c.project_id,
    tasks.c.priority,
    tasks.c.unblocks.desc(),
    tasks.c.id,
    where=READY_INDEX_CONDITION,
)
PartialIndex(
    "ix_tasks_claimable_in_epic",
    tasks.c.epic_id,
    tasks.c.priority,
    tasks.c.unblocks.desc(),
    tasks.c.id,
    where=text(f"{READY_INDEX_CONDITION} AND epic_id IS NOT NULL"),
)
PartialIndex("ix_tasks_lock_expires_at", tasks.c.lock_expires_at, where=text("lock_holder IS NOT NULL"))
PartialIndex(
    "ix_tasks_lock_holder_lock_expires_at",
    tasks.c.lock_holder,
    tasks.c.lock_expires_at,
    where=text("lock_holder IS NOT NULL"),
)
PartialIndex("ix_tasks_unconfirmed", tasks.c.lock_holder, where=text("unconfirmed_fence IS NOT NULL"))
PartialIndex("ix_tasks_offered_to", tasks.c.offered_to, where=text("offered_to IS NOT NULL"))
PartialIndex(
    "ix_tasks_in_review",
    tasks.c.priority,
    tasks.c.unblocks.desc(),
    tasks.c.id,
    where=text("status = 'REVIEW' AND submission_id IS NOT NULL"),
)
PartialIndex("ix_tasks_defer_until", tasks.c.defer_until, where=text("deferred = 1"))
Index("ix_tasks_status_project_id", tasks.c.status, tasks.c.project_id)
Index("ix_tasks_epic_id", tasks.c.epic_id)
PartialIndex("ix_tasks_parent_id", tasks.c.parent_id, where=text("parent_id IS NOT NULL"))
PartialIndex("ix_tasks_completed_at", tasks.c.completed_at, where=text("completed_at IS NOT NULL"))

claimable_labels = Table(
    "claimable_labels",
    metadata,
    Column("label", OrderedText, primary_key=True),
    Column("priority", Number, primary_key=True),
    Column("rank", Number, primary_key=True),
    Column("task_id", Number, primary_key=True),
    Column("project_id", Number, nullable=False),
    Column("epic_id", Number),
    sqlite_with_rowid=False,
    comment="labels of ready tasks in claim order, maintained by triggers; rank is minus unblocks",
)

task_labels = Table(
    "task_labels",
    metadata,
    Column("label", OrderedText, primary_key=True),
    Column("task_id", Number, primary_key=True),
    sqlite_with_rowid=False,
    comment="labels of all tasks, maintained by triggers",
)

task_dependencies = Table(
    "task_dependencies",
    metadata,
    Column("task_id", Number, ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
    Column("depends_on_id", Number, ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
    Index("ix_task_dependencies_depends_on_id", "depends_on_id"),
    sqlite_with_rowid=False,
)

task_conflicts = Table(
    "task_conflicts",
    metadata,
    Column("task_id", Number, ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
    Column("other_id", Number, ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
    Index("ix_task_conflicts_other_id", "other_id"),
    sqlite_with_rowid=False,
)

task_logs = Table(
    "task_logs",
    metadata,
    Column("id", Number, primary_key=True),
    Column("task_id", Number, ForeignKey("tasks.id", ondelete="CASCADE"), nullable=False),
    *texts("author", "kind", "body"),
    Column("created_at", Number, nullable=False),
    Column("details", OrderedText),
    Index("ix_task_logs_task_id_id", "task_id", "id"),
    PartialIndex("ix_task_logs_handoff", "task_id", "id", where=text("kind = 'handoff'")),
    sqlite_autoincrement=True,
)

_INDEXED_LOSSES = sorted(LOSS_REASONS - {UnlockReason.STOPPED})  # the agent learns of a stop by its message
LOST_CONDITION = text("reason IN ({})".format(", ".join(f"'{reason}'" for reason in _INDEXED_LOSSES)))
ended_leases = Table(
    "ended_leases",
    metadata,
    Column("task_id", Number, primary_key=True),
    Column("fence", Number, primary_key=True),
    Column("agent_id", OrderedText, nullable=False),
    Column("project_id", Number, nullable=False),
    Column("task_name", OrderedText, nullable=False),
    *integers("acquired_at", "expires_at", "ended_at"),
    *texts("reason", "status"),
    Index("ix_ended_leases_ended_at", "ended_at"),
    Index("ix_ended_leases_agent_id_ended_at", "agent_id", "ended_at"),
    PartialIndex("ix_ended_leases_lost", "agent_id", "ended_at", where=LOST_CONDITION),
    sqlite_with_rowid=False,
    comment="no foreign keys: history is kept after the task is deleted",
)

events = Table(
    "events",
    metadata,
    Column("seq", Number, primary_key=True),
    Column("type", OrderedText, nullable=False),
    Column("at", Number, nullable=False),
    *texts("actor_id", "actor_kind"),
    *integers("project_id", "epic_id", "task_id", nullable=True),
    Column("data", OrderedText, nullable=False),
    Column("token_id", Number),
    *texts("request_id", "sealed", nullable=True),
    Column("hash", LargeBinary, nullable=False),
    PartialIndex("ix_events_task_id_seq", "task_id", "seq", where=text("task_id IS NOT NULL")),
    sqlite_autoincrement=True,
)

agents = Table(
    "agents",
    metadata,
    Column("id", OrderedText, primary_key=True),
    Column("kind", OrderedText, nullable=False),
    *integers("first_seen_at", "last_seen_at"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Number, primary_key=True),
    *texts("name", "role"),
    Column("agent_id", OrderedText),
    Column("hash", OrderedText, nullable=False),
    Column("created_at", Number, nullable=False),
    Column("revoked_at", Number),
    Column("attests", Number, nullable=False, server_default="0"),
    UniqueConstraint("hash"),
    PartialIndex("uq_tokens_name_live", "name", unique=True, where=text("revoked_at IS NULL")),
    PartialIndex("ix_tokens_agent_id_live", "agent_id", where=text("agent_id IS NOT NULL AND revoked_at IS NULL")),
    sqlite_autoincrement=True,
)

answers = Table(
    "answers",
    metadata,
    Column("actor_id", OrderedText, primary_key=True),
    Column("key", OrderedText, primary_key=True),
    *texts("request_hash", "body"),
    Column("created_at", Number, nullable=False),
    Index("ix_answers_created_at", "created_at"),
    sqlite_with_rowid=False,
    comment="first responses, by idempotency key",
)

waiters = Table(
    "waiters",
    metadata,
    Column("id", Number, primary_key=True),
    Column("agent_id", OrderedText, nullable=False),
    *integers("project_id", "epic_id", nullable=True),
    Column("labels", OrderedText, nullable=False),
    Column("priority", Number),
    Column("expires_at", Number, nullable=False),
    sqlite_autoincrement=True,
    comment="claim queue, in order of arrival",
)

instances = Table(
    "instances",
    metadata,
    Column("id", OrderedText, primary_key=True),
    Column("host", OrderedText, nullable=False),
    Column("pid", Number, nullable=False),
    *texts("version", "kind"),
    *integers("started_at", "heartbeat_at"),
)
