"""Events: one class per type, with its payload and the resources that it touches.

An event is written as a JSON object: an envelope, which is the same for all types, followed by the payload. Events of a
task also have `task`, the compact row of the task at the end of the transaction.

Docstrings and annotations are part of the API: docs/events.md and the JSON schema are generated from them. A string in
an annotation describes the field. An enumeration in an annotation lists its values.
"""

from typing import Annotated, Any, TypedDict

from project_manager.domain.assumptions import Verdict
from project_manager.domain.event import (
    ACTOR,
    BOARD,
    EVENT_TYPES,
    HOLDER,
    TASK,
    Event,
    Resource,
    TaskEvent,
    TaskStatus,
    Touch,
)
from project_manager.domain.leases import LockView, UnlockReason
from project_manager.domain.messages import MessageKind
from project_manager.domain.pauses import PauseScope
from project_manager.domain.statuses import EpicStatus

__all__ = [
    "ACTOR",
    "BOARD",
    "EVENT_TYPES",
    "HOLDER",
    "TASK",
    "Event",
    "QuestionAnswered",
    "QuestionAsked",
    "QuestionWithoutAnswer",
    "Resource",
    "TaskEvent",
    "TaskOfferEnded",
    "TaskOffered",
    "TaskReviewed",
    "TaskStatus",
    "TaskSubmitted",
    "Touch",
]
"""Names that other modules import from here. This module registers all types, so import events only from it."""

COMPACT_ROW_BYTES = 1024
"""Maximum size of a compact row as JSON. A task with a longer row has `null` in its events."""


class ProjectEvent(Event):
    """Event of a project."""

    touches = (BOARD, ACTOR)


class ProjectCreated(ProjectEvent):
    """A project was created."""

    type = "project.created"
    name: str
    version: int


class ProjectUpdated(ProjectEvent):
    """A project was edited, or is no longer archived."""

    type = "project.updated"
    name: str
    changed: Annotated[list[str], "names of the changed fields"]
    archived: Annotated[bool, "whether the project is archived now"]
    version: int


class ProjectArchived(ProjectUpdated):
    """A project was archived. Each task that was ready has its own `task.not_ready`."""

    type = "project.archived"


class ProjectDeleted(ProjectEvent):
    """A project was deleted. Each of its tasks has its own `task.deleted`."""

    type = "project.deleted"
    name: str
    tasks: Annotated[int, "number of deleted tasks"]
    epics: Annotated[int, "number of deleted epics"]
    knowledge: Annotated[int, "number of deleted knowledge items"]


class EpicCreated(ProjectEvent):
    """An epic was created."""

    type = "epic.created"
    name: str
    status: Annotated[str, EpicStatus]
    version: int


class EpicUpdated(ProjectEvent):
    """An epic was edited."""

    type = "epic.updated"
    name: str
    changes: Annotated[dict[str, Any], "changed fields with their new values"]
    version: int


class EpicDeleted(ProjectEvent):
    """An epic was deleted. Each of its tasks has its own `task.deleted`."""

    type = "epic.deleted"
    name: str
    tasks: Annotated[int, "number of deleted tasks"]


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


from project_manager.domain.review_events import (  # noqa: E402 the order of the types is that of the documentation
    QuestionAnswered,
    QuestionAsked,
    QuestionWithoutAnswer,
    TaskOffered,
    TaskOfferEnded,
    TaskReviewed,
    TaskSubmitted,
)


class TaskReady(TaskEvent):
    """A task became ready, or a waiter that it was reserved for left the claim queue.

    The cause is a change of the task, another task or its project. It can also be the end of its lease, or a passed
    `defer_until`.
    """

    type = "task.ready"
    may_make_ready = True
    status: TaskStatus
    version: int


class TaskNotReady(TaskEvent):
    """A task is no longer ready, although the task itself did not change.

    A dependency or a subtask was reopened, a subtask was added, a conflicting task was claimed, a plan added a
    conflict, its project was archived, or a pause started. A task that a lease blocks by paths has no
    such event, because they can be many. `task.locked` has the paths.
    """

    type = "task.not_ready"
    status: TaskStatus
    version: int


class KnowledgeEvent(Event):
    """Event of a knowledge item."""

    touches = (ACTOR,)
    knowledge_id: int
    title: str
    category: str | None
    version: int


class KnowledgeCreated(KnowledgeEvent):
    """A knowledge item was created."""

    type = "knowledge.created"


class KnowledgeUpdated(KnowledgeEvent):
    """A knowledge item was edited."""

    type = "knowledge.updated"
    changed: Annotated[list[str], "names of the changed fields"]


