"""Rows of a database of the first release. The statements run on SQLite and on PostgreSQL."""

from typing import Any

FIRST = "0018"
"""The schema of the first release."""

ROWS = (
    "INSERT INTO projects (id, name, name_key, description, version, created_at, updated_at) "
    "VALUES (1, 'Garden', 'garden', 'green', 3, 10, 20)",
    "INSERT INTO epics (id, project_id, name, name_key, description, status, position, version, created_at, "
    "updated_at) VALUES (1, 1, 'Fence', 'fence', '', 'ACTIVE', 0, 1, 10, 10)",
    "INSERT INTO tasks (id, project_id, epic_id, name, description, status, priority, labels, acceptance, created_by, "
    "created_at, updated_at, version, fence, attempts, lock_holder, lock_acquired_at, lock_expires_at, lock_ttl, "
    "lock_fenced, lock_from, open_dependencies, unblocks, deferred, archived) VALUES (7, 1, 1, 'Paint', 'slowly', "
    "'IN_PROGRESS', 2, '[\"a\"]', '[]', 'ann', 10, 10, 4, 3, 1, 'ann', 10, 99, 89, 1, 'TODO', 0, 0, 0, 0), "
    "(8, 1, NULL, 'Oil', '', 'TODO', 2, '[\"a\"]', '[]', 'ann', 10, 10, 1, 0, 0, NULL, NULL, NULL, NULL, 0, NULL, "
    "0, 0, 0, 0)",
    "INSERT INTO task_logs (id, task_id, author, kind, body, created_at) VALUES (5, 7, 'ann', 'progress', 'half', 15)",
    "INSERT INTO task_dependencies (task_id, depends_on_id) VALUES (7, 8)",
    "INSERT INTO task_conflicts (task_id, other_id) VALUES (7, 8)",
    "INSERT INTO agents (id, kind, first_seen_at, last_seen_at) VALUES ('ann', 'agent', 1, 2)",
    "INSERT INTO answers (actor_id, key, request_hash, body, created_at) VALUES ('ann', 'k', 'h', '{}', 3)",
    "INSERT INTO tokens (id, name, role, agent_id, hash, created_at, revoked_at) "
    "VALUES (4, 'worker', 'agent', 'ann', 'h1', 5, 6)",
    "INSERT INTO instances (id, host, pid, version, kind, started_at, heartbeat_at) "
    "VALUES ('i', 'here', 1, '0.1.0', 'serve', 1, 2)",
    "INSERT INTO waiters (id, agent_id, labels, expires_at) VALUES (3, 'ann', '[]', 9)",
    "INSERT INTO ended_leases (task_id, fence, agent_id, project_id, task_name, acquired_at, expires_at, ended_at, "
    "reason, status) VALUES (7, 2, 'ann', 1, 'Paint', 1, 9, 9, 'lock_expired', 'TODO')",
    "INSERT INTO knowledge_items (id, project_id, title, content, tags, priority, active, metadata, version, "
    "created_by, created_at, updated_by, updated_at) "
    "VALUES (2, 1, 'Colour', 'red', '[]', 0, 1, '{}', 1, 'ann', 1, 'ann', 1)",
    "INSERT INTO knowledge_versions (knowledge_id, version, title, content, tags, priority, active, metadata, changed, "
    "author, created_at) VALUES (2, 1, 'Colour', 'red', '[]', 0, 1, '{}', '[]', 'ann', 1)",
    "INSERT INTO knowledge_logs (id, knowledge_id, action_type, author, metadata, created_at) "
    "VALUES (1, 2, 'created', 'ann', '{}', 1)",
    "INSERT INTO assumptions (id, task_id, type, text, author, created_at) VALUES (1, 7, 'weather', 'dry', 'ann', 1)",
    "INSERT INTO assumption_verdicts (id, assumption_id, verdict, confidence, reason, reviewer, created_at) "
    "VALUES (1, 1, 'validated', 90, '', 'bob', 1)",
    "INSERT INTO events (seq, type, at, actor_id, actor_kind, project_id, epic_id, task_id, data, hash) "
    "SELECT 11, 'task.unlocked', 12, 'system', 'system', 1, 1, 7, '{\"agent_id\": \"ann\"}', floor_hash FROM meta",
)
WITHOUT_HASH = (
    "INSERT INTO events (seq, type, at, actor_id, actor_kind, data) "
    "VALUES (12, 'task.unlocked', 12, 'system', 'system', '{}')"
)

Contents = dict[str, list[tuple[Any, ...]]]
"""The rows of each table."""


def without_additions(contents: Contents, before: Contents) -> Contents:
    """Return the tables and columns of `contents` that are in `before` too. A migration adds columns at the end."""
    return {name: [row[: len(rows[0])] if rows else row for row in contents[name]] for name, rows in before.items()}
