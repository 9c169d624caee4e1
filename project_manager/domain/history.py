"""Fold events into the state that they describe, to compare it with the stored state.

Retention removes the oldest events. A value that no remaining event has is UNKNOWN, and is not compared.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Literal, NamedTuple

from project_manager.domain.events.database import DatabaseRestored
from project_manager.domain.events.projects import EpicDeleted, ProjectDeleted
from project_manager.domain.events.tasks import TaskCreated, TaskDeleted, TaskLocked, TaskStatusChanged, TaskUnlocked
from project_manager.domain.events.tokens import TokensCleared


class Unknown(Enum):
    """Marker of a value that no remaining event has."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN


@dataclass(slots=True)
class TaskState:
    """State of a task. `fence` is its highest fence, `lease_fence` that of its lease, None if unknown or not leased."""

    project_id: int | Literal[Unknown.UNKNOWN] | None = UNKNOWN
    epic_id: int | Literal[Unknown.UNKNOWN] | None = UNKNOWN
    status: str | Literal[Unknown.UNKNOWN] = UNKNOWN
    holder: str | Literal[Unknown.UNKNOWN] | None = UNKNOWN
    fence: int = 0
    lease_fence: int | None = None


class RowDigest(NamedTuple):
    """Digest of a row, with the project and the task of its event."""

    digest: str
    project_id: int | None
    task_id: int | None


class HistoryEvent(NamedTuple):
    """Parts of an event that determine state. `sealed` has facts that only the hash chain covers."""

    type: str
    at: int
    project_id: int | None
    epic_id: int | None
    task_id: int | None
    data: Mapping[str, Any]
    sealed: Mapping[str, Any]


@dataclass(slots=True)
class History:
    """State that a sequence of events describes. Call `apply` with each event, in order.

    `seals` are the newest digests by table and row id. `latest` is the latest time of an event, in ms since the epoch.
    """

    tasks: dict[int, TaskState] = field(default_factory=dict)
    seals: dict[str, dict[int, RowDigest]] = field(default_factory=dict)
    deleted_projects: set[int] = field(default_factory=set)
    deleted_tasks: set[int] = field(default_factory=set)
    epoch: str | None = None
    fence_floor: int | None = None
    latest: int = 0

    def apply(self, event: HistoryEvent) -> None:
        """Apply the next event."""
        self.latest = max(self.latest, event.at)
        # `sealed` can also contain the fence of a task: a number, not a table of digests. The loop skips it.
        for table, rows in event.sealed.items():
            if isinstance(rows, dict):
                found = self.seals.setdefault(table, {})
                found.update(
                    (int(number), RowDigest(digest, event.project_id, event.task_id)) for number, digest in rows.items()
                )
        if event.type.startswith("task.") and event.task_id is not None:
            self._apply_to_task(event, event.task_id)
        elif event.type == EpicDeleted.type:
            self.seals.get("epics", {}).pop(event.epic_id or 0, None)
        elif event.type == ProjectDeleted.type:
            self.deleted_projects.add(event.project_id or 0)
        elif event.type == TokensCleared.type:
            self.seals.pop("tokens", None)
        elif event.type == DatabaseRestored.type:
            self.epoch, self.fence_floor = event.data["epoch"], event.data["fence_floor"]

    def is_expected(self, seal: RowDigest, *, is_of_task: bool) -> bool:
        """Return whether a sealed row must still exist. Deletion of a task deletes the rows that are of the task."""
        is_task_deleted = is_of_task and seal.task_id in self.deleted_tasks
        return seal.project_id not in self.deleted_projects and not is_task_deleted

    def _apply_to_task(self, event: HistoryEvent, task_id: int) -> None:
        data = event.data
        if event.type == TaskDeleted.type:
            self.tasks.pop(task_id, None)
            self.deleted_tasks.add(task_id)
            return
        task = self.tasks.setdefault(task_id, TaskState())
        task.project_id, task.epic_id = event.project_id, event.epic_id
        task.fence = max(task.fence, event.sealed.get("fence", 0), data.get("lock", {}).get("fence", 0))
        if event.type in _WITH_STATUS:
            task.status = data["status"]
        if event.type == TaskLocked.type:
            task.holder, task.lease_fence = data["agent_id"], data.get("lock", {}).get("fence")
        elif event.type in (TaskCreated.type, TaskUnlocked.type):
            task.holder = task.lease_fence = None


_WITH_STATUS = frozenset({TaskCreated.type, TaskLocked.type, TaskStatusChanged.type, TaskUnlocked.type})
