"""Evidence in commands and views, and the evidence of each criterion of a task."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict  # pydantic rejects the one of Python 3.11

from project_manager.domain import limits
from project_manager.domain.evidence import Source
from project_manager.schemas import fields
from project_manager.schemas.commands import Command


class NewEvidence(Command):
    """The structured fields of evidence."""

    criterion: fields.Integer | None = Field(
        None, ge=0, le=limits.ACCEPTANCE_CRITERIA - 1, description="index in acceptance, from 0"
    )
    command: fields.CommandLine | None = None
    exit_code: fields.Integer | None = Field(None, ge=-(2**31), le=2**32 - 1)
    commit: fields.Commit | None = None
    url: fields.Url | None = None
    source: Annotated[Source, fields.IN_ANY_CASE] | None = Field(
        None, description="reported; observed and ci need a token made for it"
    )


_SHOWN: dict[str, Any] = {
    "anyOf": [fields.text_required("body"), fields.required_fields("command"), fields.required_fields("url")]
}


class SubmittedEvidence(NewEvidence):
    """Evidence in the call that submits or finishes the work. It has a body, a command or a url."""

    model_config = ConfigDict(json_schema_extra=_SHOWN)

    body: fields.Text = ""


class EvidenceFields(TypedDict):
    """The structured fields of evidence. `fence` is that of the lease under which it was recorded, or 0."""

    source: str
    fence: int
    criterion: int | None
    command: str | None
    exit_code: int | None
    commit: str | None
    url: str | None


@dataclass(frozen=True, slots=True)
class CriterionEvidence:
    """Evidence of a criterion. `counts` is whether it belongs to the present work and succeeded."""

    log_id: int
    author: str
    counts: bool
    fields: EvidenceFields


@dataclass(frozen=True, slots=True)
class CriterionView:
    """A criterion of a task with its evidence. `index` is null for evidence of the task as a whole."""

    index: int | None
    text: str
    evidence: list[CriterionEvidence]
