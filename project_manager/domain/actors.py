"""Who does something."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

ActorKind = Literal["human", "agent", "system"]


class Role(IntEnum):
    """What a caller may do; each role includes those before it."""

    VIEWER = 1
    AGENT = 2
    OPERATOR = 3


@dataclass(frozen=True, slots=True)
class Actor:
    """A caller. `bound` says that its token fixes the agent id, so that it cannot act as another one."""

    id: str
    kind: ActorKind
    role: Role = Role.OPERATOR
    bound: bool = False

    @property
    def is_agent(self) -> bool:
        return self.kind == "agent"


SYSTEM = Actor("system", "system")
LOCAL = Actor("local", "human")
UNNAMED = "unnamed"
"""What agents are called that do not say who they are. Nobody may take this name, so that it never holds a lease."""


def unnamed(caller: Actor) -> Actor:
    """The agent that did not say who it is, with the caller's role. The name of its token stays to be seen."""
    return Actor(UNNAMED if caller is LOCAL else f"{UNNAMED}/{caller.id}", "agent", caller.role)


def is_reserved(name: str) -> bool:
    """Whether nobody may choose this name, as it says that no agent acted, or one that did not say which."""
    return name in (LOCAL.id, SYSTEM.id) or name.partition("/")[0] == UNNAMED
