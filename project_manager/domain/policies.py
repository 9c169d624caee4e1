"""Policies of projects: the rules that a task has to meet before it can be DONE."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

from project_manager.domain.evidence import OBSERVED_SOURCES, Evidence, is_same_commit


class ReviewRule(StrEnum):
    """Rule for the approval of a task."""

    NONE = "none"
    REQUIRED = "required"


class Reviewer(StrEnum):
    """The reviewers with a verdict that counts. A person can always review."""

    OTHER_AGENT = "other_agent"
    PERSON = "person"


class EvidenceRule(StrEnum):
    """Rule for the evidence that a task needs."""

    NONE = "none"
    ANY = "any"
    EACH_CRITERION = "each_criterion"
    OBSERVED_EACH_CRITERION = "observed_each_criterion"


class CompletedBy(StrEnum):
    """Reason for which a task under a policy is DONE. The last two do not meet the policy."""

    REVIEW = "review"
    EVIDENCE = "evidence"
    FORCE = "force"
    IMPORT = "import"


MAX_REVIEW_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Policy:
    """The policy of a project.

    `checks` (names of checks of a runner) and `merge_completes` (a merge completes the task instead of the status call)
    are stored, and have no effect yet.
    """

    review: ReviewRule = ReviewRule.NONE
    reviewer: Reviewer = Reviewer.OTHER_AGENT
    evidence: EvidenceRule = EvidenceRule.NONE
    max_review_rounds: int = MAX_REVIEW_ROUNDS
    merge_completes: bool = False
    checks: tuple[str, ...] = field(default=())

    @property
    def is_empty(self) -> bool:
        """Return whether a task can be DONE without review and evidence."""
        return self.review is ReviewRule.NONE and self.evidence is EvidenceRule.NONE

    def changes(self) -> dict[str, Any]:
        """Return the rules that differ from the defaults, as they are stored."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: value for name, value in values.items() if value != getattr(NO_POLICY, name)}


@lru_cache(maxsize=1024)
def parse_policy(text: str) -> Policy:
    """Return the policy for the JSON text that a project stores. A rule that is not stored has its default."""
    stored: dict[str, Any] = json.loads(text)
    return Policy(
        review=ReviewRule(stored.get("review", ReviewRule.NONE)),
        reviewer=Reviewer(stored.get("reviewer", Reviewer.OTHER_AGENT)),
        evidence=EvidenceRule(stored.get("evidence", EvidenceRule.NONE)),
        max_review_rounds=int(stored.get("max_review_rounds", MAX_REVIEW_ROUNDS)),
        merge_completes=bool(stored.get("merge_completes", False)),
        checks=tuple(stored.get("checks", ())),
    )


NO_POLICY = Policy()


class Work(NamedTuple):
    """The work that a policy judges, with its commit, if it is known.

    The evidence of the work has one of these `evidence_ids`, or was recorded under its `fence`, if that is not 0.
    Observed evidence with one of the `later_ids`, or of the same commit, belongs to it too. `is_same_commit` compares
    the commits, so that either id may be a short one.
    `is_approved` is whether a review approved exactly this work. `is_approved_by_person` implies it.
    """

    fence: int = 0
    evidence_ids: Collection[int] = ()
    later_ids: Collection[int] = ()
    commit: str | None = None
    is_approved: bool = False
    is_approved_by_person: bool = False

    def has(self, entry: Evidence) -> bool:
        """Return whether the evidence belongs to the work. Later evidence needs an observed source."""
        if entry.imported:
            return False
        return (
            entry.log_id in self.evidence_ids
            or (self.fence != 0 and entry.fence == self.fence)
            or (entry.source in OBSERVED_SOURCES and self._has_later(entry))
        )

    def _has_later(self, entry: Evidence) -> bool:
        return entry.log_id in self.later_ids or is_same_commit(entry.commit, self.commit)


def missing(policy: Policy, criteria: Sequence[str], evidence: Collection[Evidence], work: Work) -> list[str]:
    """Return the parts that the work lacks for DONE under the policy, in words. An empty list allows DONE."""
    return [*_missing_evidence(policy.evidence, criteria, evidence, work), *_missing_review(policy, work)]


def _missing_review(policy: Policy, work: Work) -> list[str]:
    if policy.review is ReviewRule.NONE:
        return []
    if policy.reviewer is Reviewer.PERSON and not work.is_approved_by_person:
        return ["approval by a person"]
    return [] if work.is_approved else ["approval by another agent or a person"]


def _missing_evidence(
    rule: EvidenceRule, criteria: Sequence[str], evidence: Collection[Evidence], work: Work
) -> list[str]:
    if rule is EvidenceRule.NONE:
        return []
    # Evidence of other work, or of a command that failed, shows nothing.
    counted = [entry for entry in evidence if entry.is_successful and work.has(entry)]
    observed = rule is EvidenceRule.OBSERVED_EACH_CRITERION
    if observed:
        counted = [entry for entry in counted if entry.source in OBSERVED_SOURCES]
    noun = "observed evidence" if observed else "evidence"
    if rule is EvidenceRule.ANY or not criteria:
        return [] if counted else [noun]
    shown = {(entry.criterion, entry.criterion_text) for entry in counted}
    unshown = [each for each in enumerate(criteria) if each not in shown]
    return [f"{noun} for criterion {index}: {text}" for index, text in unshown]
