"""Suggestions for unknown words and field names. Uncertain suggestions are omitted, because they may mislead."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from difflib import SequenceMatcher, get_close_matches
from typing import TypeVar

from project_manager.domain.names import one_edit

Value = TypeVar("Value")

MAX_WORD_LENGTH = 40
_WORD_SIMILARITY = 0.6
_TIE_MARGIN = 0.15
_STEM_SIMILARITY = 0.8
_MIN_PREFIX_LENGTH = 3
_MIN_LENGTH_FOR_ONE_EDIT = 4
_MIN_LENGTH_FOR_RATIO = 6
_CAMEL_CASE_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NEGATION = re.compile(r"(UN|IN|NON_?|NOT_?)(?=[A-Z])")
_ENDINGS = ("_id", "_ids", "_name", "_at", "_key", "_seconds", "_minutes", "_tokens", "_until", "_with", "_on")

SORT_PARAMETERS = frozenset(
    {"sort", "sort_by", "sort_order", "order", "order_by", "orderby", "ordering", "direction", "sort_direction"}
)

_FOREIGN_NAMES_OF = {
    "labels tags label": "tags",
    "label labels tags": "tag",
    "label labels": "label",
    "labels label tags": "labels",
    "title name": "title",
    "name note title": "summary",
    "name title": "subject",
    "task_id name": "task",
    "name": "task_name",
    "task_id project_id epic_id knowledge_id": "id",
    "ids task_id": "ids",
    "task_id": "issue_id",
    "content body description": "content",
    "body content description note": "body",
    "text body content description q": "text",
    "body note log_entry handoff": "message comment",
    "note body log_entry handoff": "note",
    "note body log_entry handoff description": "notes",
    "description body": "details",
    "status": "state",
    "holder agent_id": "assignee assigned_to owner holder",
    "agent_id holder": "agent agent_name worker worker_id",
    "agent_id": "author",
    "depends_on": "blocked_by requires prerequisites dependency depends",
    "due_at": "due due_date deadline",
    "defer_until": "start_date start_at not_before",
    "estimate_minutes": "estimate",
    "external_key": "external_id",
    "external_key request_id": "key",
    "request_id": "idempotency_key",
    "acceptance": "acceptance_criteria criteria",
    "epic_name epic_id": "epic milestone",
    "project_name project_id project": "project",
    "ttl_seconds": "ttl lease_seconds",
    "wait_seconds": "wait",
    "q": "search keyword keywords filter",
    "limit": "page_size per_page count max_results",
    "cursor": "page offset page_token next_cursor",
    "kind": "type",
}
"""Names that other trackers and language models use, by our names. The first of our names that exists is suggested."""

_OUR_NAMES = {name: own_name.split() for own_name, names in _FOREIGN_NAMES_OF.items() for name in names.split()}


def did_you_mean(name: object) -> str:
    """Return the end of an error message that suggests `name`, or an empty text for None."""
    return "" if name is None else f"; did you mean `{name}`?"


def suggest_field(name: str, names: Mapping[str, Collection[str]]) -> str | None:
    """Return the field that `name` probably stands for, or None. `names` maps fields to all accepted names."""
    fields = names.keys()
    if len(name) > MAX_WORD_LENGTH:
        return None
    # The most certain match comes first: another spelling, a known synonym, an abbreviation, a typing error.
    word = _CAMEL_CASE_BOUNDARY.sub("_", name).lower().replace("-", "_").replace(" ", "_")
    if word in fields:
        return word
    for own_name in _OUR_NAMES.get(word, ()):
        if own_name in fields:
            return own_name
    if word in SORT_PARAMETERS:
        return None
    beginning = [field for field in fields if len(word) >= _MIN_PREFIX_LENGTH and field.startswith(word)]
    if len(beginning) == 1:
        return beginning[0]
    return _nearest(word, fields) or next((own for own, others in names.items() if _nearest(word, others)), None)


def _nearest(word: str, fields: Collection[str]) -> str | None:
    """Return the closest field, or None. A common ending such as `_id` does not count."""
    for field in fields:
        if one_edit(*_stems(word, field)) and min(map(len, _stems(word, field))) >= _MIN_LENGTH_FOR_ONE_EDIT:
            return field
    stems = {_stems(word, field)[1]: field for field in fields if len(_stems(word, field)[1]) >= _MIN_LENGTH_FOR_RATIO}
    for stem, field in stems.items():
        if get_close_matches(_stems(word, field)[0], [stem], n=1, cutoff=_STEM_SIMILARITY):
            return field
    return None


def _stems(word: str, field: str) -> tuple[str, str]:
    """Return both names without their common ending."""
    ending = next((end for end in _ENDINGS if word.endswith(end) and field.endswith(end)), "")
    return word.removesuffix(ending), field.removesuffix(ending)


def closest(word: str, words: Iterable[str]) -> str | None:
    """Return the closest of `words`, or None. Long words are not compared, because that takes too long."""
    near = get_close_matches(word, words, n=1) if len(word) <= MAX_WORD_LENGTH else []
    return near[0] if near else None


def suggest_value(word: str, words: Mapping[str, Value], side: Callable[[Value], object]) -> Value | None:
    """Return the value that a misspelled word probably stands for, or None.

    Opposites differ in `side`. Return None if the best matches have different sides, or lack a negation of `word`.
    """
    if len(word) > MAX_WORD_LENGTH:
        return None
    # One wrong letter is more certain than a similarity, so similar words count only without such a word.
    typos = [known for known in words if one_edit(word, known)]
    found = typos or get_close_matches(word, words, n=5, cutoff=_WORD_SIMILARITY)
    likeness = {known: SequenceMatcher(None, known, word).ratio() for known in found}
    best = max(likeness.values(), default=0.0)
    near = [words[known] for known in found if likeness[known] >= best - _TIE_MARGIN]
    if not near or len({side(value) for value in near}) > 1:
        return None
    negated = _NEGATION.match(word)
    if negated is not None and not any(known.startswith(negated[0]) for known in words if words[known] == near[0]):
        return None
    return near[0]
