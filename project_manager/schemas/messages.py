"""Commands and views of messages."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, WithJsonSchema

from project_manager.domain import limits
from project_manager.domain.messages import MessageKind
from project_manager.schemas import fields, patterns
from project_manager.schemas.commands import Command, IdempotentCommand, Paged

_KINDS: dict[str, Any] = {kind.value.upper(): kind for kind in MessageKind}
Kind = Annotated[
    MessageKind,
    BeforeValidator(fields.enum_reader(_KINDS, [*MessageKind], "a kind")),
    WithJsonSchema({"type": "string", "enum": [*MessageKind]}),
]


Body = Annotated[
    str,
    Field(min_length=1, max_length=limits.MESSAGE_CHARACTERS, json_schema_extra={"pattern": patterns.VISIBLE}),
    AfterValidator(fields.without_controls),
    AfterValidator(fields.not_blank),
]
_NOT_A_STOP = {"properties": {"kind": {"not": {"const": MessageKind.STOP}}}}
_ADDRESSEE: dict[str, Any] = {
    "oneOf": [
        fields.required_fields("to_agent"),
        fields.required_fields("to_task"),
        {**fields.required_fields("to_project"), "allOf": [_NOT_A_STOP]},
    ]
}
"""JSON Schema of a message: it has one addressee, and a stop does not have a project."""


class SendMessage(IdempotentCommand):
    model_config = ConfigDict(json_schema_extra=_ADDRESSEE)

    to_agent: fields.AgentId | None = None
    to_task: fields.Id | None = None
    to_project: fields.Id | None = Field(None, description="to all agents that hold a task of it")
    kind: Kind = MessageKind.NOTE
    body: Body
    expires_at: fields.Instant | None = Field(None, description="default: in 24 h")
    agent_id: fields.AgentId | None = Field(None, description="your agent id")


class AcknowledgeMessages(Command):
    ids: Annotated[list[fields.Id], fields.max_items(limits.ACKNOWLEDGED_AT_ONCE), BeforeValidator(fields.parse_list)]
    agent_id: fields.AgentId | None = Field(None, description="your agent id")


class ListMessages(Paged):
    agent_id: fields.AgentId | None = Field(None, description="your agent id")
    attention: fields.Flag = Field(False, description="only messages that need a person, and open ones to you")
    participant: fields.AgentId | None = Field(None, description="only messages from and to this agent or person")
    to_task: fields.Id | None = Field(None, description="only messages to the holder of this task")


@dataclass(frozen=True, slots=True)
class ReceiptView:
    """The delivery of a message to an agent. `acknowledged_at` is null until the agent acknowledges it."""

    agent_id: str
    delivered_at: str
    acknowledged_at: str | None


@dataclass(frozen=True, slots=True)
class MessageView:
    """A message with its state: sent, delivered, acknowledged or expired. `body` is null for viewers."""

    id: int
    kind: str
    sender: str
    to_agent: str | None
    to_task: int | None
    to_project: int | None
    body: str | None
    state: str
    created_at: str
    expires_at: str
    receipts: list[ReceiptView]


@dataclass(frozen=True, slots=True)
class SentMessageView:
    """A sent message. `stopped` are the tasks on which a stop has ended a lease."""

    id: int
    kind: str
    to_agent: str | None
    to_task: int | None
    to_project: int | None
    state: str
    created_at: str
    expires_at: str
    stopped: list[int]


@dataclass(frozen=True, slots=True)
class AcknowledgedView:
    """The ids of the messages that the call has acknowledged, without those that were acknowledged before."""

    acknowledged: list[int]
