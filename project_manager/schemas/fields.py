"""Types of the fields of commands, and their validators.

Validators are lenient if the intention is clear: `"7"` for 7, a list as its JSON text, a status in any case. They are
strict if an error could pass unnoticed: unknown fields, times without an offset, values out of range.
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from project_manager.clock import OutOfRange, parse_rfc3339
from project_manager.domain import limits, paths
from project_manager.domain.actors import is_reserved
from project_manager.domain.events.event_types import EVENT_TYPES
from project_manager.domain.evidence import COMMIT_DIGITS
from project_manager.domain.hints import closest, did_you_mean, suggest_value
from project_manager.domain.names import composed, has_invisible_character, is_visible
from project_manager.domain.statuses import EPIC_SYNONYMS, SYNONYMS, EpicStatus, Status, is_closed, normalize
from project_manager.schemas import patterns

_TYPES_PATTERN = f"^({'|'.join(EVENT_TYPES)})$".replace(".", r"\.")
"""Pattern of the types of events. An `enum` would be repeated in the schemas of tools, and the list is long."""
_WHOLE = re.compile(r"-?[0-9]{1,24}")
# Control characters and separators of lines and paragraphs break a line. Overrides change the direction of its text.
_LINE_BREAKS_AND_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_BIDI_OVERRIDES = re.compile("[\u202a-\u202e\u2066-\u2069]")
# Categories Cc, Cf, Co, Zl, Zp and Zs except the space. `str.isprintable` also refuses letters newer than Python.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\xa0\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u1680\u180e\u2000-\u200f\u2028-\u202f"
    "\u205f-\u206f\u3000\ue000-\uf8ff\ufeff\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U00013438]"
)


def required_fields(*names: str) -> dict[str, Any]:
    """Return the JSON Schema of an object with each of these fields present and not null."""
    return {"required": [*names], "properties": {name: {"not": {"type": "null"}} for name in names}}


def text_required(name: str) -> dict[str, Any]:
    """Return the JSON Schema of an object with this field, a text that is not blank."""
    return {"required": [name], "properties": {name: {"pattern": patterns.NOT_BLANK}}}


def _integer(value: object) -> object:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError("must be an integer")
    if isinstance(value, str):
        text = value.strip()
        if not _WHOLE.fullmatch(text):
            raise ValueError("must be an integer")
        return int(text)
    return value


def _priority(value: object) -> object:
    """Read a priority from a number or from a text such as `P0`."""
    if isinstance(value, str) and value.strip()[:1] in ("P", "p"):
        return _integer(value.strip()[1:])
    return _integer(value)


def _boolean(value: object) -> object:
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if isinstance(value, str):
        word = words.get(value.strip().lower())
        if word is None:
            raise ValueError("must be true or false")
        return word
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    return value


def parse_list(value: object) -> object:
    """Read a list from a list, its JSON text, a comma-separated text, or one integer. Raises ValueError."""
    if not isinstance(value, str):
        return [value] if isinstance(value, int) and not isinstance(value, bool) else value
    text = value.strip()
    if not text:
        return []
    if text.startswith("["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError("is not a JSON list") from error
    return [part.strip() for part in text.split(",") if part.strip()]


def parse_sentences(value: object) -> object:
    """Read a list of sentences from a list, its JSON text, or one sentence, which can contain commas."""
    if isinstance(value, str) and not value.strip().startswith("["):
        return [value] if value.strip() else []
    return parse_list(value)


def without_controls(value: str) -> str:
    """Return the text. Raises ValueError for a NUL character, and for a text that is not valid Unicode."""
    if "\x00" in value:
        raise ValueError("contains a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError("contains a character that is not valid Unicode") from error
    return value


def _one_line(value: str) -> str:
    stripped = value.strip()
    if not stripped:
        raise ValueError("is empty")
    if stripped.isascii() and stripped.isprintable():
        return stripped
    if not is_visible(stripped):
        raise ValueError("has no visible character")
    if stripped.isprintable():
        return stripped
    if _LINE_BREAKS_AND_CONTROLS.search(without_controls(stripped)):
        raise ValueError("contains a line break or another control character")
    if _BIDI_OVERRIDES.search(stripped):
        raise ValueError("contains a character that overrides the direction of the text")
    return stripped


def nfc_text(most: int) -> BeforeValidator:
    """Return a validator that reads a text in NFC, before the check of its length.

    Up to four characters become one. Longer texts stay unchanged, because their composition takes quadratic time.
    """

    def read(value: object) -> object:
        return composed(value) if isinstance(value, str) and len(value) <= 4 * most else value

    return BeforeValidator(read)


def bounded_text(most: int, pattern: str = patterns.LINE) -> tuple[Any, BeforeValidator]:
    """Return the constraints of a text of one line, read in NFC. `pattern` is for the schema only."""
    bounds = Field(min_length=1, max_length=most, json_schema_extra={"pattern": pattern})
    return bounds, nfc_text(most)


def _printable(value: str) -> str:
    stripped = _one_line(value)
    if _UNPRINTABLE.search(stripped):
        raise ValueError("contains a character that is not printable")
    if has_invisible_character(stripped):
        raise ValueError("contains a character that is invisible")
    return stripped


def matching(pattern: str, message: str) -> tuple[Any, AfterValidator]:
    """Return the constraints of a text that matches the pattern, read without white space around it.

    `message` is the error for another text.
    """
    matches = re.compile(pattern).fullmatch

    def check(value: str) -> str:
        stripped = value.strip()
        if not matches(stripped):
            raise ValueError(message)
        return stripped

    return Field(json_schema_extra={"pattern": pattern}), AfterValidator(check)


def not_blank(value: str) -> str:
    """Return the text. Raises ValueError for a text without a visible character."""
    if not is_visible(value):
        raise ValueError("has no visible character")
    return value


def _unreserved(value: str) -> str:
    if is_reserved(value):
        raise ValueError(f"{value[:40]!r} is reserved: choose another name")
    return value


def _within_description(value: str) -> str:
    size = len(without_controls(value).encode())
    if size > limits.DESCRIPTION_BYTES:
        raise ValueError(f"has {size} bytes; the limit is {limits.DESCRIPTION_BYTES}")
    return value


def _instant(value: object) -> object:
    if isinstance(value, str):
        try:
            return parse_rfc3339(value)
        except OutOfRange as error:
            raise ValueError("is not between the years 1970 and 9999") from error
        except ValueError as error:
            raise ValueError("is not an RFC 3339 time with UTC offset, such as 2026-11-23T10:00:00Z") from error
    if value is None:
        return None
    raise ValueError("is not a time such as 2026-11-23T10:00:00Z")


class UnknownValue(ValueError):
    """A text that is not one of the words of a field. `guess` finds the most probable word, and is slow."""

    def __init__(self, given: str, kind: str, legal: Sequence[str], guess: Callable[[], object]) -> None:
        super().__init__(f"{given[:40]!r} is not {kind}")
        self._legal = ", ".join(legal)
        self._guess = guess

    def message(self, *, guessed: bool) -> str:
        """Return the error text with all legal words, and with the most probable one if `guessed`."""
        meant = self._guess() if guessed else None
        remedy = ": use" if meant is None else f"{did_you_mean(meant)} Use"
        return f"{self}{remedy} one of {self._legal}"


def enum_reader(
    words: dict[str, Any], legal: list[str], kind: str = "a status", side: Callable[[Any], object] = str
) -> Callable[[object], object]:
    """Return a reader of one of `words`, in any case. Its error names the nearest word and all legal words.

    `kind` is the noun in the error. The nearest word is omitted if a word of another `side` is about as near.
    """

    def read(value: object) -> object:
        if not isinstance(value, str):
            raise ValueError(f"is not one of {', '.join(legal)}")
        found = words.get(normalize(value))
        if found is None:
            raise UnknownValue(value, kind, legal, lambda: suggest_value(normalize(value), words, side))
        return found

    return read


def _event_type(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError(f"is not one of {', '.join(EVENT_TYPES)}")
    if value not in EVENT_TYPES:
        raise UnknownValue(value, "an event type", list(EVENT_TYPES), lambda: closest(value, EVENT_TYPES))
    return value


def _as_text(value: object) -> object:
    """Return a number as the text of a reference."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _glob(value: str) -> str:
    text = paths.normalized(value)
    paths.parse_glob(text)
    return text


