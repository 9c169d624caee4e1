"""Commands and views of events."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, WithJsonSchema

from project_manager.schemas import fields
from project_manager.schemas.commands import WAIT_DESCRIPTION, AgentRead, Command, Paged

EVENT_STUB = {"title": "Event", "type": "object"}
"""The place of an event in the schema of a view. `event_schema` describes the event."""
EventObject = Annotated[dict[str, Any], WithJsonSchema(EVENT_STUB)]


class ListTaskEvents(Paged):
    task_id: fields.Id
    types: fields.EventTypes = Field(default_factory=list, description="only these types")


class ListEvents(AgentRead):
    since: fields.Seq = Field(0, description="events after this number")
    types: fields.EventTypes = Field(default_factory=list, description="only these types")
    project_id: fields.Id | None = None
    limit: fields.Limit = 100
    wait_seconds: fields.WaitSeconds = Field(0, description=WAIT_DESCRIPTION)
    epoch: fields.Key | None = Field(None, description="epoch of the last response")


class FollowEvents(Command):
    since: fields.Seq | None = Field(None, description="start after this number; default: only new events")
    epoch: fields.Key | None = Field(None, description="epoch of the previous hello frame")
    project_id: fields.Id | None = None
    batch: fields.Flag = Field(False, description="several events per frame")


@dataclass(frozen=True, slots=True)
class EventsView:
    """Events after `since`, in commit order. Continue from `last_seq`. If `resync` is true, events after `since`
    were removed or belong to another history: reload, and continue from `head`.
    """

    items: list[EventObject]
    last_seq: int
    head: int
    epoch: str
    resync: bool
