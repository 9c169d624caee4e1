"""JSON Schema of events in all interfaces, generated from `domain/events/`: envelope, payload, row."""

from collections.abc import Collection
from dataclasses import is_dataclass
from enum import EnumType
from inspect import getdoc
from types import UnionType
from typing import Annotated, Any, ClassVar, Literal, TypedDict, get_args, get_origin, get_type_hints, is_typeddict

from pydantic import TypeAdapter

from project_manager.domain.events.event import Event, TaskEvent
from project_manager.domain.events.event_types import EVENT_TYPES
from project_manager.domain.task_fields import COMPACT
from project_manager.schemas.tasks import TaskView

Schema = dict[str, Any]

REFERENCE = "#/$defs/{model}"
ENVELOPE = "EventEnvelope"
ROW = "CompactTaskRow"
ROW_IS_NULL = "null if the task was deleted or the row is too long; absent if an older release wrote the event"
_OF_THE_LOCK = {"holder": str | None}
"""Fields of compact rows that a TaskView has only as part of its lock."""


class Actor(TypedDict):
    """The user, agent or system that caused the event."""

    id: str
    kind: Literal["human", "agent", "system"]


class Envelope(TypedDict):
    """The fields of every event."""

    seq: Annotated[int, "number of the event, without a gap, in the order of commits"]
    timestamp: Annotated[str, "time of the transaction (RFC 3339, UTC)"]
    actor: Actor
    project_id: int | None
    epic_id: int | None
    task_id: int | None


class Trace(TypedDict):
    """The fields of the envelope that only operators see."""

    token_id: Annotated[int | None, "token of the request that caused the event; null without a token"]
    request_id: Annotated[str | None, "request that caused the event; null if no request caused it"]


def document() -> Schema:
    """Return the JSON Schema (2020-12) of one event."""
    schemas = definitions(REFERENCE)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schemas.pop("Event"), "$defs": schemas}


def definitions(reference: str) -> dict[str, Schema]:
    """Return the schemas by name: `Event`, its parts, and each type. `reference` is the format of their URIs."""
    schemas = {event.__name__: _event(event, reference) for event in EVENT_TYPES.values()}
    alternatives = [{"$ref": reference.format(model=name)} for name in schemas]
    mapping = {kind: reference.format(model=event.__name__) for kind, event in EVENT_TYPES.items()}
    one = {
        "title": "Event",
        "description": "An event. `type` decides which fields follow the envelope.",
        "oneOf": alternatives,
        "discriminator": {"propertyName": "type", "mapping": mapping},
    }
    return {"Event": one, ENVELOPE: _envelope(), ROW: _row(), **schemas}


def _event(event: type[Event], reference: str) -> Schema:
    fields = fields_of(event)
    optional = set(fields) if event.is_operator_only else set()
    if issubclass(event, TaskEvent):
        fields["task"] = {
            "anyOf": [{"$ref": reference.format(model=ROW)}, {"type": "null"}],
            "description": ROW_IS_NULL,
        }
        optional.add("task")
    kind = {"type": {"type": "string", "const": event.type}}
    return {
        "title": event.__name__,
        "description": getdoc(event),
        "allOf": [{"$ref": reference.format(model=ENVELOPE)}],
        "type": "object",
        "properties": {**kind, **fields},
        "required": [*kind, *(name for name in fields if name not in optional)],
    }


def _envelope() -> Schema:
    trace = fields_of(Trace)
    return _object(ENVELOPE, getdoc(Envelope), {**fields_of(Envelope), **trace}, optional=trace)


def _row() -> Schema:
    hints = {**get_type_hints(TaskView, include_extras=True), **_OF_THE_LOCK}
    fields = {name: TypeAdapter(hints[name]).json_schema(mode="serialization") for name in COMPACT}
    return _object(ROW, "A task in short, at the end of the transaction.", fields)


def _object(title: str, description: str | None, fields: Schema, *, optional: Collection[str] = ()) -> Schema:
    required = [name for name in fields if name not in optional]
    return {"title": title, "description": description, "type": "object", "properties": fields, "required": required}


def fields_of(owner: Any) -> Schema:
    """Return the schemas of the annotated fields of a class."""
    hints = get_type_hints(owner, include_extras=True)
    return {name: _schema(hint) for name, hint in hints.items() if get_origin(hint) is not ClassVar}


def _schema(hint: Any) -> Schema:
    """Return the schema of an annotation. pydantic describes the types that contain no other class."""
    if get_origin(hint) is Annotated:
        base, *notes = get_args(hint)
        return _schema(base) | {key: value for note in notes for key, value in _keywords(note).items()}
    if get_origin(hint) is UnionType:
        parts = [_schema(part) for part in get_args(hint)]
        is_simple = all(part.keys() == {"type"} for part in parts)
        return {"type": [part["type"] for part in parts]} if is_simple else {"anyOf": parts}
    if is_typeddict(hint) or is_dataclass(hint):
        fields = fields_of(hint)
        described = {"description": hint.__doc__} if hint.__doc__ else {}
        return {**described, "type": "object", "properties": fields, "required": [*fields]}
    return TypeAdapter(hint).json_schema(mode="serialization")


def _keywords(note: Any) -> Schema:
    return {"enum": [*note]} if isinstance(note, EnumType) else {"description": note}
