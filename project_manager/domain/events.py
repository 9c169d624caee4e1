"""Types of events, and sets of types with a common property."""

from enum import StrEnum


class EventType(StrEnum):
    """Type of an event. The values are part of the API, because subscribers filter by them."""

    PROJECT_CREATED = "project.created"
    PROJECT_UPDATED = "project.updated"
    PROJECT_ARCHIVED = "project.archived"
    PROJECT_DELETED = "project.deleted"
    EPIC_CREATED = "epic.created"
    EPIC_UPDATED = "epic.updated"
    EPIC_DELETED = "epic.deleted"
    TASK_CREATED = "task.created"
    TASK_UPDATED = "task.updated"
    TASK_STATUS_CHANGED = "task.status_changed"
    TASK_LOCKED = "task.locked"
    TASK_UNLOCKED = "task.unlocked"
    TASK_DELETED = "task.deleted"
    TASK_LOGGED = "task.logged"
    TASK_READY = "task.ready"
    KNOWLEDGE_CREATED = "knowledge.created"
    KNOWLEDGE_UPDATED = "knowledge.updated"
    KNOWLEDGE_LOGGED = "knowledge.logged"
    ASSUMPTION_RECORDED = "assumption.recorded"
    ASSUMPTION_VALIDATED = "assumption.validated"
    IMPORT_FINISHED = "import.finished"
    DATABASE_RESTORED = "database.restored"
    TOKEN_CREATED = "token.created"  # noqa: S105 a type of event
    TOKEN_REVOKED = "token.revoked"  # noqa: S105 a type of event
    TOKENS_CLEARED = "tokens.cleared"


OPERATOR_ONLY_TYPES = frozenset(
    {EventType.TOKEN_CREATED.value, EventType.TOKEN_REVOKED.value, EventType.TOKENS_CLEARED.value}
)
"""Events with fields that only operators see. Other callers get the envelope."""

READINESS_EVENTS = frozenset(
    {
        EventType.TASK_READY.value,
        EventType.TASK_CREATED.value,
        EventType.TASK_UPDATED.value,
        EventType.TASK_UNLOCKED.value,
        EventType.TASK_STATUS_CHANGED.value,
        EventType.TASK_DELETED.value,
        EventType.PROJECT_UPDATED.value,
    }
)
"""Events that may make a task ready."""
