import inspect
from collections.abc import Iterator
from pkgutil import iter_modules

import pytest

from project_manager.domain import events
from project_manager.domain.events.event import ACTOR, BOARD, HOLDER, TASK, Event, TaskEvent
from project_manager.domain.events.event_types import EVENT_TYPES, touches_of

each_type = pytest.mark.parametrize("event", EVENT_TYPES.values(), ids=EVENT_TYPES)


@each_type
def test_a_type_is_described_and_is_a_task_event_exactly_if_its_name_begins_so(event: type[Event]) -> None:
    assert inspect.getdoc(event)
    assert not (event.__doc__ or "").startswith(f"{event.__name__}(")
    assert event.type.startswith("task.") is issubclass(event, TaskEvent)


@each_type
def test_an_event_of_a_task_has_fields_besides_the_compact_row(event: type[Event]) -> None:
    assert inspect.signature(event).parameters


def test_every_class_with_a_type_is_registered() -> None:
    modules = {f"{events.__name__}.{found.name}" for found in iter_modules(events.__path__)}
    declared = {event for event in _below(Event) if event.__module__ in modules and "type" in vars(event)}
    assert {event.__module__ for event in declared} == modules - {
        f"{events.__name__}.event",
        f"{events.__name__}.event_types",
    }
    assert declared == set(EVENT_TYPES.values())


def _below(event: type[Event]) -> Iterator[type[Event]]:
    for child in event.__subclasses__():
        yield child
        yield from _below(child)


def test_a_lease_touches_its_holder_and_tokens_touch_nothing() -> None:
    assert touches_of("task.locked") == (TASK, BOARD, ACTOR, HOLDER)
    assert touches_of("token.created") == ()


def test_a_type_of_a_newer_release_touches_what_its_envelope_names() -> None:
    assert touches_of("task.archived") == (TASK, BOARD, ACTOR)