def _distinct(values: list[Any]) -> list[Any]:
    return list(dict.fromkeys(values))


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def max_items(most: int) -> Any:
    """Return the bound of a list. Put it directly after `list`, before our validators.

    Only there pydantic checks it before the entries, so that long lists cost little time and memory.
    """
    return Field(max_length=most, fail_fast=True)


IN_ANY_CASE = BeforeValidator(_lower)
"""Reads a word of an enumeration in any case."""

# Put the bound of the length before this validator: after a validator, pydantic reports it as the length of a list.
ONE_LINE = AfterValidator(_one_line)

_ID_SCHEMA = {"type": ["integer", "string"], "minimum": 1, "maximum": limits.ID_MAXIMUM, "pattern": patterns.ID}

Id = Annotated[int, BeforeValidator(_integer), Field(ge=1, le=limits.ID_MAXIMUM), WithJsonSchema(_ID_SCHEMA)]
Ids = Annotated[list[Id], max_items(limits.LINKS), BeforeValidator(parse_list), AfterValidator(_distinct)]
Integer = Annotated[int, BeforeValidator(_integer)]
Flag = Annotated[bool, BeforeValidator(_boolean)]
_PRINTABLE = AfterValidator(_printable)
Name = Annotated[str, *bounded_text(limits.NAME_CHARACTERS), ONE_LINE]
TokenName = Annotated[
    str, *bounded_text(limits.NAME_CHARACTERS, patterns.PRINTABLE), _PRINTABLE, AfterValidator(_unreserved)
]
_AT_MOST = Field(json_schema_extra={"maxLength": limits.DESCRIPTION_BYTES, "pattern": r"^[^\x00]*$"})
Text = Annotated[str, _AT_MOST, AfterValidator(_within_description)]
NonEmptyText = Annotated[str, Field(min_length=1), _AT_MOST, AfterValidator(_within_description)]
QuestionText = Annotated[
    str,
    Field(min_length=1, max_length=limits.QUESTION_CHARACTERS, json_schema_extra={"pattern": patterns.VISIBLE}),
    AfterValidator(without_controls),
    AfterValidator(not_blank),
]
AgentId = Annotated[str, *bounded_text(limits.AGENT_ID_CHARACTERS, patterns.PRINTABLE), _PRINTABLE]
_REFERENCE_SCHEMA = {
    "type": ["string", "integer"],
    "minLength": 1,
    "maxLength": limits.AGENT_ID_CHARACTERS,
    "pattern": patterns.PRINTABLE,
}
Reference = Annotated[AgentId, BeforeValidator(_as_text), WithJsonSchema(_REFERENCE_SCHEMA)]
"""The id of a task or a project, or an agent id."""
Key = Annotated[str, *bounded_text(limits.KEY_CHARACTERS), ONE_LINE]
_TIME_SCHEMA = {"type": "string", "format": "date-time", "pattern": patterns.YEAR}
CommandLine = Annotated[str, *bounded_text(limits.COMMAND_CHARACTERS), ONE_LINE]
Commit = Annotated[
    str,
    *matching(
        rf"^[0-9a-fA-F]{{{COMMIT_DIGITS},64}}$",
        "is not a commit id: send 7 to 64 hexadecimal digits, as `git rev-parse HEAD`",
    ),
    AfterValidator(str.lower),
]
Branch = Annotated[str, *bounded_text(limits.NAME_CHARACTERS, patterns.PRINTABLE), _PRINTABLE]
Url = Annotated[
    str,
    Field(max_length=limits.URL_CHARACTERS),
    *matching(patterns.URL, "is not a URL that begins with https:// or http://, without spaces and control characters"),
]
Digest = Annotated[
    str, *matching(r"^[0-9a-f]{64}$", "is not a digest: send `submission.digest` of the claim or of the submissions")
]
Instant = Annotated[int, BeforeValidator(_instant), WithJsonSchema(_TIME_SCHEMA)]
Priority = Annotated[int, BeforeValidator(_priority), Field(ge=0, le=limits.PRIORITY_LOWEST)]
Priorities = Annotated[
    list[Priority], max_items(limits.MAX_FILTER_VALUES), BeforeValidator(parse_list), AfterValidator(_distinct)
]
Label = Annotated[str, *bounded_text(limits.LABEL_CHARACTERS), ONE_LINE]
Labels = Annotated[list[Label], max_items(limits.LABELS), BeforeValidator(parse_list), AfterValidator(_distinct)]
Acceptance = Annotated[list[Name], max_items(limits.ACCEPTANCE_CRITERIA), BeforeValidator(parse_sentences)]
Glob = Annotated[
    str,
    Field(min_length=1, max_length=limits.GLOB_CHARACTERS, json_schema_extra={"pattern": patterns.LINE}),
    nfc_text(limits.GLOB_CHARACTERS),
    ONE_LINE,
    AfterValidator(_glob),
]
Paths = Annotated[list[Glob], max_items(limits.PATHS), BeforeValidator(parse_list), AfterValidator(_distinct)]
Limit = Annotated[int, BeforeValidator(_integer), Field(ge=1, le=limits.PAGE_MAXIMUM)]
Cursor = Annotated[str, Field(max_length=512)]
CountMode = Literal["exact"]
_QUERY = Field(max_length=500, json_schema_extra={"pattern": r"^[^\x00]*$"})
Query = Annotated[str, _QUERY, AfterValidator(without_controls), AfterValidator(str.strip)]
_LENGTH = Field(ge=limits.LEASE_SECONDS_MINIMUM, le=limits.LEASE_SECONDS_MAXIMUM)
TtlSeconds = Annotated[int, BeforeValidator(_integer), _LENGTH]
WaitSeconds = Annotated[int, BeforeValidator(_integer), Field(ge=0, le=limits.WAIT_SECONDS_MAXIMUM)]
Fence = Annotated[int, BeforeValidator(_integer), Field(ge=1, le=limits.ID_MAXIMUM)]
Version = Annotated[int, BeforeValidator(_integer), Field(ge=1, le=limits.ID_MAXIMUM)]
Seq = Annotated[int, BeforeValidator(_integer), Field(ge=0, le=limits.ID_MAXIMUM)]
Minutes = Annotated[int, BeforeValidator(_integer), Field(ge=0, le=10_000_000)]

