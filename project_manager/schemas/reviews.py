"""Commands and views of submissions and reviews."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from project_manager.domain.reviews import ReviewVerdict
from project_manager.schemas import fields
from project_manager.schemas.commands import Leased, Paged

_REASONS: dict[str, Any] = {
    "if": {"properties": {"verdict": {"const": ReviewVerdict.CHANGES_REQUESTED}}},
    "then": fields.text_required("body"),
}
"""JSON Schema of a verdict: the text of the review is optional only for an approval."""


class ReviewTask(Leased):
    model_config = ConfigDict(json_schema_extra=_REASONS)

    task_id: fields.Id
    verdict: Annotated[ReviewVerdict, fields.IN_ANY_CASE] = Field(description="your verdict")
    digest: fields.Digest = Field(description="submission.digest")
    body: fields.Text = Field("", description="your review; required for changes_requested")


class ListSubmissions(Paged):
    task_id: fields.Id


@dataclass(frozen=True, slots=True)
class ReviewView:
    """The verdict on a submission. `reviewer_kind` is person, agent, or unknown for a caller without a token."""

    verdict: str
    reviewer: str
    reviewer_kind: str
    body: str
    created_at: str


@dataclass(frozen=True, slots=True)
class SubmissionView:
    """Submitted work. `digest` identifies exactly this work. `evidence` are the ids of its log entries.

    `review` is null until a reviewer gives a verdict. `is_current` is false when the task has changed since.
    """

    id: int
    task_id: int
    round: int
    author: str
    fence: int
    summary: str
    branch: str | None
    commit: str | None
    pull_request: str | None
    evidence: list[int]
    digest: str
    created_at: str
    is_current: bool
    review: ReviewView | None


@dataclass(frozen=True, slots=True)
class ReviewedView:
    """The effect of a verdict. `missing` is what an approved task still lacks for DONE. `status` is the new one."""

    success: bool
    message: str
    task_id: int
    status: str
    missing: list[str]
    submission: SubmissionView
