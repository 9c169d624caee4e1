-- The schema of the first release on SQLite. A blank line ends each statement.
CREATE TABLE agents (
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    first_seen_at INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    CONSTRAINT pk_agents PRIMARY KEY (id),
    CONSTRAINT ck_agents_kind CHECK (kind = 'human' OR kind = 'agent' OR kind = 'system')
);

CREATE TABLE answers (
    actor_id TEXT NOT NULL,
    "key" TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    CONSTRAINT pk_answers PRIMARY KEY (actor_id, "key")
) WITHOUT ROWID;

CREATE INDEX ix_answers_created_at ON answers (created_at);

CREATE TABLE instances (
    id TEXT NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    version TEXT NOT NULL,
    kind TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    heartbeat_at INTEGER NOT NULL,
    CONSTRAINT pk_instances PRIMARY KEY (id)
);

CREATE TABLE meta (
    id INTEGER NOT NULL,
    epoch TEXT NOT NULL,
    clock_high INTEGER NOT NULL,
    fence_floor INTEGER NOT NULL,
    event_floor INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    clock_offset INTEGER,
    clock_boot TEXT,
    clock_jump_at INTEGER,
    clock_followed_at INTEGER,
    floor_hash BLOB NOT NULL DEFAULT x'0000000000000000000000000000000000000000000000000000000000000000',
    floor_facts TEXT NOT NULL DEFAULT '{}',
    CONSTRAINT pk_meta PRIMARY KEY (id),
    CONSTRAINT ck_meta_single_row CHECK (id = 1)
);

CREATE TABLE projects (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    archived_at INTEGER,
    name_key TEXT,
    CONSTRAINT ck_projects_name_length CHECK (length(name) BETWEEN 1 AND 200),
    CONSTRAINT uq_projects_name UNIQUE (name)
);

CREATE TABLE waiters (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    agent_id TEXT NOT NULL,
    project_id INTEGER,
    epic_id INTEGER,
    labels TEXT NOT NULL,
    priority INTEGER,
    expires_at INTEGER NOT NULL
);

CREATE TABLE epics (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    project_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    status TEXT NOT NULL,
    position INTEGER NOT NULL,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    name_key TEXT,
    CONSTRAINT ck_epics_status
        CHECK (status = 'ACTIVE' OR status = 'PLANNED' OR status = 'COMPLETED' OR status = 'CANCELLED'),
    CONSTRAINT ck_epics_name_length CHECK (length(name) BETWEEN 1 AND 200),
    CONSTRAINT fk_epics_project_id_projects FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE,
    CONSTRAINT uq_epics_project_id_name UNIQUE (project_id, name)
);

