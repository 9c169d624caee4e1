"""Everything that a user can do, one row each. The row gives the route, the API description, the tool, the
metric and the log word.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from project_manager.contract import commands, views
from project_manager.contract.fields import Command
from project_manager.domain.actors import Role
from project_manager.domain.errors import (
    AgentNotFound,
    DependencyCycle,
    EpicNotFound,
    ExternalKeyTaken,
    FenceRequired,
    HasDependents,
    IdempotencyMismatch,
    IllegalMove,
    LockHeld,
    NameTaken,
    NotEmpty,
    NotHeld,
    NotReady,
    ProjectManagerError,
    ProjectNotFound,
    StaleFence,
    TaskNotFound,
    TokenNotFound,
    VersionMismatch,
)
from project_manager.services import agents, board, epics, events, importer, leases, projects, tasks, tokens


class Kind(Enum):
    """Where a use case runs."""

    READ = "read"
    WRITE = "write"


class Profile(Enum):
    """Which tools a client is shown: `core` by default."""

    CORE = "core"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Hints:
    """What a tool does to the world, in MCP's four words."""

    read_only: bool = False
    destructive: bool = False
    idempotent: bool = False
    open_world: bool = False


@dataclass(frozen=True, slots=True)
class Tool:
    """How an operation is shown to agents. `arguments` are the listed ones, in order; others are taken all the
    same. `defaults` are raw arguments that the MCP door fills in when they are absent.
    """

    title: str
    hints: Hints
    arguments: tuple[str, ...]
    profile: Profile = Profile.CORE
    defaults: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that a user can do. `http` is method and path, `aliases` other routes to it; `status` its
    answer's status when it succeeds; a `snapshot` is large, and kept while nothing is committed.
    """

    name: str
    use_case: Callable[..., Any]
    command: type[Command]
    view: Any
    http: str = ""
    kind: Kind = Kind.READ
    role: Role = Role.VIEWER
    idempotent: bool = False
    tool: Tool | None = None
    errors: tuple[type[ProjectManagerError], ...] = ()
    status: int = 200
    aliases: tuple[str, ...] = ()
    snapshot: bool = False

    @property
    def description(self) -> str:
        """The use case's docstring: first what it does and when to use it, then the details."""
        return inspect.cleandoc(self.use_case.__doc__ or "")

    @property
    def summary(self) -> str:
        return self.description.split("\n\n", 1)[0].replace("\n", " ")


_READS = Hints(read_only=True, idempotent=True)
_WRITES = Hints()
_REPEATABLE = Hints(idempotent=True)
_LEASE = (TaskNotFound, LockHeld, StaleFence, FenceRequired)

_PROJECTS = (
    Operation(
        "list_projects",
        projects.list_projects,
        commands.ListProjects,
        views.Page[views.ProjectView],
        http="GET /api/projects",
        tool=Tool("List projects", _READS, ("archived", "limit", "cursor"), defaults={"limit": 20}),
    ),
    Operation(
        "create_project",
        projects.create,
        commands.CreateProject,
        views.ProjectView,
        http="POST /api/projects",
        kind=Kind.WRITE,
        role=Role.AGENT,
        idempotent=True,
        tool=Tool("Create a project", _REPEATABLE, ("name", "description", "request_id"), profile=Profile.ALL),
        errors=(NameTaken, IdempotencyMismatch),
        status=201,
    ),
    Operation(
        "get_project",
        projects.get,
        commands.GetProject,
        views.ProjectView,
        http="GET /api/projects/{project_id}",
        errors=(ProjectNotFound,),
    ),
    Operation(
        "update_project",
        projects.update,
        commands.UpdateProject,
        views.ProjectView,
        http="PATCH /api/projects/{project_id}",
        kind=Kind.WRITE,
        role=Role.OPERATOR,
        errors=(ProjectNotFound, NameTaken, VersionMismatch),
    ),
    Operation(
        "delete_project",
        projects.delete,
        commands.DeleteProject,
        views.DeletedView,
        http="DELETE /api/projects/{project_id}",
        kind=Kind.WRITE,
        role=Role.OPERATOR,
        errors=(ProjectNotFound, NotEmpty, VersionMismatch),
    ),
)

