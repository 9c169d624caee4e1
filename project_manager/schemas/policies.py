"""The policy of a project in commands and views."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator, Field

from project_manager.domain import limits
from project_manager.domain.policies import MAX_REVIEW_ROUNDS, EvidenceRule, Reviewer, ReviewRule
from project_manager.schemas import fields
from project_manager.schemas.commands import Command


class PolicyFields(Command):
    """The rules for DONE in a project."""

    review: Annotated[ReviewRule, fields.IN_ANY_CASE] = Field(
        ReviewRule.NONE, description="required: each task needs an approval"
    )
    reviewer: Annotated[Reviewer, fields.IN_ANY_CASE] = Field(
        Reviewer.OTHER_AGENT, description="a person can always review"
    )
    evidence: Annotated[EvidenceRule, fields.IN_ANY_CASE] = Field(
        EvidenceRule.NONE, description="evidence that each task needs; without criteria, each_criterion needs one entry"
    )
    max_review_rounds: fields.Integer = Field(
        MAX_REVIEW_ROUNDS, ge=1, le=limits.REVIEW_ROUNDS_MAXIMUM, description="requests for changes before BLOCKED"
    )
    merge_completes: fields.Flag = Field(False, description="reserved, without effect: a merge completes the task")
    checks: Annotated[
        list[fields.Label], fields.max_items(limits.POLICY_CHECKS), BeforeValidator(fields.parse_list)
    ] = Field(default_factory=list, description="reserved, without effect: names of checks of a runner")


@dataclass(frozen=True, slots=True)
class PolicyView:
    """The rules for DONE in a project."""

    review: str
    reviewer: str
    evidence: str
    max_review_rounds: int
    merge_completes: bool
    checks: list[str]