CREATE TABLE tasks (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    project_id INTEGER NOT NULL,
    epic_id INTEGER,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    status TEXT NOT NULL,
    priority INTEGER NOT NULL,
    labels TEXT NOT NULL,
    acceptance TEXT NOT NULL,
    defer_until INTEGER,
    due_at INTEGER,
    estimate_minutes INTEGER,
    external_key TEXT,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    completed_at INTEGER,
    version INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    lock_holder TEXT,
    lock_acquired_at INTEGER,
    lock_expires_at INTEGER,
    lock_ttl INTEGER,
    lock_fenced INTEGER NOT NULL,
    lock_from TEXT,
    open_dependencies INTEGER NOT NULL,
    unblocks INTEGER NOT NULL,
    "deferred" INTEGER NOT NULL,
    archived INTEGER NOT NULL,
    worked_by TEXT,
    unconfirmed_fence INTEGER,
    CONSTRAINT ck_tasks_completed CHECK ((status = 'DONE') = (completed_at IS NOT NULL)),
    CONSTRAINT ck_tasks_labels CHECK (json_type(labels) = 'array'),
    CONSTRAINT ck_tasks_lock_in_progress CHECK (lock_holder IS NULL OR status = 'IN_PROGRESS'),
    CONSTRAINT ck_tasks_status CHECK (
        status = 'BACKLOG' OR status = 'TODO' OR status = 'IN_PROGRESS'
        OR status = 'REVIEW' OR status = 'BLOCKED' OR status = 'DONE' OR status = 'CANCELLED'
    ),
    CONSTRAINT ck_tasks_lock_whole CHECK (
        (lock_holder IS NULL) = (lock_acquired_at IS NULL)
        AND (lock_holder IS NULL) = (lock_expires_at IS NULL)
        AND (lock_holder IS NULL) = (lock_ttl IS NULL)
        AND (lock_holder IS NULL) = (lock_from IS NULL)
    ),
    CONSTRAINT ck_tasks_archived CHECK (archived IN (0, 1)),
    CONSTRAINT ck_tasks_attempts CHECK (attempts >= 0),
    CONSTRAINT ck_tasks_acceptance CHECK (json_type(acceptance) = 'array'),
    CONSTRAINT ck_tasks_open_dependencies CHECK (open_dependencies >= 0),
    CONSTRAINT ck_tasks_deferred_until CHECK (deferred = 0 OR defer_until IS NOT NULL),
    CONSTRAINT ck_tasks_deferred CHECK (deferred IN (0, 1)),
    CONSTRAINT ck_tasks_estimate_minutes CHECK (estimate_minutes >= 0),
    CONSTRAINT ck_tasks_name_length CHECK (length(name) BETWEEN 1 AND 200),
    CONSTRAINT ck_tasks_priority CHECK (priority BETWEEN 0 AND 4),
    CONSTRAINT ck_tasks_unblocks CHECK (unblocks >= 0),
    CONSTRAINT fk_tasks_epic_id_epics FOREIGN KEY(epic_id) REFERENCES epics (id) ON DELETE CASCADE,
    CONSTRAINT fk_tasks_project_id_projects FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE,
    CONSTRAINT uq_tasks_project_id_external_key UNIQUE (project_id, external_key)
);

CREATE INDEX ix_tasks_claimable ON tasks (priority, unblocks DESC, id)
WHERE status = 'TODO' AND open_dependencies = 0 AND deferred = 0 AND archived = 0;

CREATE INDEX ix_tasks_claimable_in_project ON tasks (project_id, priority, unblocks DESC, id)
WHERE status = 'TODO' AND open_dependencies = 0 AND deferred = 0 AND archived = 0;

CREATE INDEX ix_tasks_completed_at ON tasks (completed_at)
WHERE completed_at IS NOT NULL;

CREATE INDEX ix_tasks_defer_until ON tasks (defer_until)
WHERE deferred = 1;

CREATE INDEX ix_tasks_epic_id ON tasks (epic_id);

CREATE INDEX ix_tasks_lock_expires_at ON tasks (lock_expires_at)
WHERE lock_holder IS NOT NULL;

CREATE TABLE task_conflicts (
    task_id INTEGER NOT NULL,
    other_id INTEGER NOT NULL,
    CONSTRAINT pk_task_conflicts PRIMARY KEY (task_id, other_id),
    CONSTRAINT ck_task_conflicts_not_itself CHECK (task_id <> other_id),
    CONSTRAINT fk_task_conflicts_other_id_tasks FOREIGN KEY(other_id) REFERENCES tasks (id) ON DELETE CASCADE,
    CONSTRAINT fk_task_conflicts_task_id_tasks FOREIGN KEY(task_id) REFERENCES tasks (id) ON DELETE CASCADE
) WITHOUT ROWID;

CREATE INDEX ix_task_conflicts_other_id ON task_conflicts (other_id);

CREATE TABLE task_dependencies (
    task_id INTEGER NOT NULL,
    depends_on_id INTEGER NOT NULL,
    CONSTRAINT pk_task_dependencies PRIMARY KEY (task_id, depends_on_id),
    CONSTRAINT ck_task_dependencies_not_itself CHECK (task_id <> depends_on_id),
    CONSTRAINT fk_task_dependencies_depends_on_id_tasks
        FOREIGN KEY(depends_on_id) REFERENCES tasks (id) ON DELETE CASCADE,
    CONSTRAINT fk_task_dependencies_task_id_tasks FOREIGN KEY(task_id) REFERENCES tasks (id) ON DELETE CASCADE
) WITHOUT ROWID;

CREATE INDEX ix_task_dependencies_depends_on_id ON task_dependencies (depends_on_id);

