"""Outputs. Frozen dataclasses whose fields are JSON as they stand; times are RFC 3339 UTC with
milliseconds.
"""

from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import ConfigDict, Field

from project_manager.schemas.assumptions import AssumptionView, NotedView

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One page of a list: up to `limit` rows, fewer when their texts are 1 MiB together. `next_cursor` is null on the
    last page; `total` counts all that the filters let through.
    """

    items: list[Item]
    next_cursor: str | None
    total: int


@dataclass(frozen=True, slots=True)
class NamedView:
    """Something by its id and name."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class ProjectView:
    """A project."""

    id: int
    name: str
    description: str
    version: int
    created_at: str
    updated_at: str
    archived_at: str | None
    tasks: dict[str, int]


@dataclass(frozen=True, slots=True)
class EpicView:
    """An epic of a project."""

    id: int
    project_id: int
    name: str
    description: str
    status: str
    position: int
    version: int
    created_at: str
    updated_at: str


@dataclass(frozen=True, slots=True)
class CreatedEpicView(EpicView):
    """An epic as it was created. `created` names the `project` that was made for it; left out when none was."""

    created: dict[str, NamedView]


@dataclass(frozen=True, slots=True)
class LockView:
    """A lease. `fence` grows by one with every new lease of the task and never goes back."""

    task_id: int
    holder: str
    fence: int
    acquired_at: str
    expires_at: str
    ttl_seconds: int


@dataclass(frozen=True, slots=True)
class LeaseView:
    """A lease and how it ended. `ended_at`, `reason` and `status`, which the task got at the end, are null while the
    lease lives.
    """

    task_id: int
    task_name: str
    project_id: int
    agent_id: str
    fence: int
    acquired_at: str
    expires_at: str
    ended_at: str | None
    reason: (
        Literal["explicit_release", "failed", "auto_release", "lock_expired", "unconfirmed", "forced", "deleted"] | None
    )
    status: str | None


# Not frozen: made by the thousand, and a frozen dataclass takes three times as long to make.
@dataclass(slots=True)
class TaskView:
    """A task. `ready` says whether an agent may claim it now, `why_not_ready` lists the blockers.
    `cancelled_dependencies` are dependencies that are CANCELLED: a person has to remove or reopen them.
    """

    id: int
    project_id: int
    epic_id: int | None
    name: str
    description: str
    status: str
    priority: int
    labels: list[str]
    acceptance: list[str]
    depends_on: list[int]
    conflicts_with: list[int]
    defer_until: str | None
    due_at: str | None
    estimate_minutes: int | None
    external_key: str | None
    version: int
    fence: int
    attempts: int
    lock: LockView | None
    worked_by: Annotated[str | None, Field(description="agent of the newest lease")]
    ready: bool
    why_not_ready: list[str]
    cancelled_dependencies: list[int]
    unblocks: int
    created_by: str
    created_at: str
    updated_at: str
    completed_at: str | None


def _none_required(schema: dict[str, Any]) -> None:
    del schema["required"]


@dataclass(slots=True)
class TaskRow(TaskView):
    """A row of a list of tasks: the fields that the request chose with `fields`, else all fields of a task.

    `holder` and `expires_at` are those of the lease and are there only when they were chosen.
    """

    __pydantic_config__ = ConfigDict(json_schema_extra=_none_required)

    holder: str | None
    expires_at: str | None


@dataclass(slots=True)
class WrittenTaskView(TaskView):
    """A task as it was written. `assumptions` are those that were recorded with it, `created` names the `project` and
    the `epic` that were made for it; both are left out when there are neither.
    """

    assumptions: list[NotedView] = field(default_factory=list)
    created: dict[str, NamedView] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LogView:
    """An entry in a task's log."""

    id: int
    task_id: int
    author: str
    kind: str
    body: str
    created_at: str


@dataclass(frozen=True, slots=True)
class LinkView:
    """A task at the other end of a dependency."""

    id: int
    name: str
    status: str


@dataclass(frozen=True, slots=True)
class TaskDetailsView:
    """A task in full: where it belongs, what it waits for, what waits for it, what was assumed on it, and the
    newest of its log. Of `assumptions_total` assumptions the newest are here.
    """

    task_id: int
    task: TaskView
    project: NamedView
    epic: NamedView | None
    dependencies: list[LinkView]
    dependents: list[LinkView]
    assumptions: list[AssumptionView]
    assumptions_total: int
    logs: list[LogView]
    logs_before: int | None


@dataclass(frozen=True, slots=True)
class AcquiredView:
    """A lease that was granted or renewed, with its task. `notice` is a hint for the holder, or null."""

    success: bool
    message: str
    task_id: int
    agent_id: str
    timeout: int
    expires_at: str
    renewed: bool
    task: TaskView
    lock: LockView
    notice: str | None = None


