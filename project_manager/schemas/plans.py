"""Commands and views of import and export."""

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from project_manager.domain import limits
from project_manager.schemas import fields
from project_manager.schemas.commands import Command, IdempotentCommand


class ImportPlan(IdempotentCommand):
    document: str = Field(description="the plan, YAML or JSON text", max_length=limits.PLAN_BYTES)
    source: fields.Name = Field("document", description="file name in error messages")
    dry_run: fields.Flag = False
    status: Literal["keep", "overwrite"] = "keep"
    prune: fields.Flag = Field(False, description="delete the epics and tasks that the plan omits from its projects")


class ExportPlan(Command):
    project: fields.Name | None = Field(None, description="name of one project; default: all")
    format: Literal["yaml", "json"] = "yaml"


@dataclass(frozen=True, slots=True)
class ChangeView:
    """The change of one resource by an import."""

    change: Literal["created", "changed", "unchanged", "deleted"]
    kind: Literal["project", "epic", "task", "knowledge"]
    name: str
    fields: list[str]


@dataclass(frozen=True, slots=True)
class ImportView:
    """The changes of an import, or of its dry run."""

    dry_run: bool
    created: int
    changed: int
    unchanged: int
    deleted: int
    changes: list[ChangeView]


@dataclass(frozen=True, slots=True)
class ExportView:
    """A plan in the format of the import."""

    format: str
    document: str