_EPICS = (
    Operation(
        "list_epics",
        epics.list_epics,
        commands.ListEpics,
        views.Page[views.EpicView],
        http="GET /api/epics",
        tool=Tool("List epics", _READS, ("project_id", "limit", "cursor"), defaults={"limit": 20}),
        aliases=("GET /api/projects/{project_id}/epics",),
    ),
    Operation(
        "create_epic",
        epics.create,
        commands.CreateEpic,
        views.EpicView,
        http="POST /api/epics",
        kind=Kind.WRITE,
        role=Role.AGENT,
        idempotent=True,
        tool=Tool(
            "Create an epic",
            _REPEATABLE,
            ("name", "project_id", "project_name", "description", "request_id"),
            profile=Profile.ALL,
        ),
        errors=(ProjectNotFound, NameTaken, IdempotencyMismatch),
        status=201,
    ),
    Operation(
        "get_epic",
        epics.get,
        commands.GetEpic,
        views.EpicView,
        http="GET /api/epics/{epic_id}",
        errors=(EpicNotFound,),
    ),
    Operation(
        "update_epic",
        epics.update,
        commands.UpdateEpic,
        views.EpicView,
        http="PATCH /api/epics/{epic_id}",
        kind=Kind.WRITE,
        role=Role.AGENT,
        errors=(EpicNotFound, NameTaken, VersionMismatch),
    ),
    Operation(
        "delete_epic",
        epics.delete,
        commands.DeleteEpic,
        views.DeletedView,
        http="DELETE /api/epics/{epic_id}",
        kind=Kind.WRITE,
        role=Role.OPERATOR,
        errors=(EpicNotFound, NotEmpty, VersionMismatch),
    ),
)

_LEASES = (
    Operation(
        "claim_next_task",
        leases.claim_next,
        commands.ClaimNextTask,
        views.ClaimView,
        http="POST /api/tasks/claim",
        kind=Kind.WRITE,
        role=Role.AGENT,
        idempotent=True,
        tool=Tool(
            "Claim the next task",
            _WRITES,
            ("agent_id", "project_id", "labels", "priority", "ttl_seconds", "wait_seconds", "request_id"),
        ),
        errors=(IdempotencyMismatch,),
    ),
    Operation(
        "acquire_task_lock",
        leases.acquire,
        commands.AcquireTaskLock,
        views.AcquiredView,
        http="POST /api/tasks/{task_id}/lock",
        kind=Kind.WRITE,
        role=Role.AGENT,
        idempotent=True,
        tool=Tool("Claim a task by id", _REPEATABLE, ("task_id", "agent_id", "ttl_seconds", "fence", "request_id")),
        errors=(*_LEASE, NotReady, IllegalMove, IdempotencyMismatch),
        aliases=("POST /api/task/{task_id}/lock",),
    ),
    Operation(
        "renew_task_lock",
        leases.renew,
        commands.RenewTaskLock,
        views.AcquiredView,
        http="PUT /api/tasks/{task_id}/lock",
        kind=Kind.WRITE,
        role=Role.AGENT,
        tool=Tool("Renew a lease", _REPEATABLE, ("task_id", "agent_id", "fence", "ttl_seconds")),
        errors=(*_LEASE, NotHeld),
    ),
    Operation(
        "release_task_lock",
        leases.release,
        commands.ReleaseTaskLock,
        views.ReleasedView,
        http="DELETE /api/tasks/{task_id}/lock",
        kind=Kind.WRITE,
        role=Role.AGENT,
        idempotent=True,
        tool=Tool("Give a task back", _WRITES, ("task_id", "agent_id", "fence", "handoff", "failed")),
        errors=(*_LEASE, NotHeld, IdempotencyMismatch),
        aliases=("DELETE /api/task/{task_id}/lock",),
    ),
)

