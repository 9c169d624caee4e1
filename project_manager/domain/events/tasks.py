"""Events of tasks, their leases and their logs."""

from typing import Annotated, Any

from project_manager.domain.events.event import ACTOR, HOLDER, TASK, TaskEvent, TaskStatus
from project_manager.domain.leases import LockView, UnlockReason


class TaskCreated(TaskEvent):
    """A task was created."""

    type = "task.created"
    may_make_ready = True
    name: str
    status: TaskStatus
    priority: int
    version: int


class TaskUpdated(TaskEvent):
    """A task was edited, or another task was set to conflict with it."""

    type = "task.updated"
    may_make_ready = True
    changes: Annotated[dict[str, Any], "changed fields with their new values"]
    previous: Annotated[dict[str, Any], "the same fields with their previous values"]
    version: int


class TaskStatusChanged(TaskEvent):
    """The status of a task changed."""

    type = "task.status_changed"
    may_make_ready = True
    status: TaskStatus
    previous_status: TaskStatus
    agent_id: Annotated[str | None, "holder of the lease, or the actor if there was no lease"]
    lock_released: Annotated[bool, "whether the change ended a lease"]
    version: int


class TaskLocked(TaskEvent):
    """A lease began, or a renewal changed its length. A renewal of the same length has no event."""

    type = "task.locked"
    touches = (*TaskEvent.touches, HOLDER)
    agent_id: Annotated[str, "holder of the lease"]
    status: TaskStatus
    timeout: Annotated[int, "length of the lease in seconds"]
    version: int
    lock: LockView
    paths: Annotated[list[str], "globs that the lease reserves, so that no task with overlapping ones is ready"]
    renewed: Annotated[bool, "whether this is a renewal"] = False
    unconfirmed: Annotated[bool, "whether the lease is short until the first call of its holder"] = False


class TaskUnlocked(TaskEvent):
    """A lease ended."""

    type = "task.unlocked"
    touches = (*TaskEvent.touches, HOLDER)
    may_make_ready = True
    agent_id: Annotated[str, "holder of the lease"]
    reason: Annotated[str, UnlockReason]
    status: TaskStatus
    attempts: Annotated[int, "failed attempts, including this lease if it failed"]
    version: int
    paths: Annotated[list[str], "globs that the lease had reserved"]
    failed: Annotated[bool, "whether its holder released it as failed; earlier releases did not record it"] = False


class TaskDeleted(TaskEvent):
    """A task was deleted."""

    type = "task.deleted"
    name: str


class TaskLogged(TaskEvent):
    """An entry was added to the log of a task."""

    type = "task.logged"
    touches = (TASK, ACTOR)
    log_id: int
    author: str
    kind: str
