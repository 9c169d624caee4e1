"""What a use case is given: one transaction, one `now`, one actor."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from project_manager.domain.actors import Actor
from project_manager.store.sqlite import driver


@dataclass(slots=True)
class Shared:
    """What the jobs of one batch have in common. `outbox`: events to be written in one statement before the commit.
    `turns`: what became of leases, to be counted after it. `queue`: the claim queue, once it was read.
    `unconfirmed`: whether there are leases that wait for the first call of their holder, once it was read.
    """

    outbox: list[tuple[Any, ...]] = field(default_factory=list)
    turns: list[str] = field(default_factory=list)
    queue: Any = None
    unconfirmed: bool | None = None

    @property
    def mark(self) -> tuple[int, int]:
        """Where it stands, for `undo`."""
        return len(self.outbox), len(self.turns)

    def undo(self, mark: tuple[int, int]) -> None:
        """What came after `mark` was rolled back."""
        del self.outbox[mark[0] :]
        del self.turns[mark[1] :]
        self.queue = None
        self.unconfirmed = None


@dataclass(slots=True)
class Tx:
    """A transaction as use cases see it. They hand it on to store functions and never touch `execute` themselves.

    `now` is milliseconds since the epoch, read once per batch. `max_attempts` is the cap on attempts (0 =
    none). Without `shared` each event is written at once. `wall` is the wall clock while it is far from `now`.
    `new_names` are those that were compared with the existing names before the transaction: comparing takes time.
    """

    execute: Callable[..., Any] = field(repr=False)
    now: int
    actor: Actor
    request_id: str
    max_attempts: int
    shared: Shared | None = None
    wall: int | None = None
    new_names: frozenset[str] = frozenset()

    @property
    def date(self) -> int:
        """The instant with which dates that users set are compared."""
        return self.now if self.wall is None else self.wall

    def count(self, turn: str) -> None:
        """Notes what became of a lease, to be counted once it is durable."""
        if self.shared is not None:
            self.shared.turns.append(turn)


@contextmanager
def savepoint(tx: Tx) -> Iterator[None]:
    """Undo what the body has written, its events included, when it raises. An error of the driver undoes the job."""
    mark = None if tx.shared is None else tx.shared.mark
    tx.execute("SAVEPOINT step")
    try:
        yield
    except driver.DriverError:
        raise
    except BaseException:
        tx.execute("ROLLBACK TO step")
        tx.execute("RELEASE step")
        if tx.shared is not None and mark is not None:
            tx.shared.undo(mark)
        raise
    tx.execute("RELEASE step")
