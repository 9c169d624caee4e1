"""Calls: the caller, the actor, the answer, and the replay of idempotent requests."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from project_manager.domain.actors import LOCAL, Actor, Role, anonymous_agent, is_reserved
from project_manager.domain.errors import (
    AgentMismatch,
    AgentRequired,
    IdempotencyMismatch,
    LockHeld,
    LockRequired,
    NotReady,
    OperatorTokenRequired,
    RoleRequired,
    StaleFence,
)
from project_manager.domain.limits import AGENT_ID_CHARACTERS, ID_MAXIMUM, LEASE_SECONDS_MINIMUM
from project_manager.operations.definition import Operation
from project_manager.schemas.agents import GetAgent
from project_manager.schemas.commands import Command
from project_manager.schemas.leases import ClaimView, ListLeases
from project_manager.schemas.tasks import LockView, TaskView, UpdateTask
from project_manager.schemas.tokens import CreateToken
from project_manager.schemas.validation import aliases_by_field
from project_manager.services import leases, serializers
from project_manager.store import agents, idempotency
from project_manager.store.transaction import Tx

_COMMANDS_ABOUT_OTHER_AGENTS = frozenset({CreateToken, GetAgent, ListLeases})
"""Commands with an `agent_id` that does not name the calling agent."""

LEASE_ERROR_OUTCOMES = {
    LockHeld.code: "conflict",
    NotReady.code: "conflict",
    StaleFence.code: "stale_fence",
    LockRequired.code: "lock_required",
}
"""Error codes that the lease metric counts, with their outcome label."""

HEARTBEAT_INTERVAL_MS = 5_000

Interface = Literal["rest", "mcp", "cli"]


@dataclass(frozen=True, slots=True)
class Caller:
    """The actor, interface and request id of a call.

    `gzip`: the caller accepts a large answer compressed. `secret` is the token of the request.
    """

    actor: Actor
    interface: Interface
    request_id: str
    idempotency_key: str | None = None
    accepts_gzip: bool = False
    secret: str | None = field(default=None, repr=False)


@dataclass(slots=True)
class Answer:
    """The answer of an operation.

    `view` is the view of the operation. When `replayed`, it is the stored JSON object. It is None when only the
    encoded body is kept. `etag` identifies a kept body, which may be `gzipped`.
    """

    view: Any
    status: int
    replayed: bool = False
    encoded: bytes | None = field(default=None, repr=False)
    etag: str | None = None
    gzipped: bool = False
    expiring_leases: list[LockView] = field(default_factory=list)

    @property
    def body(self) -> bytes:
        """Return the answer as compact JSON, compressed when `gzipped`."""
        if self.encoded is None:
            self.encoded = orjson.dumps(self.view)
        return self.encoded


def check_role(operation: Operation, actor: Actor) -> None:
    """Raise RoleRequired when the role of the actor is lower than the operation requires."""
    if actor.role < operation.role:
        needed, has = Role(operation.role).name.lower(), Role(actor.role).name.lower()
        raise RoleRequired(
            f"{operation.name} requires the role {needed}; the token has {has}", required=needed, role=has
        )


def rate_limit_actor(operation: Operation, raw: Mapping[str, object], caller: Caller) -> Actor:
    """Return the agent that the rate limit counts a call for.

    It is the agent that the input names, else the caller. The input is not validated yet. An id that is too long counts
    by its first AGENT_ID_CHARACTERS characters.
    """
    if operation.command in _COMMANDS_ABOUT_OTHER_AGENTS or caller.actor.bound:
        return caller.actor
    given = next((raw[name] for name in aliases_by_field(operation.command).get("agent_id", ()) if name in raw), None)
    if not isinstance(given, str) or not given.strip():
        return caller.actor
    return Actor(given.strip()[:AGENT_ID_CHARACTERS], "agent", caller.actor.role)


def check_first_token_role(command: Command, caller: Caller) -> None:
    """Raise OperatorTokenRequired when a caller without a token creates a token that is not an operator's.

    The first token turns authentication on, and only an operator may create further tokens. The CLI needs no token, so
    it is exempt.
    """
    if not isinstance(command, CreateToken) or command.role == "operator":
        return
    if caller.actor is LOCAL and caller.interface != "cli":
        raise OperatorTokenRequired(
            "the first token must have the role operator: once a token exists, every request needs one, and only "
            "operators create tokens"
        )


def effective_actor(caller: Caller, operation: Operation, command: Command) -> Actor:
    """Return the actor of a call, which is the agent that the command names or else the caller.

    Over MCP the actor is always an agent, never a person.

    Raises AgentMismatch when the token is bound to another agent. Raises AgentRequired for a reserved name, or over MCP
    when a call that concerns a lease names no agent. Raises RoleRequired for `force` from an agent over MCP.
    """
    actor, over_mcp = caller.actor, caller.interface == "mcp"
    named = getattr(command, "agent_id", None)
    if over_mcp and getattr(command, "force", False):
        _check_force_over_mcp(actor)
    if named is None or isinstance(command, GetAgent | ListLeases):
        return _anonymous_agent(actor, operation, command) if over_mcp and not actor.bound else actor
    making_token = isinstance(command, CreateToken)
    if actor is LOCAL and named == LOCAL.id and not over_mcp and not making_token:
        return actor  # the dashboard sends the lease holder as `agent_id`, also when it is the local person
    if is_reserved(named):
        raise _agent_required(f"`agent_id` {named!r} is reserved")
    if making_token:  # its `agent_id` is the agent that the new token is bound to
        return actor
    if actor.bound and named != actor.id:
        raise AgentMismatch(
            f"this token is bound to {actor.id!r} and cannot act as {named!r}",
            agent_id=named,
            bound_to=actor.id,
        )
    return Actor(named, "agent", actor.role, actor.bound, actor.token_id)


def _anonymous_agent(actor: Actor, operation: Operation, command: Command) -> Actor:
    """Return an agent without a name, which cannot hold a lease. Raises AgentRequired when a name is required."""
    moves = isinstance(command, UpdateTask) and command.status is not None
    if moves or (operation.tool is not None and operation.tool.needs_agent):
        raise _agent_required(f"`agent_id` is missing; {operation.name} requires it")
    return anonymous_agent(actor)


def _agent_required(message: str) -> AgentRequired:
    fault = {"field": "agent_id", "message": message, "hint": AgentRequired.default_hint}
    return AgentRequired(message, errors=[fault])


def _check_force_over_mcp(actor: Actor) -> None:
    """Raise RoleRequired for `force` without a token, or with a token that is bound to an agent.

    Over MCP such a caller is an agent, and an agent may not end the lease of another one.
    """
    if actor is LOCAL or actor.bound:
        raise RoleRequired(
            "over MCP `force` requires an operator token that is not bound to an agent",
            hint="Omit force. A person can end the lease on the dashboard or over REST.",
            required=Role.OPERATOR.name.lower(),
        )


def find_replay(tx: Tx, operation: Operation, command: Command, key: str) -> Answer | None:
    """Return the stored answer of an idempotency key, or None. Raises IdempotencyMismatch for another request."""
    kept = idempotency.find(tx, key)
    if kept is None:
        return None
    if kept[0] not in _hashes(tx.actor, operation, command):
        raise IdempotencyMismatch(
            f"idempotency key {key!r} was used for a different request",
            errors=[{"field": "request_id", "message": "used for a different request", "hint": ""}],
        )
    return Answer(orjson.loads(kept[1]), operation.status, replayed=True, encoded=kept[1].encode())


class ExpiringLeases:
    """Notices about leases that end soon. Less than a third of their length is left."""

    def __init__(self) -> None:
        self._not_before: dict[str, int] = {}

    def of(self, tx: Tx) -> list[LockView]:
        """Return the leases of the actor that end soon.

        Read the database only when there can be one. A lease claimed or renewed from now on, on any instance, has more
        than a third left for a while. That time is two thirds of the shortest length.
        """
        agent = tx.actor.id
        if tx.now < self._not_before.get(agent, 0):
            return []
        first = leases.next_to_expire(tx)
        soon = [lease for lease in first if (lease.expires_at - tx.now) * 3 < lease.ttl]
        if not soon:
            new = tx.now + LEASE_SECONDS_MINIMUM * 2000 // 3
            if len(self._not_before) > 10_000:
                self._not_before.clear()
            self._not_before[agent] = min([new, *(lease.expires_at - lease.ttl // 3 for lease in first)])
        return [serializers.lock(lease) for lease in soon]


class CallExecutor:
    """A runner of use cases in an open transaction.

    For each call it handles the idempotency key, the agent's heartbeat, and the notices of leases that end soon.
    """

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}
        self._notices = ExpiringLeases()

    def execute_idempotent(
        self, tx: Tx, *, operation: Operation, command: Command, caller: Caller, use_case: Callable[..., Any]
    ) -> Answer:
        """Run a use case that writes, or replay the stored answer of the idempotency key."""
        key = key_of(command, caller) if operation.idempotent else None
        kept = None if key is None else find_replay(tx, operation, command, key)
        if kept is not None:
            return kept
        answer = self.execute(tx, use_case=use_case, command=command, operation=operation, caller=caller)
        if self.needs_heartbeat(tx):
            agents.touch(tx)
        if key is not None and should_store(answer.view):
            idempotency.keep(tx, key, request_hash(operation, command), answer.body.decode())
        return answer

    def execute(
        self, tx: Tx, *, use_case: Callable[..., Any], command: Command, operation: Operation, caller: Caller
    ) -> Answer:
        """Run a use case and return its answer. Over MCP, add the leases of the caller that end soon."""
        answer = Answer(use_case(tx, command), operation.status)
        if caller.interface == "mcp":
            answer.expiring_leases = self._notices.of(tx)
        return answer

    def needs_heartbeat(self, tx: Tx) -> bool:
        """Return whether this process has noted no heartbeat of the actor for SEEN_EVERY_MS."""
        return tx.now - self._seen.get(tx.actor.id, 0) >= HEARTBEAT_INTERVAL_MS

    def record_heartbeat(self, actor: Actor, at: int) -> None:
        """Note a stored heartbeat at `at`. The next one is written SEEN_EVERY_MS later."""
        if len(self._seen) > 10_000:
            self._seen.clear()
        self._seen[actor.id] = at


def key_of(command: Command, caller: Caller) -> str | None:
    """Return the idempotency key of a call, or None."""
    return getattr(command, "request_id", None) or caller.idempotency_key


def request_hash(operation: Operation, command: Command) -> str:
    """Return the SHA-256 of an operation and its input, without the idempotency key."""
    text = operation.name + command.model_dump_json(exclude={"request_id"}, exclude_unset=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _hashes(actor: Actor, operation: Operation, command: Command) -> Iterator[str]:
    """Yield the hashes of a request with and without its agent id.

    A client that learns its agent id between two attempts may repeat its request. The idempotency key is stored per
    actor in any case.
    """
    yield request_hash(operation, command)
    if "agent_id" in type(command).model_fields:
        yield request_hash(operation, command.model_copy(update={"agent_id": actor.id}))
        unset = command.model_copy()
        unset.model_fields_set.discard("agent_id")
        yield request_hash(operation, unset)


def task_of(command: Command, answer: Answer | None) -> int | None:
    """Return the id of the task that a call concerns. The command names it, or the answer contains it."""
    named: int | None = vars(command).get("task_id")  # pydantic's getattr of a missing field costs 2 us
    if named is not None or answer is None:
        return named
    view = answer.view if isinstance(answer.view, dict) else getattr(answer.view, "task", answer.view)
    if isinstance(view, dict):  # a replayed answer is the stored JSON object, not a view
        view = view.get("task") or (view if "fence" in view else {})
        return view.get("id")
    return view.id if isinstance(view, TaskView) else None


def task_id_of_input(raw: Mapping[str, object]) -> int | None:
    """Return the id of the task that rejected input names, or None when it is not a valid id."""
    named = raw.get("task_id")
    # The length is limited first, because `int` raises ValueError for more than 4,300 digits.
    if isinstance(named, str) and named.isascii() and named.isdecimal() and len(named) <= len(str(ID_MAXIMUM)):
        named = int(named)
    return named if isinstance(named, int) and not isinstance(named, bool) and 1 <= named <= ID_MAXIMUM else None


def log_fields(
    caller: Caller, actor: Actor, outcome: str, seconds: float, task_id: int | None = None
) -> dict[str, object]:
    """Return the fields of the log line of one call. `seconds` is its duration."""
    fields: dict[str, object] = {"request_id": caller.request_id}
    if actor.token_id is not None:
        fields["token_id"] = actor.token_id
    if task_id is not None:
        fields["task_id"] = task_id
    return fields | {
        "actor": actor.id,
        "actor_kind": actor.kind,
        "interface": caller.interface,
        "outcome": outcome,
        "milliseconds": round(seconds * 1000, 2),
    }


def should_store(view: Any) -> bool:
    """Return whether an answer is stored for replay.

    An empty claim has no effect, so a retry with the same idempotency key must search again.
    """
    return not (isinstance(view, ClaimView) and view.task is None)
