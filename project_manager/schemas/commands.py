"""Inputs, one class an operation. Descriptions are read by API clients and by agents choosing arguments:
short, with units.
"""

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, ConfigDict, Field, WithJsonSchema

from project_manager.domain import limits
from project_manager.domain.statuses import EpicStatus, Status
from project_manager.schemas import fields
from project_manager.schemas.assumptions import OF_A_TASK, TagTexts
from project_manager.schemas.fields import Command, Leased, Paged, Repeatable
from project_manager.schemas.views import TaskView

LogKind = Literal["comment", "progress", "handoff", "evidence"]


def _any_means_none(value: object) -> object:
    """The predecessor's words for no filter."""
    return None if isinstance(value, str) and value.strip().upper() in {"ALL", "ANY", ""} else value


_WAIT = f"wait for one, 0..{limits.WAIT_SECONDS_MAXIMUM}; {limits.WAIT_SECONDS_ADVISED} advised"


class Scoped(Command):
    """A query about a project, an epic, or everything."""

    project_id: fields.Id | None = None
    project_name: fields.Name | None = None
    epic_id: fields.Id | None = None
    epic_name: fields.Name | None = None


class Reading(Command):
    """A read with an optional agent id: the call confirms the agent's leases, and the answer warns of their ends."""

    agent_id: fields.AgentId | None = Field(None, description="your agent id")


# projects and epics


class CreateProject(Repeatable):
    name: fields.Name = Field(description="unique name")
    description: fields.Text = ""
    agent_id: fields.AgentId | None = Field(None, description="your agent id")


class GetProject(Command):
    project_id: fields.Id


class UpdateProject(Command):
    project_id: fields.Id
    name: fields.Name = Field("", description="new name")
    description: fields.Text = ""
    archived: fields.Flag = Field(False, description="true takes its tasks out of the queue, false brings them back")
    version: fields.Version | None = Field(None, description="refuse unless at this version")


class DeleteProject(Command):
    project_id: fields.Id
    force: fields.Flag = Field(False, description="delete with all its epics and tasks")
    version: fields.Version | None = None


class ListProjects(Paged):
    archived: fields.Flag | None = Field(None, description="true: only archived ones; false: only live ones")
    status: Annotated[str | None, BeforeValidator(_any_means_none)] = Field(
        None, description="kept for the predecessor's clients; ACTIVE or ARCHIVED"
    )


class CreateEpic(Repeatable):
    name: fields.Name = Field(description="unique in its project")
    project_id: fields.Id | None = None
    project_name: fields.Name | None = Field(None, description="or project_id; a new name makes one")
    description: fields.Text = ""
    status: fields.StatusOfEpic = EpicStatus.ACTIVE
    position: fields.Whole | None = Field(
        None, ge=0, le=1_000_000, description="order within the project; last by default"
    )
    agent_id: fields.AgentId | None = None


class GetEpic(Command):
    epic_id: fields.Id


class UpdateEpic(Command):
    epic_id: fields.Id
    name: fields.Name = ""
    description: fields.Text = ""
    status: fields.StatusOfEpic = EpicStatus.ACTIVE
    position: fields.Whole = Field(0, ge=0, le=1_000_000)
    version: fields.Version | None = None


class DeleteEpic(Command):
    epic_id: fields.Id
    force: fields.Flag = Field(False, description="delete with all its tasks")
    version: fields.Version | None = None


class ListEpics(Paged):
    project_id: fields.Id | None = None
    project_name: fields.Name | None = None
    status: Annotated[fields.StatusOfEpic | None, BeforeValidator(_any_means_none)] = None


# tasks


class NewTask(Command):
    """A task as it is described when it is made."""

    name: fields.Name = Field(description="what to do, in a line")
    description: fields.Text = ""
    status: fields.NewStatus = Field(Status.TODO, description="BACKLOG keeps it from being offered")
    priority: fields.Priority = Field(limits.PRIORITY_DEFAULT, description="0 highest .. 4")
    labels: fields.Labels = Field(default_factory=list)
    acceptance: fields.Acceptance = Field(default_factory=list, description="criteria for done")
    conflicts_with: fields.Ids = Field(default_factory=list, description="ids not to run at the same time")
    defer_until: fields.Instant | None = Field(None, description="not offered before this time")
    due_at: fields.Instant | None = None
    estimate_minutes: fields.Minutes | None = None
    external_key: fields.Key | None = Field(None, description="unique in the project")


class CreateTask(NewTask, Repeatable):
    project_id: fields.Id | None = None
    project_name: fields.Name | None = Field(None, description="or project_id; a new name makes one")
    epic_id: fields.Id | None = None
    epic_name: fields.Name | None = Field(None, description="or epic_id; a new name makes one")
    depends_on: fields.Ids = Field(
        default_factory=list,
        validation_alias=AliasChoices("depends_on", "dependencies"),
        description="task ids that must be DONE first",
    )
    assumptions: TagTexts = Field(
        default_factory=list, validation_alias=OF_A_TASK, description="recorded with it, each as #TYPE: text"
    )
    agent_id: fields.AgentId | None = Field(None, description="your agent id")


