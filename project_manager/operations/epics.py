"""Operations on epics."""

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
from project_manager.operations.definition import IDEMPOTENT, READS, Kind, Operation, Profile, Tool
from project_manager.schemas.epics import (
    CreatedEpicView,
    CreateEpic,
    DeleteEpic,
    EpicView,
    GetEpic,
    ListEpics,
    UpdateEpic,
)
from project_manager.schemas.views import DeletedView, Page
from project_manager.services import epics

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
        acts_as="agent_id",
        tool=Tool(
            "Create an epic",
            IDEMPOTENT,
            ("name", "project_id", "project_name", "description", "request_id"),
            profile=Profile.ALL,
        ),
        errors=(ProjectNotFound, ProjectArchived, NameTaken, IdempotencyMismatch),
        status=201,
    ),
    Operation("get_epic", epics.get, GetEpic, EpicView, http="GET /api/epics/{epic_id}", errors=(EpicNotFound,)),
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
