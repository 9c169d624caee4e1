"""Reading raw input into a command: either the command, or one error with every fault in it."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import AliasChoices, BaseModel, ValidationError

from project_manager.contract.fields import Command
from project_manager.domain.errors import Invalid, UnknownArgument

CommandType = TypeVar("CommandType", bound=Command)


def read(command: type[CommandType], raw: Mapping[str, object]) -> CommandType:
    """Validates `raw`. Raises Invalid (UnknownArgument when nothing but unknown names is wrong) with all faults
    at once.
    """
    try:
        return command.model_validate(raw)
    except ValidationError as error:
        faults = [_fault(command, entry) for entry in error.errors(include_url=False)]
        only_unknown = all(entry["type"] == "extra_forbidden" for entry in error.errors(include_url=False))
    kind = UnknownArgument if only_unknown else Invalid
    raise kind(
        "; ".join(fault["message"] for fault in faults[:20]),
        hint=" ".join(dict.fromkeys(fault["hint"] for fault in faults if fault["hint"])),
        faults=faults,
    )


def names_of(command: type[BaseModel]) -> list[str]:
    """Every name under which a command takes a value."""
    names = []
    for name, field in command.model_fields.items():
        names.append(name)
        if isinstance(field.validation_alias, AliasChoices):
            names += [choice for choice in field.validation_alias.choices if isinstance(choice, str) and choice != name]
    return names


def _fault(command: type[BaseModel], entry: Any) -> dict[str, str]:
    field = ".".join(str(part) for part in entry["loc"]) or "(body)"
    if entry["type"] == "extra_forbidden":
        return _unknown(_innermost(command, entry["loc"]), field)
    return {"field": field, "message": f"`{field}` {_words(entry)}", "hint": _hint(entry, field)}


def _unknown(command: type[BaseModel], field: str) -> dict[str, str]:
    names = names_of(command)
    near = get_close_matches(field.rsplit(".", 1)[-1], names, n=1, cutoff=0.6)
    guess = f": did you mean `{near[0]}`?" if near else ""
    hint = "" if near else f"The fields are {', '.join(command.model_fields)}."
    return {"field": field, "message": f"unknown field `{field}`{guess}", "hint": hint}


def _innermost(command: type[BaseModel], loc: tuple[object, ...]) -> type[BaseModel]:
    """The model that the fault's path ends in, for lists of models such as `tasks.3.name`."""
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


def _words(entry: Any) -> str:
    context = entry.get("ctx") or {}
    match entry["type"]:
        case "missing":
            return "is missing"
        case "value_error":
            return str(context["error"])
        case "greater_than_equal":
            return f"must be at least {context['ge']}"
        case "less_than_equal":
            return f"must be at most {context['le']}"
        case "string_too_long":
            return f"has more than {context['max_length']} characters"
        case "string_too_short":
            return "is empty"
        case "too_long":
            return f"has more than {context['max_length']} entries"
        case "string_type":
            return "must be a text"
        case "int_type" | "int_parsing" | "int_from_float" | "int_parsing_size":
            return "must be a whole number"
        case "bool_type" | "bool_parsing":
            return "must be true or false"
        case "list_type":
            return "must be a list"
        case "model_type" | "model_attributes_type" | "dict_type":
            return "must be an object"
        case "literal_error" | "enum":
            return f"must be {context['expected']}"
    return str(entry["msg"]).lower()


def _hint(entry: Any, field: str) -> str:
    return f"Send `{field}`." if entry["type"] == "missing" else ""
