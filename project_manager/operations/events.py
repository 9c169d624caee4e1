"""Operations on events."""

from project_manager.domain.errors import TaskNotFound
from project_manager.operations.definition import READS, LongPoll, Operation, Tool, WaitsFor
from project_manager.schemas.events import EventObject, EventsView, ListEvents, ListTaskEvents
from project_manager.schemas.views import Page
from project_manager.services import events

EVENTS = (
    Operation(
        "wait_for_events",
        events.list_events,
        ListEvents,
        EventsView,
        http="GET /api/events",
        acts_as="agent_id",
        waits=LongPoll("wait_seconds", WaitsFor.EVENTS),
        tool=Tool(
            "Wait for events", READS, "since agent_id types project_id wait_seconds limit", defaults={"limit": 20}
        ),
    ),
    Operation(
        "list_task_events",
        events.list_task_events,
        ListTaskEvents,
        Page[EventObject],
        http="GET /api/tasks/{task_id}/events",
        raises=(TaskNotFound,),
    ),
)
