import json

import pytest

from project_manager.domain.characters import escape_control_characters


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, caf\u00e9 \u05d0\u200e \U0001f642", "plain, caf\u00e9 \u05d0\u200e \U0001f642"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[31mred", "\\u001b[31mred"),
        ("\u009b31mred", "\\u009b31mred"),
        ("over\rwritten\x7f", "over\\u000dwritten\\u007f"),
        ("a\u202etxt.exe", "a\\u202etxt.exe"),
        ("\u2066x\u2069", "\\u2066x\\u2069"),
    ],
)
def test_only_characters_that_act_on_a_terminal_are_escaped(text: str, shown: str) -> None:
    assert escape_control_characters(text) == shown


def test_json_keeps_its_values() -> None:
    value = {"name": "a\u202eb\u009bc\x7f\u2028\n"}
    text = escape_control_characters(json.dumps(value, ensure_ascii=False))
    assert json.loads(text) == value
    assert "\u009b" not in text
