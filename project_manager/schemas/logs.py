"""Commands and views of the logs of tasks."""

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from project_manager.domain.logs import WrittenKind
from project_manager.schemas import fields
from project_manager.schemas.commands import Leased, Paged


class AddTaskLog(Leased):
    task_id: fields.Id
    body: fields.NonEmptyText = Field(description="markdown")
    kind: WrittenKind = "progress"


class ListTaskLogs(Paged):
    task_id: fields.Id
    kind: WrittenKind | Literal["system"] | None = None


@dataclass(frozen=True, slots=True)
class LogView:
    """An entry in the log of a task."""

    id: int
    task_id: int
    author: str
    kind: str
    body: str
    created_at: str
