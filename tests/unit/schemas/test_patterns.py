"""The published patterns of texts accept the same texts as the validation."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from project_manager.domain.errors import Invalid
from project_manager.schemas import patterns, validation
from project_manager.schemas.agents import GetContext
from project_manager.schemas.assumptions import AddRaTag
from project_manager.schemas.commands import Command
from project_manager.schemas.messages import SendMessage
from project_manager.schemas.saved_views import QUERY_PATTERN, SaveViewAs
from project_manager.schemas.tasks import GetTask

EDGES = [0x20, 0x7F, 0xA0, 0xAD, 0x34F, 0x61C, 0x200D, 0x202E, 0x2065, 0x2069, 0x2800, 0x3164, 0xE000, 0xFEFF, 0xFFFB]
letters = st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]) | st.sampled_from(list(map(chr, EDGES)))
texts = st.text(letters, min_size=1, max_size=4)
FIELDS: list[tuple[str, type[Command], str]] = [
    (patterns.LINE, GetContext, "project_name"),
    (patterns.PRINTABLE, GetContext, "agent_id"),
    (patterns.VISIBLE, SendMessage, "body"),
]


def is_taken(command: type[Command], **raw: object) -> bool:
    try:
        validation.read(command, raw)
    except Invalid:
        return False
    return True


@pytest.mark.parametrize(("pattern", "command", "field"), FIELDS)
@given(text=texts)
def test_a_text_matches_its_pattern_if_it_is_taken_as_it_is(
    pattern: str, command: type[Command], field: str, text: str
) -> None:
    stripped = text.strip()
    assert bool(re.search(pattern, stripped)) is is_taken(command, **{field: stripped})


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "x", "", "\u00b2", "9" * 25])
def test_an_id_that_the_pattern_excludes_is_refused(text: str) -> None:
    assert not re.search(patterns.ID, text)
    assert not is_taken(GetTask, task_id=text)


@pytest.mark.parametrize("text", ["1", "7", "9" * 18])
def test_an_id_of_the_pattern_is_taken(text: str) -> None:
    assert re.search(patterns.ID, text)
    assert is_taken(GetTask, task_id=text)


@pytest.mark.parametrize(
    "text", ["#ASSUME: dry", " # a-b : x", "#A:\nx", "ASSUME: dry", "#: x", "#A:", "#1: x", "#a b: x"]
)
def test_a_tag_matches_its_pattern_if_it_is_taken(text: str) -> None:
    assert bool(re.search(patterns.TAG, text)) is is_taken(AddRaTag, task_id=1, text=text)


@pytest.mark.parametrize(
    "query",
    [
        *("", " ", "?", "/?view=table", " view=table&label=a&label=b%2C ", "q==", "label=", "&".join(["q=a"] * 128)),
        *("view=&q=a", "view=tables", "view=table&view=x", "view=table&view=board"),
        *("]T", "view", "size=1", "&", "view=table&", "?/view=table", "View=table", "&".join(["q=a"] * 129)),
    ],
)
def test_the_query_of_a_view_matches_its_pattern_if_it_is_taken(query: str) -> None:
    assert bool(re.search(QUERY_PATTERN, query)) is is_taken(SaveViewAs, name="x", query=query)


@pytest.mark.parametrize(
    ("header", "matches"),
    [
        ('"1"', True),
        ('W/"1-gzip", "2"', True),
        ("*", True),
        ("", False),
        ("1 2", False),
        (", ".join(['"1"'] * 17), False),
    ],
)
def test_an_entity_tag_matches_its_pattern(header: str, matches: bool) -> None:
    assert bool(re.search(patterns.IF_MATCH, header)) is matches
