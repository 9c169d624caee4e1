"""Commands and views of the board."""

from project_manager.schemas import fields
from project_manager.schemas.commands import Command


class GetBoardState(Command):
    project_id: fields.Id | None = None
