"""URIs of the MCP resources. A new kind is a member of `Resource`, a row here, and a reader in `resources.py`."""

import re
from typing import NamedTuple
from urllib.parse import quote, unquote

from project_manager.domain.events.event import Resource


class _Kind(NamedTuple):
    """A kind of resource. `uri` has `{}` in place of the id. `id_pattern` matches an escaped id."""

    uri: str
    id_name: str
    id_pattern: str
    title: str
    description: str


_INTEGER = r"\d{1,19}"
_AGENT = ".{1,1600}"
"""An escaped agent id of 128 characters has up to 1,536 characters. Models do not escape slashes."""
_KINDS = {
    Resource.TASK: _Kind("pm://task/{}", "task_id", _INTEGER, "Task", "Task: dependencies, lock, log."),
    Resource.BOARD: _Kind(
        "pm://project/{}/board", "project_id", _INTEGER, "Board", "Open tasks of a project by priority, with counts."
    ),
    Resource.AGENT: _Kind(
        "pm://agent/{}", "agent_id", _AGENT, "Agent", "Leases, lost leases and next step of an agent."
    ),
}
_PATTERNS = {resource: re.compile(kind.uri.format(f"({kind.id_pattern})")) for resource, kind in _KINDS.items()}

TEMPLATES = tuple(
    {
        "uriTemplate": kind.uri.format(f"{{{kind.id_name}}}"),
        "name": resource.value,
        "title": kind.title,
        "description": kind.description,
        "mimeType": "application/json",
    }
    for resource, kind in _KINDS.items()
)


def uri_of(resource: Resource, resource_id: int | str) -> str:
    """Return the URI of a resource, with reserved characters of the id escaped."""
    return _KINDS[resource].uri.format(quote(str(resource_id), safe=""))


def parse(uri: str) -> tuple[Resource, str] | None:
    """Return the resource and its unescaped id, or None for an unknown URI."""
    for resource, pattern in _PATTERNS.items():
        if match := pattern.fullmatch(uri):
            return resource, unquote(match[1])
    return None