CREATE TABLE task_logs (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    task_id INTEGER NOT NULL,
    author TEXT NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    CONSTRAINT ck_task_logs_kind
        CHECK (kind = 'comment' OR kind = 'progress' OR kind = 'handoff' OR kind = 'evidence' OR kind = 'system'),
    CONSTRAINT fk_task_logs_task_id_tasks FOREIGN KEY(task_id) REFERENCES tasks (id) ON DELETE CASCADE
);

CREATE INDEX ix_task_logs_task_id_id ON task_logs (task_id, id);

CREATE TABLE assumptions (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    task_id INTEGER NOT NULL,
    type TEXT NOT NULL,
    text TEXT NOT NULL,
    file_path TEXT,
    line_number INTEGER,
    code_snippet TEXT,
    author TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    CONSTRAINT ck_assumptions_line_number CHECK (line_number > 0),
    CONSTRAINT fk_assumptions_task_id_tasks FOREIGN KEY(task_id) REFERENCES tasks (id) ON DELETE CASCADE
);

CREATE INDEX ix_assumptions_task_id_id ON assumptions (task_id, id);

CREATE TABLE knowledge_items (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    project_id INTEGER NOT NULL,
    epic_id INTEGER,
    task_id INTEGER,
    parent_id INTEGER,
    title TEXT NOT NULL,
    content TEXT NOT NULL,
    category TEXT,
    tags TEXT NOT NULL,
    priority INTEGER NOT NULL,
    active INTEGER NOT NULL,
    metadata TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_by TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    CONSTRAINT ck_knowledge_items_metadata CHECK (json_type(metadata) = 'object'),
    CONSTRAINT ck_knowledge_items_tags CHECK (json_type(tags) = 'array'),
    CONSTRAINT ck_knowledge_items_active CHECK (active IN (0, 1)),
    CONSTRAINT ck_knowledge_items_content_length CHECK (length(content) > 0),
    CONSTRAINT ck_knowledge_items_title_length CHECK (length(title) BETWEEN 1 AND 500),
    CONSTRAINT ck_knowledge_items_not_its_parent CHECK (parent_id <> id),
    CONSTRAINT ck_knowledge_items_priority CHECK (priority BETWEEN 0 AND 5),
    CONSTRAINT fk_knowledge_items_epic_id_epics FOREIGN KEY(epic_id) REFERENCES epics (id) ON DELETE SET NULL,
    CONSTRAINT fk_knowledge_items_parent_id_knowledge_items
        FOREIGN KEY(parent_id) REFERENCES knowledge_items (id) ON DELETE SET NULL,
    CONSTRAINT fk_knowledge_items_project_id_projects
        FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE,
    CONSTRAINT fk_knowledge_items_task_id_tasks FOREIGN KEY(task_id) REFERENCES tasks (id) ON DELETE SET NULL
);

CREATE INDEX ix_knowledge_items_epic_id ON knowledge_items (epic_id);

CREATE INDEX ix_knowledge_items_parent_id ON knowledge_items (parent_id);

CREATE INDEX ix_knowledge_items_project_id_priority_updated_at ON knowledge_items (project_id, priority, updated_at);

CREATE INDEX ix_knowledge_items_task_id ON knowledge_items (task_id);

CREATE TABLE assumption_verdicts (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    assumption_id INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    confidence INTEGER NOT NULL,
    reason TEXT NOT NULL,
    reviewer TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    CONSTRAINT ck_assumption_verdicts_verdict
        CHECK (verdict = 'validated' OR verdict = 'rejected' OR verdict = 'partial'),
    CONSTRAINT ck_assumption_verdicts_confidence CHECK (confidence BETWEEN 0 AND 100),
    CONSTRAINT fk_assumption_verdicts_assumption_id_assumptions
        FOREIGN KEY(assumption_id) REFERENCES assumptions (id) ON DELETE CASCADE
);

CREATE INDEX ix_assumption_verdicts_assumption_id_id ON assumption_verdicts (assumption_id, id);

