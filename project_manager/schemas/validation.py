"""Validate raw input into a command, or raise one error with all field errors."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any, TypeVar

from pydantic import AliasChoices, BaseModel, ValidationError

from project_manager.domain import limits
from project_manager.domain.errors import Invalid, UnknownArgument
from project_manager.domain.hints import SORT_PARAMETERS, did_you_mean, suggest_field
from project_manager.schemas.commands import Command
from project_manager.schemas.fields import UnknownValue

CommandType = TypeVar("CommandType", bound=Command)
FieldError = dict[str, str]


def read(
    command: type[CommandType],
    raw: Mapping[str, object],
    *,
    listed: int | None = limits.FIELD_ERRORS,
    with_suggestions: int = limits.FIELD_ERRORS,
) -> CommandType:
    """Return the validated command. Raises Invalid, or UnknownArgument if all field errors are unknown names.

    The error lists the first `listed` field errors, or all for None. Suggestions are slow, so only the first
    `with_suggestions` of them get one.
    """
    if not _is_short(raw, listed):
        objects = [*_objects(raw), *_nested(command, raw)]
        _check_number_of_fields(objects)
        if listed is not None:
            _check_names(command, objects, listed)
    try:
        return command.model_validate(raw)
    except ValidationError as error:
        found = error.errors(include_url=False)
    errors = [
        _field_error(command, entry, raw, with_suggestions=number < with_suggestions)
        for number, entry in enumerate(found[:listed])
    ]
    only_unknown = all(_is_unknown(command, entry) for entry in found)
    raise _invalid_error(errors, len(found), only_unknown=only_unknown)


def check_number_of_fields(raw: Mapping[str, object]) -> None:
    """Raise Invalid if the input or an object in a list has more than MAX_KEYS fields, to bound the field errors."""
    _check_number_of_fields(_objects(raw))


def _check_number_of_fields(objects: Iterable[tuple[tuple[str, ...], Mapping[str, object]]]) -> None:
    for path, fields in objects:
        if len(fields) > limits.MAX_KEYS:
            field = ".".join(path) or "(body)"
            raise Invalid.of(field, f"`{field}` has {len(fields):,} fields; the limit is {limits.MAX_KEYS}")


def _is_short(raw: Mapping[str, object], listed: int | None) -> bool:
    """Return whether the input has few fields, and no list or object, so that the checks of names cannot fail."""
    most = limits.MAX_KEYS if listed is None else min(listed, limits.MAX_KEYS)
    return len(raw) <= most and not any(isinstance(value, list | dict) for value in raw.values())


def is_large(raw: Mapping[str, object]) -> bool:
    """Return whether validation takes so long that it must not run on the event loop."""
    return any(isinstance(value, list) and len(value) > limits.MAX_FILTER_VALUES for value in raw.values())


def _objects(raw: Mapping[str, object]) -> Iterator[tuple[tuple[str, ...], Mapping[str, object]]]:
    """Yield the raw input and each object in one of its lists, with its path."""
    yield (), raw
    for name, value in raw.items():
        if isinstance(value, list):
            yield from (
                ((excerpt(name), str(number)), item) for number, item in enumerate(value) if isinstance(item, dict)
            )


def _nested(command: type[BaseModel], raw: Mapping[str, object]) -> Iterator[tuple[tuple[str, ...], dict[str, object]]]:
    """Yield each object that is the value of a field, with its path. A field without a model takes any names."""
    for name, value in raw.items():
        if isinstance(value, dict) and _model_at(command, (name, "")) is not command:
            yield (excerpt(name),), value


def _check_names(
    command: type[BaseModel], objects: Sequence[tuple[tuple[str, ...], Mapping[str, object]]], most: int
) -> None:
    """Raise UnknownArgument for more than `most` unknown names, before validation creates an error for each."""
    if sum(len(fields) for _, fields in objects) <= most:
        return
    total = 0
    found: list[tuple[type[BaseModel], tuple[str, ...], str]] = []
    for path, fields in objects:
        inner = _model_at(command, (*path, ""))
        unknown = fields.keys() - set(names_of(inner))
        total += len(unknown)
        named = (name for name in fields if name in unknown)
        found += [(inner, path, name) for name in islice(named, most - len(found))]
    if total > most:
        errors = [_unknown(inner, ".".join((*path, excerpt(name))), name, guessed=True) for inner, path, name in found]
        raise _invalid_error(errors, total, only_unknown=True)


def _invalid_error(errors: list[FieldError], total: int, *, only_unknown: bool) -> Invalid:
    more = total - len(errors)
    kind = UnknownArgument if only_unknown else Invalid
    return kind(
        "; ".join(entry["message"] for entry in errors) + (f"; and {more:,} more" if more else ""),
        hint=" ".join(dict.fromkeys(entry["hint"] for entry in errors if entry["hint"])),
        errors=errors,
        **({"total": total} if more else {}),
    )


def excerpt(text: object) -> str:
    """Return the beginning of a text of the client, short enough for an error message."""
    whole = str(text)
    return whole if len(whole) <= limits.SHOWN_CHARACTERS else f"{whole[: limits.SHOWN_CHARACTERS]}.."


def names_of(command: type[BaseModel]) -> list[str]:
    """Return all accepted argument names of a command, aliases included."""
    return [name for names in aliases_by_field(command).values() for name in names]


@cache
def aliases_by_field(command: type[BaseModel]) -> dict[str, list[str]]:
    """Return a map from each field to its accepted names: its own name first, then its aliases."""
    names = {}
    for name, field in command.model_fields.items():
        alias = field.validation_alias
        others = alias.choices if isinstance(alias, AliasChoices) else []
        names[name] = [name, *(choice for choice in others if isinstance(choice, str) and choice != name)]
    return names


def _is_unknown(command: type[BaseModel], entry: Any) -> bool:
    """Return whether the error is about an unknown name, and not about a second name of the same field."""
    inner = _model_at(command, entry["loc"])
    return entry["type"] == "extra_forbidden" and entry["loc"][-1] not in names_of(inner)


def _field_error(
    command: type[BaseModel], entry: Any, raw: Mapping[str, object], *, with_suggestions: bool
) -> FieldError:
    loc = entry["loc"]
    if _is_scalar_for_list(loc, raw):
        loc = loc[:-1]
    field = ".".join(map(excerpt, loc)) if loc else "(body)"
    if entry["type"] == "extra_forbidden":
        return _unknown(_model_at(command, loc), field, str(loc[-1]), guessed=with_suggestions)
    message = _message(entry, guessed=with_suggestions)
    quoted = isinstance(entry["input"], str) and message.startswith(repr(entry["input"][:40]))
    shown = field.removesuffix(f".{loc[-1]}") if quoted and isinstance(loc[-1], int) else field
    return {"field": field, "message": f"`{shown}` {message}", "hint": _hint(command, entry, field)}


def _is_scalar_for_list(loc: tuple[object, ...], raw: Mapping[str, object]) -> bool:
    """Return whether the list was sent as one word. The index of the entry then means nothing to the client."""
    if len(loc) != 2 or not isinstance(loc[1], int):
        return False
    given = raw.get(str(loc[0]))
    return isinstance(given, str) and not given.lstrip().startswith("[") and "," not in given


def _unknown(command: type[BaseModel], field: str, name: str, *, guessed: bool) -> FieldError:
    for own, names in aliases_by_field(command).items():
        if name in names:
            message = f"is an alias of `{own}`" if name != own else f"has aliases: {', '.join(names[1:])}"
            return {"field": field, "message": f"`{field}` {message}; send only one", "hint": ""}
    meant = suggest_field(name, aliases_by_field(command)) if guessed else None
    hint = "" if meant is not None else f"The fields are {', '.join(command.model_fields)}."
    if name.lower() in SORT_PARAMETERS and meant is None:
        hint = "Lists have a fixed order."
    return {"field": field, "message": f"unknown field `{field}`{did_you_mean(meant)}", "hint": hint}


def _model_at(command: type[BaseModel], loc: tuple[object, ...]) -> type[BaseModel]:
    """Return the model at the end of the path of a field error, for lists of models such as `tasks.3.name`."""
    for part in loc[:-1]:
        field = command.model_fields.get(str(part))
        if field is not None:
            for candidate in _models_in(field.annotation):
                command = candidate
    return command


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in getattr(annotation, "__args__", ()) for model in _models_in(inner)]


_MESSAGES = {
    "missing": "is missing",
    "value_error": "{error}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "string_too_long": "has more than {max_length} characters",
    "string_too_short": "is empty",
    "too_long": "has more than {max_length} entries",
    "too_short": "has no entries",
    "string_type": "must be a string",
    "string_unicode": "contains a character that is not valid Unicode",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "must be an integer"),
    "int_parsing_size": "must be a 64-bit integer",
    **dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false"),
    "list_type": "must be a list",
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), "must be an object"),
    **dict.fromkeys(("literal_error", "enum"), "must be {expected}"),
}


def _message(entry: Any, *, guessed: bool) -> str:
    error = (entry.get("ctx") or {}).get("error")
    if isinstance(error, UnknownValue):
        return error.message(guessed=guessed)
    too_large = entry["type"] == "less_than_equal" and entry["ctx"]["le"] == limits.ID_MAXIMUM
    template = _MESSAGES.get("int_parsing_size" if too_large else entry["type"])
    return str(entry["msg"]).lower() if template is None else template.format(**(entry.get("ctx") or {}))


_DIVISIBLE = frozenset({"ids", "tasks"})
"""The lists that a client can split over several requests."""
_LIST_OPERATIONS = {"project": "list_projects (GET /api/projects)", "epic": "list_epics (GET /api/epics)"}


def _hint(command: type[BaseModel], entry: Any, field: str) -> str:
    if entry["type"] == "missing":
        return f"Send `{field}`."
    if entry["type"] == "too_long" and field in _DIVISIBLE:
        return f"Send several requests with at most {entry['ctx']['max_length']} entries each."
    kind = field.removesuffix("_id")
    if kind in _LIST_OPERATIONS and isinstance(entry["input"], str):
        by_name = f"Send names as `{kind}_name`; ids" if f"{kind}_name" in command.model_fields else "Ids"
        return f"{by_name} are listed by {_LIST_OPERATIONS[kind]}."
    return ""
