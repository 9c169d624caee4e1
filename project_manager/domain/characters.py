"""Escape characters that control a terminal, for text that is shown to people."""

import re

_CONTROL_CHARACTERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters except tab and line feed, and characters that override the direction of the text."""


def escape_control_characters(text: str) -> str:
    """Return the text with characters that control a terminal as escapes, such as `\\u202e`. JSON text stays valid."""
    return text if text.isprintable() else _CONTROL_CHARACTERS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
