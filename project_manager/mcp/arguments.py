"""Read the arguments of a tool call: drop fillers, and translate `clear` into empty values.

Some clients make a model send every argument of a tool. The model then sends an empty value for each argument that it
does not need: `""`, `0`, `[]`, `false`. An edit must not store them. These rules apply to MCP only:

- An impossible value of an argument counts as absent. Such values are `""`, `[]`, `{}`, the text `null`, and 0 if the
  minimum is 1.
- A call with such a value is *filled*. In a filled call, 0 and `false` count as absent too. There `"P0"` is priority 0.
- A schema with nullable optional arguments lets null mark an absent argument. There 0 and `false` are real values.
- The 0 of `criterion` and `exit_code` is a real value in evidence, and in a filled call only there.
- `ack` belongs to no tool: it acknowledges messages, and its empty values are ignored.
- Null always means absent. `clear` names the fields to empty.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel

from project_manager.domain.errors import Invalid
from project_manager.domain.hints import closest, did_you_mean
from project_manager.domain.limits import ACKNOWLEDGED_AT_ONCE, ID_MAXIMUM
from project_manager.mcp.schemas import Schema, flat_properties, item_model
from project_manager.operations.definition import ACK, CLEAR, Operation
from project_manager.schemas.fields import parse_list
from project_manager.schemas.validation import aliases_by_field, check_number_of_fields

Arguments = Mapping[str, object]

_ZERO_TEXTS = ("0", "-0")
_EMPTY_TEXTS = {"array": ("", "null", "[]"), "object": ("", "null", "{}")}
"""Texts that count as absent, by type of the argument. Lists and objects may be sent as JSON text."""


@dataclass(frozen=True, slots=True)
class ParsedArguments:
    """The arguments of a call without fillers. `ignored` has the names of the dropped fillers."""

    arguments: dict[str, object]
    ignored: tuple[str, ...] = ()


class ToolArguments:
    """Reader of the arguments of one tool."""

    def __init__(self, operation: Operation) -> None:
        tool = operation.tool
        if tool is None:
            raise ValueError(f"{operation.name} is not a tool")
        nodes = flat_properties(operation.command)
        self._defaults = tool.defaults
        self._clearable = tool.clearable
        self._fields: dict[str, str] = {}
        self._optional: dict[str, Schema] = {}
        for field, names in aliases_by_field(operation.command).items():
            self._fields.update(dict.fromkeys(names, field))
            if not operation.command.model_fields[field].is_required():
                self._optional.update(dict.fromkeys(names, nodes[field]))
        if self._clearable:
            self._optional[CLEAR] = {"type": "array", "items": {"type": "string"}}
        self._zero_counts = tool.zero_counts
        self._nested = {name: _optional_fields(item_model(operation.command, name)) for name in tool.nested}
        self._unlisted = self._clearable.keys() - set(tool.arguments)

    def read(self, given: Arguments, *, nullable: bool) -> ParsedArguments:
        """Return the arguments without fillers, with the defaults of the tool.

        `nullable` is true if the client's schema allows null for optional arguments. Raises Invalid for too many
        arguments, and for an invalid `clear`.
        """
        check_number_of_fields(given)
        ignored = [name for name, value in given.items() if self._never_wanted(name, value)]
        if ignored:
            ignored = [name for name in given if self._is_filler(name, given, nullable=nullable)]
        # A client sends null fillers only for listed arguments. Null for another argument was an attempt to empty it.
        nulls = [name for name, value in given.items() if value is None]
        ignored += [name for name in nulls if self._fields.get(name) in self._unlisted]
        dropped = {*ignored, *nulls}
        arguments = {name: value for name, value in given.items() if name not in dropped}
        for name, optional in self._nested.items():
            if name in arguments:
                arguments[name] = _without_nested_fillers(arguments[name], optional)
        if self._clearable and CLEAR in arguments:
            self._empty(arguments, arguments.pop(CLEAR))
        for name, value in self._defaults.items():
            arguments.setdefault(name, value)
        return ParsedArguments(arguments, tuple(ignored))

    def _never_wanted(self, name: str, value: object) -> bool:
        node = self._optional.get(name)
        return node is not None and value is not None and _is_filler_value(node, value)

    def _is_filler(self, name: str, given: Arguments, *, nullable: bool) -> bool:
        """Return whether the argument of a filled call is a filler."""
        node, value = self._optional.get(name), given[name]
        if node is None or value is None:
            return False
        if name in self._zero_counts:
            other, word = self._zero_counts[name]
            zero_counts = given.get(other) == word
        else:
            zero_counts = nullable
        return _is_filler_value(node, value) or (_is_zero(node, value) and not zero_counts)

    def _empty(self, arguments: dict[str, object], sent: object) -> None:
        """Set each field that `clear` names to its empty value."""
        try:
            names = parse_list(sent)
        except ValueError:
            names = None
        if not isinstance(names, list):
            raise Invalid.of(CLEAR, "`clear` must be a list of field names", self._clear_hint())
        given = {self._fields.get(name) for name in arguments}
        for name in names:
            field = self._fields.get(name) if isinstance(name, str) else None
            if field not in self._clearable:
                near = closest(name, self._clearable) if isinstance(name, str) else None
                message = f"`clear` cannot empty {str(name)[:40]!r}{did_you_mean(near)}"
                raise Invalid.of(CLEAR, message, self._clear_hint())
            if field in given:
                raise Invalid.of(CLEAR, f"`{field}` is both sent and cleared", "Send one of the two.")
            arguments[str(field)] = self._clearable[str(field)]

    def _clear_hint(self) -> str:
        return f"`clear` accepts {', '.join(self._clearable)}."


def _optional_fields(model: type[BaseModel]) -> dict[str, Schema]:
    """Return the schemas of the optional fields of the objects in a list, by each of their names."""
    nodes = flat_properties(model)
    return {
        name: nodes[field]
        for field, names in aliases_by_field(model).items()
        if not model.model_fields[field].is_required()
        for name in names
    }


def _without_nested_fillers(sent: object, optional: Mapping[str, Schema]) -> object:
    """Return a list of objects without their fillers. It may be sent as JSON text, and one object without a list."""
    try:
        items = parse_list(sent)
    except ValueError:
        return sent  # validation reports it
    if isinstance(items, dict):
        items = [items]
    return [_without_fillers(item, optional) for item in items] if isinstance(items, list) else sent


def _without_fillers(item: object, optional: Mapping[str, Schema]) -> object:
    """Return an object of a list without null and without impossible values of optional fields."""
    if not isinstance(item, dict):
        return item
    return {
        name: value
        for name, value in item.items()
        if name not in optional or (value is not None and not _is_filler_value(optional[name], value))
    }


def split_ack(given: Arguments) -> tuple[Arguments, tuple[int, ...]]:
    """Return the arguments without `ack`, which every tool takes, and the ids of messages in it. Raises Invalid."""
    if ACK not in given:
        return given, ()
    rest = {name: value for name, value in given.items() if name != ACK}
    sent = given[ACK]
    try:
        found = parse_list([] if sent in (None, "null", False) else sent)
        ids = [_whole(value) for value in found if value not in (None, "", 0, "0")]  # type: ignore[attr-defined]
        is_valid = all(1 <= value <= ID_MAXIMUM for value in ids) and len(ids) <= ACKNOWLEDGED_AT_ONCE
    except (TypeError, ValueError):
        is_valid = False
    if not is_valid:
        message = f"`{ACK}` is not a list of at most {ACKNOWLEDGED_AT_ONCE} message ids"
        raise Invalid.of(ACK, message, "Send the ids of the messages, such as [3].")
    return rest, tuple(ids)


def _whole(value: object) -> int:
    """Return the id in a number or a text. Raises ValueError."""
    return int(value) if isinstance(value, float) and value.is_integer() else int(str(value))


def _is_filler_value(node: Schema, value: object) -> bool:
    """Return whether the value is never intended for an argument with this schema, and therefore a filler."""
    if isinstance(value, str):
        text = value.strip()
        if text in _EMPTY_TEXTS.get(node["type"], ("", "null")):
            return True
        return _is_number(node) and text in _ZERO_TEXTS and _excludes_zero(node)
    if isinstance(value, list):
        items = node.get("items")  # absent if no list is expected: validation reports that
        return all(item is None or (items is not None and _is_filler_value(items, item)) for item in value)
    if isinstance(value, dict):
        return not value
    if isinstance(value, bool):
        return not value and node["type"] != "boolean"
    return bool(value == 0) and (not _is_number(node) or _excludes_zero(node))


def _is_zero(node: Schema, value: object) -> bool:
    """Return whether the value is 0 or false, or a text for one of them."""
    if isinstance(value, str):
        text = value.strip().lower()
        if node["type"] == "boolean":
            return text in ("false", "no", *_ZERO_TEXTS)
        return _is_number(node) and text in _ZERO_TEXTS
    return isinstance(value, int | float) and not value


def _is_number(node: Schema) -> bool:
    return bool(node["type"] == "integer")


def _excludes_zero(node: Schema) -> bool:
    return bool(node.get("minimum", 0) > 0)
