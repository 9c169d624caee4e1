"""Commands and views of saved views of the dashboard."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field

from project_manager.domain import limits, saved_views
from project_manager.schemas import fields
from project_manager.schemas.commands import Command

ViewName = Annotated[str, *fields.bounded_text(limits.VIEW_NAME_CHARACTERS), fields.ONE_LINE]
_VIEW = rf"view=({'|'.join(saved_views.VIEWS)})?"
_OTHERS = "|".join(name for name in saved_views.PARAMETERS if name != "view")
_PAIR = rf"({_VIEW}|({_OTHERS})=[^&\x00]*)"
QUERY_PATTERN = rf"^\s*/?\??({_PAIR}(&{_PAIR}){{0,{saved_views.VALUES - 1}}})?\s*$"
"""The query of an address, with parameters of a view only. Validation also accepts escapes."""
ViewQuery = Annotated[
    str,
    Field(max_length=limits.VIEW_QUERY_CHARACTERS, json_schema_extra={"pattern": QUERY_PATTERN}),
    AfterValidator(fields.without_controls),
    AfterValidator(saved_views.normalized),
]


class ListViews(Command):
    pass


class SaveViewAs(Command):
    view_id: fields.Id | None = Field(None, description="the view to change or rename; default: the one of this name")
    name: ViewName = Field(description="unique name")
    query: ViewQuery = Field(description="view, filters, sort and group, as the query of an address")
    position: fields.Integer | None = Field(
        None, ge=0, le=limits.ID_MAXIMUM, description="place in the list; default: unchanged, or the last"
    )


class DeleteViewById(Command):
    view_id: fields.Id


@dataclass(frozen=True, slots=True)
class SavedView:
    """A named view of the dashboard, for all people. `author` saved it first."""

    id: int
    name: str
    query: str
    author: str
    position: int
    created_at: str
    updated_at: str


@dataclass(frozen=True, slots=True)
class SavedViews:
    """All saved views, by position."""

    items: list[SavedView]
