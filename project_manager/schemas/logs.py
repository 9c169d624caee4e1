"""Commands and views of the logs of tasks."""

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from project_manager.schemas import fields
from project_manager.schemas.commands import Leased, Paged

LogKind = Literal["comment", "progress", "handoff", "evidence"]


class AddTaskLog(Leased):
    task_id: fields.Id
    body: fields.NonEmptyText = Field(description="markdown")
    kind: LogKind = "progress"


class ListTaskLogs(Paged):
    task_id: fields.Id
    kind: LogKind | Literal["system"] | None = None


@dataclass(frozen=True, slots=True)
class LogView:
    """An entry in the log of a task."""

    id: int
    task_id: int
    author: str
    kind: str
    body: str
    created_at: str
