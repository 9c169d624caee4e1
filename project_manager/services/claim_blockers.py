"""The response to a claim without a ready task: how many tasks there are, and their blockers."""

from dataclasses import dataclass

from project_manager.domain.limits import OTHER_LEASES_WITHOUT_CLAIM, TOTAL_MAXIMUM
from project_manager.domain.pauses import describe
from project_manager.schemas.leases import BlockerCountView, ClaimNextTask, NothingReadyView
from project_manager.services import handover, lookup, pauses, resolve
from project_manager.services.claim_queue import claim_filters
from project_manager.store import ready_tasks, task_counts
from project_manager.store.transaction import Tx

NOT_READY = "not ready (dependencies, defer_until, a conflict, a pause, no attempts left or an archived project)"


@dataclass(frozen=True, slots=True)
class TaskCounts:
    """Numbers of tasks in a project, or in all projects. Each one is at most TOTAL_MAXIMUM + 1.

    `by_status` are the numbers by status. `ready` is the number of ready tasks among the first tasks in TODO.
    """

    by_status: dict[str, int]
    ready: int

    @property
    def blockers(self) -> list[BlockerCountView]:
        """Return each blocker of a claim, with the number of blocked tasks."""
        number = self.by_status.get
        todo = number("TODO", 0)
        has_more_todo = todo > TOTAL_MAXIMUM
        return [
            _blocker("in progress", number("IN_PROGRESS", 0)),
            _blocker(NOT_READY, todo - self.ready, is_minimum=has_more_todo),
            _blocker("ready but excluded by your filters or reserved for earlier waiters", self.ready, has_more_todo),
            _blocker("in review", number("REVIEW", 0)),
            _blocker("blocked", number("BLOCKED", 0)),
            _blocker("in the backlog", number("BACKLOG", 0)),
            _blocker("finished", number("DONE", 0) + number("CANCELLED", 0)),
        ]


def _blocker(reason: str, number: int, is_minimum: bool = False) -> BlockerCountView:
    return BlockerCountView(reason, min(number, TOTAL_MAXIMUM), is_minimum or number > TOTAL_MAXIMUM)


def count(tx: Tx, project_id: int | None) -> TaskCounts:
    """Count the tasks of a project, or all tasks, up to TOTAL_MAXIMUM + 1 of each kind."""
    limit = TOTAL_MAXIMUM + 1
    by_status = task_counts.counts_up_to(tx, limit, project_id)
    return TaskCounts(by_status, ready_tasks.count_among_todo(tx, limit, project_id))


def project_of(tx: Tx, command: ClaimNextTask) -> int | None:
    """Return the id of the project that the claim is limited to. Raises ProjectNotFound, EpicNotFound, Invalid."""
    about = resolve.scope(tx, command)
    lookup.check_scope(tx, about)
    return about.get("project_id")


def nothing_ready(tx: Tx, command: ClaimNextTask, counts: TaskCounts) -> NothingReadyView:
    """Return the response to a claim of the actor, with the blockers, the pause and the actor's leases."""
    blockers = [blocker for blocker in counts.blockers if blocker.tasks]
    reasons = ", ".join(_describe(blocker) for blocker in blockers) or "there are no open tasks"
    paused = pauses.of_claim(tx, claim_filters(tx, command))
    return NothingReadyView(
        task=None,
        lock=None,
        message=f"no task is ready for you: {reasons}" if paused is None else describe(paused),
        paused=paused,
        tasks=sum(blocker.tasks for blocker in blockers),
        tasks_is_minimum=any(blocker.tasks_is_minimum for blocker in blockers),
        blockers=blockers,
        also_holding=handover.held_leases(tx, limit=OTHER_LEASES_WITHOUT_CLAIM),
    )


def _describe(blocker: BlockerCountView) -> str:
    return f"{blocker.tasks:,}{'+' if blocker.tasks_is_minimum else ''} {blocker.reason}"
