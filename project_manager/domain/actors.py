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
