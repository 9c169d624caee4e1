"""The types of events, and the envelope that every event has."""

from enum import StrEnum


class EventType(StrEnum):
    """What happened. The words are public: subscribers filter by them."""

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
    IMPORT_FINISHED = "import.finished"


ENVELOPE = ("seq", "type", "timestamp", "actor", "project_id", "epic_id", "task_id")