_TASKS = (
    Operation(
        "get_available_tasks",
        tasks.get_available,
        commands.GetAvailableTasks,
        views.Page[dict[str, Any]],
        http="GET /api/tasks/available",
        tool=Tool(
            "List claimable tasks",
            _READS,
            ("project_id", "labels", "limit", "cursor"),
            defaults={"limit": 20},
        ),
    ),
    Operation(
        "list_tasks",
        tasks.list_tasks,
        commands.ListTasks,
        views.Page[views.TaskView],
        http="GET /api/tasks",
        tool=Tool(
            "List or search tasks",
            _READS,
            ("project_id", "epic_id", "status", "label", "holder", "ready", "q", "limit", "cursor"),
            defaults={"limit": 20, "fields": ["compact"]},
        ),
        aliases=("GET /api/search", "GET /api/tasks/filtered"),
    ),
    Operation(
        "create_task",
        tasks.create,
        commands.CreateTask,
        views.TaskView,
        http="POST /api/tasks",
        kind=Kind.WRITE,
        role=Role.AGENT,
        idempotent=True,
        tool=Tool(
            "Create a task",
            _WRITES,
            (
                "name",
                "description",
                "project_id",
                "project_name",
                "epic_name",
                "priority",
                "labels",
                "acceptance",
                "depends_on",
                "request_id",
            ),
        ),
        errors=(ProjectNotFound, EpicNotFound, ExternalKeyTaken, DependencyCycle, IdempotencyMismatch),
        status=201,
    ),
    Operation(
        "create_tasks",
        tasks.create_many,
        commands.CreateTasks,
        views.CreatedTasksView,
        http="POST /api/tasks/bulk",
        kind=Kind.WRITE,
        role=Role.AGENT,
        idempotent=True,
        errors=(ProjectNotFound, EpicNotFound, ExternalKeyTaken, DependencyCycle, IdempotencyMismatch),
        status=201,
    ),
    Operation(
        "get_task",
        tasks.get,
        commands.GetTask,
        views.TaskView,
        http="GET /api/tasks/{task_id}",
        errors=(TaskNotFound,),
    ),
    Operation(
        "get_task_details",
        tasks.details,
        commands.GetTaskDetails,
        views.TaskDetailsView,
        http="GET /api/tasks/{task_id}/details",
        tool=Tool(
            "Read a task in full",
            _READS,
            ("task_id", "log_limit", "before"),
            defaults={"log_limit": 10, "budget_tokens": 3000},
        ),
        errors=(TaskNotFound,),
        aliases=("POST /api/task/details",),
    ),
    Operation(
        "update_task",
        tasks.update,
        commands.UpdateTask,
        views.TaskView,
        http="PATCH /api/tasks/{task_id}",
        kind=Kind.WRITE,
        role=Role.AGENT,
        idempotent=True,
        tool=Tool(
            "Edit a task",
            _WRITES,
            (
                "task_id",
                "agent_id",
                "fence",
                "name",
                "description",
                "priority",
                "labels",
                "acceptance",
                "depends_on",
                "log_entry",
                "version",
            ),
        ),
        errors=(
            *_LEASE,
            EpicNotFound,
            ExternalKeyTaken,
            DependencyCycle,
            IllegalMove,
            NotReady,
            VersionMismatch,
            IdempotencyMismatch,
        ),
    ),
    Operation(
        "update_task_status",
        tasks.update_status,
        commands.UpdateTaskStatus,
        views.StatusChangedView,
        http="POST /api/tasks/{task_id}/status",
        kind=Kind.WRITE,
        role=Role.AGENT,
        idempotent=True,
        tool=Tool(
            "Set a task's status",
            _WRITES,
            ("task_id", "status", "agent_id", "fence", "note", "reopen", "request_id"),
        ),
        errors=(*_LEASE, IllegalMove, NotReady, IdempotencyMismatch),
        aliases=("POST /api/task/{task_id}/status",),
    ),
    Operation(
        "delete_task",
        tasks.delete,
        commands.DeleteTask,
        views.DeletedView,
        http="DELETE /api/tasks/{task_id}",
        kind=Kind.WRITE,
        role=Role.OPERATOR,
        tool=Tool(
            "Delete a task",
            Hints(destructive=True, idempotent=True),
            ("task_id", "force"),
            profile=Profile.ALL,
        ),
        errors=(TaskNotFound, HasDependents, LockHeld, VersionMismatch),
    ),
    Operation(
        "add_task_log",
        tasks.add_log,
        commands.AddTaskLog,
        views.LogView,
        http="POST /api/tasks/{task_id}/log",
        kind=Kind.WRITE,
        role=Role.AGENT,
        idempotent=True,
        tool=Tool("Report on a task", _WRITES, ("task_id", "body", "kind", "agent_id", "fence")),
        errors=(*_LEASE, IdempotencyMismatch),
        status=201,
    ),
    Operation(
        "list_task_logs",
        tasks.list_logs,
        commands.ListTaskLogs,
        views.Page[views.LogView],
        http="GET /api/tasks/{task_id}/log",
        errors=(TaskNotFound,),
    ),
    Operation(
        "list_task_events",
        events.list_task_events,
        commands.ListTaskEvents,
        views.Page[dict[str, Any]],
        http="GET /api/tasks/{task_id}/events",
        errors=(TaskNotFound,),
    ),
)

