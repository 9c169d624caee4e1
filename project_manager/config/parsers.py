"""Parsers of the texts of settings."""

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from project_manager.config import paths


@dataclass(frozen=True, slots=True)
class Parser:
    """Conversion between the text of a setting and its value. `accepts` describes the valid texts in error messages.

    `parse` raises ValueError for another text. `show` returns a text that `parse` accepts.
    """

    accepts: str
    parse: Callable[[str], Any]
    show: Callable[[Any], str] = str


def integer(minimum: int, maximum: int) -> Parser:
    """Return the parser of an integer from `minimum` to `maximum`."""
    return Parser(
        f"an integer from {minimum} to {maximum}",
        lambda text: _between(minimum, int(_match(r"[+-]?[0-9]{1,18}", text)), maximum),
    )


def seconds(minimum: float, maximum: float) -> Parser:
    """Return the parser of a number of seconds from `minimum` to `maximum`."""
    return Parser(
        f"a number of seconds from {minimum:g} to {maximum:g}",
        lambda text: _between(minimum, float(_match(r"[0-9]{1,9}(\.[0-9]{1,9})?", text)), maximum),
        "{:g}".format,
    )


def choice(words: Iterable[str], aliases: Iterable[tuple[str, str]] = ()) -> Parser:
    """Return the parser of one of `words` in any case. `aliases` maps other spellings to them."""
    known = {word: word for word in words} | dict(aliases)
    return Parser("one of " + ", ".join(known), lambda text: _look_up(known, text))


def matching(accepts: str, pattern: str) -> Parser:
    """Return the parser of a text that matches the regular expression `pattern`."""
    return Parser(accepts, lambda text: _match(pattern, text))


def items(accepts: str, pattern: str) -> Parser:
    """Return the parser of comma-separated items. Each item matches the regular expression `pattern` in any case.

    The value is a tuple of the items in lower case, without a slash at the end.
    """
    return Parser(
        accepts, lambda text: tuple(_match(pattern, item).lower().rstrip("/") for item in _split(text)), ",".join
    )


def optional(parser: Parser, empty: object) -> Parser:
    """Return a parser with the value `empty` for an empty text."""
    return Parser(parser.accepts, lambda text: parser.parse(text) if text else empty, parser.show)


def _host(text: str) -> str:
    """Return a host name or an address, without the brackets of an IPv6 address."""
    bare = text[1:-1] if re.fullmatch(r"\[[0-9a-f.]*:[0-9a-f:.]*\]", text, re.IGNORECASE) else text
    return _match(r"[a-z0-9_.:-]+", bare)


def _path(text: str) -> Path:
    if not text or text.endswith("/") or text == ":memory:" or not text.isprintable():
        raise ValueError(text)
    return Path(paths.expand(text))


def _networks(text: str) -> tuple[str, ...]:
    return ("*",) if _split(text) == ["*"] else tuple(map(_network, _split(text)))


def _network(text: str) -> str:
    """Return an address or a network in its canonical form. Raises ValueError, also for a network with host bits."""
    return str(ipaddress.ip_network(text) if "/" in text else ipaddress.ip_address(text))


def _split(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _match(pattern: str, text: str) -> str:
    if not re.fullmatch(pattern, text, re.IGNORECASE | re.ASCII):
        raise ValueError(text)
    return text


def _between(minimum: float, number: Any, maximum: float) -> Any:
    if not minimum <= number <= maximum:
        raise ValueError(number)
    return number


def _look_up(known: Mapping[str, Any], text: str) -> Any:
    for word, value in known.items():
        if word.casefold() == text.casefold():
            return value
    raise ValueError(text)


_SWITCH = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}

BOOLEAN = Parser("true or false", lambda text: _look_up(_SWITCH, text), lambda value: str(value).lower())
HOST = Parser("a host name or an address", _host)
PATH = Parser(f"a file path; {paths.PATH_SYNTAX}", _path)
OPTIONAL_PATH = Parser(
    f"a file path or an empty value; {paths.PATH_SYNTAX}", lambda text: str(_path(text)) if text else ""
)
NETWORKS = Parser("comma-separated addresses or networks such as 10.0.0.0/8, or *", _networks, ",".join)
FILE_MODE = Parser(
    "octal file permissions without execute, such as 600, 640 or 644",  # the owner can always read and write
    lambda text: int(_match(r"0?6[0246]{2}", text), 8),
    "{:o}".format,
)
