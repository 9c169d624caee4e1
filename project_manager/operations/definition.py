"""The types of the rows of the catalogue: operations, tools and their hints."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from typing import Any

from project_manager.domain.actors import Actor, Role
from project_manager.domain.errors import (
    FenceRequired,
    IdempotencyMismatch,
    LockHeld,
    ProjectManagerError,
    StaleFence,
    TaskNotFound,
    VersionMismatch,
)
from project_manager.domain.limits import BODY_BYTES
from project_manager.schemas.commands import Command, IdempotentCommand

CLEAR = "clear"
"""The argument that empties fields of an edit, in MCP only: MCP tools treat an empty value as absent."""


ACK = "ack"
"""The argument with the ids of messages that the call acknowledges, in MCP only. Every tool takes it."""


class Kind(Enum):
    """The connection on which a use case runs: a reader or the writer."""

    READ = "read"
    WRITE = "write"


class Profile(Enum):
    """The set of tools that a client can list. Each set includes those before it. The default is `core`."""

    LOOP = "loop"
    CORE = "core"
    ALL = "all"

    def includes(self, other: "Profile") -> bool:
        """Return whether a client of this profile lists the tools of the other one."""
        order = [*Profile]
        return order.index(self) >= order.index(other)


class WaitsFor(Enum):
    """The thing that a long poll waits for."""

    TASK = "task"
    EVENTS = "events"


@dataclass(frozen=True, slots=True)
class LongPoll:
    """A wait that a caller may request. `field` names the field with its length in seconds; by default 0, no wait."""

    field: str
    waits_for: WaitsFor

    def is_requested(self, raw: Mapping[str, object]) -> bool:
        """Return whether raw arguments request a wait. They are not validated yet."""
        return raw.get(self.field) not in (None, 0, "0", "")


@dataclass(frozen=True, slots=True)
class PlainText:
    """A text field that can also be the whole body, in these media types, best first. `hint` is for its errors.

    `file_name` returns the name of the file as which a browser saves the body.
    """

    field: str
    media_types: tuple[str, ...]
    hint: str = ""
    file_name: Callable[[Any], str] | None = None


@dataclass(frozen=True, slots=True)
class Hints:
    """The effects of a tool, as the four tool annotations of MCP."""

    read_only: bool = False
    destructive: bool = False
    idempotent: bool = False
    open_world: bool = False


@dataclass(frozen=True)
class Tool:
    """The MCP tool of an operation.

    `listed` names the listed arguments, in order; the tool accepts the others too. The profile `loop` does not list
    those in `omitted_in_loop`. `nested` names the listed fields of the objects in a list, by argument. `lists_ack` is
    whether the schema shows the argument `ack`; every tool takes it. `zero_counts` names arguments with the argument
    and value beside which their 0 is never a filler. Beside another value their 0 is one in each dialect.

    `defaults` are added when absent. `clearable` maps each field that the argument `clear` can empty to its empty
    value. `required` ones are required over MCP only; the agent id may come from a bound token. A call that sets a
    field of `named_for` needs an agent id. `operator_only` flags need the token of an operator that is not bound to an
    agent.
    """

    title: str
    hints: Hints
    listed: str
    profile: Profile = Profile.CORE
    defaults: Mapping[str, object] = field(default_factory=dict)
    clearable: Mapping[str, object] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    named_for: tuple[str, ...] = ()
    operator_only: tuple[str, ...] = ()
    lists_ack: bool = False
    omitted_in_loop: str = ""
    nested: Mapping[str, str] = field(default_factory=dict)
    zero_counts: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def in_profile(self, profile: Profile) -> "Tool":
        """Return the tool with the arguments that this profile lists."""
        omitted = self.omitted_in_loop.split() if profile is Profile.LOOP else []
        listed = " ".join(name for name in self.arguments if name not in omitted)
        return replace(self, listed=listed, lists_ack=self.lists_ack and profile is not Profile.LOOP)

    @cached_property
    def arguments(self) -> tuple[str, ...]:
        """The names of the listed arguments."""
        return tuple(self.listed.split())


@dataclass(frozen=True)
class Operation:
    """An action of a user, with its use case, interfaces and errors.

    `acts_as` is the field with the agent id that the caller acts as. Without it, no field changes the caller's
    identity. `raises` are the errors of the use case. `waits` makes the operation a long poll. `authorize` checks the
    caller beyond its role, as `f(command, actor, interface)`. `has_effect` returns whether a result must be replayed
    for its idempotency key; by default every result is.

    `http` is method and path, and `aliases` are other routes to it. `status` is the HTTP status of success.
    `body_bytes` limits the body of the HTTP request. `accepts` is another form of that body.

    `starts` names the background job to which each new result of the operation is passed, in the same process.

    `while_stopped` is whether a stopped agent may call it. `delivers_messages` is whether messages come with the
    response of a read over REST. They come with every write and every tool in any case.

    `reads_first(tx, command)` reads on a reader before the transaction, and the use case gets its result as `prepared`.

    A `snapshot` is a large response that is cached until the next commit. It makes the object in which the use case, as
    its third argument, keeps encoded parts for the next response. A `streamed` response has no size limit: its
    use case yields the text in pieces. `prepare(command, request_id)` does work before the transaction, on a worker
    thread, and the use case gets its result as `prepared`. `compare_globs(command, prepared)` returns a read of the
    globs to compare with those of the command before the transaction, or None. The use case gets the comparisons as
    `tx.glob_comparisons`.
    """

    name: str
    use_case: Callable[..., Any]
    command: type[Command]
    view: Any
    http: str = ""
    needs_operator: bool = False
    tool: Tool | None = None
    raises: tuple[type[ProjectManagerError], ...] = ()
    status: int = 200
    aliases: tuple[str, ...] = ()
    acts_as: str = ""
    waits: LongPoll | None = None
    accepts: PlainText | None = None
    authorize: Callable[[Any, Actor, str], None] | None = None
    has_effect: Callable[[Any], bool] | None = None
    snapshot: Callable[[], Any] | None = None
    streamed: PlainText | None = None
    prepare: Callable[..., Any] | None = None
    compare_globs: Callable[..., Any] | None = None
    reads_first: Callable[..., Any] | None = None
    body_bytes: int = BODY_BYTES
    starts: str = ""
    while_stopped: bool = False
    delivers_messages: bool = False

    @cached_property
    def kind(self) -> Kind:
        """A GET reads. Another route, or an operation without a route, writes."""
        return Kind.READ if self.http.startswith("GET ") else Kind.WRITE

    @cached_property
    def role(self) -> Role:
        """The lowest role that may call the operation."""
        if self.needs_operator:
            return Role.OPERATOR
        return Role.VIEWER if self.kind is Kind.READ else Role.AGENT

    @cached_property
    def idempotent(self) -> bool:
        """Return whether the command has an idempotency key."""
        return issubclass(self.command, IdempotentCommand)

    @cached_property
    def errors(self) -> tuple[type[ProjectManagerError], ...]:
        """All errors of the operation: `raises`, and those that its command implies."""
        stale = (VersionMismatch,) if "version" in self.command.model_fields else ()
        reused = (IdempotencyMismatch,) if self.idempotent else ()
        return (*self.raises, *stale, *reused)

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
