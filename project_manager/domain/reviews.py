"""Submissions and reviews: the digest of submitted work, and the verdicts of reviewers."""

import json
from collections.abc import Sequence
from enum import StrEnum
from hashlib import sha256
from typing import Any, NamedTuple

SUBMITTED_FIELDS = ("name", "description", "acceptance", "paths")
"""The fields of a task that describe the submitted work. An edit of one of them voids the submission."""


class ReviewVerdict(StrEnum):
    """Verdict of a reviewer on a submission."""

    APPROVED = "approved"
    CHANGES_REQUESTED = "changes_requested"


class Submitted(NamedTuple):
    """The work that a digest identifies. `evidence` are the values of each entry of evidence, in order."""

    task: int
    round: int
    fence: int
    name: str
    description: str
    acceptance: Sequence[str]
    summary: str
    branch: str | None
    commit: str | None
    evidence: Sequence[Sequence[Any]]


def digest_of(work: Submitted) -> str:
    """Return the SHA-256 of the work as a compact JSON object with sorted keys, in UTF-8, in hexadecimal."""
    text = json.dumps(work._asdict(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return sha256(text.encode()).hexdigest()