CREATE TABLE knowledge_logs (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    knowledge_id INTEGER NOT NULL,
    action_type TEXT NOT NULL,
    change_reason TEXT,
    author TEXT NOT NULL,
    metadata TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    CONSTRAINT fk_knowledge_logs_knowledge_id_knowledge_items
        FOREIGN KEY(knowledge_id) REFERENCES knowledge_items (id) ON DELETE CASCADE
);

CREATE INDEX ix_knowledge_logs_knowledge_id_id ON knowledge_logs (knowledge_id, id);

CREATE TABLE knowledge_versions (
    knowledge_id INTEGER NOT NULL,
    version INTEGER NOT NULL,
    epic_id INTEGER,
    task_id INTEGER,
    parent_id INTEGER,
    title TEXT NOT NULL,
    content TEXT NOT NULL,
    category TEXT,
    tags TEXT NOT NULL,
    priority INTEGER NOT NULL,
    active INTEGER NOT NULL,
    metadata TEXT NOT NULL,
    changed TEXT NOT NULL,
    reason TEXT,
    author TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    CONSTRAINT pk_knowledge_versions PRIMARY KEY (knowledge_id, version),
    CONSTRAINT fk_knowledge_versions_knowledge_id_knowledge_items
        FOREIGN KEY(knowledge_id) REFERENCES knowledge_items (id) ON DELETE CASCADE
);

CREATE INDEX ix_tasks_status_project_id ON tasks (status, project_id);

CREATE INDEX ix_tasks_lock_holder_lock_expires_at ON tasks (lock_holder, lock_expires_at)
WHERE lock_holder IS NOT NULL;

CREATE TABLE running_releases (
    schema TEXT NOT NULL,
    release TEXT NOT NULL,
    CONSTRAINT pk_running_releases PRIMARY KEY (schema, release)
) WITHOUT ROWID;

CREATE TABLE "tokens" (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    agent_id TEXT,
    hash TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER,
    CONSTRAINT ck_tokens_role CHECK (role = 'viewer' OR role = 'agent' OR role = 'operator'),
    CONSTRAINT uq_tokens_hash UNIQUE (hash)
);

CREATE UNIQUE INDEX uq_tokens_name_live ON tokens (name)
WHERE revoked_at IS NULL;

CREATE INDEX ix_tasks_unconfirmed ON tasks (lock_holder)
WHERE unconfirmed_fence IS NOT NULL;

CREATE TABLE ended_leases (
    task_id INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    agent_id TEXT NOT NULL,
    project_id INTEGER NOT NULL,
    task_name TEXT NOT NULL,
    acquired_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    ended_at INTEGER NOT NULL,
    reason TEXT NOT NULL,
    status TEXT NOT NULL,
    CONSTRAINT pk_ended_leases PRIMARY KEY (task_id, fence)
) WITHOUT ROWID;

CREATE INDEX ix_task_logs_handoff ON task_logs (task_id, id)
WHERE kind = 'handoff';

CREATE INDEX ix_ended_leases_ended_at ON ended_leases (ended_at);

CREATE INDEX ix_ended_leases_agent_id_ended_at ON ended_leases (agent_id, ended_at);

CREATE UNIQUE INDEX uq_projects_name_key ON projects (name_key);

CREATE UNIQUE INDEX uq_epics_project_id_name_key ON epics (project_id, name_key);

CREATE VIRTUAL TABLE tasks_fts USING fts5(name, description, external_key, tokenize='ascii');

CREATE TRIGGER tasks_fts_delete AFTER DELETE ON tasks
BEGIN
    DELETE FROM tasks_fts WHERE rowid = old.id;
END;

CREATE VIRTUAL TABLE knowledge_fts USING fts5(title, content, category, tags, tokenize='ascii');

CREATE TRIGGER knowledge_fts_delete AFTER DELETE ON knowledge_items
BEGIN
    DELETE FROM knowledge_fts WHERE rowid = old.id;
END;

CREATE INDEX ix_tokens_agent_id_live ON tokens (agent_id)
WHERE agent_id IS NOT NULL AND revoked_at IS NULL;

