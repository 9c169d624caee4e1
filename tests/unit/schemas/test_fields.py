"""Texts that are accepted unchanged, and texts that are refused with a reason."""

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from project_manager.domain.errors import Invalid
from project_manager.plans.plan_format import PlanTask
from project_manager.schemas import validation
from project_manager.schemas.agents import GetContext
from project_manager.schemas.commands import Command
from project_manager.schemas.projects import CreateProject
from project_manager.schemas.tasks import CreateTask
from project_manager.schemas.tokens import CreateToken

OVERRIDES = {*map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))}
BREAKS = "contains a line break or another control character"
OVERRIDE = "contains a character that overrides the direction of the text"
WRITTEN = {
    "no-break space": "10\u00a0000 rows",
    "ideographic space": "\u8a2d\u8a08\u3000\u66f8",
    "emoji of several": "\U0001f469\u200d\U0001f4bb at work",
    "zero-width non-joiner": "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "soft hyphen": "Donau\u00addampfschiff",
    "mark of direction": "\u05d0\u200e1",
}


def refusal(command: type[Command], **raw: Any) -> str:
    with pytest.raises(Invalid) as refused:
        validation.read(command, raw)
    faulty: Any = refused.value.details["errors"]
    return str(faulty[0]["message"])


@pytest.mark.parametrize("text", WRITTEN.values(), ids=WRITTEN)
def test_a_line_is_accepted_in_any_script(text: str) -> None:
    read = validation.read(CreateTask, {"name": text, "labels": [text], "acceptance": [text], "external_key": text})
    assert (read.name, read.labels, read.acceptance, read.external_key) == (text, [text], [text], text)


@pytest.mark.parametrize("character", ["\n", "\r", "\t", "\x1b", "\x7f", "\x85", "\u2028", "\u2029"])
def test_a_line_with_a_break_or_a_control_character_is_refused_for_that(character: str) -> None:
    assert BREAKS in refusal(CreateTask, name=f"a{character}b")


@pytest.mark.parametrize("character", sorted(OVERRIDES))
def test_a_line_that_would_be_read_in_another_order_than_it_is_written_is_refused_for_that(character: str) -> None:
    assert OVERRIDE in refusal(CreateTask, name=f"a{character}b")


@given(st.characters())
def test_a_line_takes_every_character_but_controls_breaks_halves_and_overrides(character: str) -> None:
    fit = unicodedata.category(character) not in ("Cc", "Zl", "Zp", "Cs") and character not in OVERRIDES
    composed = unicodedata.normalize("NFC", f"a{character}b")
    try:
        taken = validation.read(CreateTask, {"name": f"a{character}b"}).name == composed
    except Invalid:
        taken = False
    assert taken is fit


@pytest.mark.parametrize("text", WRITTEN.values(), ids=WRITTEN)
def test_the_name_of_an_agent_is_printable(text: str) -> None:
    assert "not printable" in refusal(GetContext, agent_id=text)
    assert "not printable" in refusal(CreateToken, name=text, role="agent")
    assert "not printable" in refusal(CreateToken, name="x", role="agent", agent_id=text)


@pytest.mark.parametrize(
    "name",
    [
        "local",
        "system",
        " system ",
        "unnamed",
        "unnamed/x",
        "Local",
        "SYSTEM",
        "\uff4cocal",
        "Unnamed / x",
        "\u017fystem",
        "l\u043ecal",
    ],
)
def test_the_name_of_a_token_is_not_a_reserved_name(name: str) -> None:
    message = refusal(CreateToken, name=name, role="agent")
    assert message.startswith(f"`name` {name.strip()!r} is reserved: choose another name")


@pytest.mark.parametrize("blank", ["\u3164", "\u115f", "\u1160", "\uffa0", "\u2800", "\ufe0f", "\u17b4"])
def test_the_name_of_an_agent_has_no_invisible_letter(blank: str) -> None:
    assert "that is invisible" in refusal(GetContext, agent_id=f"ann{blank}")
    assert "that is invisible" in refusal(CreateToken, name=f"ann{blank}", role="agent")
    assert "that is invisible" in refusal(CreateToken, name="x", role="agent", agent_id=f"{blank}ann")


@pytest.mark.parametrize("blank", ["\u3164", "\u115f", "\u2800", "\u200b", "\u00ad\u2060", " \u3164\u3000"])
def test_a_name_of_blank_letters_alone_is_refused(blank: str) -> None:
    message = "has no visible character"
    assert message in refusal(CreateTask, name=blank)
    assert message in refusal(CreateTask, name="x", labels=[blank])
    assert message in refusal(CreateTask, name="x", acceptance=[blank])
    assert message in refusal(CreateTask, name="x", external_key=blank)
    assert message in refusal(CreateProject, name=blank)
    assert message in refusal(CreateToken, name=blank, role="agent")
    assert message in refusal(GetContext, agent_id=blank)


@pytest.mark.parametrize("name", ["locals", "lo cal", "system/1", "localhost"])
def test_a_token_may_have_any_other_name(name: str) -> None:
    assert validation.read(CreateToken, {"name": name, "role": "agent"}).name == name


@pytest.mark.parametrize("command", [CreateTask, PlanTask])
@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("works, and is fast", ["works, and is fast"]),
        ('["works, and is fast", "is green"]', ["works, and is fast", "is green"]),
        (["a, b", "c"], ["a, b", "c"]),
        ("", []),
    ],
)
def test_a_criterion_for_done_may_contain_commas(command: type[Command], sent: object, read: list[str]) -> None:
    assert validation.read(command, {"name": "x", "acceptance": sent}).acceptance == read  # type: ignore[attr-defined]


def test_labels_may_be_separated_by_commas() -> None:
    assert validation.read(CreateTask, {"name": "x", "labels": "a, b"}).labels == ["a", "b"]
