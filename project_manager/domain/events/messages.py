"""Events of messages."""

from typing import Annotated

from project_manager.domain.events.event import ACTOR, HOLDER, TASK, Event
from project_manager.domain.messages import MessageKind


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
