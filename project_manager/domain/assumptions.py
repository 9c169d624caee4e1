"""Assumptions of agents, as `#TYPE: text` about a place in the code, and their verdicts. The newest verdict counts."""

import re
from enum import StrEnum

from project_manager.domain.limits import TAG_TYPE_CHARACTERS


class Verdict(StrEnum):
    """Verdict of a reviewer on an assumption."""

    VALIDATED = "validated"
    REJECTED = "rejected"
    PARTIAL = "partial"


WITHOUT_VERDICT = "open"
"""The state of an assumption without a verdict."""

DEFAULT_CONFIDENCE: dict[Verdict, int] = {Verdict.VALIDATED: 90, Verdict.REJECTED: 10, Verdict.PARTIAL: 75}
"""Default confidence that the assumption holds, in percent, by verdict."""

UNTYPED_TAG = "TAG"
"""The type of an assumption that is sent without a type."""

_TAG = re.compile(r"#\s*([A-Za-z][A-Za-z0-9_-]*)\s*:\s*(\S.*)", re.DOTALL)
_FAMILIES = (
    ("ASSUM", "assumption"),
    ("COMPLETION_DRIVE", "assumption"),
    ("SUGGEST", "suggestion"),
    ("PATTERN", "pattern"),
    ("CARGO_CULT", "pattern"),
    ("CONTEXT", "context"),
    ("PLAN", "planning"),
    ("PATH", "planning"),
)


def parse_tag(written: str) -> tuple[str, str]:
    """Return the type, in upper case with `_` between words, and the text of `#TYPE: text`. Raises ValueError."""
    match = _TAG.fullmatch(written.strip())
    if match is None:
        raise ValueError("is not a tag such as `#ASSUMPTION: the list is sorted`")
    if len(match[1]) > TAG_TYPE_CHARACTERS:
        raise ValueError(f"has a type longer than {TAG_TYPE_CHARACTERS} characters")
    return match[1].upper().replace("-", "_"), match[2].rstrip()


def family_of(tag_type: str) -> str:
    """Return the family of a type: assumption, suggestion, pattern, context, planning, or other."""
    return next((family for beginning, family in _FAMILIES if tag_type.startswith(beginning)), "other")
