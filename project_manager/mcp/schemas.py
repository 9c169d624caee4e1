"""Input schemas that every client accepts: flat, short, without references and unions.

The dialect determines the schema of an optional argument:

- `plain`: it is not required. Each node has one `type`, which every client accepts. Other arguments are allowed.
- `nullable`: as plain, with `"nullable": true`, and without other arguments (OpenAPI, Gemini, smolagents).
- `strict`: every argument is required, and the type of an optional one includes null (OpenAI's strict functions).

The type of an id is integer, because some clients refuse a list of types. Validation also accepts an id as text.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel

from project_manager.mcp.profiles import Dialect
from project_manager.operations.definition import ACK, CLEAR, Tool

Schema = dict[str, Any]

_AGENT, _PROJECT = "agent_id", ("project_id", "project_name")
_COPIED_KEYWORDS = ("enum", "format")
_DESCRIPTIONS = {"agent_id": "", "cursor": "", "limit": "", "fence": "lock.fence", "request_id": ""}
"""Short descriptions of arguments that many tools have. The instructions explain them once."""


class Listing(NamedTuple):
    """The arguments that a connection lists. It may fix the agent and the project, or need no agent."""

    with_agent: bool = True
    requires_agent: bool = True
    with_project: bool = True

    def omits(self, name: str) -> bool:
        """Return whether the argument is not listed."""
        if name == _AGENT:
            return not self.with_agent
        return name in _PROJECT and not self.with_project


LISTED_ALL = Listing()


def input_schema(
    command: type[BaseModel], tool: Tool, dialect: Dialect = "plain", listing: Listing = LISTED_ALL
) -> Schema:
    """Return the schema of a tool: its listed arguments, in order, and `clear` if the tool can empty fields."""
    flat = flat_properties(command)
    names = [name for name in tool.arguments if not listing.omits(name)]
    properties = {name: _described(name, _without_minimum(flat[name])) for name in names}
    for name, nested in tool.nested.items():
        properties[name]["items"] = _object(item_model(command, name), nested.split(), dialect)
    required = [name for name in properties if command.model_fields[name].is_required() or name in tool.required]
    if not listing.requires_agent and _AGENT in properties:
        required = [name for name in required if name != _AGENT]
        properties[_AGENT]["description"] = "as in earlier answers"
    if tool.clearable:
        properties[CLEAR] = {"type": "array", "items": {"type": "string"}, "description": "names of fields to empty"}
    if tool.lists_ack:
        properties[ACK] = {"type": "array", "items": {"type": "integer"}}
    schema = _closed(properties, required, dialect)
    if dialect == "plain":  # a client that checks arguments would refuse those that are not listed, such as `ack`
        del schema["additionalProperties"]
    return schema


def item_model(command: type[BaseModel], name: str) -> type[BaseModel]:
    """Return the model of the objects in a list of the command."""
    (found,) = get_args(command.model_fields[name].annotation)
    model: type[BaseModel] = found
    return model


def _object(model: type[BaseModel], names: list[str], dialect: Dialect) -> Schema:
    """Return the schema of an object in a list, with the fields `names`. Clients know them by their names."""
    flat = flat_properties(model)
    bare = {name: _without_minimum(_described(name, {**flat[name], "description": ""})) for name in names}
    return _closed(bare, [name for name in names if model.model_fields[name].is_required()], dialect)


def _closed(properties: dict[str, Schema], required: list[str], dialect: Dialect) -> Schema:
    """Return the schema of an object that has only these properties."""
    if dialect != "plain":
        optional = properties.keys() - set(required)
        properties = {name: _optional(node, dialect) if name in optional else node for name, node in properties.items()}
    if dialect == "strict":  # OpenAI refuses a strict function with an argument that is not required
        required = list(properties)
    schema: Schema = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    schema["additionalProperties"] = False
    return schema


@cache
def flat_properties(command: type[BaseModel]) -> dict[str, Schema]:
    """Return a flat node for each field of the command: `type`, `items`, restrictions and description."""
    whole = command.model_json_schema(by_alias=False, mode="validation")
    return {name: _flat(node, whole) for name, node in whole.get("properties", {}).items()}


def _optional(node: Schema, dialect: Dialect) -> Schema:
    if dialect == "nullable":
        return {**node, "nullable": True}
    widened = {**node, "type": [node["type"], "null"]}
    if "enum" in node:
        widened["enum"] = [*node["enum"], None]
    return widened


def _without_minimum(node: Schema) -> Schema:
    """Return the node without `minimum`. Not every client accepts it, and the description has the range."""
    shown = {key: value for key, value in node.items() if key != "minimum"}
    if "items" in node:
        shown["items"] = _without_minimum(node["items"])
    return shown


def _described(name: str, flat: Schema) -> Schema:
    description = _DESCRIPTIONS.get(name, flat.get("description", ""))
    bare = {key: value for key, value in flat.items() if key != "description"}
    return {**bare, "description": description} if description else bare


def _flat(node: Mapping[str, Any], whole: Mapping[str, Any]) -> Schema:
    inner = _dereferenced(node, whole)
    kind = inner.get("type", "string")
    flat: Schema = {"type": kind[0] if isinstance(kind, list) else kind}
    flat |= {key: inner[key] for key in _COPIED_KEYWORDS if key in inner}
    if (least := inner.get("minimum", inner.get("ge"))) is not None:  # pydantic leaves `ge` after a custom validator
        flat["minimum"] = least
    if flat["type"] == "array":
        flat["items"] = _flat(inner.get("items", {"type": "string"}), whole)
        flat["items"].pop("description", None)  # that of the list suffices
    description = node.get("description") or inner.get("description")
    if description:
        flat["description"] = description
    return flat


def _dereferenced(node: Mapping[str, Any], whole: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the node with its reference resolved and without its `null` branch."""
    if "$ref" in node:
        found: Mapping[str, Any] = whole["$defs"][node["$ref"].rpartition("/")[2]]
        return _dereferenced(found, whole)
    if "anyOf" in node and "properties" not in node:
        branches = [branch for branch in node["anyOf"] if branch.get("type") != "null"]
        return _dereferenced(branches[0], whole)
    return node
