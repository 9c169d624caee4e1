"""Statistics of tasks and leases for monitoring."""

from dataclasses import dataclass

from project_manager.domain.statuses import Status
from project_manager.store import chain, leases, tasks
from project_manager.store.chain import Head
from project_manager.store.transaction import Tx

DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Stats:
    """Numbers of tasks by status, leased, and completed since midnight UTC. `head` is the newest event."""

    by_status: dict[str, int]
    leased: int
    completed_today: int
    head: Head


def collect(tx: Tx) -> Stats:
    """Count the tasks by status, the leased tasks, and the tasks completed today."""
    counts = tasks.counts(tx)
    by_status = {status.value: counts.get(status.value, 0) for status in Status}
    return Stats(by_status, leases.count(tx), tasks.completed_since(tx, tx.now - tx.now % DAY_MS), chain.head(tx))


def probe(tx: Tx) -> None:
    """Run the cheapest read that touches a table."""
    leases.next_expiry(tx)
