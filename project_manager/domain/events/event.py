"""The base classes of events, and the resources that events touch."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar, NamedTuple, dataclass_transform

from project_manager.domain.statuses import Status


class Resource(StrEnum):
    """Kind of a resource that clients can subscribe to."""

    TASK = "task"
    BOARD = "board"
    AGENT = "agent"


class Touch(NamedTuple):
    """A resource that an event changes. `id_field` names the event field with its id. A null id means no resource."""

    resource: Resource
    id_field: str


TASK = Touch(Resource.TASK, "task_id")
BOARD = Touch(Resource.BOARD, "project_id")
ACTOR = Touch(Resource.AGENT, "actor_id")
HOLDER = Touch(Resource.AGENT, "agent_id")
AUTHOR = Touch(Resource.AGENT, "author")
ASKER = Touch(Resource.AGENT, "asker")

TaskStatus = Annotated[str, Status]

COMPACT_ROW_BYTES = 1024
"""Maximum size of a compact row as JSON. A task with a longer row has `null` in its events."""


@dataclass_transform(frozen_default=True)
class Event:
    """Payload of an event. A subclass is a dataclass that does not change, and declares the type and its fields.

    `touches` are the resources that an event of the type changes. `is_operator_only` is whether only operators see the
    payload. `may_make_ready` is whether its task can be ready after the event. Waiting claims then compare the
    task with their filters.
    """

    type: ClassVar[str]
    touches: ClassVar[tuple[Touch, ...]] = ()
    is_operator_only: ClassVar[bool] = False
    may_make_ready: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        # Without slots, `vars` is the payload without a copy. The type checker rejects assignments. To reject them at
        # run time too, the constructor would take three times as long.
        dataclass(cls)


class TaskEvent(Event):
    """Event of a task. It also has `task`, the compact row of the task."""

    touches: ClassVar[tuple[Touch, ...]] = (TASK, BOARD, ACTOR)