class KnowledgeLogged(KnowledgeEvent):
    """An entry was added to the log of a knowledge item."""

    type = "knowledge.logged"
    log_id: int
    action_type: str


class AssumptionRecorded(Event):
    """An assumption about a task was recorded."""

    type = "assumption.recorded"
    touches = (TASK, ACTOR)
    assumption_id: int
    assumption_type: str
    author: str


class AssumptionValidated(Event):
    """A reviewer gave a verdict on an assumption."""

    type = "assumption.validated"
    touches = (TASK, ACTOR)
    assumption_id: int
    verdict: Annotated[str, Verdict]
    previous_verdict: str | None
    confidence: int
    reviewer: str


class PauseStarted(Event):
    """Claims were paused: of a task, of the tasks of a project, of all tasks, or by an agent.

    Each task that was ready has its own `task.not_ready`. Present leases continue.
    """

    type = "pause.started"
    touches = (TASK, BOARD, HOLDER, ACTOR)
    pause_id: int
    scope: Annotated[str, PauseScope]
    agent_id: Annotated[str | None, "the paused agent"]
    reason: str
    author: Annotated[str, "actor that started the pause"]
    stopped: Annotated[bool, "whether the agent is stopped, so that its writes are rejected"] = False


class PauseEnded(PauseStarted):
    """A pause ended. Each task that is ready now has its own `task.ready`. Deletion of its task or project ends it."""

    type = "pause.ended"


class MessageEvent(Event):
    """Event of a message, without its body."""

    touches = (TASK, HOLDER, ACTOR)
    message_id: int
    kind: Annotated[str, MessageKind]
    sender: str
    agent_id: Annotated[str | None, "the agent that the event is about, or null for a message to a task or project"]


class MessageSent(MessageEvent):
    """A message was sent. `task_id` or `project_id` is that of its addressee."""

    type = "message.sent"


class MessageDelivered(MessageEvent):
    """An agent got a message for the first time."""

    type = "message.delivered"


class MessageAcknowledged(MessageEvent):
    """An agent or a person acknowledged a message."""

    type = "message.acknowledged"


class MessageExpired(MessageEvent):
    """A message expired before it was acknowledged."""

    type = "message.expired"


class ImportFinished(Event):
    """An import of a plan ended. It is the last event of the import."""

    type = "import.finished"
    touches = (BOARD, ACTOR)
    source: Annotated[str, "name of the plan"]
    created: int
    changed: int
    unchanged: int
    deleted: int


class HeadFields(TypedDict):
    """The newest event of a database. `hash` is null in a database of a release without a hash chain."""

    epoch: str
    seq: int
    hash: str | None


class DatabaseRestored(Event):
    """The database was replaced by a backup, or by a standby that may lack changes. It begins a new epoch."""

    type = "database.restored"
    epoch: Annotated[str, "id of the new history of events"]
    fence_floor: Annotated[int, "new leases have fences above this number"]
    backup: HeadFields
    replaced: Annotated[HeadFields | None, "null if the replaced database is lost"]


class TokenFields(TypedDict):
    """A token, without its secret."""

    id: int
    name: str
    role: str
    agent_id: str | None
    attests: bool


class TokenCreated(Event):
    """A token was created."""

    type = "token.created"
    is_operator_only = True
    token: TokenFields


class TokenRevoked(TokenCreated):
    """A token was revoked."""

    type = "token.revoked"


class TokensCleared(Event):
    """All tokens were deleted."""

    type = "tokens.cleared"
    is_operator_only = True
    tokens: Annotated[int, "number of deleted tokens"]


OPERATOR_ONLY_TYPES = frozenset(name for name, event in EVENT_TYPES.items() if event.is_operator_only)
READINESS_EVENTS = frozenset(name for name, event in EVENT_TYPES.items() if event.may_make_ready)
REVIEW_EVENTS = frozenset(
    event.type for event in (TaskSubmitted, TaskUnlocked, TaskUpdated, PauseEnded, ProjectUpdated)
)
"""Types after which there may be submitted work to review."""
TASK_TYPES = frozenset(name for name, event in EVENT_TYPES.items() if issubclass(event, TaskEvent))
"""Types with the compact row of their task."""


def touches_of(event_type: str) -> tuple[Touch, ...]:
    """Return the resources that an event of the type touches. A newer release may write unknown types."""
    event = EVENT_TYPES.get(event_type)
    return (TASK, BOARD, ACTOR) if event is None else event.touches
