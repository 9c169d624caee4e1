"""Operations on projects."""

from project_manager.domain.errors import NameTaken, NotEmpty, ProjectNotFound
from project_manager.operations.definition import IDEMPOTENT, READS, Operation, Profile, Tool
from project_manager.schemas import projects as schemas
from project_manager.schemas.views import DeletedView, Page
from project_manager.services import projects

PROJECTS = (
    Operation(
        "list_projects",
        projects.list_projects,
        schemas.ListProjects,
        Page[schemas.ProjectView],
        http="GET /api/projects",
        tool=Tool("List projects", READS, "limit cursor", defaults={"limit": 20}),
    ),
    Operation(
        "create_project",
        projects.create,
        schemas.CreateProject,
        schemas.ProjectView,
        http="POST /api/projects",
        acts_as="agent_id",
        tool=Tool("Create a project", IDEMPOTENT, "name description request_id", profile=Profile.ALL),
        raises=(NameTaken,),
        status=201,
    ),
    Operation(
        "get_project",
        projects.get,
        schemas.GetProject,
        schemas.ProjectView,
        http="GET /api/projects/{project_id}",
        raises=(ProjectNotFound,),
    ),
    Operation(
        "update_project",
        projects.update,
        schemas.UpdateProject,
        schemas.ProjectView,
        http="PATCH /api/projects/{project_id}",
        needs_operator=True,
        raises=(ProjectNotFound, NameTaken),
    ),
    Operation(
        "delete_project",
        projects.delete,
        schemas.DeleteProject,
        DeletedView,
        http="DELETE /api/projects/{project_id}",
        needs_operator=True,
        raises=(ProjectNotFound, NotEmpty),
    ),
)
