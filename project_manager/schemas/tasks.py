"""Commands and views of tasks."""

from dataclasses import dataclass, field
from typing import Annotated, Any, NotRequired

from pydantic import AliasChoices, BeforeValidator, ConfigDict, Field, WithJsonSchema, with_config
from typing_extensions import TypedDict  # pydantic rejects the one of Python 3.11

from project_manager.domain import limits
from project_manager.domain.leases import LockView
from project_manager.domain.statuses import Status
from project_manager.schemas import fields
from project_manager.schemas.assumptions import ASSUMPTIONS_ALIAS, AssumptionView, NotedView, TagTexts
from project_manager.schemas.commands import AgentRead, Command, IdempotentCommand, Leased, Paged, Scoped, any_as_none
from project_manager.schemas.evidence import CriterionView, SubmittedEvidence
from project_manager.schemas.logs import LogView
from project_manager.schemas.questions import QuestionView
from project_manager.schemas.reviews import SubmissionView
from project_manager.schemas.views import NamedView


class PlainFields(Command):
    """The plain fields of a task (`domain/task_fields.py`), in commands and in plans."""

    name: fields.Name = Field(description="short title")
    description: fields.Text = ""
    priority: fields.Priority = Field(limits.PRIORITY_DEFAULT, description="0 highest .. 4")
    labels: fields.Labels = Field(default_factory=list)
    acceptance: fields.Acceptance = Field(default_factory=list, description="criteria for DONE")
    paths: fields.Paths = Field(default_factory=list, description="globs it changes")
    defer_until: fields.Instant | None = Field(None, description="not ready before this time")
    due_at: fields.Instant | None = None
    estimate_minutes: fields.Minutes | None = None
    external_key: fields.Key | None = Field(None, description="unique in the project")


class NewTask(PlainFields):
    """Fields of a new task."""

    status: fields.NewStatus = Field(Status.TODO, description="BACKLOG tasks are not ready")
    conflicts_with: fields.Ids = Field(default_factory=list, description="tasks not to run at the same time")


class CreateTask(NewTask, IdempotentCommand):
    project_id: fields.Id | None = None
    project_name: fields.Name | None = Field(None, description="or project_id; created if new")
    epic_id: fields.Id | None = None
    epic_name: fields.Name | None = Field(None, description="or epic_id; created if new")
    parent_id: fields.Id | None = None
    depends_on: fields.Ids = Field(
        default_factory=list,
        validation_alias=AliasChoices("depends_on", "dependencies"),
        description="task ids that must be DONE first",
    )
    blocks: fields.Ids = Field(default_factory=list, description="tasks that wait for it")
    assumptions: TagTexts = Field(
        default_factory=list, validation_alias=ASSUMPTIONS_ALIAS, description="to record, each as #TYPE: text"
    )
    agent_id: fields.AgentId | None = Field(None, description="your agent id")


class BulkTask(NewTask):
    ref: fields.Key | None = Field(None, description="reference name within the request")
    depends_on: fields.Refs = Field(
        default_factory=list,
        validation_alias=AliasChoices("depends_on", "dependencies"),
        description="task ids, or refs of tasks in this request",
    )
    parent: fields.Ref | None = Field(
        None,
        validation_alias=AliasChoices("parent", "parent_id"),
        description="id of the parent, or ref of a task in this request",
    )


class CreateTasks(IdempotentCommand):
    project_id: fields.Id | None = None
    project_name: fields.Name | None = None
    epic_id: fields.Id | None = None
    epic_name: fields.Name | None = Field(None, description="or epic_id; created if new")
    tasks: list[BulkTask] = Field(min_length=1, max_length=limits.BULK_TASKS)
    agent_id: fields.AgentId | None = None


class GetTask(Command):
    task_id: fields.Id


class GetTaskDetails(AgentRead):
    task_id: fields.Id
    log_limit: fields.Integer = Field(20, ge=1, le=1000, description="newest log entries")
    before: fields.Id | None = Field(
        None, validation_alias=AliasChoices("before", "before_seq"), description="logs_before, for older entries"
    )
    budget_tokens: fields.Integer | None = Field(
        None, ge=200, le=100_000, description="shorten the log to about this size"
    )


CONTROL_FIELDS = (*Leased.model_fields, "task_id", "version", "reopen", "force")
"""Fields of an edit that alone change nothing. An edit needs at least one other field."""


_CHANGES: dict[str, Any] = {"not": {"propertyNames": {"enum": [*CONTROL_FIELDS]}}}


