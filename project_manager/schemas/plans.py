"""Commands and views of import and export."""

import re
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
    expected: str | None = Field(
        None,
        description="`digest` of a dry run; the import is refused if it would make other changes",
        min_length=limits.DIGEST_CHARACTERS,
        max_length=limits.DIGEST_CHARACTERS,
    )


class ExportPlan(Command):
    project: fields.Name | None = Field(None, description="name of one project; default: all")
    format: Literal["yaml", "json"] = "yaml"


def export_file_name(command: ExportPlan) -> str:
    """Return the name of a file with this export: words of the project's name, or `plan`."""
    words = re.findall(r"\w+", (command.project or "").lower())
    return f"{'-'.join(words) or 'plan'}.{command.format}"


@dataclass(frozen=True, slots=True)
class ValueView:
    """The change of one field, as shortened text."""

    field: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class ChangeView:
    """The change of one resource by an import. `name` is its path.

    A dry run shows `values` of the first changed resources. Changes of conflicts have none.
    """

    change: Literal["created", "changed", "unchanged", "deleted"]
    kind: Literal["project", "epic", "task", "knowledge"]
    name: str
    fields: list[str]
    project: str
    epic: str | None
    values: list[ValueView]


@dataclass(frozen=True, slots=True)
class ImportView:
    """The changes of an import, or of its dry run. `digest` identifies them."""

    dry_run: bool
    digest: str
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
