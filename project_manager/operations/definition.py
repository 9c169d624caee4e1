"""The types of the rows of the catalogue: operations, tools and their hints."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from project_manager.domain.actors import Role
from project_manager.domain.errors import FenceRequired, LockHeld, ProjectManagerError, StaleFence, TaskNotFound
from project_manager.domain.limits import BODY_BYTES
from project_manager.schemas.commands import Command

CLEAR = "clear"
"""The argument that empties fields of an edit, in MCP only: MCP treats an empty value as not sent."""


class Kind(Enum):
    """The connection on which a use case runs: a reader or the writer."""

    READ = "read"
    WRITE = "write"


class Profile(Enum):
    """The set of tools that a client can list. The default is `core`."""

    CORE = "core"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Hints:
    """The effects of a tool, as the four tool annotations of MCP."""

    read_only: bool = False
    destructive: bool = False
    idempotent: bool = False
    open_world: bool = False


@dataclass(frozen=True, slots=True)
class Tool:
    """The MCP tool of an operation.

    `arguments` are the listed arguments, in order; the tool accepts the others too. `defaults` are raw arguments that
    the MCP interface adds when they are absent. With `needs_agent` the caller must send its agent_id or a token that is
    bound to an agent. `clearable` maps each field that the argument `clear` can empty to its empty value. Without
    clearable fields the tool has no such argument.
    """

    title: str
    hints: Hints
    arguments: tuple[str, ...]
    profile: Profile = Profile.CORE
    defaults: Mapping[str, object] = field(default_factory=dict)
    needs_agent: bool = False
    clearable: Mapping[str, object] = field(default_factory=dict)

    @property
    def required_arguments(self) -> tuple[str, ...]:
        """The arguments that are required over MCP only."""
        return ("agent_id",) if self.needs_agent else ()


@dataclass(frozen=True, slots=True)
class Operation:
    """An action of a user, with its use case, interfaces and errors.

    `http` is method and path, and `aliases` are other routes to it. `status` is the HTTP status of success. A
    `snapshot` is a large answer that is cached until the next commit. A `streamed` answer has no size limit: its use
    case yields text in pieces. `prepare` does the work that needs no transaction, before it begins, on its own thread.
    It is called as `f(command, request_id)`, and the use case gets its result as `prepared`. `body_bytes` limits the
    body of the HTTP request.
    """

    name: str
    use_case: Callable[..., Any]
    command: type[Command]
    view: Any
    http: str = ""
    kind: Kind = Kind.READ
    role: Role = Role.VIEWER
    idempotent: bool = False
    tool: Tool | None = None
    errors: tuple[type[ProjectManagerError], ...] = ()
    status: int = 200
    aliases: tuple[str, ...] = ()
    snapshot: bool = False
    streamed: bool = False
    prepare: Callable[..., Any] | None = None
    body_bytes: int = BODY_BYTES

    @property
    def description(self) -> str:
        """The docstring of the use case: first its purpose and when to use it, then the details."""
        return inspect.cleandoc(self.use_case.__doc__ or "")

    @property
    def summary(self) -> str:
        """The first paragraph of the description, in one line."""
        return self.description.split("\n\n", 1)[0].replace("\n", " ")


READS = Hints(read_only=True, idempotent=True)
WRITES = Hints()
IDEMPOTENT = Hints(idempotent=True)
LEASE_ERRORS = (TaskNotFound, LockHeld, StaleFence, FenceRequired)
"""Errors of every write about a leased task."""
