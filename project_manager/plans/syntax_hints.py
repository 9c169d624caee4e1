"""Hints for syntax errors in a document.

The text at the error position decides the hint. Parser messages are not used, because they differ between parsers.
"""

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml

_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_TIGHT = re.compile(r"(?:- +)*([A-Za-z_][\w-]*):(?!//)(\S.*)")
_CONSTANT = re.compile(r'"(?:[^"\\]|\\.)*"|(-?\b(?:NaN|Infinity)\b)')
_FIRST_LETTERS = frozenset("@`%*&!|>,]}?")
_BEGINS = re.compile(r"(?:^|[:,\[{-]) *$")
_ESCAPE = "In double quotes `\\` starts an escape such as `\\n`; write `\\\\` for a backslash."
_SHOWN = 40


def yaml_hint(text: str, error: yaml.MarkedYAMLError, last: yaml.Event | None) -> str:
    """Return a hint for the parser error after the event `last`, or an empty string if none is known."""
    position = _at(error.problem_mark)
    if position is None:
        return ""
    scanning = isinstance(error, yaml.scanner.ScannerError)
    site = _SyntaxErrorSite(_BREAK.split(text), position, _at(error.context_mark), scanning, _word(last))
    looks = (_tab, _open_quote, _inner_quote, _first_letter, _colon, _open_list, _no_key, _indentation)
    return next((remedy for look in looks if (remedy := look(site))), "")


def missing_space_hint(text: str) -> str:
    """Return a hint for `key:value` where a mapping is required, or an empty string for other text."""
    found = _TIGHT.match(text.strip())
    return f"Add a space after the colon: `{found[1]}: {found[2][:_SHOWN]}`." if found else ""


def quoting_hint(letter: str) -> str:
    """Return a hint for a text that begins with a special character."""
    shown = "a backtick" if letter == "`" else f"`{letter}`"
    return f"Quote text that starts with {shown}."


def json_hint(text: str, offset: int) -> tuple[int, str]:
    """Return the actual offset of an error that a JSON parser reported at `offset`, and a hint.

    The hint is empty if none is known.
    """
    before = text[:offset].rstrip()
    after = text[offset + 1 :].lstrip()
    here = text[offset : offset + 1]
    if here in ("]", "}") and before.endswith(","):
        return len(before) - 1, "Remove the comma after the last entry."
    if here == "," and after[:1] in ("]", "}"):
        return offset, "Remove the comma after the last entry."
    if here == "\\":
        return offset, _ESCAPE
    if here == "'":
        return offset, "Use double quotes instead of single quotes."
    if here in ("#", "/"):
        return offset, "Remove the comment, or use a file name that ends with .yaml."
    if re.match(r"[^\W\d]", here):
        return offset, "Put names and texts in double quotes, or use a file name that ends with .yaml."
    return offset, ""


def find_constant(text: str) -> int:
    """Return the offset of the first NaN or Infinity. Python accepts both, but JSON does not define them."""
    return next((found.start(1) for found in _CONSTANT.finditer(text) if found[1]), 0)