_WATCHING = (
    Operation(
        "get_board_state",
        board.state,
        commands.GetBoardState,
        board.BoardView,
        http="GET /api/board/state",
        snapshot=True,
        errors=(ProjectNotFound,),
    ),
    Operation(
        "wait_for_events",
        events.list_events,
        commands.ListEvents,
        views.EventsView,
        http="GET /api/events",
        tool=Tool(
            "Wait for events",
            _READS,
            ("since", "types", "project_id", "wait_seconds", "limit"),
            defaults={"limit": 20},
        ),
    ),
    Operation(
        "list_agents",
        agents.list_agents,
        commands.ListAgents,
        views.Page[views.AgentView],
        http="GET /api/agents",
    ),
    Operation(
        "get_agent",
        agents.get,
        commands.GetAgent,
        views.AgentView,
        http="GET /api/agents/{agent_id}",
        errors=(AgentNotFound,),
    ),
    Operation(
        "get_context",
        agents.get_context,
        commands.GetContext,
        views.ContextView,
        http="GET /api/context",
        tool=Tool("Get back to work", _READS, ("agent_id", "project_id", "budget_tokens")),
    ),
)

_OPERATING = (
    Operation(
        "import_plan",
        importer.import_plan,
        commands.ImportPlan,
        views.ImportView,
        http="POST /api/import",
        kind=Kind.WRITE,
        role=Role.OPERATOR,
        idempotent=True,
        errors=(IdempotencyMismatch,),
    ),
    Operation(
        "export_plan",
        importer.export_plan,
        commands.ExportPlan,
        views.ExportView,
        http="GET /api/export",
        errors=(ProjectNotFound,),
    ),
    Operation(
        "create_token",
        tokens.create,
        commands.CreateToken,
        views.TokenView,
        http="POST /api/tokens",
        kind=Kind.WRITE,
        role=Role.OPERATOR,
        errors=(NameTaken,),
        status=201,
    ),
    Operation(
        "list_tokens",
        tokens.list_tokens,
        commands.ListTokens,
        views.Page[views.TokenView],
        http="GET /api/tokens",
        role=Role.OPERATOR,
    ),
    Operation(
        "revoke_token",
        tokens.revoke,
        commands.RevokeToken,
        views.TokenView,
        http="DELETE /api/tokens/{token_id}",
        kind=Kind.WRITE,
        role=Role.OPERATOR,
        errors=(TokenNotFound,),
    ),
)

OPERATIONS: tuple[Operation, ...] = (*_LEASES, *_TASKS, *_PROJECTS, *_EPICS, *_WATCHING, *_OPERATING)
BY_NAME: Mapping[str, Operation] = {operation.name: operation for operation in OPERATIONS}
