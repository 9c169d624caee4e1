"""Submissions and reviews: the digest of submitted work, and the verdicts of reviewers."""

from collections.abc import Sequence
from enum import StrEnum
from hashlib import sha256
from typing import Any, NamedTuple

import orjson

SUBMITTED_FIELDS = ("name", "description", "acceptance")
"""The fields of a task that its digest covers. An edit of one of them voids the submission."""


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
    """Return the SHA-256 of the work as a JSON object with sorted keys, in hexadecimal."""
    return sha256(orjson.dumps(work._asdict(), option=orjson.OPT_SORT_KEYS)).hexdigest()
