"""Who does something."""

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Literal

from project_manager.domain.look_alikes import look_alike_key
from project_manager.domain.names import name_key

ActorKind = Literal["human", "agent", "system"]


class Role(IntEnum):
    """What a caller may do; each role includes those before it."""

    VIEWER = 1
    AGENT = 2
    OPERATOR = 3


@dataclass(frozen=True, slots=True)
class Actor:
    """A caller. `bound` says that its token fixes the agent id, so that it cannot act as another one. `token_id` is the
    number of the token that the caller sent, None without a token.
    """

    id: str
    kind: ActorKind
    role: Role = Role.OPERATOR
    bound: bool = False
    token_id: int | None = None

    @property
    def is_agent(self) -> bool:
        return self.kind == "agent"


SYSTEM = Actor("system", "system")
LOCAL = Actor("local", "human")
UNNAMED = "unnamed"
"""What agents are called that do not say who they are. Nobody may take this name, so that it never holds a lease."""


def unnamed(caller: Actor) -> Actor:
    """The agent that did not say who it is, with the caller's role. The name of its token stays to be seen."""
    name = UNNAMED if caller is LOCAL else f"{UNNAMED}/{caller.id}"
    return Actor(name, "agent", caller.role, token_id=caller.token_id)


@lru_cache(maxsize=4096)
def is_reserved(name: str) -> bool:
    """Return whether no agent may have this name or one that looks like it, such as `LOCAL` or `l0cal`.

    The names of the service say that no agent acted, or an agent that did not say which one it is.
    """
    return any(
        key in (LOCAL.id, SYSTEM.id) or key.partition("/")[0].strip() == UNNAMED
        for key in (name_key(name), look_alike_key(name))
    )
