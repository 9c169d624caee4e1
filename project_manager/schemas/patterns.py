"""Patterns of texts for OpenAPI, in the common syntax of JSON Schema, Python and Rust.

The syntax has no escape for characters beyond U+FFFF, so only validation rejects the invisible ones among them.
"""

_NOT_OF_A_LINE = r"\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"
_LINE_CHARACTER = f"[^{_NOT_OF_A_LINE}]"
_INVISIBLE = (
    r"\s\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800"
    r"\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8"
)
LINE = f"^{_LINE_CHARACTER}*[^{_INVISIBLE}]{_LINE_CHARACTER}*$"
"""One line with a visible character."""

_UNPRINTABLE = (
    r"\x00-\x1f\x7f-\xa0\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f"
    r"\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ue000-\uf8ff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
)
PRINTABLE = f"^ *[^ {_UNPRINTABLE}][^{_UNPRINTABLE}]*$"
"""Printable, visible characters and spaces."""

ID = "^[1-9][0-9]{0,17}$"
"""A positive number as text, up to 18 digits. Validation also accepts longer ones up to the greatest id."""

YEAR = "^(19[7-9]|[2-9][0-9])[0-9]"
"""A year from 1970 to 9999, at the start of a time."""

TAG = r"^\s*#\s*[A-Za-z][A-Za-z0-9_-]{0,63}\s*:\s*[^\s\x00][^\x00]*$"
"""`#TYPE: text`."""

NON_EMPTY_TEXT = r"^[^\x00]*[^\s\x00#][^\x00]*$"
"""A text with a character other than whitespace and `#`."""

VISIBLE = rf"^[^\x00]*[^{_INVISIBLE}][^\x00]*$"
"""A text with a visible character."""

URL = rf"^https?://[^\s{_NOT_OF_A_LINE}]+$"

NOT_BLANK = r"\S"
"""A text with a character other than whitespace."""

KEY_HEADER = r"^[!-~\xa1-\xac\xae-\xff]([ -~\xa1-\xac\xae-\xff]*[!-~\xa1-\xac\xae-\xff])?$"
"""Printable characters of Latin-1, the character set of HTTP headers."""

IF_MATCH = r'^(\*|(W/)?"[^"\x00-\x20\x7f]*"( *, *(W/)?"[^"\x00-\x20\x7f]*"){0,15})$'
"""`*`, or up to 16 entity tags (RFC 9110, section 8.8.3)."""
