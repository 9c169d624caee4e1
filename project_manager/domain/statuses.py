"""The statuses of tasks and epics, the words accepted for them, and the one table of legal moves."""

from enum import StrEnum

from project_manager.domain.errors import IllegalMove


class Status(StrEnum):
    """Where a task stands."""

    BACKLOG = "BACKLOG"
    TODO = "TODO"
    IN_PROGRESS = "IN_PROGRESS"
    REVIEW = "REVIEW"
    BLOCKED = "BLOCKED"
    DONE = "DONE"
    CANCELLED = "CANCELLED"


class EpicStatus(StrEnum):
    """Where an epic stands."""

    ACTIVE = "ACTIVE"
    PLANNED = "PLANNED"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"


CLOSED = frozenset({Status.DONE, Status.CANCELLED})
ENDS_LEASE = frozenset({Status.DONE, Status.CANCELLED, Status.REVIEW, Status.BLOCKED})
CLAIMABLE_BY_NAME = frozenset({Status.TODO, Status.BACKLOG, Status.REVIEW, Status.BLOCKED, Status.IN_PROGRESS})

_OPEN = frozenset(set(Status) - CLOSED)

MOVES: dict[Status, frozenset[Status]] = {
    Status.BACKLOG: frozenset(Status) - {Status.REVIEW},
    Status.TODO: frozenset(Status),
    Status.IN_PROGRESS: frozenset(Status),
    Status.REVIEW: frozenset(Status),
    Status.BLOCKED: frozenset(Status),
    Status.DONE: _OPEN | {Status.DONE},
    Status.CANCELLED: frozenset({Status.BACKLOG, Status.TODO, Status.CANCELLED}),
}

SYNONYMS: dict[str, Status] = {
    **{status.value: status for status in Status},
    "PENDING": Status.TODO,
    "COMPLETED": Status.DONE,
    "COMPLETE": Status.DONE,
    "CANCELED": Status.CANCELLED,
}

EPIC_SYNONYMS: dict[str, EpicStatus] = {
    **{status.value: status for status in EpicStatus},
    "PENDING": EpicStatus.PLANNED,
    "TODO": EpicStatus.PLANNED,
    "BACKLOG": EpicStatus.PLANNED,
    "IN_PROGRESS": EpicStatus.ACTIVE,
    "DONE": EpicStatus.COMPLETED,
    "COMPLETE": EpicStatus.COMPLETED,
    "CANCELED": EpicStatus.CANCELLED,
}


def spelled(word: str) -> str:
    """The form in which words are looked up: `in-progress` and `In Progress` are IN_PROGRESS."""
    return word.strip().upper().replace("-", "_").replace(" ", "_")


def check_move(current: Status, target: Status, *, reopen: bool, task_id: int) -> None:
    """Raises IllegalMove, naming the legal ones. Leaving DONE or CANCELLED is legal only with `reopen`."""
    if current == target:
        return
    legal = MOVES[current] - {current}
    if target not in legal:
        names = ", ".join(status for status in Status if status in legal)
        raise IllegalMove(
            f"task {task_id} cannot go from {current} to {target}",
            hint=f"From {current} it can go to {names}.",
            task_id=task_id,
            status=current,
            legal=sorted(legal),
        )
    if current in CLOSED and not reopen:
        raise IllegalMove(
            f"task {task_id} is {current}, and finished work is not reopened by accident",
            hint="Send reopen=true to take it up again on purpose; otherwise take another task with claim_next_task.",
            task_id=task_id,
            status=current,
            legal=sorted(legal),
            reopen_required=True,
        )
