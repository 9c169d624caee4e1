"""What an agent took for granted while it worked, and what reviewers made of it.

An assumption is written as a tag, `#TYPE: text`, about a place in the code. Its verdict is the last one that a
reviewer gave; the earlier ones stay.
"""

import re
from enum import StrEnum

from project_manager.domain.limits import TAG_TYPE_CHARACTERS


class Verdict(StrEnum):
    """What a reviewer found."""

    VALIDATED = "validated"
    REJECTED = "rejected"
    PARTIAL = "partial"


OPEN = "open"
"""What an assumption is called that nobody has judged yet."""

USUAL_CONFIDENCE: dict[Verdict, int] = {Verdict.VALIDATED: 90, Verdict.REJECTED: 10, Verdict.PARTIAL: 75}
"""How sure one is that the assumption holds, in percent, when the reviewer does not say."""

BARE = "TAG"
"""The type of what was written without one."""

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
    """Type (upper case, words joined by _) and text of `#TYPE: text`. Raises ValueError when it is not one."""
    match = _TAG.fullmatch(written.strip())
    if match is None:
        raise ValueError("is not a tag such as `#ASSUMPTION: the list is sorted`")
    if len(match[1]) > TAG_TYPE_CHARACTERS:
        raise ValueError(f"has a type of more than {TAG_TYPE_CHARACTERS} characters")
    return match[1].upper().replace("-", "_"), match[2].rstrip()


def family_of(tag_type: str) -> str:
    """The family of a type: assumption, suggestion, pattern, context, planning, or other."""
    return next((family for beginning, family in _FAMILIES if tag_type.startswith(beginning)), "other")
