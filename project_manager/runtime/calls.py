"""What a call is: who calls, as whom it acts, what was answered, and whether it was answered before."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from project_manager.domain.actors import LOCAL, Actor, Role, is_reserved, unnamed
from project_manager.domain.errors import (
    AgentRequired,
    IdempotencyMismatch,
    LockHeld,
    LockRequired,
    NotReady,
    OperatorTokenFirst,
    RoleRequired,
    StaleFence,
    WrongAgent,
)
from project_manager.domain.limits import AGENT_ID_CHARACTERS, ID_MAXIMUM, LEASE_SECONDS_MINIMUM
from project_manager.operations.definition import Operation
from project_manager.schemas.agents import GetAgent
from project_manager.schemas.commands import Command
from project_manager.schemas.leases import ClaimView, ListLeases
from project_manager.schemas.tasks import LockView, TaskView, UpdateTask
from project_manager.schemas.tokens import CreateToken
from project_manager.schemas.validation import names_by_field
from project_manager.services import leases, serializers
from project_manager.store import agents, idempotency
from project_manager.store.transaction import Tx

_ABOUT_AN_AGENT = frozenset({CreateToken, GetAgent, ListLeases})
"""Commands with an agent id that is not that of the caller."""

LEASE_REFUSALS = {
    LockHeld.code: "conflict",
    NotReady.code: "conflict",
    StaleFence.code: "stale_fence",
    LockRequired.code: "lock_required",
}
"""The outcomes that count as outcomes of leases, by the code of the error."""

SEEN_EVERY_MS = 5_000

Door = Literal["rest", "mcp", "cli"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, through which door, under which request id. `gzip`: takes a large answer compressed. `secret`: the
    token that it came in with.
    """

    actor: Actor
    door: Door
    request_id: str
    idempotency_key: str | None = None
    gzip: bool = False
    secret: str | None = field(default=None, repr=False)


@dataclass(slots=True)
class Answer:
    """What an operation answered. `view` is its view, the JSON object of the first answer when `replayed`, or
    None when only the encoded body was kept; `etag` names a kept body, which may be `gzipped`.
    """

    view: Any
    status: int
    replayed: bool = False
    stored: bytes | None = field(default=None, repr=False)
    etag: str | None = None
    gzipped: bool = False
    ending_soon: list[LockView] = field(default_factory=list)

    @property
    def body(self) -> bytes:
        """The answer as compact JSON."""
        if self.stored is None:
            self.stored = orjson.dumps(self.view)
        return self.stored


def check_role(operation: Operation, actor: Actor) -> None:
    if actor.role < operation.role:
        needed, has = Role(operation.role).name.lower(), Role(actor.role).name.lower()
        raise RoleRequired(f"{operation.name} needs the role {needed}; your token has {has}", required=needed, role=has)


def counted_as(operation: Operation, raw: Mapping[str, object], caller: Caller) -> Actor:
    """Return the agent for which a call counts, before its input is validated: the one that it names, else the caller.

    An id that validation would refuse counts too, by its beginning.
    """
    if operation.command in _ABOUT_AN_AGENT or caller.actor.bound:
        return caller.actor
    given = next((raw[name] for name in names_by_field(operation.command).get("agent_id", ()) if name in raw), None)
    if not isinstance(given, str) or not given.strip():
        return caller.actor
    return Actor(given.strip()[:AGENT_ID_CHARACTERS], "agent", caller.actor.role)


def check_first_token(command: Command, caller: Caller) -> None:
    """Who comes in without a token, since there is none, may not make one that then keeps everybody out."""
    if not isinstance(command, CreateToken) or command.role == "operator":
        return
    if caller.actor is LOCAL and caller.door != "cli":
        raise OperatorTokenFirst(
            "the first token must be an operator's: from then on every door asks for one, and nobody could come in who "
            "may make another"
        )


def acting(caller: Caller, operation: Operation, command: Command) -> Actor:
    """The caller, or the agent that the command names. Over MCP it is an agent in any case, never a person.

    Raises WrongAgent when the token is bound to another one, AgentRequired when nobody is named where a lease is
    concerned or a name that no agent may have, RoleRequired for `force` from an agent.
    """
    actor, over_mcp = caller.actor, caller.door == "mcp"
    named = getattr(command, "agent_id", None)
    if over_mcp and getattr(command, "force", False):
        _check_force_over_mcp(actor)
    if named is None or isinstance(command, GetAgent | ListLeases):
        return _nobody_named(actor, operation, command) if over_mcp and not actor.bound else actor
    making_token = isinstance(command, CreateToken)
    if actor is LOCAL and named == LOCAL.id and not over_mcp and not making_token:
        return actor  # the dashboard names the holder of a lease, also when that is the person before it
    if is_reserved(named):
        raise _agent_required(f"`agent_id` {named!r} is a name that the service itself uses: no agent may have it")
    if making_token:
        return actor
    if actor.bound and named != actor.id:
        raise WrongAgent(
            f"this token is bound to {actor.id!r} and cannot act as {named!r}",
            agent_id=named,
            bound_to=actor.id,
        )
    return Actor(named, "agent", actor.role, actor.bound, actor.token_id)


def _nobody_named(actor: Actor, operation: Operation, command: Command) -> Actor:
    """An agent without a name, which can hold no lease."""
    moves = isinstance(command, UpdateTask) and command.status is not None
    if moves or (operation.tool is not None and operation.tool.needs_agent):
        raise _agent_required(f"`agent_id` is missing: {operation.name} must know which agent calls")
    return unnamed(actor)


