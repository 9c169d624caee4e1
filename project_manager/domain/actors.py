"""Actors and roles: the callers of operations."""

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Literal

from project_manager.domain.errors import AgentRequired
from project_manager.domain.look_alikes import confusable_key
from project_manager.domain.names import name_key

ActorKind = Literal["human", "agent", "system"]


class Role(IntEnum):
    """Permissions of a caller. Each role includes the roles before it."""

    VIEWER = 1
    AGENT = 2
    OPERATOR = 3


@dataclass(frozen=True, slots=True)
class Actor:
    """A caller. `bound` is whether its token, with the id `token_id`, fixes the agent id.

    `attests` is whether the token may record evidence that it has observed itself.
    """

    id: str
    kind: ActorKind
    role: Role = Role.OPERATOR
    bound: bool = False
    token_id: int | None = None
    attests: bool = False

    @property
    def is_agent(self) -> bool:
        return self.kind == "agent"


SYSTEM = Actor("system", "system")
LOCAL = Actor("local", "human")
AUTO = "auto"
"""The agent id that asks for an issued one. It is reserved."""
ANONYMOUS = "unnamed"
"""The id of agents that send no agent id. It is reserved, so that such an agent never gets a lease."""


def anonymous_agent(caller: Actor) -> Actor:
    """Return the agent of a caller without an agent id: `unnamed`, or `unnamed/TOKEN`, with the role of the caller."""
    name = ANONYMOUS if caller is LOCAL else f"{ANONYMOUS}/{caller.id}"
    return Actor(name, "agent", caller.role, token_id=caller.token_id, attests=caller.attests)


@lru_cache(maxsize=4096)
def is_reserved(name: str) -> bool:
    """Return whether the name is or looks like a reserved one: the service, its user, an unnamed agent, or `auto`."""
    return any(
        key in (LOCAL.id, SYSTEM.id, AUTO) or key.partition("/")[0].strip() == ANONYMOUS
        for key in (name_key(name), confusable_key(name))
    )


def asks_for_id(agent_id: object) -> bool:
    """Return whether the agent id asks for an issued one. Case does not count."""
    return isinstance(agent_id, str) and agent_id.strip().lower() == AUTO


def check_agent_id(agent_id: str) -> None:
    """Raise AgentRequired if the agent id is reserved."""
    if is_reserved(agent_id):
        raise agent_required(f"`agent_id` {agent_id!r} is reserved")


def agent_required(message: str, hint: str = "") -> AgentRequired:
    """Return the error for a missing or unusable agent id. `hint` replaces the default one."""
    return AgentRequired.of("agent_id", message, hint)


def is_person(actor: Actor) -> bool:
    """Return whether the actor is known to be a person: an operator's token without an agent id.

    Without tokens nothing distinguishes a person from an agent. Over MCP an actor is always an agent.
    """
    return actor.kind == "human" and actor.role >= Role.OPERATOR and actor.token_id is not None


def has_unbound_token(actor: Actor) -> bool:
    """Return whether the actor has a token that is not bound to an agent.

    Over MCP, only such a caller can use the rights of an operator.
    """
    return actor is not LOCAL and not actor.bound
