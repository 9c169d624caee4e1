"""Operations on pauses."""

from project_manager.domain.errors import PauseNotFound, ProjectNotFound, TaskNotFound
from project_manager.operations.definition import IDEMPOTENT, Operation, Profile, Tool
from project_manager.schemas import pauses as schemas
from project_manager.schemas.views import Page
from project_manager.services import pauses

PAUSES = (
    Operation(
        "start_pause",
        pauses.start,
        schemas.StartPause,
        schemas.PauseView,
        http="POST /api/pauses",
        acts_as="agent_id",
        tool=Tool("Pause claims", IDEMPOTENT, "scope id reason agent_id", profile=Profile.ALL, required=("agent_id",)),
        raises=(ProjectNotFound, TaskNotFound),
        authorize=pauses.check_interface,
    ),
    Operation(
        "end_pause",
        pauses.end,
        schemas.EndPause,
        schemas.PauseView,
        http="DELETE /api/pauses/{pause_id}",
        acts_as="agent_id",
        raises=(PauseNotFound,),
    ),
    Operation("list_pauses", pauses.list_pauses, schemas.ListPauses, Page[schemas.PauseView], http="GET /api/pauses"),
)
