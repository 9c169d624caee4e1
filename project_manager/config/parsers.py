"""Parsers of the texts of settings. `accepts` describes the valid texts in error messages."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from project_manager.config import paths


class Parser(Protocol):
    """A function from the text of a setting to its value. Raises ValueError for an invalid text."""

    @property
    def accepts(self) -> str: ...

    def __call__(self, text: str) -> object: ...


@dataclass(frozen=True, slots=True)
class IntegerParser:
    """Parser of a whole number from `least` to `most`."""

    minimum: int
    maximum: int

    @property
    def accepts(self) -> str:
        return f"an integer from {self.minimum} to {self.maximum}"

    def __call__(self, text: str) -> int:
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
            raise ValueError(text)
        number = int(text)
        if not self.minimum <= number <= self.maximum:
            raise ValueError(text)
        return number


@dataclass(frozen=True, slots=True)
class SecondsParser:
    """Parser of a number of seconds from `least` to `most`."""

    least: float
    most: float

    @property
    def accepts(self) -> str:
        return f"a number of seconds from {self.least:g} to {self.most:g}"

    def __call__(self, text: str) -> float:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
            raise ValueError(text)
        number = float(text)
        if not self.least <= number <= self.most:
            raise ValueError(text)
        return number


@dataclass(frozen=True, slots=True)
class ChoiceParser:
    """Parser of one of `words` in any case. `aliases` maps other spellings to them."""

    words: tuple[str, ...]
    aliases: tuple[tuple[str, str], ...] = ()

    @property
    def accepts(self) -> str:
        return "one of " + ", ".join((*self.words, *(alias for alias, _ in self.aliases)))

    def __call__(self, text: str) -> str:
        known = {word.casefold(): word for word in self.words}
        known |= {alias.casefold(): word for alias, word in self.aliases}
        if text.casefold() not in known:
            raise ValueError(text)
        return known[text.casefold()]


@dataclass(frozen=True, slots=True)
class BooleanParser:
    """Parser of a boolean."""

    accepts: str = "true or false"

    def __call__(self, text: str) -> bool:
        word = text.casefold()
        if word in ("true", "1", "yes", "on"):
            return True
        if word in ("false", "0", "no", "off"):
            return False
        raise ValueError(text)


@dataclass(frozen=True, slots=True)
class TextParser:
    """Parser of a text that matches the regular expression `form`. With `optional`, it may be empty."""

    accepts: str
    form: str
    optional: bool = False

    def __call__(self, text: str) -> str:
        if not (self.optional and text == "") and not re.fullmatch(self.form, text, re.IGNORECASE):
            raise ValueError(text)
        return text


@dataclass(frozen=True, slots=True)
class HostParser:
    """Parser of a host name or an address. It removes the brackets of an IPv6 address."""

    accepts: str = "a host name or an address"

    def __call__(self, text: str) -> str:
        bare = text[1:-1] if re.fullmatch(r"\[[0-9a-f.]*:[0-9a-f:.]*\]", text, re.IGNORECASE) else text
        if not re.fullmatch(r"[a-z0-9_.:-]+", bare, re.IGNORECASE):
            raise ValueError(text)
        return bare


@dataclass(frozen=True, slots=True)
class PathParser:
    """Parser of the path of a file."""

    accepts: str = f"a file path; {paths.PATH_SYNTAX}"

    def __call__(self, text: str) -> Path:
        if not text or text.endswith("/") or text == ":memory:" or not text.isprintable():
            raise ValueError(text)
        return Path(paths.expand(text))


@dataclass(frozen=True, slots=True)
class OptionalPathParser:
    """Parser of the path of a file, which may be empty."""

    accepts: str = f"a file path or an empty value; {paths.PATH_SYNTAX}"

    def __call__(self, text: str) -> str:
        return str(PathParser()(text)) if text else ""


@dataclass(frozen=True, slots=True)
class ListParser:
    """Parser of items between commas. Each matches the regular expression `form`."""

    accepts: str
    form: str

    def __call__(self, text: str) -> tuple[str, ...]:
        items = tuple(item.strip() for item in text.split(",") if item.strip())
        for item in items:
            if not re.fullmatch(self.form, item, re.IGNORECASE):
                raise ValueError(item)
        return tuple(item.lower().rstrip("/") for item in items)


@dataclass(frozen=True, slots=True)
class NetworksParser:
    """Parser of IP addresses and networks between commas."""

    accepts: str = "comma-separated addresses or networks such as 10.0.0.0/8, or *"

    def __call__(self, text: str) -> tuple[str, ...]:
        items = [item.strip() for item in text.split(",") if item.strip()]
        return ("*",) if items == ["*"] else tuple(map(_network, items))


def _network(text: str) -> str:
    """Return an address or a network in its canonical form. Raises ValueError, also for a network with host bits."""
    return str(ipaddress.ip_network(text) if "/" in text else ipaddress.ip_address(text))


@dataclass(frozen=True, slots=True)
class FileModeParser:
    """Parser of the permissions of a file. The owner can always read and write it."""

    accepts: str = "octal file permissions without execute, such as 600, 640 or 644"

    def __call__(self, text: str) -> int:
        if not re.fullmatch(r"0?6[0246]{2}", text):
            raise ValueError(text)
        return int(text, 8)


@dataclass(frozen=True, slots=True)
class OptionalParser:
    """Parser that returns None for an empty text, and else uses another parser."""

    parser: Parser

    @property
    def accepts(self) -> str:
        return self.parser.accepts

    def __call__(self, text: str) -> object:
        return None if text == "" else self.parser(text)
