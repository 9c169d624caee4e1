"""Calls of operations: the caller, the validated call and the result."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from project_manager.domain.actors import Actor
from project_manager.domain.leases import LockView
from project_manager.domain.limits import ID_MAXIMUM
from project_manager.domain.messages import DeliveredMessage
from project_manager.operations.definition import Kind, Operation
from project_manager.runtime.snapshots import Snapshot
from project_manager.schemas.commands import Command

Interface = Literal["rest", "mcp", "cli"]


@dataclass(frozen=True, slots=True)
class ClientConnection:
    """The connection of an MCP client.

    `agent_ids` and `projects` are the different values that its address and its headers fix. More than one contradict
    each other. `session_key` is the same in all calls of a session, and empty for a client without a session.
    `client` is the name that the client gives itself.
    """

    agent_ids: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    session_key: str = ""
    client: str = ""


NO_CONNECTION = ClientConnection()


@dataclass(frozen=True, slots=True)
class Caller:
    """The actor, interface and request id of a call. `secret` is the token of the request.

    `ack` are the ids of messages that the call acknowledges. `added` are the names of inputs that the interface has
    added to those of the client, so that they do not distinguish a request from its repetition. `is_internal` is
    whether a job of this process calls, which needs no token.
    """

    actor: Actor
    interface: Interface
    request_id: str
    idempotency_key: str | None = None
    secret: str | None = field(default=None, repr=False)
    connection: ClientConnection = NO_CONNECTION
    ack: tuple[int, ...] = ()
    added: frozenset[str] = frozenset()
    is_internal: bool = False

    @property
    def is_agent(self) -> bool:
        """Return whether the interface is for agents only, so that the caller is never a person."""
        return self.interface == "mcp"


@dataclass(frozen=True, slots=True)
class Call:
    """A validated call that acts as `actor`. `called_at` is its time in milliseconds since the epoch."""

    operation: Operation
    command: Any
    caller: Caller
    actor: Actor
    called_at: int

    @property
    def key(self) -> str | None:
        """The idempotency key, or None."""
        return (self.command.request_id or self.caller.idempotency_key) if self.operation.idempotent else None

    @property
    def wait_seconds(self) -> int:
        """The requested length of the long poll. It is 0 for a call that does not wait."""
        waits = self.operation.waits
        return 0 if waits is None else int(getattr(self.command, waits.field))

    @property
    def delivers_messages(self) -> bool:
        """Return whether messages may come with the response. Over REST, most reads deliver none."""
        return self.caller.is_agent or self.operation.kind is Kind.WRITE or self.operation.delivers_messages

    def has_effect(self, view: Any) -> bool:
        """Return whether this view is the result of a call that took effect."""
        has_effect = self.operation.has_effect
        return has_effect is None or has_effect(view)


@dataclass(slots=True)
class OperationResult:
    """The result of an operation. `expiring_leases` are the leases of an agent that end soon.

    `issued_id` is the agent id that the service has issued to the caller, or None.
    `messages` are those that the agent gets with the response.
    `view` is the view of the operation, the stored JSON object when `replayed`, or None for a `snapshot`.
    """

    view: Any
    replayed: bool = False
    encoded: bytes | None = field(default=None, repr=False)
    snapshot: Snapshot | None = None
    expiring_leases: list[LockView] = field(default_factory=list)
    issued_id: str | None = None
    messages: list[DeliveredMessage] = field(default_factory=list)

    @property
    def body(self) -> bytes:
        """The result as compact JSON."""
        if self.snapshot is not None:
            return self.snapshot.body
        if self.encoded is None:
            self.encoded = orjson.dumps(self.view)
        return self.encoded


def task_of(command: Command, result: OperationResult | None) -> int | None:
    """Return the id of the task that a call concerns. The command names it, or the result contains it."""
    named: int | None = vars(command).get("task_id")  # pydantic's getattr of a missing field costs 2 us
    if named is not None or result is None:
        return named
    view = result.view if isinstance(result.view, dict) else getattr(result.view, "task", result.view)
    if not isinstance(view, dict):
        return None
    task = view.get("task") or (view if "fence" in view else {})  # a task, or the stored object of a replayed result
    return task.get("id")


def task_id_of_input(raw: Mapping[str, object]) -> int | None:
    """Return the id of the task that rejected input names, or None when it is not a valid id."""
    named = raw.get("task_id")
    # The length is limited first, because `int` raises ValueError for more than 4,300 digits.
    if isinstance(named, str) and named.isascii() and named.isdecimal() and len(named) <= len(str(ID_MAXIMUM)):
        named = int(named)
    return named if isinstance(named, int) and not isinstance(named, bool) and 1 <= named <= ID_MAXIMUM else None
