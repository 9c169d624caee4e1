"""The kinds of entries in the logs of tasks."""

from typing import Literal

WrittenKind = Literal["comment", "progress", "handoff", "evidence"]
"""The kinds that callers can add."""
LogKind = Literal[WrittenKind, "question", "answer", "system"]
