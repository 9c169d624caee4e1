"""Operations on epics."""

from project_manager.domain.errors import EpicNotFound, NameTaken, NotEmpty, ProjectArchived, ProjectNotFound
from project_manager.operations.definition import IDEMPOTENT, READS, Operation, Profile, Tool
from project_manager.schemas import epics as schemas
from project_manager.schemas.views import DeletedView, Page
from project_manager.services import epics

EPICS = (
    Operation(
        "list_epics",
        epics.list_epics,
        schemas.ListEpics,
        Page[schemas.EpicView],
        http="GET /api/epics",
        tool=Tool("List epics", READS, "project_id project_name limit cursor", defaults={"limit": 20}),
        raises=(ProjectNotFound,),
        aliases=("GET /api/projects/{project_id}/epics",),
    ),
    Operation(
        "create_epic",
        epics.create,
        schemas.CreateEpic,
        schemas.CreatedEpicView | schemas.EpicView,
        http="POST /api/epics",
        acts_as="agent_id",
        tool=Tool(
            "Create an epic", IDEMPOTENT, "name project_id project_name description request_id", profile=Profile.ALL
        ),
        raises=(ProjectNotFound, ProjectArchived, NameTaken),
        status=201,
    ),
    Operation(
        "get_epic",
        epics.get,
        schemas.GetEpic,
        schemas.EpicView,
        http="GET /api/epics/{epic_id}",
        raises=(EpicNotFound,),
    ),
    Operation(
        "update_epic",
        epics.update,
        schemas.UpdateEpic,
        schemas.EpicView,
        http="PATCH /api/epics/{epic_id}",
        raises=(EpicNotFound, NameTaken),
    ),
    Operation(
        "delete_epic",
        epics.delete,
        schemas.DeleteEpic,
        DeletedView,
        http="DELETE /api/epics/{epic_id}",
        needs_operator=True,
        raises=(EpicNotFound, NotEmpty),
    ),
)
