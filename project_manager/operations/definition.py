"""What a row of the catalogue says."""

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
"""The argument that empties fields of an edit, over MCP alone: an empty value means there that nothing was sent."""


class Kind(Enum):
    """Where a use case runs."""

    READ = "read"
    WRITE = "write"


class Profile(Enum):
    """Which tools a client is shown: `core` by default."""

    CORE = "core"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Hints:
    """What a tool does to the world, in MCP's four words."""

    read_only: bool = False
    destructive: bool = False
    idempotent: bool = False
    open_world: bool = False


@dataclass(frozen=True, slots=True)
class Tool:
    """How an operation is shown to agents. `arguments` are the listed ones, in order; others are taken all the
    same. `defaults` are raw arguments that the MCP door fills in when they are absent. `needs_agent`: the caller must
    say which agent it is, by its agent_id or by a token that is bound to one. `clearable` maps each field that the
    argument `clear` can empty to its empty value; without any the tool has no such argument.
    """

    title: str
    hints: Hints
    arguments: tuple[str, ...]
    profile: Profile = Profile.CORE
    defaults: Mapping[str, object] = field(default_factory=dict)
    needs_agent: bool = False
    clearable: Mapping[str, object] = field(default_factory=dict)

    @property
    def needed(self) -> tuple[str, ...]:
        """The arguments that are required over MCP alone."""
        return ("agent_id",) if self.needs_agent else ()


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that a user can do. `http` is method and path, `aliases` other routes to it; `status` its
    answer's status when it succeeds; a `snapshot` is large, and kept while nothing is committed; what is `streamed` has
    no bound: its use case makes text in pieces. `prepare` does what needs no transaction, before it begins, on a thread
    of its own: `f(command, request_id)`, whose result the use case is given as `prepared`. `body_bytes` bounds the body
    of its HTTP request.
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
        """The use case's docstring: first what it does and when to use it, then the details."""
        return inspect.cleandoc(self.use_case.__doc__ or "")

    @property
    def summary(self) -> str:
        return self.description.split("\n\n", 1)[0].replace("\n", " ")


READS = Hints(read_only=True, idempotent=True)
WRITES = Hints()
REPEATABLE = Hints(idempotent=True)
LEASE_FAULTS = (TaskNotFound, LockHeld, StaleFence, FenceRequired)
"""What any write about a leased task may meet."""
