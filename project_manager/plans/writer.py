"""Serialization of plans as readable YAML or as JSON. Equal values always give equal bytes.

Only YAML that all parsers interpret alike is used: block style, short lists of words on one line, literal blocks for
paragraphs, plain text if it is unambiguous, and else double quotes.
"""

import re
from collections.abc import Iterator
from typing import Any

import orjson

_WIDTH = 88
_PLAIN = re.compile(r"[^\W\d_](?:[\w .,()'/+;!?@$%^~-]*[\w.()'/+;!?])?")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_NOT_TEXT = frozenset(["null", "true", "false", "yes", "no", "on", "off", "y", "n"])
_LITERAL = re.compile(r"(?!\s)[^\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]*")
_ESCAPED = re.compile('["\\\\\x00-\x1f\x7f-\xa0\u00ad\u2028\u2029\ufeff\ufffe\uffff]')
_BARE_IN_JSON = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def serialize(document: dict[str, Any], form: str) -> Iterator[str]:
    """Yield the document in many small pieces in the format `form`, yaml or json.

    An iterator in the document stands for a non-empty list of mappings. It is consumed.
    """
    if form == "json":
        for text in _json(document, "\n"):
            yield _BARE_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
        yield "\n"
    else:
        yield from _entries(document, "")


def _json(value: Any, newline: str) -> Iterator[str]:
    """Yield the text of orjson, without all values in memory at once. `newline` ends with the indent of `value`."""
    inner = newline + "  "
    if isinstance(value, Iterator):
        yield "["
        for number, item in enumerate(value):
            yield ("," if number else "") + inner
            yield from _json(item, inner)
        yield newline + "]"
    elif isinstance(value, dict) and any(isinstance(child, Iterator) for child in value.values()):
        yield "{"
        for number, (key, child) in enumerate(value.items()):
            yield ("," if number else "") + inner + orjson.dumps(key).decode() + ": "
            yield from _json(child, inner)
        yield newline + "}"
    else:
        yield orjson.dumps(value, option=orjson.OPT_INDENT_2).decode().replace("\n", newline)


def _entries(values: dict[str, Any], indent: str) -> Iterator[str]:
    for key, value in values.items():
        yield from _entry(f"{indent}{key}:", value, indent)


def _entry(begin: str, value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, dict):
        yield begin + "\n"
        yield from _entries(value, indent + "  ")
    elif isinstance(value, Iterator | list):
        inline = _inline(value) if isinstance(value, list) else None
        if inline is not None and len(begin) + len(inline) < _WIDTH:
            yield f"{begin} {inline}\n"
        else:
            yield begin + "\n"
            for item in value:
                yield from _item(item, indent + "  ")
    else:
        yield f"{begin} {_scalar(value, indent + '  ')}\n"


def _item(item: Any, indent: str) -> Iterator[str]:
    if isinstance(item, dict):
        lines = _entries(item, indent + "  ")
        yield f"{indent}- {next(lines, '')[len(indent) + 2 :]}"
        yield from lines
    else:
        yield f"{indent}- {_scalar(item, indent + '  ')}\n"


def _inline(values: list[Any]) -> str | None:
    """Return short words on one line, or None if they need separate lines."""
    if all(isinstance(value, str) and _WORD.fullmatch(value) and value.lower() not in _NOT_TEXT for value in values):
        return f"[{', '.join(values)}]"
    return None


def _scalar(value: str | int | bool, indent: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if _PLAIN.fullmatch(value) and value.lower() not in _NOT_TEXT:
        return value
    if "\n" in value and _LITERAL.fullmatch(value):
        return _block(value, indent)
    return '"' + _ESCAPED.sub(_escape, value) + '"'


def _block(text: str, indent: str) -> str:
    body = text.rstrip("\n")
    ends = len(text) - len(body)
    chomping = "-" if ends == 0 else "" if ends == 1 else "+"
    lines = [indent + line if line else "" for line in body.split("\n")]
    return "|" + chomping + "\n" + "\n".join(lines) + "\n" * (ends - 1 if ends > 1 else 0)


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    short = {"\n": "\\n", "\t": "\\t", '"': '\\"', "\\": "\\\\"}.get(character)
    return short or (f"\\x{ord(character):02x}" if ord(character) < 0x100 else f"\\u{ord(character):04x}")
