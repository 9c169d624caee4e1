"""Many rows of each kind, written by SQL, because a call per row would take longer than the tests."""

from typing import Any

from project_manager.catalogue import BY_NAME
from project_manager.domain.actors import Actor, Role
from project_manager.schemas import validation
from project_manager.store.transaction import Tx
from tests.stored_rows import execute

NOW = 1_790_000_000_000
NUMBERS = "WITH RECURSIVE n(i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2) "
ROWS = (
    "INSERT INTO epics (project_id, name, name_key, description, status, position, version, created_at, updated_at) "
    "SELECT 1, 'epic ' || i, 'epic ' || i, '', 'ACTIVE', i, 1, 0, 0 FROM n",
    "INSERT INTO agents (id, kind, first_seen_at, last_seen_at) SELECT 'agent ' || i, 'agent', i, i FROM n",
    "INSERT INTO tokens (name, role, hash, created_at) SELECT 'token ' || i, 'agent', 'hash ' || i, 0 FROM n",
    "INSERT INTO submissions (task_id, round, author, fence, summary, evidence, digest, created_at) "
    "SELECT 1, i, 'ann', i, 'x', '[]', 'd', i FROM n",
    "INSERT INTO questions (task_id, asker, text, options, state, asked_at) "
    "SELECT 1, 'ann', 'x', '[]', 'closed', i FROM n",
    "INSERT INTO task_logs (task_id, author, kind, body, created_at) SELECT 1, 'ann', 'comment', 'x', i FROM n",
    "INSERT INTO ended_leases (task_id, fence, agent_id, project_id, task_name, acquired_at, expires_at, ended_at, "
    "reason, status) SELECT 1, i, 'ann', 1, 'task', i, i, i, 'lock_expired', 'TODO' FROM n",
    "INSERT INTO events (seq, type, at, actor_id, actor_kind, project_id, task_id, data, hash) "
    "SELECT i, 'task.updated', i, 'ann', 'agent', 1, 1, '{}', floor_hash FROM n, meta",
    "INSERT INTO assumptions (task_id, type, text, author, created_at) SELECT 1, 'A', 'text', 'ann', i FROM n",
    "INSERT INTO knowledge_items (project_id, title, content, tags, priority, active, metadata, version, created_by, "
    "created_at, updated_by, updated_at) "
    "SELECT 1, 'item', 'text', '[]', 1, 1, '{}', 1, 'ann', 0, 'ann', i FROM n",
    "INSERT INTO pauses (target, scope, agent_id, reason, author, created_at) "
    "SELECT 'agent:agent ' || i, 'agent', 'agent ' || i, '', 'ann', i FROM n",
    "INSERT INTO messages (kind, sender, sender_kind, to_agent, body, created_at, expires_at, open, attention) "
    "SELECT 'note', 'ann', 'agent', 'bob', 'text', i, i, 0, 0 FROM n",
    "INSERT INTO knowledge_logs (knowledge_id, action_type, author, metadata, created_at) "
    "SELECT 1, 'used', 'ann', '{}', i FROM n",
)
TASK = {
    "project_id": "1",
    "epic_id": "NULL",
    "name": "'paint the fence'",
    "description": "''",
    "status": "'TODO'",
    "priority": "2",
    "labels": "'[\"wood\"]'",
    "acceptance": "'[]'",
    "created_by": "'ann'",
    "completed_at": "NULL",
    "version": "1",
    **dict.fromkeys(("created_at", "updated_at", "fence", "attempts", "lock_fenced"), "0"),
    **dict.fromkeys(("open_dependencies", "unblocks", "deferred", "archived"), "0"),
}
"""The columns of a task, as SQL expressions with its id `i`."""
INDEX_NAMES = {
    "sqlite": "INSERT INTO tasks_fts (rowid, name, description, external_key) "
    "SELECT id, name, '', '' FROM tasks WHERE id BETWEEN ?1 AND ?2",
    "postgresql": "INSERT INTO tasks_fts (rowid, words, texts) "
    "SELECT id, strip(to_tsvector('simple', name)), ' ' || name || '     ' FROM tasks WHERE id BETWEEN ?1 AND ?2",
}
"""The statement that indexes the names of tasks, by the name of the dialect."""


def tx_of(connection: Any, agent: str = "ann") -> Tx:
    return Tx(connection, NOW, Actor(agent, "agent", Role.OPERATOR), "test", 5)


def call(connection: Any, operation: str, **raw: Any) -> Any:
    """Run the use case of an operation as the named agent, or as ann, and return its view."""
    row = BY_NAME[operation]
    return row.use_case(tx_of(connection, raw.get(row.acts_as, "ann")), validation.read(row.command, raw))


def insert_projects(connection: Any, first: int, last: int) -> None:
    execute(
        tx_of(connection),
        f"{NUMBERS} INSERT INTO projects (id, name, name_key, description, version, created_at, updated_at) "
        "SELECT i, 'project ' || i, 'project ' || i, '', 1, 0, 0 FROM n",
        first,
        last,
    )


def insert_rows(connection: Any, first: int, last: int) -> None:
    """Insert the rows with these numbers of every kind, about project 1 and task 1."""
    for statement in ROWS:
        execute(tx_of(connection), NUMBERS + statement, first, last)


def insert_tasks(connection: Any, first: int, last: int, **changes: str) -> None:
    """Insert the tasks with these ids, and index their names. `changes` are SQL expressions of columns, see TASK."""
    columns = {"id": "i", **TASK, **changes}
    insert = f"INSERT INTO tasks ({', '.join(columns)}) SELECT {', '.join(columns.values())} FROM n"
    execute(tx_of(connection), NUMBERS + insert, first, last)
    execute(tx_of(connection), INDEX_NAMES[connection.dialect.compiler.name], first, last)
