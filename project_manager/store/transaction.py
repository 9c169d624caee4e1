"""The transaction that a use case receives, with one `now` and one actor."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from project_manager.domain.actors import Actor
from project_manager.domain.paths import GlobComparisons
from project_manager.store.connection import Connection

Item = TypeVar("Item")


@dataclass(slots=True)
class BatchState:
    """State that the jobs of one batch share.

    `outbox` has the events to insert before the commit, and `lease_outcomes` the outcomes to count after it. `queue`
    (the claim queue), `rare_states` (see its module) and `addressees` (of open messages) are cached when they are first
    read. The writer keeps `queue` for its next batch, and `rare_states` if none is present.
    """

    outbox: list[list[Any]] = field(default_factory=list)
    lease_outcomes: list[str] = field(default_factory=list)
    queue: Any = None
    rare_states: Any = None
    addressees: frozenset[str | None] | None = None

    @property
    def mark(self) -> tuple[int, int]:
        """Return the present position, for `undo`."""
        return len(self.outbox), len(self.lease_outcomes)

    def undo(self, mark: tuple[int, int]) -> None:
        """Discard the entries after `mark`, because their writes were rolled back."""
        del self.outbox[mark[0] :]
        del self.lease_outcomes[mark[1] :]
        self.queue = None
        self.rare_states = self.addressees = None


@dataclass(slots=True)
class Tx:
    """A transaction for use cases, which pass it to store functions and never use its connection themselves.

    `now` is in milliseconds since the epoch, and the same for a whole batch. `wall` is the wall clock if it differs
    from `now` by more than an hour, else None. `max_attempts` is 0 for no limit. Without `batch`, each event is
    inserted at once. The names in `new_names` were compared with the existing names before the transaction, and
    the globs in `glob_comparisons` with those of their projects, by project id, or by its name in a plan.
    `ready_later` collects the tasks that may be ready, in a change of many tasks that checks them once at its end.
    """

    connection: Connection = field(repr=False)
    now: int
    actor: Actor
    request_id: str
    max_attempts: int
    batch: BatchState | None = None
    wall: int | None = None
    new_names: frozenset[str] = frozenset()
    glob_comparisons: GlobComparisons = field(default_factory=dict)
    ready_later: dict[int, None] | None = None

    @property
    def date(self) -> int:
        """Return the instant to compare with dates that users set."""
        return self.now if self.wall is None else self.wall

    def keep_alive(self) -> None:
        """Keep the transaction open in a computation that takes long. Call it often.

        A server ends a transaction that is idle for 3 seconds, so that a stopped process does not block the others.
        """
        self.connection.keep_alive()

    def keeping_alive(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items, and keep the transaction open in a long loop without statements."""
        keep_alive = self.connection.keep_alive
        for item in items:
            keep_alive()
            yield item

    def count_outcome(self, outcome: str) -> None:
        """Record a change of a lease, to be counted once it is durable."""
        if self.batch is not None:
            self.batch.lease_outcomes.append(outcome)


@contextmanager
def trusting_changes(tx: Tx) -> Iterator[None]:
    """Let the writes of leases in the body not wait for the server, which saves a round trip for each of many tasks.

    The transaction must have read the rows. Only a defect then prevents a change, and fails the whole transaction.
    """
    before, tx.connection.trusts_changes = tx.connection.trusts_changes, True
    try:
        yield
    finally:
        tx.connection.trusts_changes = before


@contextmanager
def savepoint(tx: Tx) -> Iterator[None]:
    """Roll back the writes and events of the body when it raises. After a driver error, the writer rolls back all."""
    mark = None if tx.batch is None else tx.batch.mark
    execute = tx.connection.execute
    tx.connection.postpone("SAVEPOINT step")
    try:
        yield
    except tx.connection.dialect.driver_error:
        raise
    except BaseException:
        execute("ROLLBACK TO step")
        tx.connection.postpone("RELEASE step")
        if tx.batch is not None and mark is not None:
            tx.batch.undo(mark)
        raise
    execute("RELEASE step")  # an error of a postponed statement ends here
