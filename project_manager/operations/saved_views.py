"""Operations on saved views of the dashboard."""

from project_manager.domain.errors import NameTaken, TooManyViews, ViewNotFound
from project_manager.operations.definition import Operation
from project_manager.schemas import saved_views as schemas
from project_manager.schemas.views import DeletedView
from project_manager.services import saved_views

SAVED_VIEWS = (
    Operation("list_views", saved_views.list_views, schemas.ListViews, schemas.SavedViews, http="GET /api/views"),
    Operation(
        "save_view",
        saved_views.save,
        schemas.SaveViewAs,
        schemas.SavedView,
        http="PUT /api/views",
        needs_operator=True,
        raises=(ViewNotFound, NameTaken, TooManyViews),
        aliases=("PUT /api/views/{view_id}",),
    ),
    Operation(
        "delete_view",
        saved_views.delete,
        schemas.DeleteViewById,
        DeletedView,
        http="DELETE /api/views/{view_id}",
        needs_operator=True,
        raises=(ViewNotFound,),
    ),
)
