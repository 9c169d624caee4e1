"""The connection of an MCP request: its fixed agent and project, its session, and the name of its client."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from mcp.types import CLIENT_INFO_META_KEY
from starlette.types import Scope

from project_manager.domain.limits import CLIENT_NAME_CHARACTERS
from project_manager.runtime.calls import ClientConnection

AGENT_ID, _PROJECT, _SSE_SESSION = "agent_id", "project", "session_id"
_HEADERS = {AGENT_ID: b"x-agent-id", _PROJECT: b"x-project"}
_SESSION = b"mcp-session-id"
_CLIENTS_KEPT = 10_000


class ClientNames:
    """The names of the clients of sessions. A request of a session does not contain the name."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def add(self, session_id: str | None, params: Mapping[str, Any] | None) -> None:
        """Keep the name in the parameters of `initialize`."""
        if session_id:
            if len(self._names) >= _CLIENTS_KEPT:
                self._names.clear()
            self._names[session_id] = name_in((params or {}).get("clientInfo"))

    def of(self, session_id: str) -> str:
        """Return the name, or an empty text if another process opened the session."""
        return self._names.get(session_id, "")


def name_in(client_info: object) -> str:
    """Return the name in the description of a client, or an empty text."""
    name = client_info.get("name") if isinstance(client_info, Mapping) else None
    return name[:CLIENT_NAME_CHARACTERS] if isinstance(name, str) else ""


def client_in(meta: object) -> str:
    """Return the name of the client in the envelope of a request of 2026-07-28, or an empty text."""
    return name_in(meta.get(CLIENT_INFO_META_KEY)) if isinstance(meta, Mapping) else ""


def connection_in(scope: Scope, names: ClientNames, client: str = "") -> ClientConnection:
    """Return the connection of an HTTP request. `client` is the name of the client, if it is known."""
    session_id = _header(scope, _SESSION)
    fixed = _in_query(scope.get("query_string", b""))
    session_key = f"session:{session_id}" if session_id else ""
    if not session_key and fixed.get(_SSE_SESSION) and "/messages" in scope["path"]:
        session_key = f"sse:{fixed[_SSE_SESSION][0]}"
    return ClientConnection(
        _values(scope, fixed, AGENT_ID),
        _values(scope, fixed, _PROJECT),
        session_key,
        client or (names.of(session_id) if session_id else ""),
    )


def _values(scope: Scope, fixed: Mapping[str, tuple[str, ...]], name: str) -> tuple[str, ...]:
    """Return the different values of the address and of the header."""
    in_header = _header(scope, _HEADERS[name])
    in_query = fixed.get(name, ())
    return _distinct((*in_query, in_header)) if in_header else in_query


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(stripped for value in values if (stripped := value.strip())))


@lru_cache(maxsize=1024)
def _in_query(query: bytes) -> Mapping[str, tuple[str, ...]]:
    """Return the different values of each parameter. An empty value counts as absent."""
    found: dict[str, list[str]] = {}
    for name, value in parse_qsl(query.decode("ascii", "replace"), errors="replace"):
        found.setdefault(name, []).append(value)
    return {name: _distinct(values) for name, values in found.items()}


def _header(scope: Scope, name: bytes) -> str:
    """Return the text of a header. Clients send UTF-8, although HTTP defines only Latin-1."""
    known = scope.get("state", {}).get("headers")
    if known is not None:
        value: bytes = known.get(name, b"")
    else:
        value = next((value for key, value in scope["headers"] if key == name), b"")
    try:
        return value.decode().strip()
    except UnicodeDecodeError:
        return value.decode("latin-1").strip()