@dataclass(frozen=True, slots=True)
class HandoffView:
    """The newest handoff note of a task, at most 2,000 characters of it."""

    author: str
    body: str
    created_at: str


@dataclass(frozen=True, slots=True)
class HoldView:
    """Another lease of the same agent."""

    task_id: int
    fence: int
    expires_at: str


@dataclass(frozen=True, slots=True)
class NewLeaseView(AcquiredView):
    """A lease that was granted, with its task, the handoff note, the number of entries in the log, and the other
    leases of the same agent, which may be those of another session.
    """

    handoff: HandoffView | None = None
    log_entries: int = 0
    also_holding: list[HoldView] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class HeldBackView:
    """How many tasks one reason keeps from being offered."""

    reason: str
    tasks: int


@dataclass(frozen=True, slots=True)
class ClaimView:
    """The task that was claimed, with its lease."""

    task: TaskView | None
    lock: LockView | None
    message: str


@dataclass(frozen=True, slots=True)
class ClaimedView(ClaimView):
    """The task that was claimed, its handoff note, the number of entries in its log, and the other leases of the same
    agent, which may be those of another session. `notice` is a hint for the holder, or null.
    """

    notice: str | None
    handoff: HandoffView | None
    log_entries: int
    also_holding: list[HoldView]


@dataclass(frozen=True, slots=True)
class NothingReadyView(ClaimView):
    """The answer when no task is ready: the number of tasks, their blockers, and the leases of the agent."""

    tasks: int
    held_back: list[HeldBackView]
    also_holding: list[HoldView] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class StatusChangedView:
    """A status that was set. `lock` is the lease that goes on, if any."""

    success: bool
    message: str
    task_id: int
    agent_id: str
    status: str
    previous_status: str
    lock_released: bool
    task: TaskView
    lock: LockView | None


@dataclass(frozen=True, slots=True)
class ReleasedView:
    """A lease that was given back."""

    success: bool
    message: str
    task_id: int
    agent_id: str
    task: TaskView


@dataclass(frozen=True, slots=True)
class CreatedTasksView:
    """Tasks that were created together; `ids` maps each `ref` to its id. `created` names the `project` and the `epic`
    that were made for them.
    """

    items: list[TaskView]
    ids: dict[str, int]
    created: dict[str, NamedView]


@dataclass(frozen=True, slots=True)
class DeletedView:
    """What was deleted, and how much went with it."""

    success: bool
    deleted: str
    id: int
    name: str
    epics: int = 0
    tasks: int = 0


@dataclass(frozen=True, slots=True)
class EventsView:
    """Events after `since`, in the order of commits. Read on from `last_seq`. `resync` says that events after
    `since` are gone or belong to another history: reload, and go on from `head`.
    """

    items: list[dict[str, Any]]
    last_seq: int
    head: int
    epoch: str
    resync: bool


@dataclass(frozen=True, slots=True)
class AgentView:
    """Somebody who works, with the leases held now."""

    id: str
    kind: str
    first_seen: str
    last_seen: Annotated[str, Field(description="when it last wrote; reads do not count, noted every 5 s at most")]
    locks: list[LockView]


@dataclass(frozen=True, slots=True)
class HoldingView:
    """A task that the agent holds, in full, with what was said and tried before."""

    task: TaskView
    lock: LockView
    seconds_left: int
    logs: list[LogView]
    waiting_for_it: list[LinkView]


@dataclass(frozen=True, slots=True)
class ContextView:
    """What an agent needs to go on: what it holds, until when, what was done, and what it should do next."""

    agent_id: str
    server_time: str
    holding: list[HoldingView]
    lost: list[LinkView]
    ready_tasks: int
    next_step: str


@dataclass(frozen=True, slots=True)
class TokenView:
    """A token; its secret is shown once, when it is made."""

    id: int
    name: str
    role: str
    agent_id: str | None
    created_at: str
    revoked_at: str | None
    secret: str | None = None


@dataclass(frozen=True, slots=True)
class RevokedTokenView(TokenView):
    """A token that was revoked; `notice` says what follows when no token is left."""

    notice: str | None = None


@dataclass(frozen=True, slots=True)
class ClearedTokensView:
    """How many tokens were forgotten, revoked ones included."""

    forgotten: int


@dataclass(frozen=True, slots=True)
class ChangeView:
    """What an import does to one thing."""

    change: Literal["created", "changed", "unchanged", "deleted"]
    kind: Literal["project", "epic", "task", "knowledge"]
    name: str
    fields: list[str]


@dataclass(frozen=True, slots=True)
class ImportView:
    """What an import did, or (dry run) would do."""

    dry_run: bool
    created: int
    changed: int
    unchanged: int
    deleted: int
    changes: list[ChangeView]


@dataclass(frozen=True, slots=True)
class ExportView:
    """A plan in the import's format."""

    format: str
    document: str
