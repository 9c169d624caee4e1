"""The figures that operations watch."""

from dataclasses import dataclass

from project_manager.domain.statuses import Status
from project_manager.store import chain, leases, tasks
from project_manager.store.chain import Head
from project_manager.store.transaction import Tx

DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Figures:
    """How many tasks there are in each status, how many are held, and how many were done since midnight UTC.

    `head` is the newest event.
    """

    by_status: dict[str, int]
    held: int
    completed_today: int
    head: Head


def figures(tx: Tx) -> Figures:
    """Counts the tasks."""
    counts = tasks.counts(tx)
    by_status = {status.value: counts.get(status.value, 0) for status in Status}
    return Figures(by_status, leases.held(tx), tasks.completed_since(tx, tx.now - tx.now % DAY_MS), chain.head(tx))


def probe(tx: Tx) -> None:
    """The cheapest read that touches a table."""
    leases.next_expiry(tx)