TaskStatus = Annotated[
    Status,
    BeforeValidator(enum_reader(dict(SYNONYMS), [*Status], side=is_closed)),
    WithJsonSchema({"type": "string", "enum": [*Status]}),
]
_INITIAL_STATUSES = [Status.TODO, Status.BACKLOG, Status.DONE, Status.CANCELLED]
NewStatus = Annotated[TaskStatus, WithJsonSchema({"type": "string", "enum": _INITIAL_STATUSES})]
TaskStatuses = Annotated[
    list[TaskStatus], max_items(limits.MAX_FILTER_VALUES), BeforeValidator(parse_list), AfterValidator(_distinct)
]
StatusOfEpic = Annotated[
    EpicStatus,
    BeforeValidator(enum_reader(dict(EPIC_SYNONYMS), [*EpicStatus], side=is_closed)),
    WithJsonSchema({"type": "string", "enum": [*EpicStatus]}),
]
EventTypes = Annotated[
    list[Annotated[str, BeforeValidator(_event_type), WithJsonSchema({"type": "string", "pattern": _TYPES_PATTERN})]],
    max_items(limits.MAX_FILTER_VALUES),
    BeforeValidator(parse_list),
    AfterValidator(_distinct),
]
_REF_SCHEMA = _ID_SCHEMA | {"type": ["string", "integer"], "maxLength": limits.KEY_CHARACTERS, "pattern": patterns.LINE}
Ref = Annotated[Key, BeforeValidator(_as_text), WithJsonSchema(_REF_SCHEMA)]
Refs = Annotated[list[Ref], max_items(limits.MAX_FILTER_VALUES), BeforeValidator(parse_list)]
