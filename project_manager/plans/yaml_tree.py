"""Parser from YAML or JSON text to a tree with positions.

Every scalar stays text. The type of its field interprets it later, so that `name: No` is a name and not a boolean.
Depth and size are checked before the tree grows, so that nesting and aliases cannot exhaust the memory. A caller can
convert the entries of long lists while the text is parsed, so that the tree does not contain all of them at once.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from sys import intern
from typing import Any, NamedTuple

import yaml

from project_manager.plans import syntax_hints

DEPTH = 32
VALUES = 2_000_000
REPORT_EVERY = 5_000
SEARCHED = 1024 * 1024

# libyaml parses ten times as fast, but some PyYAML wheels do not include it.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNREADABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_SURROGATES = re.compile(r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_PLAIN_TAGS = frozenset(
    f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "timestamp", "seq", "map")
)


class Position(NamedTuple):
    """A position in the document, with line and column from 1."""

    line: int
    column: int


class SyntaxProblem(Exception):
    """The text cannot be parsed. `hint` is empty if the message is sufficient."""

    def __init__(self, position: Position, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.position = position
        self.message = message
        self.hint = hint


@dataclass(slots=True)
class Scalar:
    position: Position
    text: str | None


@dataclass(slots=True)
class Sequence:
    position: Position
    items: list["Node"]


@dataclass(slots=True)
class Mapping:
    """A mapping. `entries` holds the position of each key, and its value. `duplicates` lists repeated keys."""

    position: Position
    entries: dict[str, tuple[Position, "Node"]]
    duplicates: list[tuple[str, Position]] = field(default_factory=list)


@dataclass(slots=True)
class Converted:
    """The result of a converter, in the place of its mapping."""

    position: Position
    value: object


Node = Scalar | Sequence | Mapping | Converted
Converter = Callable[[tuple[str, ...], tuple[str, ...], Mapping], Node]
"""Return the node to keep for a mapping in a list. It gets the keys above the mapping, its path, and the mapping.

