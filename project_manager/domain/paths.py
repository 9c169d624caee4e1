"""Paths of tasks: globs of the files that a task will change, and whether two of them can match the same file.

A glob is a path relative to the root of the repository. `*` stands for any characters of one segment, `?` for one
character, `[a-z]` for one of these characters. The segment `**` stands for any number of segments, at the end for at
least one. Globs are compared character by character, so case matters.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from project_manager.domain.limits import GLOB_CHARACTERS, GLOB_SEGMENTS, GLOB_WILDCARDS, GLOBS_OF_PROJECT

_ALTERNATIVES = re.compile(r"\{[^{}/]*,[^{}/]*\}")
_EVERYTHING = "**"


class GlobError(ValueError):
    """Error for a glob that is not valid. Its text has the problem and the next step."""


class Characters(NamedTuple):
    """A set of characters, as ranges of code points. `firsts` and `lasts` are sorted, and the ranges are disjoint."""

    firsts: tuple[int, ...]
    lasts: tuple[int, ...]

    def intersects(self, other: "Characters") -> bool:
        """Return whether both sets have a common character."""
        small, large = (self, other) if len(self.firsts) <= len(other.firsts) else (other, self)
        for first, last in zip(small.firsts, small.lasts, strict=True):
            at = bisect_right(large.firsts, last) - 1
            if at >= 0 and large.lasts[at] >= first:
                return True
        return False


_ANY = Characters((0,), (0x10FFFF,))
_STAR = None
"""The token of `*` in a segment, and of `**` in a glob."""
_CharacterToken = Characters | None


class Segment(NamedTuple):
    """A segment of a glob. `tokens` is None for a segment without wildcards."""

    text: str
    tokens: tuple[_CharacterToken, ...] | None


class Glob(NamedTuple):
    """A valid glob. A segment that is None stands for `**`. `prefix` are the segments before the first wildcard."""

    text: str
    segments: tuple[Segment | None, ...]
    prefix: tuple[str, ...]

    @property
    def is_literal(self) -> bool:
        """Return whether the glob has no wildcard, so that it is the path of one file."""
        return len(self.prefix) == len(self.segments)


_ANY_SEGMENT = Segment("*", (_ANY, _STAR))


def normalized(text: str) -> str:
    """Return the glob without a slash or `./` at its start: globs are relative to the root in any case."""
    return text.removeprefix("./").removeprefix("/")


@lru_cache(maxsize=4096)
def parse_glob(text: str) -> Glob:
    """Return the glob. Raises GlobError."""
    _check_text(text)
    names = text.split("/")
    if len(names) > GLOB_SEGMENTS:
        raise GlobError(f"has more than {GLOB_SEGMENTS} segments; end it earlier with `/**`")
    wildcards = 0
    segments: list[Segment | None] = []
    for name in names:
        _check_name(name, is_last=len(segments) == len(names) - 1)
        if name == _EVERYTHING:
            wildcards += 1
            segments.append(None)
            continue
        tokens = _tokens(name)
        found = sum(token is _STAR or isinstance(token, Characters) for token in tokens)
        wildcards += found
        segments.append(Segment(name, tuple(map(_as_characters, tokens)) if found else None))
    if wildcards > GLOB_WILDCARDS:
        raise GlobError(f"has {wildcards} wildcards; the limit is {GLOB_WILDCARDS}")
    literal = 0
    while literal < len(segments) and (segment := segments[literal]) is not None and segment.tokens is None:
        literal += 1
    if segments[-1] is None:  # `**` at the end matches the files below a directory, not the directory itself
        segments.insert(len(segments) - 1, _ANY_SEGMENT)
    return Glob(text, tuple(segments), tuple(names[:literal]))


def _check_text(text: str) -> None:
    if len(text) > GLOB_CHARACTERS:
        raise GlobError(f"has more than {GLOB_CHARACTERS} characters; use a wildcard")
    if text.startswith("!"):
        raise GlobError("is a negation; list only the files that the task changes")
    if "\\" in text:
        raise GlobError("contains a backslash; separate segments with `/`, and write `[*]` for a literal `*`")
    if _ALTERNATIVES.search(text):
        raise GlobError("contains alternatives in braces; send one glob for each of them")


def _check_name(name: str, *, is_last: bool) -> None:
    """Check the text of one segment. Raises GlobError."""
    if not name:
        remedy = "write `/**` at the end for all files below a directory" if is_last else "remove one `/`"
        raise GlobError(f"has an empty segment; {remedy}")
    if name in (".", ".."):
        raise GlobError(f"has the segment `{name}`; start at the root of the repository")
    if _EVERYTHING in name and name != _EVERYTHING:
        raise GlobError("has `**` inside a segment; use `*` there, or `**` as a whole segment")


def _as_characters(token: str | _CharacterToken) -> _CharacterToken:
    return Characters((ord(token),), (ord(token),)) if isinstance(token, str) else token


def _tokens(name: str) -> list[str | _CharacterToken]:
    """Return the tokens of a segment: a literal character, a set of characters, or _STAR."""
    tokens: list[str | _CharacterToken] = []
    at = 0
    while at < len(name):
        if name[at] == "[":
            end = name.find("]", at + 2)  # a `]` at the start of a set is one of its characters
            if end < 0:
                raise GlobError("has `[` without `]`; write `[[]` for a literal `[`")
            tokens.append(_character_set(name[at + 1 : end]))
            at = end
        else:
            tokens.append({"*": _STAR, "?": _ANY}.get(name[at], name[at]))
        at += 1
    return tokens


def _character_set(text: str) -> Characters:
    """Return the set between brackets, with merged ranges. Raises GlobError."""
    if text[0] in "!^":
        raise GlobError(f"has the negated set `[{text}]`; list the characters instead")
    ranges: list[tuple[int, int]] = []
    at = 0
    while at < len(text):
        first = last = ord(text[at])
        if text[at + 1 : at + 2] == "-" and at + 2 < len(text):
            last = ord(text[at + 2])
            at += 2
        if last < first:
            raise GlobError(f"has the empty range `{chr(first)}-{chr(last)}`; write the lower character first")
        ranges.append((first, last))
        at += 1
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return Characters(tuple(first for first, _ in merged), tuple(last for _, last in merged))


def overlaps(one: Glob, other: Glob) -> bool:
    """Return whether a path exists that both globs match."""
    common = min(len(one.prefix), len(other.prefix))
    if one.prefix[:common] != other.prefix[:common]:
        return False
    last, other_last = one.segments[-1], other.segments[-1]
    if last is not None and other_last is not None and not _segments_overlap(last, other_last):
        return False  # most pairs end here, for example by their file extensions
    return _have_common_match(one.segments[common:], other.segments[common:], _segments_overlap)


def _segments_overlap(one: Segment, other: Segment) -> bool:
    if one.text == other.text:
        return True
    if one.tokens is None and other.tokens is None:
        return False
    return _texts_overlap(one, other)


@lru_cache(maxsize=16384)
def _texts_overlap(one: Segment, other: Segment) -> bool:
    return _have_common_match(_characters(one), _characters(other), Characters.intersects)


def _characters(segment: Segment) -> tuple[_CharacterToken, ...]:
    return tuple(map(_as_characters, segment.text)) if segment.tokens is None else segment.tokens


Token = TypeVar("Token")


def _have_common_match(
    one: Sequence[Token | None], other: Sequence[Token | None], intersect: Callable[[Token, Token], bool]
) -> bool:
    """Return whether a sequence exists that both patterns match. None stands for any number of elements.

    Bit `n` of `reached` is whether the tokens so far of `one` and the first `n` tokens of `other` match a common
    sequence. Equal tokens of `other` are compared once, so a long text costs little more than its characters.
    """
    stars, places = 0, dict[Token, int]()
    for number, token in enumerate(other):
        if token is None:
            stars |= 1 << number
        else:
            places[token] = places.get(token, 0) | 1 << number
    matched: dict[Token, int] = {}
    reached = _past_stars(1, stars)
    for token in one:
        if token is None:  # any number of elements: all states behind the first one
            reached = ((2 << len(other)) - 1) & -(reached & -reached)
            continue
        if token not in matched:
            matched[token] = sum(place for found, place in places.items() if intersect(token, found))
        reached = _past_stars((reached & matched[token]) << 1 | reached & stars, stars)
        if not reached:
            return False
    return bool(reached >> len(other) & 1)


def _past_stars(reached: int, stars: int) -> int:
    """Add the states behind stars that match no element."""
    while (more := reached | (reached & stars) << 1) != reached:
        reached = more
    return reached


class GlobIndex:
    """Globs by their literal prefixes, so that most pairs are never compared."""

    def __init__(self, globs: Iterable[Glob] = ()) -> None:
        self._below: dict[tuple[str, ...], list[Glob]] = {}
        self._wild_at: dict[tuple[str, ...], list[Glob]] = {}
        for glob in globs:
            self.add(glob)

    def add(self, glob: Glob) -> None:
        """Add a glob. Do not add one twice."""
        for length in range(len(glob.prefix) + 1):
            self._below.setdefault(glob.prefix[:length], []).append(glob)
        if not glob.is_literal:
            self._wild_at.setdefault(glob.prefix, []).append(glob)

    def overlapping(self, glob: Glob) -> list[str]:
        """Return the texts of the globs in the index that overlap this one."""
        candidates: list[Glob] = [*self._below.get(glob.prefix, ())]
        for length in range(len(glob.prefix)):
            candidates += self._wild_at.get(glob.prefix[:length], ())
        return [other.text for other in candidates if overlaps(glob, other)]


class GlobComparison:
    """A comparison of the globs of a project, before a transaction, with the new globs that the transaction adds.

    `newest` is the highest id of the `present` globs. `overlapping` has the overlapping globs for each new one of
    `wanted`. An overlap of two new globs is listed once.
    """

    def __init__(self, newest: int = 0, present: Sequence[str] = (), wanted: Iterable[str] = ()) -> None:
        self.newest = newest
        self.present = present
        known = {*present}
        self.new = [glob for glob in wanted if glob not in known]
        self.overlapping: dict[str, list[str]] = {}

    def compare(self) -> "GlobComparison":
        """Compare the new globs with all others. It can take seconds, so no transaction is open meanwhile."""
        if len(self.present) + len(self.new) > GLOBS_OF_PROJECT:
            return self  # the write will be refused
        index = GlobIndex(map(parse_glob, self.present))
        for glob in self.new:
            self.overlapping[glob] = index.overlapping(parse_glob(glob))
            index.add(parse_glob(glob))
        return self


GlobComparisons = Mapping[int | str, GlobComparison]
"""Comparisons by the id of the project, or by the name of a project that a plan creates."""


def quoted(texts: Iterable[Any]) -> str:
    """Return globs for a message, each in backticks."""
    return ", ".join(f"`{text}`" for text in texts)
