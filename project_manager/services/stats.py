"""Statistics of tasks and leases for monitoring."""

from dataclasses import dataclass

from project_manager.domain.messages import MessageKind
from project_manager.domain.pauses import PauseScope
from project_manager.domain.questions import QuestionState
from project_manager.domain.statuses import Status
from project_manager.store import chain, leases, messages, pauses, questions, task_counts
from project_manager.store.chain import Head
from project_manager.store.transaction import Tx

DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Stats:
    """Numbers of tasks by status, leased, and completed since midnight UTC, of pauses by scope, of open messages by
    kind, and of open questions, at most TOTAL_MAXIMUM.

    `head` is the newest event.
    """

    by_status: dict[str, int]
    leased: int
    completed_today: int
    head: Head
    pauses: dict[str, int]
    messages: dict[str, int]
    questions: int


def collect(tx: Tx) -> Stats:
    """Count the tasks by status, the leased tasks, the tasks completed today, the pauses, messages and questions."""
    counts = task_counts.counts(tx)
    by_status = {status.value: counts.get(status.value, 0) for status in Status}
    completed_today = task_counts.completed_since(tx, tx.now - tx.now % DAY_MS)
    paused = {scope.value: 0 for scope in PauseScope} | pauses.numbers(tx)
    opened = {kind.value: 0 for kind in MessageKind} | messages.numbers(tx)
    asked = questions.count(tx, questions.Filters(state=QuestionState.OPEN), exact=False).number
    return Stats(by_status, leases.count(tx), completed_today, chain.head(tx), paused, opened, asked)


def probe(tx: Tx) -> None:
    """Run the cheapest read that touches a table."""
    leases.next_expiry(tx)
