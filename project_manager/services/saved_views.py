"""Use cases of saved views of the dashboard: list, save and delete them."""

from project_manager.domain.errors import NameTaken, RoleRequired, TooManyViews, ViewNotFound
from project_manager.domain.events.saved_views import ViewDeleted, ViewSaved
from project_manager.domain.limits import SAVED_VIEWS
from project_manager.schemas.saved_views import DeleteViewById, ListViews, SavedView, SavedViews, SaveViewAs
from project_manager.schemas.views import DeletedView
from project_manager.services.serializers import view_of
from project_manager.store import events, saved_views
from project_manager.store.saved_views import SavedViewRow
from project_manager.store.transaction import Tx


def list_views(tx: Tx, command: ListViews) -> SavedViews:
    """List the saved views of the dashboard, in their order."""
    return SavedViews([view_of(SavedView, row) for row in saved_views.all_in_order(tx)])


def save(tx: Tx, command: SaveViewAs) -> SavedView:
    """Save a view of the dashboard under a name, for all people. A view of this name is replaced.

    With `view_id`, that view changes, and its name too. Names differ in more than case, width and blanks.
    """
    _check_person(tx)
    namesake = saved_views.get_by_name(tx, command.name)
    present = namesake if command.view_id is None else _view(tx, command.view_id)
    if present is None:
        return _add(tx, command)
    if namesake is not None and namesake.id != present.id:
        raise NameTaken(f"the view name {command.name!r} is already used", view_id=namesake.id, name=namesake.name)
    position = present.position if command.position is None else command.position
    changed = present._replace(name=command.name, query=command.query, position=position)
    if changed == present:
        return view_of(SavedView, present)
    return _saved(tx, saved_views.update_row(tx, changed))


def delete(tx: Tx, command: DeleteViewById) -> DeletedView:
    """Delete a saved view."""
    _check_person(tx)
    row = _view(tx, command.view_id)
    saved_views.remove(tx, row.id)
    events.add(tx, ViewDeleted(view_id=row.id, name=row.name, query=row.query))
    return DeletedView(success=True, deleted="view", id=row.id, name=row.name)


def _add(tx: Tx, command: SaveViewAs) -> SavedView:
    number, following = saved_views.number_and_next(tx)
    if number >= SAVED_VIEWS:
        raise TooManyViews(f"there are {number} saved views, which is the limit", limit=SAVED_VIEWS)
    position = following if command.position is None else command.position
    return _saved(tx, saved_views.add(tx, name=command.name, query=command.query, position=position))


def _saved(tx: Tx, row: SavedViewRow) -> SavedView:
    events.add(tx, ViewSaved(view_id=row.id, name=row.name, query=row.query))
    return view_of(SavedView, row)


def _view(tx: Tx, view_id: int) -> SavedViewRow:
    row = saved_views.get(tx, view_id)
    if row is None:
        raise ViewNotFound(f"view {view_id} not found", view_id=view_id)
    return row


def _check_person(tx: Tx) -> None:
    """Check that the actor is not an agent, because people share the views. Raises RoleRequired."""
    if tx.actor.is_agent:
        raise RoleRequired(
            "views are saved by an operator without an agent id",
            hint="Use the token of an operator that is not bound to an agent id.",
            role=tx.actor.role.name.lower(),
            required="operator",
        )