def _agent_required(message: str) -> AgentRequired:
    fault = {"field": "agent_id", "message": message, "hint": AgentRequired.default_hint}
    return AgentRequired(message, faults=[fault])


def _check_force_over_mcp(actor: Actor) -> None:
    """Whoever comes without a token, or with an agent's own one, is an agent here, and takes nothing from another."""
    if actor is LOCAL or actor.bound:
        raise RoleRequired(
            "over MCP `force` needs a token with the role operator that is not bound to an agent",
            hint="Leave force out. A person ends another's lease on the dashboard or over REST.",
            required=Role.OPERATOR.name.lower(),
        )


def first_answer(tx: Tx, operation: Operation, command: Command, key: str) -> Answer | None:
    """What was answered to this key before. Raises IdempotencyMismatch when it was another request."""
    kept = idempotency.find(tx, key)
    if kept is None:
        return None
    if kept[0] not in _hashes(tx.actor, operation, command):
        raise IdempotencyMismatch(
            f"the key {key!r} was used for another request",
            faults=[{"field": "request_id", "message": "used before", "hint": ""}],
        )
    return Answer(orjson.loads(kept[1]), operation.status, replayed=True, stored=kept[1].encode())


class Notices:
    """Tells a caller which of its leases end soon: those with less than a third left."""

    def __init__(self) -> None:
        self._none_before: dict[str, int] = {}

    def of(self, tx: Tx) -> list[LockView]:
        """Looks only when there can be one: a lease that is taken or renewed from now on, here or elsewhere, has more
        than a third left for two thirds of the shortest length.
        """
        agent = tx.actor.id
        if tx.now < self._none_before.get(agent, 0):
            return []
        first = leases.ending_first(tx)
        soon = [lease for lease in first if (lease.expires_at - tx.now) * 3 < lease.ttl]
        if not soon:
            new = tx.now + LEASE_SECONDS_MINIMUM * 2000 // 3
            if len(self._none_before) > 10_000:
                self._none_before.clear()
            self._none_before[agent] = min([new, *(lease.expires_at - lease.ttl // 3 for lease in first)])
        return [serializers.lock(lease) for lease in soon]


class Answering:
    """Runs use cases in a transaction that is open, with what belongs to each call: its idempotency key, the agent's
    sign of life, and the leases of the caller that end soon.
    """

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}
        self._notices = Notices()

    def once(
        self, tx: Tx, *, operation: Operation, command: Command, caller: Caller, use_case: Callable[..., Any]
    ) -> Answer:
        """Run a use case that writes, or return the first answer that the idempotency key has."""
        key = key_of(command, caller) if operation.idempotent else None
        kept = None if key is None else first_answer(tx, operation, command, key)
        if kept is not None:
            return kept
        answer = self.answer(tx, use_case=use_case, command=command, operation=operation, caller=caller)
        if self.is_silent(tx):
            agents.seen(tx)
        if key is not None and worth_keeping(answer.view):
            idempotency.keep(tx, key, request_hash(operation, command), answer.body.decode())
        return answer

    def answer(
        self, tx: Tx, *, use_case: Callable[..., Any], command: Command, operation: Operation, caller: Caller
    ) -> Answer:
        """Run a use case."""
        answer = Answer(use_case(tx, command), operation.status)
        if caller.door == "mcp":
            answer.ending_soon = self._notices.of(tx)
        return answer

    def is_silent(self, tx: Tx) -> bool:
        """Return whether the database has no recent sign of life of the actor."""
        return tx.now - self._seen.get(tx.actor.id, 0) >= SEEN_EVERY_MS

    def note_seen(self, actor: Actor, at: int) -> None:
        """Note that the database has a sign of life, so that the next one is written some seconds later."""
        if len(self._seen) > 10_000:
            self._seen.clear()
        self._seen[actor.id] = at


def key_of(command: Command, caller: Caller) -> str | None:
    """The key under which the answer may be asked for again."""
    return getattr(command, "request_id", None) or caller.idempotency_key


def request_hash(operation: Operation, command: Command) -> str:
    text = operation.name + command.model_dump_json(exclude={"request_id"}, exclude_unset=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _hashes(actor: Actor, operation: Operation, command: Command) -> Iterator[str]:
    """Yield the hashes of a request with and without its agent id, which the key is kept under in any case.

    A client that learns its agent id between two tries may repeat its request.
    """
    yield request_hash(operation, command)
    if "agent_id" in type(command).model_fields:
        yield request_hash(operation, command.model_copy(update={"agent_id": actor.id}))
        unset = command.model_copy()
        unset.model_fields_set.discard("agent_id")
        yield request_hash(operation, unset)


def task_of(command: Command, answer: Answer | None) -> int | None:
    """Return the id of the task that a call is about: the one that the command names, or that the answer brings."""
    named: int | None = vars(command).get("task_id")  # pydantic's getattr of a missing field costs 2 us
    if named is not None or answer is None:
        return named
    view = answer.view if isinstance(answer.view, dict) else getattr(answer.view, "task", answer.view)
    if isinstance(view, dict):  # a first answer that was kept
        view = view.get("task") or (view if "fence" in view else {})
        return view.get("id")
    return view.id if isinstance(view, TaskView) else None


def named_task(raw: Mapping[str, object]) -> int | None:
    """Return the id of the task that a rejected input names, if that is an id."""
    named = raw.get("task_id")
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
        "door": caller.door,
        "outcome": outcome,
        "milliseconds": round(seconds * 1000, 2),
    }


def worth_keeping(view: Any) -> bool:
    """An empty claim had no effect, so that asking again with the same key must ask again."""
    return not (isinstance(view, ClaimView) and view.task is None)
