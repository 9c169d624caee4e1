"""Commands and views of projects."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator, Field

from project_manager.schemas import fields
from project_manager.schemas.commands import Command, IdempotentCommand, Paged, any_as_none
from project_manager.schemas.policies import PolicyFields, PolicyView


class CreateProject(IdempotentCommand):
    name: fields.Name = Field(description="unique name")
    description: fields.Text = ""
    policy: PolicyFields | None = Field(None, description="rules for DONE")
    agent_id: fields.AgentId | None = Field(None, description="your agent id")


class GetProject(Command):
    project_id: fields.Id


class UpdateProject(Command):
    project_id: fields.Id
    name: fields.Name = Field("", description="new name")
    description: fields.Text = ""
    archived: fields.Flag = Field(False, description="true archives the project: its tasks cannot be claimed")
    policy: PolicyFields | None = Field(None, description="rules for DONE; replaces all; null removes them")
    version: fields.Version | None = Field(None, description="fail unless at this version")


class DeleteProject(Command):
    project_id: fields.Id
    force: fields.Flag = Field(False, description="also delete its epics, tasks and knowledge")
    version: fields.Version | None = None


class ListProjects(Paged):
    archived: fields.Flag | None = Field(None, description="true: only archived; false: only active")
    status: Annotated[str | None, BeforeValidator(any_as_none)] = Field(
        None, description="deprecated; ACTIVE or ARCHIVED"
    )


@dataclass(frozen=True, slots=True)
class ProjectView:
    """A project."""

    id: int
    name: str
    description: str
    version: int
    created_at: str
    updated_at: str
    archived_at: str | None
    policy: PolicyView
    tasks: dict[str, int]