class UpdateTask(Leased, PlainFields):
    model_config = ConfigDict(json_schema_extra=_CHANGES)

    task_id: fields.Id
    name: fields.Name = ""
    epic_id: fields.Id | None = None
    parent_id: fields.Id | None = None
    depends_on: fields.Ids = Field(
        default_factory=list,
        validation_alias=AliasChoices("depends_on", "dependencies"),
        description="replaces the list of task ids",
    )
    add_depends_on: fields.Ids = Field(default_factory=list)
    remove_depends_on: fields.Ids = Field(default_factory=list)
    blocks: fields.Ids = Field(default_factory=list, description="tasks that wait for it")
    conflicts_with: fields.Ids = Field(default_factory=list)
    attempts: fields.Integer = Field(0, ge=0, le=0, description="0 resets failed attempts")
    status: fields.TaskStatus | None = Field(None, description="as in update_task_status")
    reopen: fields.Flag = Field(False, description="leave DONE or CANCELLED")
    force: fields.Flag = Field(False, description="operators only: end any lease")
    log_entry: fields.Text | None = Field(None, description="added to the log")
    assumptions: TagTexts = Field(
        default_factory=list, validation_alias=ASSUMPTIONS_ALIAS, description="to record, each as #TYPE: text"
    )
    version: fields.Version | None = Field(None, description="fail unless at this version")


class DeleteTask(Command):
    task_id: fields.Id
    force: fields.Flag = Field(False, description="delete even if locked")
    version: fields.Version | None = None


class TaskFilters(Scoped):
    """Filters of tasks. A task must pass all of them."""

    status: Annotated[fields.TaskStatuses | None, BeforeValidator(any_as_none)] = None
    label: fields.Label | None = None
    labels: fields.Labels = Field(default_factory=list, description="all of these")
    priority: fields.Priorities | None = Field(None, description="one of these, 0 highest .. 4")
    holder: fields.AgentId | None = Field(None, description="holder of the lock")
    worked_by: fields.AgentId | None = Field(None, description="agent of the newest lease")
    created_by: fields.AgentId | None = Field(None, description="author of the task")
    changed_since: fields.Instant | None = Field(None, description="changed at this time or later")
    created_since: fields.Instant | None = Field(None, description="created at this time or later")
    created_until: fields.Instant | None = Field(None, description="created before this time")
    completed_since: fields.Instant | None = Field(None, description="DONE at this time or later, and still DONE")
    completed_until: fields.Instant | None = Field(None, description="DONE before this time, and still DONE")
    ready: fields.Flag | None = Field(None, description="true: ready tasks")
    q: fields.Query | None = Field(
        None, validation_alias=AliasChoices("q", "query"), description="words in name, description or external_key"
    )
    ids: (
        Annotated[list[fields.Id], fields.max_items(limits.PAGE_MAXIMUM), BeforeValidator(fields.parse_list)] | None
    ) = Field(None, description="these tasks only")


class GetAvailableTasks(Paged, Scoped, AgentRead):
    status: Annotated[fields.TaskStatuses | None, BeforeValidator(any_as_none)] = Field(
        None, description="statuses; default: ready tasks"
    )
    include_locked: fields.Flag = Field(False, description="also locked")
    labels: fields.Labels = Field(default_factory=list, description="all of these")


class UpdateTaskStatus(Leased):
    task_id: fields.Id
    status: fields.TaskStatus
    note: fields.Text | None = Field(None, description="added to the log")
    summary: fields.Text | None = Field(None, description="of the work, for its reviewer; default: note")
    branch: fields.Branch | None = Field(None, description="branch with the work")
    commit: fields.Commit | None = Field(None, description="commit of the work")
    evidence: Annotated[
        list[SubmittedEvidence], fields.max_items(limits.EVIDENCE_ENTRIES), BeforeValidator(fields.parse_list)
    ] = Field(default_factory=list, description="criterion: index in acceptance")
    reopen: fields.Flag = Field(False, description="leave DONE or CANCELLED")
    force: fields.Flag = Field(False, description="operators only: end any lease")


# Faster than a frozen dataclass, see `LockView`.
@dataclass
class OfferView:
    """An offer of a task to one agent. `reason` is rework, answer or assigned."""

    agent: str
    until: str
    reason: str


