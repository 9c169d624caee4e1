"""Statuses of tasks and epics, the accepted words for them, and the table of legal transitions."""

import re
from enum import StrEnum
from typing import Any

from project_manager.domain.errors import InvalidTransition


class Status(StrEnum):
    """Status of a task."""

    BACKLOG = "BACKLOG"
    TODO = "TODO"
    IN_PROGRESS = "IN_PROGRESS"
    REVIEW = "REVIEW"
    BLOCKED = "BLOCKED"
    DONE = "DONE"
    CANCELLED = "CANCELLED"


class BlockedBy(StrEnum):
    """Reason for which the service sets a task BLOCKED. A task that an agent or a person sets BLOCKED has none."""

    ATTEMPTS = "attempts"
    QUESTION = "question"
    REVIEW_ROUNDS = "review_rounds"
    STOP = "stop"


class EpicStatus(StrEnum):
    """Status of an epic."""

    ACTIVE = "ACTIVE"
    PLANNED = "PLANNED"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"


_APOSTROPHES = re.compile("['\u2019`]")

CLOSED = frozenset({Status.DONE, Status.CANCELLED})
LEASE_ENDING_STATUSES = frozenset({Status.DONE, Status.CANCELLED, Status.REVIEW, Status.BLOCKED})
CLAIMABLE_BY_ID = frozenset({Status.TODO, Status.BACKLOG, Status.REVIEW, Status.BLOCKED, Status.IN_PROGRESS})

_OPEN = frozenset(set(Status) - CLOSED)

TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.BACKLOG: frozenset(Status) - {Status.REVIEW},
    Status.TODO: frozenset(Status),
    Status.IN_PROGRESS: frozenset(Status),
    Status.REVIEW: frozenset(Status),
    Status.BLOCKED: frozenset(Status),
    Status.DONE: _OPEN | {Status.DONE},
    Status.CANCELLED: frozenset({Status.BACKLOG, Status.TODO, Status.CANCELLED}),
}

_TRACKER_SYNONYMS: dict[Status, str] = {
    Status.BACKLOG: "ICEBOX SOMEDAY LATER PROPOSED TRIAGE",
    Status.TODO: "OPEN NEW TO_DO PENDING READY QUEUED UNSTARTED NOT_STARTED REOPENED",
    Status.IN_PROGRESS: "WIP WORK_IN_PROGRESS STARTED DOING ACTIVE WORKING ONGOING INPROGRESS IN_DEVELOPMENT",
    Status.REVIEW: "IN_REVIEW UNDER_REVIEW NEEDS_REVIEW READY_FOR_REVIEW CODE_REVIEW REVIEWING PENDING_REVIEW",
    Status.BLOCKED: "ON_HOLD WAITING STUCK IMPEDED",
    Status.DONE: "COMPLETE COMPLETED CLOSED RESOLVED FIXED FINISHED MERGED DELIVERED SHIPPED",
    Status.CANCELLED: (
        "CANCELED WONTFIX WONT_FIX WONTDO WONT_DO ABANDONED REJECTED DECLINED DUPLICATE INVALID OBSOLETE DROPPED "
        "DISCARDED NOT_PLANNED"
    ),
}
"""Names of the statuses in other trackers."""

SYNONYMS: dict[str, Status] = {
    **{status.value: status for status in Status},
    **{word: status for status, words in _TRACKER_SYNONYMS.items() for word in words.split()},
}

_AS_EPIC = {
    Status.BACKLOG: EpicStatus.PLANNED,
    Status.TODO: EpicStatus.PLANNED,
    Status.IN_PROGRESS: EpicStatus.ACTIVE,
    Status.REVIEW: EpicStatus.ACTIVE,
    Status.BLOCKED: EpicStatus.ACTIVE,
    Status.DONE: EpicStatus.COMPLETED,
    Status.CANCELLED: EpicStatus.CANCELLED,
}

EPIC_SYNONYMS: dict[str, EpicStatus] = {
    **{word: _AS_EPIC[status] for word, status in SYNONYMS.items()},
    "OPEN": EpicStatus.ACTIVE,
    **{status.value: status for status in EpicStatus},
}


def normalize(word: str) -> str:
    """Return the key for the lookup of a word, such as IN_PROGRESS for `in-progress` and WONT for `won't`."""
    return _APOSTROPHES.sub("", word.strip().upper()).replace("-", "_").replace(" ", "_")


def is_closed(status: Status | EpicStatus) -> bool:
    """Return whether the status is done, completed or cancelled."""
    return status in CLOSED or status in (EpicStatus.COMPLETED, EpicStatus.CANCELLED)


def check_transition(current: Status, target: Status, *, reopen: bool, task_id: int) -> None:
    """Raise InvalidTransition unless the table allows the transition. Leaving DONE or CANCELLED needs `reopen`."""
    if current == target:
        return
    legal = TRANSITIONS[current] - {current}
    details: dict[str, Any] = {"task_id": task_id, "status": current, "legal": sorted(legal)}
    if target not in legal:
        names = ", ".join(status for status in Status if status in legal)
        raise InvalidTransition(
            f"task {task_id} cannot change from {current} to {target}",
            hint=f"Allowed from {current}: {names}.",
            **details,
        )
    if current in CLOSED and not reopen:
        raise InvalidTransition(
            f"task {task_id} is {current}: reopening it requires reopen=true",
            hint="Send reopen=true to reopen it, or claim another task with claim_next_task.",
            **details,
            reopen_required=True,
        )
