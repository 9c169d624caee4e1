"""Operations on projects."""

from project_manager.domain.actors import Role
from project_manager.domain.errors import IdempotencyMismatch, NameTaken, NotEmpty, ProjectNotFound, VersionMismatch
from project_manager.operations.definition import IDEMPOTENT, READS, Kind, Operation, Profile, Tool
from project_manager.schemas.projects import (
    CreateProject,
    DeleteProject,
    GetProject,
    ListProjects,
    ProjectView,
    UpdateProject,
)
from project_manager.schemas.views import DeletedView, Page
from project_manager.services import projects

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
        acts_as="agent_id",
        tool=Tool("Create a project", IDEMPOTENT, ("name", "description", "request_id"), profile=Profile.ALL),
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
