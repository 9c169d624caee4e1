"""Commands and views of the logs of tasks."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field

from project_manager.domain import limits
from project_manager.domain.logs import LogKind, WrittenKind
from project_manager.schemas import fields
from project_manager.schemas.commands import Command, Leased, Paged
from project_manager.schemas.evidence import EvidenceFields, NewEvidence

_EVIDENCE: dict[str, Any] = {
    "if": {"required": ["kind"], "properties": {"kind": {"const": "evidence"}}},
    "else": {"properties": {name: {"type": "null"} for name in NewEvidence.model_fields}},
}
"""JSON Schema of an entry: only evidence has the fields of evidence."""


class AddTaskLog(Leased, NewEvidence):
    model_config = ConfigDict(json_schema_extra=_EVIDENCE)

    task_id: fields.Id
    body: fields.NonEmptyText = Field(description="markdown")
    kind: WrittenKind = "progress"


class ListTaskLogs(Paged):
    task_id: fields.Id
    kind: LogKind | None = None


class ListAgentLogs(Paged):
    agent_id: fields.AgentId
    kind: LogKind | None = None


class ReadLogLines(Command):
    ids: Annotated[
        list[fields.Id],
        fields.max_items(limits.LOG_LINES_AT_ONCE),
        BeforeValidator(fields.parse_list),
        Field(min_length=1),  # an empty list in a query is the same as none
    ]


@dataclass(frozen=True, slots=True)
class LogLineView:
    """The first line of a log entry with text, at most 200 characters."""

    id: int
    line: str


@dataclass(frozen=True, slots=True)
class LogLinesView:
    """The first lines of log entries. Deleted entries are left out."""

    items: list[LogLineView]


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
