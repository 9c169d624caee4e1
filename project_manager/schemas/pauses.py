"""Commands and views of pauses."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field

from project_manager.domain import limits
from project_manager.domain.pauses import PauseScope
from project_manager.schemas import fields, patterns
from project_manager.schemas.commands import Command, IdempotentCommand, Paged

_SCOPES: dict[str, Any] = {scope.value.upper(): scope for scope in PauseScope}
Scope = Annotated[PauseScope, BeforeValidator(fields.enum_reader(_SCOPES, [*PauseScope], "a scope"))]
Reason = Annotated[str, *fields.bounded_text(limits.REASON_CHARACTERS), fields.ONE_LINE]
_SUBJECT: dict[str, Any] = {
    "oneOf": [
        {"properties": {"scope": {"const": PauseScope.ALL}, "id": {"type": "null"}}},
        {"properties": {"scope": {"const": PauseScope.AGENT}}},
        {
            "required": ["id"],
            "properties": {
                "scope": {"enum": [PauseScope.PROJECT, PauseScope.TASK]},
                "id": {
                    "anyOf": [
                        {"type": "integer", "minimum": 1, "maximum": limits.ID_MAXIMUM},
                        {"type": "string", "pattern": patterns.ID},
                    ]
                },
            },
        },
    ]
}
"""JSON Schema of the id that belongs to each scope. An agent may omit its own."""


class StartPause(IdempotentCommand):
    model_config = ConfigDict(json_schema_extra=_SUBJECT)

    scope: Scope
    id: fields.Reference | None = Field(None, description="id of the project, task or agent")
    reason: Reason | None = None
    agent_id: fields.AgentId | None = Field(None, description="your agent id")


class EndPause(Command):
    pause_id: fields.Id
    agent_id: fields.AgentId | None = Field(None, description="your agent id")


class ListPauses(Paged):
    pass


@dataclass(frozen=True, slots=True)
class PauseView:
    """An active pause. The pause of a task also has its project. A `stopped` agent writes nothing until it ends."""

    id: int
    scope: str
    project_id: int | None
    task_id: int | None
    agent_id: str | None
    reason: str
    author: str
    created_at: str
    stopped: bool