class BulkTask(NewTask):
    ref: fields.Key | None = Field(None, description="a name for this task within the request")
    depends_on: fields.Refs = Field(
        default_factory=list,
        validation_alias=AliasChoices("depends_on", "dependencies"),
        description="task ids, or refs of tasks in this request",
    )


class CreateTasks(Repeatable):
    project_id: fields.Id | None = None
    project_name: fields.Name | None = Field(None, description="or project_id; a new name makes one")
    epic_id: fields.Id | None = None
    epic_name: fields.Name | None = Field(None, description="or epic_id; a new name makes one")
    tasks: list[BulkTask] = Field(min_length=1, max_length=limits.BULK_TASKS)
    agent_id: fields.AgentId | None = None


class GetTask(Command):
    task_id: fields.Id


class GetTaskDetails(Reading):
    task_id: fields.Id
    log_limit: fields.Whole = Field(20, ge=1, le=1000, description="newest log entries")
    before: fields.Id | None = Field(
        None,
        validation_alias=AliasChoices("before", "before_seq"),
        description="logs_before, for older entries",
    )
    budget_tokens: fields.Whole | None = Field(
        None, ge=200, le=100_000, description="shorten the log to about this size"
    )


CONTROL_FIELDS = (*Leased.model_fields, "task_id", "version", "reopen", "force")
"""Fields of an edit that change nothing by themselves. An edit needs at least one other field."""
_CHANGES: dict[str, Any] = {"not": {"propertyNames": {"enum": [*CONTROL_FIELDS]}}}


class UpdateTask(Leased):
    model_config = ConfigDict(json_schema_extra=_CHANGES)

    task_id: fields.Id
    name: fields.Name = ""
    description: fields.Text = ""
    priority: fields.Priority = Field(limits.PRIORITY_DEFAULT, description="0 highest .. 4")
    labels: fields.Labels = Field(default_factory=list)
    acceptance: fields.Acceptance = Field(default_factory=list)
    epic_id: fields.Id | None = None
    depends_on: fields.Ids = Field(
        default_factory=list,
        validation_alias=AliasChoices("depends_on", "dependencies"),
        description="replaces the whole list of task ids",
    )
    conflicts_with: fields.Ids = Field(default_factory=list)
    defer_until: fields.Instant | None = None
    due_at: fields.Instant | None = None
    estimate_minutes: fields.Minutes | None = None
    external_key: fields.Key | None = None
    attempts: fields.Whole = Field(0, ge=0, le=0, description="0 forgets failed attempts")
    status: fields.TaskStatus | None = Field(None, description="as update_task_status")
    reopen: fields.Flag = Field(False, description="needed to leave DONE or CANCELLED")
    force: fields.Flag = Field(False, description="an operator's: end another's lease")
    log_entry: fields.Text | None = Field(None, description="added to the log")
    assumptions: TagTexts = Field(
        default_factory=list, validation_alias=OF_A_TASK, description="also record these, each as #TYPE: text"
    )
    version: fields.Version | None = Field(None, description="refuse unless at this version")


class DeleteTask(Command):
    task_id: fields.Id
    force: fields.Flag = Field(False, description="delete even while an agent holds it")
    version: fields.Version | None = None


class TaskFilters(Paged, Scoped, Reading):
    status: Annotated[fields.TaskStatuses | None, BeforeValidator(_any_means_none)] = None
    label: fields.Label | None = None
    holder: fields.AgentId | None = Field(None, description="held by this agent")
    ready: fields.Flag | None = Field(None, description="true: claimable now")
    q: fields.Query | None = Field(
        None, validation_alias=AliasChoices("q", "query"), description="words in name, description or external_key"
    )
    ids: Annotated[list[fields.Id], fields.at_most(limits.PAGE_MAXIMUM), BeforeValidator(fields.listed)] | None = Field(
        None, description="these tasks only"
    )


TASK_COLUMNS = sorted({*TaskView.__dataclass_fields__, "holder", "expires_at"})
_COLUMN = WithJsonSchema({"type": "string", "pattern": f"^({'|'.join(['compact', *TASK_COLUMNS])})$"})
Columns = Annotated[
    list[Annotated[fields.Label, _COLUMN]], fields.at_most(limits.FILTER_WORDS), BeforeValidator(fields.listed)
]


class ListTasks(TaskFilters):
    # In a class of its own: from Python 3.14 on, a field hides the module `fields` from the annotations beside it.
    fields: Columns | None = Field(None, description="return only these fields; `compact` for a short row")


class GetAvailableTasks(Paged, Scoped, Reading):
    status: Annotated[fields.TaskStatuses | None, BeforeValidator(_any_means_none)] = Field(
        None, description="default: what may be claimed now; or statuses to look through"
    )
    include_locked: fields.Flag = Field(False, description="also held tasks")
    labels: fields.Labels = Field(default_factory=list, description="all of these")


