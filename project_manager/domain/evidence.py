"""Evidence of finished work: entries in the log of a task that show how a criterion is met."""

from enum import StrEnum
from typing import NamedTuple


class Source(StrEnum):
    """Origin of evidence. An agent reports it. A runner observes it, CI sends it, or a person gives it."""

    REPORTED = "reported"
    OBSERVED = "observed"
    CI = "ci"
    PERSON = "person"


ATTESTED_SOURCES = frozenset({Source.OBSERVED, Source.CI})
"""The sources that only a token made with `--attest` may name."""
OBSERVED_SOURCES = frozenset({*ATTESTED_SOURCES, Source.PERSON})
"""The sources that satisfy a policy that demands observed evidence."""
COMMIT_DIGITS = 7
"""The minimum number of hexadecimal digits of a short commit id."""


def is_same_commit(one: str | None, other: str | None) -> bool:
    """Return whether the ids mean the same commit. A short id of COMMIT_DIGITS or more is the prefix of the full one.

    An absent id means no commit.
    """
    if one is None or other is None or min(len(one), len(other)) < COMMIT_DIGITS:
        return False
    return one.startswith(other) or other.startswith(one)


class Evidence(NamedTuple):
    """Evidence of a task. `criterion` is an index into the criteria of the task, or None for the task as a whole.

    `fence` is that of the lease under which it was recorded, or 0. `criterion_text` is the text of the criterion at
    that time, so that evidence does not count for another criterion. `exit_code` is the one of `command`.
    Imported evidence counts for no work.
    """

    log_id: int
    fence: int
    source: Source
    criterion: int | None = None
    criterion_text: str | None = None
    command: str | None = None
    exit_code: int | None = None
    commit: str | None = None
    url: str | None = None
    imported: bool = False

    @property
    def is_successful(self) -> bool:
        """Return whether the command succeeded, or there is none."""
        return self.exit_code == 0 or (self.command is None and self.exit_code is None)
