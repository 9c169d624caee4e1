"""Operations on tasks."""

from project_manager.domain.errors import (
    DependencyCycle,
    EpicNotFound,
    ExternalKeyTaken,
    HasDependents,
    InvalidTransition,
    LockHeld,
    LockRequired,
    NotReady,
    ProjectArchived,
    ProjectNotFound,
    TaskNotFound,
)
from project_manager.domain.task_fields import CLEARABLE
from project_manager.operations.definition import LEASE_ERRORS, READS, WRITES, Hints, Operation, Profile, Tool
from project_manager.schemas import tasks as schemas
from project_manager.schemas.views import DeletedView, Page
from project_manager.services import listing, statuses, tasks

TASKS = (
    Operation(
        "get_available_tasks",
        listing.get_available,
        schemas.GetAvailableTasks,
        Page[schemas.TaskRow],
        http="GET /api/tasks/available",
        acts_as="agent_id",
        tool=Tool(
            "List ready tasks",
            READS,
            "project_id project_name epic_id epic_name labels limit cursor",
            defaults={"limit": 20},
        ),
        raises=(ProjectNotFound, EpicNotFound),
    ),
    Operation(
        "list_tasks",
        listing.list_tasks,
        schemas.ListTasks,
        Page[schemas.TaskRow],
        http="GET /api/tasks",
        acts_as="agent_id",
        tool=Tool(
            "List or search tasks",
            READS,
            "project_id project_name epic_id epic_name status label holder ready q limit cursor",
            defaults={"limit": 20, "fields": ["compact"]},
        ),
        raises=(ProjectNotFound, EpicNotFound),
        aliases=("GET /api/search", "GET /api/tasks/filtered"),
    ),
    Operation(
        "create_task",
        tasks.create,
        schemas.CreateTask,
        schemas.WrittenTaskView,
        http="POST /api/tasks",
        acts_as="agent_id",
        tool=Tool(
            "Create a task",
            WRITES,
            (
                "name agent_id description project_id project_name epic_id epic_name priority labels acceptance "
                "depends_on conflicts_with status defer_until external_key request_id"
            ),
        ),
        raises=(ProjectNotFound, ProjectArchived, EpicNotFound, ExternalKeyTaken, DependencyCycle),
        status=201,
    ),
    Operation(
        "create_tasks",
        tasks.create_many,
        schemas.CreateTasks,
        schemas.CreatedTasksView,
        http="POST /api/tasks/bulk",
        acts_as="agent_id",
        raises=(ProjectNotFound, ProjectArchived, EpicNotFound, ExternalKeyTaken, DependencyCycle),
        status=201,
    ),
    Operation(
        "get_task",
        tasks.get,
        schemas.GetTask,
        schemas.TaskView,
        http="GET /api/tasks/{task_id}",
        raises=(TaskNotFound,),
    ),
    Operation(
        "get_task_details",
        tasks.details,
        schemas.GetTaskDetails,
        schemas.TaskDetailsView,
        http="GET /api/tasks/{task_id}/details",
        acts_as="agent_id",
        tool=Tool(
            "Get task details",
            READS,
            "task_id agent_id log_limit before",
            defaults={"log_limit": 10, "budget_tokens": 3000},
        ),
        raises=(TaskNotFound,),
        aliases=("POST /api/task/details",),
    ),
    Operation(
        "update_task",
        tasks.update,
        schemas.UpdateTask,
        schemas.WrittenTaskView,
        http="PATCH /api/tasks/{task_id}",
        acts_as="agent_id",
        tool=Tool(
            "Edit a task",
            WRITES,
            "task_id agent_id fence name description priority labels acceptance depends_on log_entry version",
            clearable=CLEARABLE,
            named_for=("status",),
            operator_only=("force",),
        ),
        raises=(
            *LEASE_ERRORS,
            LockRequired,
            EpicNotFound,
            ExternalKeyTaken,
            DependencyCycle,
            InvalidTransition,
            NotReady,
        ),
    ),
    Operation(
        "update_task_status",
        statuses.update_status,
        schemas.UpdateTaskStatus,
        schemas.StatusChangedView,
        http="POST /api/tasks/{task_id}/status",
        acts_as="agent_id",
        tool=Tool(
            "Set a task's status",
            WRITES,
            "task_id status agent_id fence note reopen request_id",
            required=("agent_id",),
            operator_only=("force",),
        ),
        raises=(*LEASE_ERRORS, LockRequired, InvalidTransition, NotReady),
        aliases=("POST /api/task/{task_id}/status",),
    ),
    Operation(
        "delete_task",
        tasks.delete,
        schemas.DeleteTask,
        DeletedView,
        http="DELETE /api/tasks/{task_id}",
        needs_operator=True,
        tool=Tool(
            "Delete a task",
            Hints(destructive=True, idempotent=True),
            "task_id force",
            profile=Profile.ALL,
            operator_only=("force",),
        ),
        raises=(TaskNotFound, HasDependents, LockHeld),
    ),
)
