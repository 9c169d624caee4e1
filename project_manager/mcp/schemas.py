"""Input schemas as every client takes them: flat, one `type` a node, no references, no unions, nothing
that only costs tokens.

Identifiers are announced as integers, because some clients refuse a list of types; they are read from
text all the same.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]

_KEPT = ("enum", "format")
_WORDS = {
    "agent_id": "",
    "cursor": "",
    "limit": "",
    "fence": "lock.fence",
    "request_id": "makes a repeat safe: same id, same answer",
}
"""Arguments that many tools have: the instructions explain them once, so that each tool need not."""


def input_schema(command: type[BaseModel], listed: Iterable[str], needed: Iterable[str] = ()) -> Schema:
    """The schema of a tool that shows `listed`, in that order; the command decides what else is taken. `needed` are
    those that this door requires although the command does not.
    """
    whole = command.model_json_schema(by_alias=False, mode="validation")
    properties = whole.get("properties", {})
    names = list(listed)
    required = [name for name in names if name in whole.get("required", []) or name in needed]
    flat = {name: _described(name, _flat(properties[name], whole)) for name in names}
    schema: Schema = {"type": "object", "properties": flat}
    if required:
        schema["required"] = required
    schema["additionalProperties"] = False
    return schema


def _described(name: str, flat: Schema) -> Schema:
    words = _WORDS.get(name, flat.get("description", ""))
    bare = {key: value for key, value in flat.items() if key != "description"}
    return {**bare, "description": words} if words else bare


def _flat(node: Mapping[str, Any], whole: Mapping[str, Any]) -> Schema:
    inner = _one(node, whole)
    kind = inner.get("type", "string")
    flat: Schema = {"type": kind[0] if isinstance(kind, list) else kind}
    flat |= {key: inner[key] for key in _KEPT if key in inner}
    if flat["type"] == "array":
        flat["items"] = _flat(inner.get("items", {"type": "string"}), whole)
    description = node.get("description") or inner.get("description")
    if description:
        flat["description"] = description
    return flat


def _one(node: Mapping[str, Any], whole: Mapping[str, Any]) -> Mapping[str, Any]:
    """The node without its reference and without its `null` branch."""
    if "$ref" in node:
        found: Mapping[str, Any] = whole["$defs"][node["$ref"].rpartition("/")[2]]
        return _one(found, whole)
    if "anyOf" in node:
        branches = [branch for branch in node["anyOf"] if branch.get("type") != "null"]
        return _one(branches[0], whole)
    return node