class UpdateTaskStatus(Leased):
    task_id: fields.Id
    status: fields.TaskStatus
    note: fields.Text | None = Field(None, description="added to the log")
    reopen: fields.Flag = Field(False, description="needed to leave DONE or CANCELLED")
    force: fields.Flag = Field(False, description="an operator's: end another's lease")


class AddTaskLog(Leased):
    task_id: fields.Id
    body: fields.SomeText = Field(description="markdown")
    kind: LogKind = "progress"


class ListTaskLogs(Paged):
    task_id: fields.Id
    kind: LogKind | Literal["system"] | None = None


class ListTaskEvents(Paged):
    task_id: fields.Id


# leases

_TTL = AliasChoices("ttl_seconds", "timeout", "duration_seconds")


def _without_default(schema: dict[str, Any]) -> None:
    """A client that filled the default in would shorten the lease that it holds."""
    del schema["default"]


class AcquireTaskLock(Leased):
    task_id: fields.Id
    ttl_seconds: fields.TtlSeconds = Field(
        limits.LEASE_SECONDS_DEFAULT,
        validation_alias=_TTL,
        description="seconds, 1..3600; kept when renewing",
        json_schema_extra=_without_default,
    )
    force: fields.Flag = Field(False, description="an operator's: take it over from its holder")

    @property
    def asked_seconds(self) -> int | None:
        """The length that was asked for, if any was."""
        return self.ttl_seconds if "ttl_seconds" in self.model_fields_set else None


class RenewTaskLock(Command):
    task_id: fields.Id
    agent_id: fields.AgentId | None = Field(None, description="your agent id")
    fence: fields.Fence | None = Field(None, description="fence of your lease")
    ttl_seconds: fields.TtlSeconds | None = Field(
        None, validation_alias=_TTL, description="1..3600; as before by default"
    )


class ReleaseTaskLock(Leased):
    task_id: fields.Id
    handoff: fields.Text | None = Field(None, description="note for the next agent")
    failed: fields.Flag = Field(False, description="count it as a failed attempt")
    force: fields.Flag = Field(False, description="an operator's: end another's lease")


class ClaimNextTask(Repeatable, Scoped):
    agent_id: fields.AgentId | None = Field(None, description="your agent id")
    labels: fields.Labels = Field(default_factory=list, description="all of these")
    priority: fields.Priority | None = Field(None, description="this priority or more urgent")
    ttl_seconds: fields.TtlSeconds = Field(
        limits.LEASE_SECONDS_NEXT, validation_alias=_TTL, description="seconds, 1..3600"
    )
    wait_seconds: fields.WaitSeconds = Field(0, description=_WAIT)


class ListLeases(Paged):
    agent_id: fields.AgentId | None = Field(None, description="leases of this agent only")
    since: fields.Instant | None = Field(None, description="leases that were alive at or after this time, RFC 3339")
    until: fields.Instant | None = Field(None, description="leases that began before this time, RFC 3339")


# the rest


class GetBoardState(Command):
    project_id: fields.Id | None = None


class ListEvents(Reading):
    since: fields.Seq = Field(0, description="events after this number")
    types: fields.EventTypes = Field(default_factory=list, description="only these types")
    project_id: fields.Id | None = None
    limit: fields.Limit = 100
    wait_seconds: fields.WaitSeconds = Field(0, description=_WAIT)
    epoch: fields.Key | None = Field(None, description="epoch of the last answer")


class FollowEvents(Command):
    since: fields.Seq | None = Field(None, description="begin after this number; from now on by default")
    epoch: fields.Key | None = Field(None, description="epoch of the hello frame before")
    project_id: fields.Id | None = None
    batch: fields.Flag = Field(False, description="several events a frame")


class ListAgents(Paged):
    active: fields.Flag | None = Field(None, description="true: only those who hold something")


class GetAgent(Command):
    agent_id: fields.AgentId


class GetContext(Scoped):
    agent_id: fields.AgentId | None = Field(None, description="your agent id")
    budget_tokens: fields.Whole = Field(2000, ge=200, le=20_000, description="size of the answer")


class CreateToken(Command):
    name: fields.TokenName
    role: Literal["viewer", "agent", "operator"]
    agent_id: fields.AgentId | None = Field(None, description="bind the token to this agent id")


class ListTokens(Paged):
    pass


class RevokeToken(Command):
    token_id: fields.Id


class ImportPlan(Repeatable):
    document: str = Field(description="the plan, YAML or JSON text", max_length=limits.PLAN_BYTES)
    source: fields.Name = Field("document", description="file name for messages")
    dry_run: fields.Flag = False
    status: Literal["keep", "overwrite"] = "keep"
    prune: fields.Flag = Field(False, description="delete what the plan's projects have and the plan does not")


class ExportPlan(Command):
    project: fields.Name | None = Field(None, description="name of one project; default: all")
    format: Literal["yaml", "json"] = "yaml"