class TaskView(TypedDict):
    """A task. `ready` is true if an agent may claim it now, `why_not_ready` lists the blockers. A person has to remove
    or reopen each of `cancelled_dependencies`, the dependencies that are CANCELLED. `path_conflicts` are the tasks in
    progress with overlapping paths.
    """

    id: int
    project_id: int
    epic_id: int | None
    parent_id: int | None
    name: str
    description: str
    status: str
    priority: int
    labels: list[str]
    acceptance: list[str]
    depends_on: list[int]
    conflicts_with: list[int]
    paths: list[str]
    defer_until: str | None
    due_at: str | None
    estimate_minutes: int | None
    external_key: str | None
    version: int
    fence: int
    attempts: int
    lock: LockView | None
    worked_by: Annotated[str | None, Field(description="agent of the newest lease")]
    worked_seconds: Annotated[int, Field(description="total length of the ended leases for work, in seconds")]
    ready: bool
    why_not_ready: list[str]
    cancelled_dependencies: list[int]
    path_conflicts: list[int]
    unblocks: int
    created_by: str
    created_at: str
    updated_at: str
    completed_at: str | None
    completed_by: Annotated[
        str | None, Field(description="review, evidence, force or import: what completed it under a policy")
    ]
    blocked_by: Annotated[
        str | None, Field(description="attempts, question, review_rounds or stop, if the service set BLOCKED")
    ]
    offered_to: OfferView | None


@dataclass(frozen=True, slots=True)
class ProgressView:
    """The numbers of subtasks of a task. `open` are neither DONE nor CANCELLED."""

    total: int
    done: int
    open: int


TASK_FIELD_NAMES = tuple(TaskView.__annotations__)
PROGRESS = "subtasks"
"""The column with the progress of a task with subtasks."""
TASK_COLUMNS = sorted({*TASK_FIELD_NAMES, "holder", "expires_at", PROGRESS})


_COLUMN = WithJsonSchema({"type": "string", "pattern": f"^({'|'.join(['compact', *TASK_COLUMNS])})$"})


Columns = Annotated[
    list[Annotated[fields.Label, _COLUMN]],
    fields.max_items(limits.MAX_FILTER_VALUES),
    BeforeValidator(fields.parse_list),
]


class ListTasks(TaskFilters, Paged, AgentRead):
    # A separate class: from Python 3.14 on, the field hides the module `fields` from annotations in the same class.
    fields: Columns | None = Field(None, description="return only these fields; `compact` for a short row")


def _none_required(schema: dict[str, Any]) -> None:
    del schema["required"]


@with_config(ConfigDict(json_schema_extra=_none_required))
class TaskRow(TaskView):
    """A row of a list of tasks, with the fields that `fields` selects, by default all fields of a task.

    `holder` and `expires_at` are those of the lease, and `subtasks` are the numbers of subtasks, or null without any.
    These are present only if selected.
    """

    holder: str | None
    expires_at: str | None
    subtasks: ProgressView | None


class WrittenTaskView(TaskView):
    """A task after a write. `assumptions` were recorded with it. `created` has the `project` and the `epic` that were
    created with it. Both are omitted if empty.
    """

    assumptions: NotRequired[list[NotedView]]
    created: NotRequired[dict[str, NamedView]]


@dataclass(frozen=True, slots=True)
class LinkView:
    """A task in short: id, name and status."""

    id: int
    name: str
    status: str


@dataclass(frozen=True, slots=True)
class TaskDetailsView:
    """A task in full: its project and epic, dependencies, dependents, parent and subtasks, and the newest assumptions
    and log entries. `progress` has the numbers of subtasks, or null without any. `assumptions_total` is the number of
    all assumptions. `criteria` are those of the task with their evidence. `submission` is the newest one. `missing` is
    what the policy of the project still demands for DONE. `question` is the open one.
    """

    task_id: int
    task: TaskView
    project: NamedView
    epic: NamedView | None
    dependencies: list[LinkView]
    dependents: list[LinkView]
    parent: LinkView | None
    subtasks: list[LinkView]
    progress: ProgressView | None
    assumptions: list[AssumptionView]
    assumptions_total: int
    logs: list[LogView]
    logs_before: int | None
    criteria: list[CriterionView] = field(default_factory=list)
    submission: SubmissionView | None = None
    missing: list[str] = field(default_factory=list)
    question: QuestionView | None = None


@dataclass(frozen=True, slots=True)
class StatusChangedView:
    """A new status of a task. `lock` is its live lease, or null. `submission` is set if the call submitted work."""

    success: bool
    message: str
    task_id: int
    agent_id: str
    status: str
    previous_status: str
    lock_released: bool
    task: TaskView
    lock: LockView | None
    submission: SubmissionView | None = None


@dataclass(frozen=True, slots=True)
class CreatedTasksView:
    """Tasks that were created together. `ids` maps each `ref` to its id. `created` has the `project` and the `epic`
    that were created with them.
    """

    items: list[TaskView]
    ids: dict[str, int]
    created: dict[str, NamedView]
