"""What a call is: who calls, as whom it acts, what was answered, and whether it was answered before."""

import hashlib
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from project_manager.contract import commands, views
from project_manager.contract.fields import Command
from project_manager.domain.actors import Actor, Role
from project_manager.domain.errors import IdempotencyMismatch, RoleRequired, WrongAgent
from project_manager.operations.definition import Operation
from project_manager.store import answers
from project_manager.store.transaction import Tx

Door = Literal["rest", "mcp", "cli", "ws"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, through which door, under which request id. `gzip`: takes a large answer compressed."""

    actor: Actor
    door: Door
    request_id: str
    idempotency_key: str | None = None
    gzip: bool = False


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
    ending_soon: list[views.LockView] = field(default_factory=list)

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


def acting(actor: Actor, command: Command) -> Actor:
    """The actor, or the agent that the command names. Raises WrongAgent when the token is bound to another
    one.
    """
    named = getattr(command, "agent_id", None)
    if named is None or isinstance(command, commands.GetAgent | commands.CreateToken):
        return actor
    if actor.bound and named != actor.id:
        raise WrongAgent(
            f"this token is bound to {actor.id!r} and cannot act as {named!r}",
            agent_id=named,
            bound_to=actor.id,
        )
    return Actor(named, "agent", actor.role, actor.bound)


def first_answer(tx: Tx, operation: Operation, command: Command, key: str) -> Answer | None:
    """What was answered to this key before. Raises IdempotencyMismatch when it was another request."""
    kept = answers.find(tx, key)
    if kept is None:
        return None
    if kept[0] != request_hash(operation, command):
        raise IdempotencyMismatch(
            f"the key {key!r} was used for another request",
            faults=[{"field": "request_id", "message": "used before", "hint": ""}],
        )
    return Answer(orjson.loads(kept[1]), operation.status, replayed=True, stored=kept[1].encode())


def request_hash(operation: Operation, command: Command) -> str:
    text = operation.name + command.model_dump_json(exclude={"request_id"}, exclude_unset=True)
    return hashlib.sha256(text.encode()).hexdigest()


def worth_keeping(view: Any) -> bool:
    """An empty claim had no effect, so that asking again with the same key must ask again."""
    return not (isinstance(view, views.ClaimView) and view.task is None)
