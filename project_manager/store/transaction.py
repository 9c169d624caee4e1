"""What a use case is given: one transaction, one `now`, one actor."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from project_manager.domain.actors import Actor


@dataclass(slots=True)
class Shared:
    """What the jobs of one batch have in common: events to be written in one statement before the commit, and that
    nobody waits for a task.
    """

    outbox: list[tuple[Any, ...]] = field(default_factory=list)
    nobody_waits: bool = False


@dataclass(slots=True)
class Tx:
    """A transaction as use cases see it. They hand it on to store functions and never touch `execute` themselves.

    `now` is milliseconds since the epoch, read once per batch. `max_attempts` is the cap on attempts (0 =
    none). Without `shared` each event is written at once.
    """

    execute: Callable[..., Any] = field(repr=False)
    now: int
    actor: Actor
    request_id: str
    max_attempts: int
    shared: Shared | None = None

    def acting_as(self, actor: Actor) -> "Tx":
        return Tx(self.execute, self.now, actor, self.request_id, self.max_attempts, self.shared)
