"""The response to a claim without a ready task: how many tasks there are, and their blockers."""

from dataclasses import dataclass

from project_manager.domain.limits import OTHER_LEASES_WITHOUT_CLAIM
from project_manager.schemas.leases import BlockerCountView, ClaimNextTask, NothingReadyView
from project_manager.services import leases, lookup, resolve
from project_manager.store import ready_tasks, tasks
from project_manager.store.transaction import Tx

NOT_READY = "not ready (dependencies, defer_until, a conflict, no attempts left or an archived project)"


@dataclass(frozen=True, slots=True)
class TaskCounts:
    """Numbers of tasks in a project, or in all projects: by status, and of the ready ones."""

    by_status: dict[str, int]
    ready: int

    @property
    def blockers(self) -> list[tuple[str, int]]:
        """Return each blocker of a claim, with the number of blocked tasks."""
        number = self.by_status.get
        return [
            ("in progress", number("IN_PROGRESS", 0)),
            (NOT_READY, number("TODO", 0) - self.ready),
            ("ready but excluded by your filters or reserved for earlier waiters", self.ready),
            ("in review", number("REVIEW", 0)),
            ("blocked", number("BLOCKED", 0)),
            ("in the backlog", number("BACKLOG", 0)),
            ("finished", number("DONE", 0) + number("CANCELLED", 0)),
        ]


def count(tx: Tx, project_id: int | None) -> TaskCounts:
    """Count the tasks of a project, or all tasks. The cost grows with their number."""
    by_status = tasks.counts(tx) if project_id is None else tasks.counts_in_project(tx, project_id)
    return TaskCounts(by_status, ready_tasks.count(tx, {} if project_id is None else {"project_id": project_id}))


def project_of(tx: Tx, command: ClaimNextTask) -> int | None:
    """Return the id of the project that the claim is limited to. Raises ProjectNotFound, EpicNotFound, Invalid."""
    about = resolve.scope(tx, command)
    lookup.check_scope(tx, about)
    return about.get("project_id")


def nothing_ready(tx: Tx, counts: TaskCounts) -> NothingReadyView:
    """Return the response to a claim of the actor, with the blockers and the actor's leases."""
    blockers = [BlockerCountView(reason, number) for reason, number in counts.blockers if number]
    reasons = ", ".join(f"{entry.tasks} {entry.reason}" for entry in blockers) or "there are no open tasks"
    return NothingReadyView(
        task=None,
        lock=None,
        message=f"no task is ready for you: {reasons}",
        tasks=sum(counts.by_status.values()),
        blockers=blockers,
        also_holding=leases.other_leases(tx, limit=OTHER_LEASES_WITHOUT_CLAIM),
    )
