"""Commands and views of epics."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator, Field

from project_manager.domain.statuses import EpicStatus
from project_manager.schemas import fields
from project_manager.schemas.commands import Command, IdempotentCommand, Paged, any_as_none
from project_manager.schemas.views import NamedView


class CreateEpic(IdempotentCommand):
    name: fields.Name = Field(description="unique in its project")
    project_id: fields.Id | None = None
    project_name: fields.Name | None = Field(None, description="or project_id; created if new")
    description: fields.Text = ""
    status: fields.StatusOfEpic = EpicStatus.ACTIVE
    position: fields.Integer | None = Field(
        None, ge=0, le=1_000_000, description="position in the project; default: last"
    )
    agent_id: fields.AgentId | None = None


class GetEpic(Command):
    epic_id: fields.Id


class UpdateEpic(Command):
    epic_id: fields.Id
    name: fields.Name = ""
    description: fields.Text = ""
    status: fields.StatusOfEpic = EpicStatus.ACTIVE
    position: fields.Integer = Field(0, ge=0, le=1_000_000)
    version: fields.Version | None = None


class DeleteEpic(Command):
    epic_id: fields.Id
    force: fields.Flag = Field(False, description="also delete its tasks")
    version: fields.Version | None = None


class ListEpics(Paged):
    project_id: fields.Id | None = None
    project_name: fields.Name | None = None
    status: Annotated[fields.StatusOfEpic | None, BeforeValidator(any_as_none)] = None


@dataclass(frozen=True, slots=True)
class EpicView:
    """An epic of a project."""

    id: int
    project_id: int
    name: str
    description: str
    status: str
    position: int
    version: int
    created_at: str
    updated_at: str


@dataclass(frozen=True, slots=True)
class CreatedEpicView(EpicView):
    """A new epic. `created` has the `project` that was created with it, and is omitted if there is none."""

    created: dict[str, NamedView]
