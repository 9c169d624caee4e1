"""Events of knowledge."""

from typing import Annotated

from project_manager.domain.events.event import ACTOR, Event


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
