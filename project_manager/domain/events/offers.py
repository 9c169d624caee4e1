"""Events of offers."""

from typing import Annotated

from project_manager.domain.events.event import HOLDER, TaskEvent, TaskStatus
from project_manager.domain.offers import OfferReason


class TaskOffered(TaskEvent):
    """A task is offered to one agent. It is ready for that agent only, until the offer ends."""

    type = "task.offered"
    touches = (*TaskEvent.touches, HOLDER)
    may_make_ready = True
    agent_id: Annotated[str, "the agent that the task is offered to"]
    reason: Annotated[str, OfferReason]
    until: Annotated[str, "latest end of the offer"]
    status: TaskStatus
    version: int


class TaskOfferEnded(TaskEvent):
    """An offer ended without a claim by its agent. The task is ready for every agent, unless it has other blockers."""

    type = "task.offer_ended"
    touches = (*TaskEvent.touches, HOLDER)
    may_make_ready = True
    agent_id: Annotated[str, "the agent that the task was offered to"]
    status: TaskStatus
    version: int
