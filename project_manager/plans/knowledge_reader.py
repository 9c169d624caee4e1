"""Plan format of knowledge and assumptions."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from project_manager.domain import limits
from project_manager.schemas import fields
from project_manager.schemas.assumptions import FilePath, Snippet, TagText, VerdictWord
from project_manager.schemas.commands import Command
from project_manager.schemas.knowledge import ActionType, Category, Importance, Metadata, Title

REFERENCE_CHARACTERS = 3 * limits.NAME_CHARACTERS
COMPOSED_REFERENCE = fields.nfc_text(max(REFERENCE_CHARACTERS, limits.TITLE_CHARACTERS))
"""Names are stored in NFC. References to them are therefore normalized to NFC too."""

Author = fields.Name
ReferenceText = Annotated[fields.Text, COMPOSED_REFERENCE]
Percent = Annotated[fields.Integer, Field(ge=0, le=100)]


def _tag_as_mapping(value: object) -> Any:
    """Accept a plain tag text in place of a mapping."""
    return {"text": value} if isinstance(value, str) else value


class PlanVerdict(Command):
    """A verdict on an assumption. The last verdict counts."""

    verdict: VerdictWord
    confidence: Percent
    reason: fields.NonEmptyText
    reviewer: Author
    at: fields.Instant


class PlanAssumption(Command):
    """An assumption on a task, written as `#TYPE: text`."""

    text: TagText
    file_path: FilePath | None = None
    line_number: Annotated[fields.Integer, Field(ge=1, le=100_000_000)] | None = None
    code_snippet: Snippet | None = None
    author: Author | None = None
    at: fields.Instant | None = None
    verdicts: list[PlanVerdict] = Field(default_factory=list)


Assumptions = Annotated[list[Annotated[PlanAssumption, BeforeValidator(_tag_as_mapping)]], Field(default_factory=list)]


class PlanKnowledgeLog(Command):
    """A log entry of a knowledge item."""

    action_type: ActionType
    change_reason: fields.Text | None = None
    author: Author
    metadata: Metadata = Field(default_factory=dict)
    at: fields.Instant


class PlanKnowledge(Command):
    """A knowledge item of a project or of one of its epics.

    `parent` is the title of another item of the project, or `#` and its number in this list.
    """

    title: Title
    content: fields.NonEmptyText
    category: Category | None = None
    tags: fields.Labels = Field(default_factory=list)
    priority: Importance = 0
    active: fields.Flag = True
    metadata: Metadata = Field(default_factory=dict)
    epic: fields.Name | None = None
    task: ReferenceText | None = None
    parent: ReferenceText | None = None
    created_by: Author | None = None
    created_at: fields.Instant | None = None
    updated_by: Author | None = None
    updated_at: fields.Instant | None = None
    log: list[PlanKnowledgeLog] = Field(default_factory=list)
