"""Commands and views of versioned knowledge. Argument names of the predecessor are aliases."""

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AliasChoices, BeforeValidator, ConfigDict, Field

from project_manager.domain import limits
from project_manager.schemas import fields
from project_manager.schemas.commands import Command, IdempotentCommand, Paged


def _parsed_object(value: object) -> object:
    """Read an object from an object or from its JSON text. Raises ValueError."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise ValueError("is not a JSON object") from error


def _within_metadata(value: dict[str, Any]) -> dict[str, Any]:
    if _exceeds_depth(value, limits.JSON_DEPTH):
        raise ValueError(f"is nested more than {limits.JSON_DEPTH} levels deep")
    try:
        size = len(json.dumps(value, ensure_ascii=False, allow_nan=False).encode())
    except ValueError as error:
        raise ValueError("contains a value that is not valid JSON") from error
    if size > limits.METADATA_BYTES:
        raise ValueError(f"has {size} bytes; the limit is {limits.METADATA_BYTES}")
    return value


def _exceeds_depth(value: object, room: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return room < 0 or any(_exceeds_depth(part, room - 1) for part in inner)


Title = Annotated[str, *fields.bounded_text(limits.TITLE_CHARACTERS), fields.ONE_LINE]
Category = Annotated[str, *fields.bounded_text(limits.CATEGORY_CHARACTERS), fields.ONE_LINE]
ActionType = Annotated[str, *fields.bounded_text(limits.ACTION_CHARACTERS), fields.ONE_LINE]
Metadata = Annotated[dict[str, Any], BeforeValidator(_parsed_object), AfterValidator(_within_metadata)]
Importance = Annotated[fields.Integer, Field(ge=0, le=limits.KNOWLEDGE_PRIORITY_HIGHEST)]

_AUTHOR = AliasChoices("agent_id", "created_by")


_OWNERS = [fields.required_fields(place) for place in ("project_id", "project_name", "epic_id", "task_id", "parent_id")]
_ITEM: dict[str, Any] = {
    "anyOf": [fields.required_fields("knowledge_id"), {**fields.required_fields("title", "content"), "anyOf": _OWNERS}]
}
"""JSON Schema of an upsert: an existing item, or a new item with a field that determines its project."""


class UpsertKnowledge(IdempotentCommand):
    model_config = ConfigDict(json_schema_extra=_ITEM)

    knowledge_id: fields.Id | None = Field(None, description="item to update; omit to create")
    title: Title = Field("", description="required for a new item")
    content: fields.NonEmptyText = Field("", description="Markdown, required if new")
    category: Category | None = None
    tags: fields.Labels = Field(default_factory=list)
    priority: Importance = Field(0, description="0..5, highest first")
    active: fields.Flag = Field(
        True, validation_alias=AliasChoices("active", "is_active"), description="false hides it from lists"
    )
    project_id: fields.Id | None = Field(None, description="required for a new item unless another id is set")
    project_name: fields.Name | None = Field(None, description="or project_id; created if new")
    epic_id: fields.Id | None = Field(None, description="null: the whole project")
    task_id: fields.Id | None = Field(None, description="source task")
    parent_id: fields.Id | None = Field(None, description="parent item")
    metadata: Metadata = Field(default_factory=dict)
    change_reason: fields.Text | None = Field(
        None, validation_alias=AliasChoices("change_reason", "reason"), description="stored with the version"
    )
    version: fields.Version | None = Field(None, description="fail unless at this version")
    agent_id: fields.AgentId | None = Field(None, validation_alias=_AUTHOR, description="your agent id")


_PROJECT: dict[str, Any] = {
    "anyOf": [fields.required_fields(place) for place in ("project_id", "project_name", "task_id")]
}


class Remember(IdempotentCommand):
    model_config = ConfigDict(json_schema_extra=_PROJECT)

    title: Title
    content: fields.NonEmptyText
    task_id: fields.Id | None = None
    project_id: fields.Id | None = None
    project_name: fields.Name | None = None
    priority: Importance = Field(0, description="0..5, highest first")
    agent_id: fields.AgentId | None = Field(None, description="your agent id")


class GetKnowledge(Paged):
    project_id: fields.Id | None = None
    epic_id: fields.Id | None = Field(None, description="items of the epic and of its project")
    task_id: fields.Id | None = None
    parent_id: fields.Id | None = None
    knowledge_id: fields.Id | None = Field(None, description="this item only")
    category: Category | None = None
    tags: fields.Labels = Field(default_factory=list, description="all of these")
    q: fields.Query | None = Field(
        None, validation_alias=AliasChoices("q", "query"), description="words in title, content, category or tags"
    )
    include_inactive: fields.Flag = False
    budget_tokens: fields.Integer | None = Field(
        None, ge=200, le=100_000, description="shorten contents to about this size"
    )


class GetInstructions(Command):
    project_id: fields.Id | None = Field(None, description="include knowledge of the project, by priority")
    epic_id: fields.Id | None = Field(None, description="include the epic's items")
    include_knowledge: fields.Flag = Field(
        True, validation_alias=AliasChoices("include_knowledge", "include_knowledge_context")
    )


class GetKnowledgeItem(Command):
    knowledge_id: fields.Id


class RetireKnowledge(Command):
    knowledge_id: fields.Id
    version: fields.Version | None = Field(None, description="fail unless at this version")


class ListKnowledgeVersions(Paged):
    knowledge_id: fields.Id


class AppendKnowledgeLog(IdempotentCommand):
    knowledge_id: fields.Id
    action_type: ActionType = Field(description="action, such as used, reviewed, questioned")
    change_reason: fields.Text | None = Field(None, description="reason or result")
    metadata: Metadata = Field(default_factory=dict)
    agent_id: fields.AgentId | None = Field(None, validation_alias=_AUTHOR, description="your agent id")


class ListKnowledgeLogs(Paged):
    knowledge_id: fields.Id
    action_type: ActionType | None = None


@dataclass(frozen=True, slots=True)
class KnowledgeExcerptView:
    """One of the three most important items of knowledge of a project. Together they have at most 2,000 characters."""

    id: int
    title: str
    content: str


@dataclass(frozen=True, slots=True)
class KnowledgeView:
    """An item of knowledge. It applies to its epic, or without `epic_id` to the whole project. If `content_cut` is
    true, `content` is shortened. Use knowledge_id and a larger budget_tokens for the full text.
    """

    id: int
    project_id: int
    epic_id: int | None
    task_id: int | None
    parent_id: int | None
    title: str
    content: str
    content_cut: bool
    category: str | None
    tags: list[str]
    priority: int
    active: bool
    metadata: dict[str, Any]
    version: int
    created_by: str
    created_at: str
    updated_by: str
    updated_at: str


@dataclass(frozen=True, slots=True)
class InstructionsView:
    """Instructions, and the most important knowledge of the project. get_knowledge returns the rest."""

    instructions: str
    knowledge: list[KnowledgeView]
    knowledge_total: int


@dataclass(frozen=True, slots=True)
class KnowledgeSavedView:
    """The result of an upsert, with the item."""

    success: bool
    message: str
    operation: Literal["created", "updated", "no_changes"]
    knowledge_id: int
    version: int
    knowledge_item: KnowledgeView


@dataclass(frozen=True, slots=True)
class KnowledgeVersionView:
    """One version of an item, with its epic, task and parent at that time, and the names of the changed fields."""

    knowledge_id: int
    version: int
    epic_id: int | None
    task_id: int | None
    parent_id: int | None
    title: str
    content: str
    category: str | None
    tags: list[str]
    priority: int
    active: bool
    metadata: dict[str, Any]
    changed: list[str]
    change_reason: str | None
    author: str
    created_at: str


@dataclass(frozen=True, slots=True)
class KnowledgeLogView:
    """An entry in the log of an item."""

    id: int
    knowledge_id: int
    action_type: str
    change_reason: str | None
    author: str
    metadata: dict[str, Any]
    created_at: str


@dataclass(frozen=True, slots=True)
class KnowledgeLoggedView:
    """A new entry in the log of an item."""

    success: bool
    knowledge_id: int
    log_id: int
    log: KnowledgeLogView
