import inspect

import pytest

from project_manager.domain import events
from project_manager.domain.events import ACTOR, BOARD, EVENT_TYPES, HOLDER, TASK, Event, TaskEvent, touches_of

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
    declared = {one for one in vars(events).values() if inspect.isclass(one) and "type" in vars(one)}
    assert declared == set(EVENT_TYPES.values())


def test_a_lease_touches_its_holder_and_tokens_touch_nothing() -> None:
    assert touches_of("task.locked") == (TASK, BOARD, ACTOR, HOLDER)
    assert touches_of("token.created") == ()


def test_a_type_of_a_newer_release_touches_what_its_envelope_names() -> None:
    assert touches_of("task.archived") == (TASK, BOARD, ACTOR)
