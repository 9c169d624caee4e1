"""Messages about syntax errors in a plan: the position and the remedy."""

import json
import re
from typing import Any

import pytest
import yaml

from project_manager.plans import diagnostics, reader, yaml_tree
from project_manager.plans.yaml_tree import Position

YAML_SLIPS = [
    ("a: b: c", Position(1, 5), "values that contain `: `"),
    ("projects:\r\n  - name: Shop: the new one\r\n", Position(2, 15), "values that contain `: `"),
    ("labels: [a, b: c: d]", Position(1, 17), "values that contain `: `"),
    ("projects:\n\t- name: A", Position(2, 1), "spaces, not tabs"),
    ("projects:\n  - name: A\n\t  description: x", Position(3, 1), "spaces, not tabs"),
    ("a: @home", Position(1, 4), "starts with `@`"),
    ("labels: [`x`]", Position(1, 10), "starts with a backtick"),
    ("a: *bold* text", Position(1, 9), "starts with `*`"),
    ("a: *nobody", Position(1, 4), "starts with `*`"),
    ("a: &", Position(1, 5), "starts with `&`"),
    ("a: !important", Position(1, 4), "starts with `!`"),
    ("- %x", Position(1, 3), "starts with `%`"),
    ("a: ]", Position(1, 4), "starts with `]`"),
    ("a: - b", Position(1, 4), "on the line after its key"),
    ("- name:Shop\n  description: x\n", Position(2, 14), "On line 1: add a space after the colon: `name: Shop`"),
    ("- name: A\n  priority:1\n  labels: []\n", Position(3, 3), "On line 2: add a space after the colon"),
    ("a: http://example.org\n  b: c", Position(2, 4), "On line 1: the value continues to here"),
    ("a: 1\n  b: 2", Position(2, 4), "On line 1: the value continues to here"),
]


@pytest.mark.parametrize(("text", "place", "remedy"), YAML_SLIPS)
@pytest.mark.parametrize("loader", ["libyaml", "Python"])
def test_a_syntax_error_in_yaml_is_reported_with_its_position_and_a_remedy(
    text: str, place: Position, remedy: str, loader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if loader == "Python":
        monkeypatch.setattr(yaml_tree, "_LOADER", yaml.SafeLoader)
    (fault,) = reader.read(text, "plan.yaml").diagnostics
    assert remedy in fault.hint
    # At the end of the text one parser is on its last line, the other on the line after it.
    assert fault.position == place or (loader == "Python" and text.count("\n") < place.line)


OTHER_SYNTAX_ERRORS = [
    ('projects:\n  - name: "A\n    description: x\n', Position(4, 1)),
    ('a: "he said "hi" to"', Position(1, 14)),
    ("a: {b: c\n", Position(2, 1)),
    ("- a\n-b\n- c", Position(3, 1)),
    ("a:\n    b: 1\n  c: 2", Position(3, 3)),
]


@pytest.mark.parametrize(("text", "place"), OTHER_SYNTAX_ERRORS)
@pytest.mark.parametrize("loader", ["libyaml", "Python"])
def test_any_other_syntax_error_is_reported_with_its_position_and_the_problem_of_the_parser(
    text: str, place: Position, loader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if loader == "Python":
        monkeypatch.setattr(yaml_tree, "_LOADER", yaml.SafeLoader)
    (fault,) = reader.read(text, "plan.yaml").diagnostics
    assert re.fullmatch(r"invalid YAML: \S.*", fault.message, re.DOTALL)  # the parser words the problem
    assert fault.position == place or (loader == "Python" and text.count("\n") < place.line)


def test_an_invalid_escape_in_json_is_reported_with_a_remedy() -> None:
    (fault,) = reader.read('{"projects": "a\\d"}', "plan.json").diagnostics
    assert "`\\` starts an escape" in fault.hint


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("projects: [{name:Shop}]", Position(1, 13)),
        ("projects:\n  - name:Shop\n", Position(2, 5)),
        ("name:Shop", Position(1, 1)),
    ],
)
def test_a_missing_space_after_a_colon_is_reported_where_the_parser_accepts_it(text: str, place: Position) -> None:
    reported = [(fault.position, fault.hint) for fault in reader.read(text, "plan.yaml").diagnostics]
    assert (place, "Add a space after the colon: `name: Shop`.") in reported


