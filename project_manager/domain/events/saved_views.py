"""Events of saved views."""

from typing import Annotated

from project_manager.domain.events.event import Event


class ViewSaved(Event):
    """A view of the dashboard was saved under a name, or changed."""

    type = "view.saved"
    view_id: int
    name: str
    query: Annotated[str, "view, filters, order and groups, as the query of an address"]


class ViewDeleted(ViewSaved):
    """A saved view was deleted."""

    type = "view.deleted"
