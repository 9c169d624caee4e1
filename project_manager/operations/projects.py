"""Projects and epics."""

from project_manager.domain.actors import Role
from project_manager.domain.errors import (
    EpicNotFound,
    IdempotencyMismatch,
    NameTaken,
    NotEmpty,
    ProjectArchived,
    ProjectNotFound,
    VersionMismatch,
)
from project_manager.operations.definition import READS, REPEATABLE, Kind, Operation, Profile, Tool
from project_manager.schemas.epics import (
    CreatedEpicView,
    CreateEpic,
    DeleteEpic,
    EpicView,
    GetEpic,
    ListEpics,
    UpdateEpic,
)
from project_manager.schemas.projects import (
    CreateProject,
    DeleteProject,
    GetProject,
    ListProjects,
    ProjectView,
    UpdateProject,
)
from project_manager.schemas.views import DeletedView, Page
from project_manager.services import (
    epics,
    projects,
)

PROJECTS = (
    Operation(
        "list_projects",
        projects.list_projects,
        ListProjects,
        Page[ProjectView],
        http="GET /api/projects",
        tool=Tool("List projects", READS, ("archived", "limit", "cursor"), defaults={"limit": 20}),
    ),
    Operation(
        "create_project",
        projects.create,
        CreateProject,
        ProjectView,
        http="POST /api/projects",
        kind=Kind.WRITE,
        role=Role.AGENT,
        idempotent=True,
        tool=Tool("Create a project", REPEATABLE, ("name", "description", "request_id"), profile=Profile.ALL),
        errors=(NameTaken, IdempotencyMismatch),
        status=201,
    ),
    Operation(
        "get_project",
        projects.get,
        GetProject,
        ProjectView,
        http="GET /api/projects/{project_id}",
        errors=(ProjectNotFound,),
    ),
    Operation(
        "update_project",
        projects.update,
        UpdateProject,
        ProjectView,
        http="PATCH /api/projects/{project_id}",
        kind=Kind.WRITE,
        role=Role.OPERATOR,
        errors=(ProjectNotFound, NameTaken, VersionMismatch),
    ),
    Operation(
        "delete_project",
        projects.delete,
        DeleteProject,
        DeletedView,
        http="DELETE /api/projects/{project_id}",
        kind=Kind.WRITE,
        role=Role.OPERATOR,
        errors=(ProjectNotFound, NotEmpty, VersionMismatch),
    ),
)

EPICS = (
    Operation(
        "list_epics",
        epics.list_epics,
        ListEpics,
        Page[EpicView],
        http="GET /api/epics",
        tool=Tool("List epics", READS, ("project_id", "project_name", "limit", "cursor"), defaults={"limit": 20}),
        errors=(ProjectNotFound,),
        aliases=("GET /api/projects/{project_id}/epics",),
    ),
    Operation(
        "create_epic",
        epics.create,
        CreateEpic,
        CreatedEpicView | EpicView,
        http="POST /api/epics",
        kind=Kind.WRITE,
        role=Role.AGENT,
        idempotent=True,
        tool=Tool(
            "Create an epic",
            REPEATABLE,
            ("name", "project_id", "project_name", "description", "request_id"),
            profile=Profile.ALL,
        ),
        errors=(ProjectNotFound, ProjectArchived, NameTaken, IdempotencyMismatch),
        status=201,
    ),
    Operation(
        "get_epic",
        epics.get,
        GetEpic,
        EpicView,
        http="GET /api/epics/{epic_id}",
        errors=(EpicNotFound,),
    ),
    Operation(
        "update_epic",
        epics.update,
        UpdateEpic,
        EpicView,
        http="PATCH /api/epics/{epic_id}",
        kind=Kind.WRITE,
        role=Role.AGENT,
        errors=(EpicNotFound, NameTaken, VersionMismatch),
    ),
    Operation(
        "delete_epic",
        epics.delete,
        DeleteEpic,
        DeletedView,
        http="DELETE /api/epics/{epic_id}",
        kind=Kind.WRITE,
        role=Role.OPERATOR,
        errors=(EpicNotFound, NotEmpty, VersionMismatch),
    ),
)