def test_the_remedy_stands_in_the_error_and_names_nothing_of_the_parser() -> None:
    read = reader.read("projects: @home", "plan.yaml")
    error = diagnostics.plan_error("plan.yaml", read.diagnostics)
    listed: Any = error.details["errors"]
    assert [fault["hint"] for fault in listed] == ["Quote text that starts with `@`."]
    assert error.hint.endswith("Quote text that starts with `@`.")


JSON_SLIPS = [
    ('{"projects": [],}', Position(1, 16), "Remove the comma after the last entry"),
    ('{"projects": [\n  {"name": "A"},\n]}', Position(2, 16), "Remove the comma after the last entry"),
    ('{"projects": [{"name": "\\ud83d\\ude00"},]}', Position(1, 39), "Remove the comma after the last entry"),
    ("{'projects': []}", Position(1, 2), "Use double quotes"),
    ("{projects: []}", Position(1, 2), "texts in double quotes"),
    ("projects: []\n", Position(1, 1), "ends with .yaml"),
    ('{\n  // none yet\n  "projects": []}', Position(2, 3), "Remove the comment"),
    ('# none yet\n{"projects": []}', Position(1, 1), "Remove the comment"),
    ('{"projects": [{"name": "NaN", "priority": NaN}]}', Position(1, 43), ""),
    ('{"projects": []}\n---\n', Position(2, 1), ""),
]


@pytest.mark.parametrize(("text", "place", "remedy"), JSON_SLIPS)
def test_a_file_that_is_named_as_json_is_nothing_but_json(text: str, place: Position, remedy: str) -> None:
    (fault,) = reader.read(text, "plan.json").diagnostics
    assert (fault.position, fault.message[:14]) == (place, "invalid JSON: ")
    assert remedy in fault.hint


@pytest.mark.parametrize("source", ["document", "standard input", "plan.yaml", "plan"])
def test_a_file_that_is_not_named_as_json_may_use_all_of_yaml(source: str) -> None:
    assert reader.read('{"projects": [{"name": "A",}], standalone_tasks: [],} # done', source).diagnostics == []


def test_json_is_read_with_any_blanks_and_numbers() -> None:
    text = json.dumps({"projects": [{"name": "A", "tasks": [{"name": "T", "priority": 1}]}]}, indent="\t")
    assert reader.read("\ufeff" + text, "plan.json").diagnostics == []
    (fault,) = reader.read(f'{{"projects": [{{"name": "A", "tasks": {"7" * 5000}}}]}}', "plan.json").diagnostics
    assert "must be a list" in fault.message


@pytest.mark.parametrize("source", ["plan.json", "plan.yaml"])
def test_a_key_that_is_given_again_is_refused_at_any_depth(source: str) -> None:
    entry = '{"author": "ada", "kind": "comment", "at": "2026-11-23", "body": "x",\n "body": "y"}'
    text = f'{{"projects": [{{"name": "A",\n "name": "B", "tasks": [{{"name": "T", "log": [{entry}]}}]}}]}}'
    found = [(fault.position, fault.field, fault.message) for fault in reader.read(text, source).diagnostics]
    assert sorted(found) == [
        (Position(2, 2), "projects.0.name", "duplicate key `name`"),
        (Position(3, 2), "projects.0.tasks.0.log.0.body", "duplicate key `body`"),
    ]


def test_a_long_key_that_is_given_again_and_a_long_key_above_it_are_shortened() -> None:
    long, shown = "k" * 300, "k" * 80 + ".."
    found = reader.read(f'{{"{long}": [{{"{long}": 1, "{long}": 2}}]}}', "plan.json").diagnostics
    assert (f"{shown}.0.{shown}", f"duplicate key `{shown}`") in [(fault.field, fault.message) for fault in found]


@pytest.mark.parametrize("source", ["plan.json", "plan.yaml"])
@pytest.mark.parametrize(("key", "shown"), [("", ""), ("k" * 300, "k" * 80 + "..")], ids=["empty", "long"])
def test_an_unknown_key_has_a_position_at_any_depth_although_it_is_empty_or_long(
    source: str, key: str, shown: str
) -> None:
    text = f'{{\n"{key}": 1, "projects": [{{"name": "A",\n "{key}": 1, "tasks": [{{"name": "T",\n"{key}": 1}}]}}]}}'
    found = [(fault.position, fault.field, fault.message) for fault in reader.read(text, source).diagnostics]
    message = f"unknown field `{shown}`"
    assert found == [
        (Position(2, 1), shown, message),
        (Position(3, 2), f"projects.0.{shown}", message),
        (Position(4, 1), f"projects.0.tasks.0.{shown}", message),
    ]
