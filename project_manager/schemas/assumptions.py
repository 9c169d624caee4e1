"""Commands and views of assumptions and verdicts. Argument names of the predecessor are aliases."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, WithJsonSchema

from project_manager.domain import limits
from project_manager.domain.assumptions import UNTYPED_TAG, WITHOUT_VERDICT, Verdict, parse_tag
from project_manager.domain.statuses import normalize
from project_manager.schemas import fields, patterns
from project_manager.schemas.commands import Command, IdempotentCommand, Leased, Paged


def _parsed_tag(value: str) -> str:
    parse_tag(value)
    return value


def _with_tag_prefix(value: object) -> object:
    """Read a text without a type as a tag of the type `TAG`."""
    if not isinstance(value, str):
        return value
    try:
        parse_tag(value)
    except ValueError:
        return f"#{UNTYPED_TAG}: {value.strip().lstrip('#')}"
    return value


def _within_snippet(value: str) -> str:
    size = len(value.encode())
    if size > limits.SNIPPET_BYTES:
        raise ValueError(f"has {size} bytes; the limit is {limits.SNIPPET_BYTES}")
    return value


def _verdict_reader(words: list[str]) -> Any:
    """Return a validator that reads one of `words`, in any case."""
    return BeforeValidator(fields.enum_reader({normalize(word): word for word in words}, words, "a verdict"))


_VERDICTS: list[str] = [*Verdict]

TagText = Annotated[fields.Text, AfterValidator(_parsed_tag), Field(json_schema_extra={"pattern": patterns.TAG})]
_TAG_OR_TEXT = Annotated[
    fields.Text,
    AfterValidator(_parsed_tag),
    BeforeValidator(_with_tag_prefix),
    Field(json_schema_extra={"pattern": patterns.NON_EMPTY_TEXT}),
]
TagTexts = Annotated[list[_TAG_OR_TEXT], fields.max_items(limits.LABELS), BeforeValidator(fields.parse_sentences)]
_PATH_LENGTH = Field(min_length=1, max_length=limits.PATH_CHARACTERS, json_schema_extra={"pattern": patterns.LINE})
FilePath = Annotated[str, _PATH_LENGTH, fields.ONE_LINE]
Snippet = Annotated[fields.Text, AfterValidator(_within_snippet)]
VerdictWord = Annotated[Verdict, _verdict_reader(_VERDICTS), WithJsonSchema({"type": "string", "enum": _VERDICTS})]
VerdictFilter = Annotated[
    str,
    _verdict_reader([WITHOUT_VERDICT, *_VERDICTS]),
    WithJsonSchema({"type": "string", "enum": [WITHOUT_VERDICT, *_VERDICTS]}),
]

ASSUMPTIONS_ALIAS = AliasChoices("assumptions", "ra_tags")
_TEXT = AliasChoices("text", "ra_tag_text")
_ASSUMPTION = AliasChoices("assumption_id", "ra_tag_id")


class AddRaTag(Leased):
    task_id: fields.Id
    text: TagText = Field(validation_alias=_TEXT, description="#TYPE: text, such as #ASSUMPTION: ids are unique")
    file_path: FilePath | None = Field(None, description="stored as text, never opened")
    line_number: fields.Integer | None = Field(None, ge=1, le=100_000_000)
    code_snippet: Snippet | None = None


class CaptureAssumptionValidation(IdempotentCommand):
    task_id: fields.Id
    assumption_id: fields.Id = Field(validation_alias=_ASSUMPTION)
    verdict: VerdictWord = Field(validation_alias=AliasChoices("verdict", "outcome"), description="your verdict")
    reason: fields.NonEmptyText = Field(description="evidence")
    confidence: fields.Integer | None = Field(
        None, ge=0, le=100, description="that it holds, in percent; default by verdict: 90, 10, 75"
    )
    agent_id: fields.AgentId | None = Field(
        None, validation_alias=AliasChoices("agent_id", "reviewer_agent_id"), description="your agent id"
    )


class ListAssumptions(Paged):
    task_id: fields.Id
    verdict: VerdictFilter | None = Field(None, description="filter by verdict; `open`: without verdict")


class GetAssumption(Command):
    task_id: fields.Id
    assumption_id: fields.Id


@dataclass(frozen=True, slots=True)
class VerdictView:
    """The verdict of a reviewer. The newest verdict of an assumption counts."""

    id: int
    verdict: str
    confidence: int
    reason: str
    reviewer: str
    created_at: str


@dataclass(frozen=True, slots=True)
class AssumptionView:
    """An assumption with its newest verdict, null if there is none. `verdicts` is the number of verdicts."""

    id: int
    task_id: int
    type: str
    family: str
    text: str
    file_path: str | None
    line_number: int | None
    code_snippet: str | None
    author: str
    created_at: str
    verdict: VerdictView | None
    verdicts: int


@dataclass(frozen=True, slots=True)
class NotedView:
    """An assumption that was recorded in a write to a task."""

    id: int
    type: str
    text: str


@dataclass(frozen=True, slots=True)
class RecordedView:
    """An assumption that was recorded."""

    success: bool
    task_id: int
    ra_tag_id: int
    assumption: AssumptionView


@dataclass(frozen=True, slots=True)
class ValidatedView:
    """A new verdict, and the assumption with it."""

    success: bool
    task_id: int
    ra_tag_id: int
    validation_id: int
    outcome: str
    assumption: AssumptionView


@dataclass(frozen=True, slots=True)
class AssumptionHistoryView:
    """An assumption with all its verdicts, newest first."""

    assumption: AssumptionView
    history: list[VerdictView]