CREATE TABLE "events" (
    seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    type TEXT NOT NULL,
    at INTEGER NOT NULL,
    actor_id TEXT NOT NULL,
    actor_kind TEXT NOT NULL,
    project_id INTEGER,
    epic_id INTEGER,
    task_id INTEGER,
    data TEXT NOT NULL,
    token_id INTEGER,
    request_id TEXT,
    sealed TEXT,
    hash BLOB NOT NULL,
    CONSTRAINT ck_events_hash CHECK (length(hash) = 32)
);

CREATE INDEX ix_events_task_id_seq ON events (task_id, seq)
WHERE task_id IS NOT NULL;

CREATE TABLE claimable_labels (
    label TEXT NOT NULL,
    priority INTEGER NOT NULL,
    rank INTEGER NOT NULL,
    task_id INTEGER NOT NULL,
    project_id INTEGER NOT NULL,
    epic_id INTEGER,
    CONSTRAINT pk_claimable_labels PRIMARY KEY (label, priority, rank, task_id)
) WITHOUT ROWID;

CREATE INDEX ix_tasks_claimable_in_epic ON tasks (epic_id, priority, unblocks DESC, id)
WHERE status = 'TODO' AND open_dependencies = 0 AND deferred = 0 AND archived = 0 AND epic_id IS NOT NULL;

CREATE TRIGGER claimable_labels_insert AFTER INSERT ON tasks
WHEN new.labels <> '[]' AND new.status = 'TODO' AND new.open_dependencies = 0 AND new.deferred = 0 AND new.archived = 0
BEGIN
    INSERT OR IGNORE INTO claimable_labels (label, priority, rank, task_id, project_id, epic_id)
    SELECT value, new.priority, -new.unblocks, new.id, new.project_id, new.epic_id
    FROM json_each(new.labels);
END;

CREATE TRIGGER claimable_labels_update
AFTER UPDATE OF attempts, priority, unblocks, open_dependencies, deferred, archived,
    labels, project_id, epic_id ON tasks
WHEN old.labels <> '[]' OR new.labels <> '[]'
BEGIN
    DELETE FROM claimable_labels
    WHERE label IN (SELECT value FROM json_each(old.labels))
        AND priority = old.priority AND rank = -old.unblocks AND task_id = old.id;
    INSERT OR IGNORE INTO claimable_labels (label, priority, rank, task_id, project_id, epic_id)
    SELECT value, new.priority, -new.unblocks, new.id, new.project_id, new.epic_id
    FROM json_each(new.labels)
    WHERE new.status = 'TODO' AND new.open_dependencies = 0 AND new.deferred = 0 AND new.archived = 0;
END;

CREATE TRIGGER claimable_labels_delete AFTER DELETE ON tasks
WHEN old.labels <> '[]'
BEGIN
    DELETE FROM claimable_labels
    WHERE label IN (SELECT value FROM json_each(old.labels))
        AND priority = old.priority AND rank = -old.unblocks AND task_id = old.id;
END;

CREATE TABLE task_labels (
    label TEXT NOT NULL,
    task_id INTEGER NOT NULL,
    CONSTRAINT pk_task_labels PRIMARY KEY (label, task_id)
) WITHOUT ROWID;

CREATE TRIGGER task_labels_insert AFTER INSERT ON tasks
WHEN new.labels <> '[]'
BEGIN
    INSERT OR IGNORE INTO task_labels (label, task_id)
    SELECT value, new.id FROM json_each(new.labels);
END;

CREATE TRIGGER task_labels_update AFTER UPDATE OF labels ON tasks
WHEN new.labels <> old.labels
BEGIN
    DELETE FROM task_labels WHERE label IN (SELECT value FROM json_each(old.labels)) AND task_id = old.id;
    INSERT OR IGNORE INTO task_labels (label, task_id)
    SELECT value, new.id FROM json_each(new.labels);
END;

CREATE TRIGGER task_labels_delete AFTER DELETE ON tasks
WHEN old.labels <> '[]'
BEGIN
    DELETE FROM task_labels WHERE label IN (SELECT value FROM json_each(old.labels)) AND task_id = old.id;
END;

CREATE VIRTUAL TABLE tasks_fts_words USING fts5vocab('tasks_fts', 'instance');

CREATE VIRTUAL TABLE knowledge_fts_words USING fts5vocab('knowledge_fts', 'instance');