class _Mark(NamedTuple):
    """A position with line and column from 0."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line + 1}, column {self.column + 1}"


class _QuotedText(NamedTuple):
    """A scalar with its quote character. The quote of a plain scalar is empty."""

    begin: _Mark
    end: _Mark
    quote: str


@dataclass(frozen=True, slots=True)
class _SyntaxErrorSite:
    """A syntax error in its context.

    `opened_at` is the start of the incomplete token or collection. `scanning` is true for an error within a token.
    Otherwise all tokens are valid, but their order is wrong. `last` is the token before the error if it was a scalar.
    """

    lines: list[str]
    at: _Mark
    opened_at: _Mark | None
    scanning: bool
    last: _QuotedText | None

    @property
    def before(self) -> str:
        """Return the text of the line before the error."""
        return self.line(self.at)[: self.at.column]

    @property
    def here(self) -> str:
        return self.line(self.at)[self.at.column : self.at.column + 1]

    @property
    def opening(self) -> str:
        """Return the first character of the incomplete token or collection."""
        return (
            ""
            if self.opened_at is None
            else self.line(self.opened_at)[self.opened_at.column : self.opened_at.column + 1]
        )

    def line(self, at: _Mark) -> str:
        return self.lines[at.line] if at.line < len(self.lines) else ""


def _at(mark: Any) -> _Mark | None:
    return None if mark is None else _Mark(mark.line, mark.column)


def _word(event: yaml.Event | None) -> _QuotedText | None:
    begin, end = (None, None) if event is None else (_at(event.start_mark), _at(event.end_mark))
    if not isinstance(event, yaml.ScalarEvent) or begin is None or end is None:
        return None
    return _QuotedText(begin, end, event.style or "")


def _lower_first(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _tab(slip: _SyntaxErrorSite) -> str:
    line = slip.line(slip.at)
    indent = line[: len(line) - len(line.lstrip())]
    return "Indent with spaces, not tabs." if "\t" in indent and slip.at.column <= len(indent) else ""


def _open_quote(slip: _SyntaxErrorSite) -> str:
    if slip.opened_at is None or not slip.scanning or slip.opening not in ("'", '"'):
        return ""
    if slip.opening == '"' and "\\" in (slip.before + slip.here)[-3:]:
        return _ESCAPE
    return f"The quote that opens on {slip.opened_at} is not closed; close or remove it."


def _inner_quote(slip: _SyntaxErrorSite) -> str:
    last = slip.last
    if slip.scanning or last is None or last.quote not in ("'", '"'):
        return ""
    if last.end.line != slip.at.line or slip.before[last.end.column :].strip():
        return ""
    if last.begin.line != last.end.line:
        return f"The quote that opens on {last.begin} is closed by the quote before this; close it where the text ends."
    within = "''" if last.quote == "'" else '\\"'
    return f"The value ends at its quote; move the rest inside and write `{within}` for each inner quote."


def _first_letter(slip: _SyntaxErrorSite) -> str:
    """Return a hint for a special character at the beginning of a text."""
    if slip.scanning and slip.opening in _FIRST_LETTERS:
        return quoting_hint(slip.opening)
    if slip.here in _FIRST_LETTERS and _BEGINS.search(slip.before):
        return quoting_hint(slip.here)
    if slip.scanning and slip.here == "-" and slip.before.rstrip().endswith(":"):
        return f"Start the list on the line after its key. {quoting_hint('- ')}"
    return ""


def _colon(slip: _SyntaxErrorSite) -> str:
    if slip.here != ":":
        return ""
    last = slip.last
    if last is not None and last.begin.line < slip.at.line == last.end.line:
        on = f"On line {last.begin.line + 1}: "
        if remedy := missing_space_hint(slip.line(last.begin)[last.begin.column :]):
            return on + _lower_first(remedy)
        return f"{on}the value continues to here. If this is a key, indent it like its sibling keys."
    return "Quote values that contain `: `." if ": " in slip.before else ""


def _open_list(slip: _SyntaxErrorSite) -> str:
    if slip.opened_at is None or slip.scanning or slip.opening not in ("[", "{"):
        return ""
    closing = "]" if slip.opening == "[" else "}"
    return f"The `{slip.opening}` on {slip.opened_at} is not closed with `{closing}`, or a `,` is missing here."


def _no_key(slip: _SyntaxErrorSite) -> str:
    """Return a hint for a line without a key where a key is required."""
    if slip.opened_at is None or not slip.scanning or slip.opened_at.line >= slip.at.line:
        return ""
    words, on = slip.line(slip.opened_at)[slip.opened_at.column :], f"On line {slip.opened_at.line + 1}: "
    if remedy := missing_space_hint(words):
        return on + _lower_first(remedy)
    if words.startswith("-"):
        return f"{on}start a list entry with `- `."
    return f"{on}the key is missing. Indent a continued value deeper than its key."


def _indentation(slip: _SyntaxErrorSite) -> str:
    if slip.scanning or slip.before.strip():
        return ""
    if slip.opening == "-":
        return "Start all entries of a list with `- ` in the same column; indent their contents deeper."
    return "The indentation matches no line above; start all keys of a mapping in the same column."
