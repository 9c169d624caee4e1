"""Hints for the frequent syntax errors in a document.

The text at the error position decides the hint, because the messages of parsers differ.
"""

import re
from typing import Any

import yaml

_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_TIGHT = re.compile(r"(?:- +)*([A-Za-z_][\w-]*):(?!//)(\S.*)")
_CONSTANT = re.compile(r'"(?:[^"\\]|\\.)*"|(-?\b(?:NaN|Infinity)\b)')
_FIRST_LETTERS = frozenset("@`%*&!|>,]}?")
_BEGINS = re.compile(r"(?:^|[:,\[{-]) *$")
_SHOWN = 40


def yaml_hint(text: str, error: yaml.MarkedYAMLError, last: yaml.Event | None) -> str:
    """Return a hint for the parser error after the event `last`, or an empty string if none is known."""
    at: Any = error.problem_mark
    if at is None:
        return ""
    lines = [*_BREAK.split(text), ""]
    before, here = lines[at.line][: at.column], lines[at.line][at.column : at.column + 1]
    # The context of a scanner error is the incomplete token. At a colon, the token is the value before it.
    begin: Any = error.context_mark if isinstance(error, yaml.scanner.ScannerError) else None
    if here == ":" and isinstance(last, yaml.ScalarEvent):
        begin = last.start_mark
    token = "" if begin is None else lines[begin.line][begin.column :]
    hint = _tab(lines[at.line], at.column) or _first_letter(before, here, token)
    if not hint and begin is not None and begin.line < at.line:
        return _earlier_line(begin.line + 1, token, here)
    return hint or ("Quote values that contain `: `." if here == ":" and ": " in before else "")


def _tab(line: str, column: int) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    return "Indent with spaces, not tabs." if "\t" in indent and column <= len(indent) else ""


def _first_letter(before: str, here: str, token: str) -> str:
    """Return a hint for a special character at the beginning of a text."""
    if token[:1] in _FIRST_LETTERS:
        return quoting_hint(token[0])
    if here in _FIRST_LETTERS and _BEGINS.search(before):
        return quoting_hint(here)
    if here == "-" and before.rstrip().endswith(":"):
        return f"Start the list on the line after its key. {quoting_hint('- ')}"
    return ""


def _earlier_line(number: int, token: str, here: str) -> str:
    """Return a hint for a key or a value that begins on an earlier line."""
    if remedy := missing_space_hint(token):
        return f"On line {number}: {remedy[:1].lower()}{remedy[1:]}"
    if here == ":":
        return f"On line {number}: the value continues to here. If this is a key, indent it like its sibling keys."
    return ""


def missing_space_hint(text: str) -> str:
    """Return a hint for `key:value` where a mapping is required, or an empty string for other text."""
    found = _TIGHT.match(text.strip())
    return f"Add a space after the colon: `{found[1]}: {found[2][:_SHOWN]}`." if found else ""


def quoting_hint(letter: str) -> str:
    """Return a hint for a text that begins with a special character."""
    shown = "a backtick" if letter == "`" else f"`{letter}`"
    return f"Quote text that starts with {shown}."


def json_hint(text: str, offset: int) -> tuple[int, str]:
    """Return the actual offset of an error that a JSON parser reported at `offset`, and a hint or an empty string."""
    before = text[:offset].rstrip()
    after = text[offset + 1 :].lstrip()
    here = text[offset : offset + 1]
    if here in ("]", "}") and before.endswith(","):
        return len(before) - 1, "Remove the comma after the last entry."
    if here == "," and after[:1] in ("]", "}"):
        return offset, "Remove the comma after the last entry."
    if here == "\\":
        return offset, "In double quotes `\\` starts an escape such as `\\n`; write `\\\\` for a backslash."
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
