"""The flow of tasks: a fold of events into hourly roll-ups by scope, from the state of each task, agent and scope.

A scope is `all`, `project:7`, `project:7/epic:3` or `agent:codex`. The fold reads no clock and no database: the same
events after the same state give the same roll-ups.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from project_manager.domain import durations
from project_manager.domain.durations import Histogram
from project_manager.domain.events.projects import EpicDeleted, ProjectDeleted
from project_manager.domain.events.readiness import TaskReady
from project_manager.domain.events.reviews import TaskReviewed, TaskSubmitted
from project_manager.domain.events.tasks import (
    TaskCreated,
    TaskDeleted,
    TaskLocked,
    TaskLogged,
    TaskStatusChanged,
    TaskUnlocked,
    TaskUpdated,
)
from project_manager.domain.leases import UnlockReason
from project_manager.domain.reviews import ReviewVerdict
from project_manager.domain.statuses import CLOSED, Status

HOUR_MS = 3_600_000
IDLE_MAXIMUM_MS = HOUR_MS
"""Longest time between two leases of an agent that counts as idle. After a longer one, it was away."""
STATUSES = tuple(status.value for status in Status)
_WORKED_ON = frozenset({Status.IN_PROGRESS, Status.REVIEW, Status.BLOCKED})
UNKNOWN = -1
"""An instant before the first kept event. No duration is counted from it."""
ALL = "all"


def project_scope(project_id: int) -> str:
    return f"project:{project_id}"


def epic_scope(project_id: int, epic_id: int) -> str:
    return f"project:{project_id}/epic:{epic_id}"


def agent_scope(agent_id: str) -> str:
    return f"agent:{agent_id}"


@dataclass(slots=True)
class FoldedEvent:
    """An event with its parsed payload. `at` is in milliseconds since the epoch."""

    type: str
    at: int
    actor_id: str
    is_by_agent: bool
    project_id: int | None
    epic_id: int | None
    task_id: int | None
    data: Mapping[str, Any]


# The slots of a state are its stored form: orjson encodes them, and the constructor takes them again.
@dataclass
class TaskFlow:
    """The state of a task. Times are in milliseconds since the epoch, None or UNKNOWN.

    `worker` is the agent of the newest lease for work, or else the last agent that set the status. `claimed_at` is the
    first claim for work since the task was created or reopened.
    """

    status: str
    project_id: int
    epic_id: int | None = None
    claimed_at: int | None = None
    ready_at: int | None = None
    review_at: int | None = None
    worker: str | None = None
    holder: str | None = None
    leased_at: int = 0
    attempts: int = 0


@dataclass
class AgentFlow:
    """The state of an agent: the number of its leases, and the time from which it has had none."""

    leases: int = 0
    free_at: int | None = None


Counts = dict[str, int]
"""Numbers of tasks by status."""


@dataclass
class FlowHour:
    """The roll-up of a scope and an hour. Sums end with `_ms`. `counts` are those at the end of the hour."""

    created: int = 0
    completed: int = 0
    cancelled: int = 0
    reopened: int = 0
    failed: int = 0
    expired: int = 0
    submitted: int = 0
    approved: int = 0
    changes_requested: int = 0
    cycle_ms: int = 0
    review_ms: int = 0
    ready_ms: int = 0
    leased_ms: int = 0
    idle_ms: int = 0
    cycle: Histogram = field(default_factory=dict)
    review: Histogram = field(default_factory=dict)
    ready: Histogram = field(default_factory=dict)
    counts: Counts | None = None


@dataclass(slots=True)
class FlowState:
    """The states before the next event, and the roll-ups that the events change.

    A state that is None was deleted. `hours` are added to the roll-ups of earlier events. `dropped` are scopes that
    were deleted, with all their earlier roll-ups.
    """

    tasks: dict[int, TaskFlow | None] = field(default_factory=dict)
    agents: dict[str, AgentFlow] = field(default_factory=dict)
    counts: dict[str, Counts] = field(default_factory=dict)
    hours: dict[tuple[str, int], FlowHour] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)


class Fold:
    """Fold of events into a `FlowState`, in the order of their commits."""

    def __init__(self, state: FlowState) -> None:
        self.state = state
        self._hour = 0
        self._present: list[FlowHour] = []

    def apply(self, event: FoldedEvent) -> None:
        """Apply the next event."""
        self._begin(event.at // HOUR_MS)
        if event.type == ProjectDeleted.type and event.project_id is not None:
            self._drop(project_scope(event.project_id))
        elif event.type == EpicDeleted.type and event.project_id is not None and event.epic_id is not None:
            self._drop(epic_scope(event.project_id, event.epic_id))
        elif event.task_id is not None and event.project_id is not None and event.type.startswith("task."):
            self._apply_to_task(event, event.task_id, event.project_id)

    def _begin(self, hour: int) -> None:
        """Begin an hour. The roll-ups of the last one share their counts with the state until now."""
        if hour != self._hour:
            for ended in self._present:
                ended.counts = None if ended.counts is None else dict(ended.counts)
            self._hour, self._present = hour, []

    def seed(self, task_id: int, task: TaskFlow, at: int) -> None:
        """Add a task that exists, although no event of its creation is kept."""
        self._begin(at // HOUR_MS)
        self.state.tasks[task_id] = task
        self._count(task, task.status, 1)

    def _apply_to_task(self, event: FoldedEvent, task_id: int, project_id: int) -> None:
        task = self.state.tasks.get(task_id)
        if event.type == TaskCreated.type:
            task = TaskFlow(event.data["status"], project_id, event.epic_id)
            self.seed(task_id, task, event.at)
        if task is None:
            if event.type == TaskDeleted.type:
                return
            task = discovered(event)
            self.seed(task_id, task, event.at)
        if task.epic_id != event.epic_id and event.type != TaskDeleted.type:
            self._move(task, event.epic_id)
        change = _CHANGES.get(event.type)
        if change is not None:
            change(self, task, event)
        if event.type == TaskDeleted.type:
            self._end_lease(task, event)
            self._count(task, task.status, -1)
            self.state.tasks[task_id] = None
        else:
            _set_ready(task, event)

    def _created(self, task: TaskFlow, event: FoldedEvent) -> None:
        for hour in self._hours(task, event.actor_id):
            hour.created += 1
        if task.status == Status.REVIEW:
            task.review_at = event.at

    def _updated(self, task: TaskFlow, event: FoldedEvent) -> None:
        task.attempts = event.data.get("changes", {}).get("attempts", task.attempts)

    def _status_changed(self, task: TaskFlow, event: FoldedEvent) -> None:
        before, after, agent = event.data["previous_status"], event.data["status"], event.data.get("agent_id")
        self._count(task, task.status, -1)
        task.status = after
        self._count(task, after, 1)
        if agent is not None and event.is_by_agent and task.worker is None:
            task.worker = agent
        if not event.is_by_agent:
            task.attempts = 0  # a person gives the task all its attempts again
        if before == Status.REVIEW:
            self._end_review(task, event.at)
        if after == Status.REVIEW:
            task.review_at = event.at
        if after in CLOSED and before != after:
            self._close(task, event, agent)
        elif before in CLOSED and after not in CLOSED:
            for hour in self._hours(task, agent):
                hour.reopened += 1
        if after in CLOSED or before in CLOSED:
            task.claimed_at = None

    def _close(self, task: TaskFlow, event: FoldedEvent, agent: str | None) -> None:
        if event.data["status"] == Status.CANCELLED:
            for hour in self._hours(task, agent):
                hour.cancelled += 1
            return
        for hour in self._hours(task, task.worker or agent):
            hour.completed += 1
            _add(hour, "cycle", task.claimed_at, event.at)

    def _end_review(self, task: TaskFlow, at: int) -> None:
        for hour in self._hours(task, task.worker):
            _add(hour, "review", task.review_at, at)
        task.review_at = None

    def _locked(self, task: TaskFlow, event: FoldedEvent) -> None:
        if event.data.get("renewed"):
            return
        self._end_lease(task, event)
        holder: str = event.data["agent_id"]
        hours = self._hours(task, holder)
        if event.data.get("lock", {}).get("kind", "work") == "work":
            # Within one commit, a task can become ready and be claimed. Its events then show only the claim.
            ready_at = event.at if task.ready_at is None and task.status == Status.TODO else task.ready_at
            for hour in hours:
                _add(hour, "ready", ready_at, event.at)
            task.claimed_at = event.at if task.claimed_at is None else task.claimed_at
            task.worker, task.ready_at = holder, None
        task.holder, task.leased_at = holder, event.at
        agent = self.state.agents.setdefault(holder, AgentFlow())
        if agent.leases == 0 and agent.free_at is not None and event.at - agent.free_at <= IDLE_MAXIMUM_MS:
            for hour in hours:
                hour.idle_ms += max(0, event.at - agent.free_at)
        agent.leases += 1
        agent.free_at = None

    def _unlocked(self, task: TaskFlow, event: FoldedEvent) -> None:
        reason, attempts = event.data["reason"], event.data["attempts"]
        # Events of releases before this field have only the number of attempts.
        failed = event.data.get("failed", reason == UnlockReason.EXPLICIT_RELEASE and attempts > task.attempts)
        for hour in self._hours(task, event.data["agent_id"]):
            hour.failed += bool(failed)
            hour.expired += reason == UnlockReason.LOCK_EXPIRED
        task.attempts = attempts
        self._end_lease(task, event)

    def _end_lease(self, task: TaskFlow, event: FoldedEvent) -> None:
        holder = task.holder
        if holder is None:
            return
        for hour in self._hours(task, holder):
            hour.leased_ms += max(0, event.at - task.leased_at)
        agent = self.state.agents.setdefault(holder, AgentFlow())
        agent.leases = max(0, agent.leases - 1)
        if agent.leases == 0:
            agent.free_at = event.at
        task.holder = None

    def _submitted(self, task: TaskFlow, event: FoldedEvent) -> None:
        for hour in self._hours(task, event.data["author"]):
            hour.submitted += 1

    def _reviewed(self, task: TaskFlow, event: FoldedEvent) -> None:
        approved = event.data["verdict"] == ReviewVerdict.APPROVED
        for hour in self._hours(task, event.data["reviewer"]):
            hour.approved += approved
            hour.changes_requested += not approved

    def _move(self, task: TaskFlow, epic_id: int | None) -> None:
        """Move the task to another epic, or out of its epic."""
        for moved, number in ((task.epic_id, -1), (epic_id, 1)):
            if moved is not None:
                self._count_in(epic_scope(task.project_id, moved), task.status, number)
        task.epic_id = epic_id

    def _drop(self, scope: str) -> None:
        """Forget a project with its epics, or an epic."""
        state = self.state
        state.dropped.append(scope)
        for key in [key for key in state.hours if is_within(key[0], scope)]:
            del state.hours[key]
        for name in [name for name in state.counts if is_within(name, scope)]:
            del state.counts[name]

    def _hours(self, task: TaskFlow, agent: str | None) -> list[FlowHour]:
        """Return the roll-ups of the present hour for the task and the agent."""
        scopes = scopes_of(task) if agent is None else [*scopes_of(task), agent_scope(agent)]
        return [self._hour_of(scope) for scope in scopes]

    def _hour_of(self, scope: str) -> FlowHour:
        key = (scope, self._hour)
        found = self.state.hours.get(key)
        if found is None:
            found = self.state.hours[key] = FlowHour()
        if found.counts is None and not scope.startswith("agent:"):
            found.counts = self._counts_of(scope)
            self._present.append(found)
        return found

    def _count(self, task: TaskFlow, status: str, number: int) -> None:
        for scope in scopes_of(task):
            self._count_in(scope, status, number)

    def _count_in(self, scope: str, status: str, number: int) -> None:
        counts = self._counts_of(scope)
        counts[status] = counts.get(status, 0) + number
        self._hour_of(scope)

    def _counts_of(self, scope: str) -> Counts:
        return self.state.counts.setdefault(scope, dict.fromkeys(STATUSES, 0))


_CHANGES = {
    TaskCreated.type: Fold._created,
    TaskUpdated.type: Fold._updated,
    TaskStatusChanged.type: Fold._status_changed,
    TaskLocked.type: Fold._locked,
    TaskUnlocked.type: Fold._unlocked,
    TaskSubmitted.type: Fold._submitted,
    TaskReviewed.type: Fold._reviewed,
}
IGNORED = frozenset({TaskLogged.type})
"""Frequent types of events that change no roll-up."""


def is_within(scope: str, outer: str) -> bool:
    """Return whether a scope is `outer`, or an epic of the project `outer`."""
    return scope == outer or scope.startswith(f"{outer}/")


def scopes_of(task: TaskFlow) -> list[str]:
    """Return the scopes that count a task. Agents count only events."""
    found = [ALL, project_scope(task.project_id)]
    return found if task.epic_id is None else [*found, epic_scope(task.project_id, task.epic_id)]


def _add(hour: FlowHour, name: str, since: int | None, until: int) -> None:
    """Add a duration to the sum and the histogram of this name, if its beginning is known.

    It is 0 if the clock was set back meanwhile.
    """
    if since is None or since == UNKNOWN:
        return
    duration = max(0, until - since)
    setattr(hour, f"{name}_ms", getattr(hour, f"{name}_ms") + duration)
    durations.add(getattr(hour, name), duration)


def discovered(event: FoldedEvent) -> TaskFlow:
    """Return the state of a task before its first kept event, which is not its creation."""
    data = event.data
    if event.type == TaskStatusChanged.type:
        status = data["previous_status"]
    elif event.type == TaskLocked.type and data["status"] == Status.IN_PROGRESS and not data.get("renewed"):
        status = Status.TODO.value  # unless the task was claimed by name
    else:
        status = data.get("status") or (data.get("task") or {}).get("status") or Status.TODO.value
    return of_unknown_past(str(status), event.project_id or 0, event.epic_id)


def of_unknown_past(status: str, project_id: int, epic_id: int | None) -> TaskFlow:
    """Return the state of a task with this status, from a time that no kept event has."""
    return TaskFlow(
        status,
        project_id,
        epic_id,
        claimed_at=UNKNOWN if status in _WORKED_ON else None,
        ready_at=UNKNOWN if status == Status.TODO else None,
        review_at=UNKNOWN if status == Status.REVIEW else None,
    )


def _set_ready(task: TaskFlow, event: FoldedEvent) -> None:
    """Set since when the task is ready. A row that is too long for its event leaves the state as it is.

    A row with a holder shows a claim that comes later in the same commit.
    """
    row = event.data.get("task")
    if row is None:
        return
    if row["ready"]:
        is_first = task.ready_at is None or (task.ready_at == UNKNOWN and event.type == TaskReady.type)
        task.ready_at = event.at if is_first else task.ready_at
    elif row["holder"] is None or row["holder"] == task.holder:
        task.ready_at = None


def keys_of(events: Iterable[FoldedEvent]) -> set[str]:
    """Return the keys of the states of tasks and agents that the fold of these events needs."""
    found: set[str] = set()
    for event in events:
        if event.task_id is not None:
            found.add(f"task:{event.task_id}")
        agent = event.data.get("agent_id")
        if agent is not None:
            found.add(f"agent:{agent}")
    return found
