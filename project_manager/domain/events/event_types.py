"""The types of events, and the sets of types with a common property."""

from project_manager.domain.events import (
    assumptions,
    database,
    knowledge,
    messages,
    offers,
    pauses,
    plans,
    projects,
    questions,
    readiness,
    reviews,
    saved_views,
    tasks,
    tokens,
)
from project_manager.domain.events.event import ACTOR, BOARD, TASK, Event, TaskEvent, Touch

_MODULES = (
    *(projects, tasks, reviews, offers, questions, readiness, knowledge, assumptions, pauses, messages, plans),
    *(saved_views, database, tokens),
)
"""The modules in the order of the documentation."""
EVENT_TYPES: dict[str, type[Event]] = {
    event.type: event
    for module in _MODULES
    for event in vars(module).values()
    if isinstance(event, type) and issubclass(event, Event) and "type" in vars(event)
}
"""The class of each type, in the order of the documentation. Subscribers filter by these types."""
OPERATOR_ONLY_TYPES = frozenset(name for name, event in EVENT_TYPES.items() if event.is_operator_only)
READINESS_EVENTS = frozenset(name for name, event in EVENT_TYPES.items() if event.may_make_ready)
REVIEW_EVENTS = frozenset(
    event.type
    for event in (
        reviews.TaskSubmitted,
        tasks.TaskUnlocked,
        tasks.TaskUpdated,
        pauses.PauseEnded,
        projects.ProjectUpdated,
    )
)
"""Types after which there may be submitted work to review."""
TASK_TYPES = frozenset(name for name, event in EVENT_TYPES.items() if issubclass(event, TaskEvent))
"""Types with the compact row of their task."""


def touches_of(event_type: str) -> tuple[Touch, ...]:
    """Return the resources that an event of the type touches. A newer release may write unknown types."""
    event = EVENT_TYPES.get(event_type)
    return (TASK, BOARD, ACTOR) if event is None else event.touches