An example of the keys is `("projects", "tasks")`, and of the path `("projects", "0", "tasks", "3")`. The path is not
joined, because a long key would be copied for each mapping below it.
"""


def compose(
    text: str,
    report: Callable[[int], None] = lambda line: None,
    convert: Converter = lambda keys, path, node: node,
    *,
    is_json: bool = False,
    strict_json: bool = False,
) -> Node:
    """Parse the document and return its tree. `report` is called periodically with the current line.

    `convert` is called for each mapping in a list that no alias can refer to. With `is_json`, errors are those of a
    JSON parser. `strict_json` also requires valid JSON. Raises SyntaxProblem.
    """
    # One search of the whole text would block all other threads.
    pieces = (_UNREADABLE.search(text, start, start + SEARCHED) for start in range(0, len(text), SEARCHED))
    found = next((found for found in pieces if found is not None), None)
    if found is not None:
        code = f"U+{ord(found[0]):04X}"
        raise SyntaxProblem(_position_of(text, found.start()), f'character {code} must be escaped, as in "\\u0007"')
    if is_json and strict_json and (unreadable := _json_error(text)) is not None:
        raise unreadable
    return _tree(text, report, convert, is_json)


def looks_like_json(text: str) -> bool:
    """Return whether the first character is one of a JSON object or array."""
    return text.lstrip("\ufeff \t\r\n").startswith(("{", "["))


def _tree(text: str, report: Callable[[int], None], convert: Converter, is_json: bool) -> Node:
    builder, event = _Builder(convert), None
    try:
        parsed = yaml.parse(_SURROGATES.sub(_joined, text) if looks_like_json(text) else text, Loader=_LOADER)
        for number, event in enumerate(parsed):
            builder.feed(event)
            if number % REPORT_EVERY == 0:
                report(_position(event.start_mark).line)
    except yaml.MarkedYAMLError as error:
        # For JSON, the error of the JSON parser is more helpful.
        if is_json and (unreadable := _json_error(text)) is not None:
            raise unreadable from error
        message = f"invalid YAML: {error.problem or error.context}"
        position = _position(error.problem_mark or error.context_mark)
        raise SyntaxProblem(position, message, syntax_hints.yaml_hint(text, error, event)) from error
    except yaml.YAMLError as error:
        raise SyntaxProblem(Position(1, 1), f"invalid YAML: {error}") from error
    return builder.root or Scalar(Position(1, 1), None)


def to_python(node: Node) -> Any:
    """Convert the tree to lists, dicts, texts and None."""
    if isinstance(node, Scalar):
        return node.text
    if isinstance(node, Converted):
        return node.value
    if isinstance(node, Sequence):
        return [to_python(item) for item in node.items]
    return {key: to_python(value) for key, (_, value) in node.entries.items()}


def _json_error(text: str) -> SyntaxProblem | None:
    """Return the error that makes the text invalid JSON, or None."""
    text = text.removeprefix("\ufeff")
    try:
        json.loads(text, object_pairs_hook=lambda pairs: None, parse_int=str, parse_constant=_reject_constant)
    except json.JSONDecodeError as error:
        offset, hint = syntax_hints.json_hint(text, error.pos)
        message = (error.msg[:1].lower() + error.msg[1:]).removesuffix(" at").removesuffix(" starting")
        return SyntaxProblem(_position_of(text, offset), f"invalid JSON: {message}", hint)
    except ValueError as constant:
        position = _position_of(text, syntax_hints.find_constant(text))
        return SyntaxProblem(position, f"invalid JSON: {constant} is not a JSON number")
    except RecursionError:
        return None
    return None


def _reject_constant(name: str) -> None:
    raise ValueError(name)


def _joined(match: re.Match[str]) -> str:
    """Combine a surrogate pair of JSON into one escape of YAML."""
    high, low = int(match[2], 16), int(match[3], 16)
    return f"{match[1]}\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08x}"


def _position_of(text: str, offset: int) -> Position:
    before = text[:offset]
    return Position(before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1)


@dataclass(slots=True)
class _Frame:
    node: Sequence | Mapping
    anchor: str | None
    values_before: int
    key: tuple[str, Position] | None = None

    @property
    def place(self) -> str:
        """The key or the index of the child that is being read."""
        if isinstance(self.node, Sequence):
            return str(len(self.node.items))
        return "" if self.key is None else self.key[0]


class _Builder:
    """A builder of the tree from parser events."""

    def __init__(self, convert: Converter) -> None:
        self.root: Node | None = None
        self._convert = convert
        self._open: list[_Frame] = []
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._values = 0

    def feed(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            self._begin(Sequence(_position(event.start_mark), []), event)
        elif isinstance(event, yaml.MappingStartEvent):
            self._begin(Mapping(_position(event.start_mark), {}), event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._end()
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
            raise SyntaxProblem(_position(event.start_mark), "a second document starts here; only one is allowed")

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        position = _position(event.start_mark)
        is_null = event.implicit[0] and event.value in _NULL
        node = Scalar(position, None if is_null else event.value)
        self._check_tag(event.tag, position)
        self._count(position, 1)
        if event.anchor is not None:
            self._anchors[event.anchor] = (node, 1)
        self._attach(node)

    def _begin(self, node: Sequence | Mapping, event: yaml.CollectionStartEvent) -> None:
        self._check_tag(event.tag, node.position)
        if len(self._open) >= DEPTH:
            raise SyntaxProblem(node.position, f"nested more than {DEPTH} levels deep")
        self._open.append(_Frame(node, event.anchor, self._values))
        self._count(node.position, 1)

    def _end(self) -> None:
        frame = self._open.pop()
        if frame.anchor is not None:
            self._anchors[frame.anchor] = (frame.node, self._values - frame.values_before)
        self._attach(self._converted(frame))

    def _converted(self, frame: _Frame) -> Node:
        """Return the node to keep for a complete list or mapping. Nodes that an alias can repeat stay as they are."""
        if isinstance(frame.node, Sequence) or not self._open or not isinstance(self._open[-1].node, Sequence):
            return frame.node
        if frame.anchor is not None or any(above.anchor is not None for above in self._open):
            return frame.node
        keys = tuple(above.key[0] for above in self._open if above.key is not None)
        return self._convert(keys, tuple(above.place for above in self._open), frame.node)

    def _alias(self, event: yaml.AliasEvent) -> None:
        position = _position(event.start_mark)
        if event.anchor not in self._anchors:
            message = f"`*{event.anchor}` refers to an anchor that is not defined before it"
            raise SyntaxProblem(position, message, syntax_hints.quoting_hint("*"))
        node, values = self._anchors[event.anchor]
        self._count(position, values)
        self._attach(node)

    def _count(self, position: Position, values: int) -> None:
        self._values += values
        if self._values > VALUES:
            raise SyntaxProblem(position, f"the document has more than {VALUES:,} values (aliases expanded)")

    def _attach(self, node: Node) -> None:
        if not self._open:
            self.root = node
            return
        frame = self._open[-1]
        if isinstance(frame.node, Sequence):
            frame.node.items.append(node)
        elif frame.key is None:
            frame.key = (_key(node), node.position)
        else:
            (name, position), frame.key = frame.key, None
            _enter(frame.node, name, position, node)

    def _check_tag(self, tag: str | None, position: Position) -> None:
        if tag is not None and tag != "!" and tag not in _PLAIN_TAGS:
            message = f"unsupported tag {tag}; use texts, numbers, lists and mappings"
            raise SyntaxProblem(position, message, syntax_hints.quoting_hint("!"))


def _key(node: Node) -> str:
    if not isinstance(node, Scalar) or node.text is None:
        raise SyntaxProblem(node.position, "keys must be text")
    return intern(node.text)  # large plans repeat the same few keys


def _enter(mapping: Mapping, name: str, position: Position, value: Node) -> None:
    if name == "<<":
        for merged in value.items if isinstance(value, Sequence) else [value]:
            if not isinstance(merged, Mapping):
                raise SyntaxProblem(merged.position, "`<<` merges mappings only")
            for key, entry in merged.entries.items():  # the mapping's own keys take precedence
                mapping.entries.setdefault(key, entry)
    elif name in mapping.entries and mapping.entries[name][0] >= mapping.position:  # a merged key is before the mapping
        mapping.duplicates.append((name, position))
    else:
        mapping.entries[name] = (position, value)


def _position(mark: Any) -> Position:
    return Position(1, 1) if mark is None else Position(mark.line + 1, mark.column + 1)
