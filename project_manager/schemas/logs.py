"""Commands and views of the logs of tasks."""

from dataclasses import dataclass

from pydantic import Field
from typing_extensions import TypedDict  # pydantic rejects the one of Python 3.11

from project_manager.domain import limits
from project_manager.domain.evidence import Source
from project_manager.domain.logs import LogKind, WrittenKind
from project_manager.schemas import fields
from project_manager.schemas.commands import Command, Leased, Paged


class NewEvidence(Command):
    """The structured fields of evidence."""

    criterion: fields.Integer | None = Field(
        None, ge=0, lt=limits.ACCEPTANCE_CRITERIA, description="index in acceptance, from 0"
    )
    command: fields.CommandLine | None = None
    exit_code: fields.Integer | None = Field(None, ge=-(2**31), lt=2**32)
    commit: fields.Commit | None = None
    url: fields.Url | None = None
    source: Source | None = Field(None, description="reported; observed and ci need a token made for it")


class AddTaskLog(Leased, NewEvidence):
    task_id: fields.Id
    body: fields.NonEmptyText = Field(description="markdown")
    kind: WrittenKind = "progress"


class SubmittedEvidence(NewEvidence):
    """Evidence in the call that submits or finishes the work. It has a body, a command or a url."""

    body: fields.Text = ""


class ListTaskLogs(Paged):
    task_id: fields.Id
    kind: LogKind | None = None


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
class LogView:
    """An entry in the log of a task. `evidence` has its structured fields, for the kind evidence only."""

    id: int
    task_id: int
    author: str
    kind: str
    body: str
    created_at: str
    evidence: EvidenceFields | None = None
