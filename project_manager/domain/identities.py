"""Agent ids that the service issues, such as `claude-7f3a`."""

import re

from project_manager.domain.actors import is_reserved
from project_manager.domain.limits import CLIENT_NAME_CHARACTERS

PREFIX = "agent"
PREFIX_CHARACTERS = 16
_WORD = re.compile("[a-z0-9]+")


def prefix_of(client: str) -> str:
    """Return the first word of the name of a client, such as `claude` for `Claude-Code`, as a prefix of agent ids.

    It is PREFIX if there is no such word, or if the word is or looks like a reserved name.
    """
    word = _WORD.search(client[:CLIENT_NAME_CHARACTERS].lower())
    prefix = word[0][:PREFIX_CHARACTERS] if word is not None else PREFIX
    return PREFIX if is_reserved(prefix) else prefix
