import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from project_manager.domain.errors import Invalid
from project_manager.plans import diagnostics, plan_format, reader, writer, yaml_tree
from project_manager.plans.yaml_tree import Position, SyntaxProblem

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).parents[2]
PLANS = sorted((CHECKOUT / "examples").glob("*.yaml"))
TRICKY = "ab \n\t:#-'\"\\|>&*!%@`{}[],?~.01\r\x85\u2028\xa0\ufeffé😀nullyesno"

texts = st.one_of(
    st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0")), st.text(alphabet=TRICKY)
)
documents = st.lists(st.fixed_dictionaries({"name": texts, "labels": st.lists(texts)})).map(
    lambda items: {"projects": items}
)

entries = st.lists(st.fixed_dictionaries({"body": texts, "kind": texts}), max_size=3)
nested = st.fixed_dictionaries(
    {
        "projects": st.lists(
            st.fixed_dictionaries(
                {"name": texts, "tasks": st.lists(st.fixed_dictionaries({"log": entries}), max_size=2)}
            ),
            max_size=3,
        ),
        "standalone_tasks": documents.map(lambda document: document["projects"]),
    }
)


@given(documents)
def test_a_document_written_as_yaml_is_read_back_unchanged(document: dict[str, Any]) -> None:
    text = "".join(writer.serialize(document, "yaml"))
    assert yaml_tree.to_python(yaml_tree.compose(text)) == document
    assert yaml.safe_load(text) == document


def drawn_from(value: Any) -> Any:
    """Replace each list of mappings by an iterator, as in an export."""
    if isinstance(value, dict):
        return {key: drawn_from(child) for key, child in value.items()}
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return map(drawn_from, value)
    return value


@given(nested, st.sampled_from(["yaml", "json"]))
def test_iterators_are_written_as_lists(document: dict[str, Any], form: str) -> None:
    written = "".join(writer.serialize(drawn_from(document), form))
    assert written == "".join(writer.serialize(document, form))


@given(documents)
def test_a_document_written_as_json_is_read_back_unchanged(document: dict[str, Any]) -> None:
    text = "".join(writer.serialize(document, "json"))
    assert yaml_tree.to_python(yaml_tree.compose(text)) == document
    assert json.loads(text) == document


@given(documents)
def test_escaped_surrogate_pairs_in_json_of_other_writers_are_combined(document: dict[str, Any]) -> None:
    assert yaml_tree.to_python(yaml_tree.compose(json.dumps(document))) == document


def test_words_that_yaml_reads_as_values_stay_text() -> None:
    said = yaml_tree.to_python(yaml_tree.compose("[No, on, 1e3, 0x10, 2026-11-23, 1:30, .inf, 007]"))
    assert said == ["No", "on", "1e3", "0x10", "2026-11-23", "1:30", ".inf", "007"]


def test_an_explicit_key_wins_over_a_merged_one() -> None:
    text = "base: &b {name: A, priority: 1}\nlater: {<<: *b, name: B}\nearlier: {name: C, <<: [*b]}\n"
    said = yaml_tree.to_python(yaml_tree.compose(text))
    assert said["later"] == {"name": "B", "priority": "1"}
    assert said["earlier"] == {"name": "C", "priority": "1"}


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("[" * 40 + "]" * 40, Position(1, 33), "nested"),
        ("- " * 40 + "x", Position(1, 65), "nested"),
        ("a: &a [*a]", Position(1, 8), "anchor"),
        ("a: *nobody", Position(1, 4), "anchor"),
        ("a: !!python/object:os.system x", Position(1, 4), "tag"),
        ("a: 1\n---\nb: 2", Position(2, 1), "second document"),
        ("a: b: c", Position(1, 5), "invalid YAML"),
        ("a:\n  - \x07", Position(2, 5), "U+0007"),
        ("a: \ud800", Position(1, 4), "U+D800"),
        ("? [a]\n: b", Position(1, 3), "keys must be text"),
        ("<<: 5", Position(1, 5), "merges mappings"),
    ],
)
def test_an_invalid_document_is_refused_with_its_position(text: str, place: Position, words: str) -> None:
    with pytest.raises(SyntaxProblem) as caught:
        yaml_tree.compose(text)
    assert words in caught.value.message
    assert caught.value.position == place


@pytest.mark.parametrize("text", ["[" * 100_000, "- " * 100_000 + "x", "{a: " * 100_000])
def test_a_document_that_is_nested_without_end_is_refused(text: str) -> None:
    # Releases of the parser differ: some refuse it with their own message before the depth is counted.
    with pytest.raises(SyntaxProblem):
        yaml_tree.compose(text)


@pytest.mark.parametrize("text", ["a: 1\nb: [1,\nc: 2", 'a:\n  {"b": "\\ud83d"}', "a: 1\n\tb: 2"])
def test_a_syntax_error_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(SyntaxProblem) as caught:
        yaml_tree.compose(text)
    assert caught.value.position.line > 1
    assert caught.value.message.startswith("invalid YAML: ")


@pytest.mark.parametrize(
    ("source", "text", "place", "words"),
    [
        ("plan.json", '{"projects": [\n  {"name" "Shop"}]}', Position(2, 11), "invalid JSON: expecting ':' delimiter"),
        ("plan.JSON", "projects: [", Position(1, 1), "invalid JSON: expecting value"),
        ("document", '{"projects": [}', Position(1, 15), "invalid JSON: "),
        ("plan.yaml", '{"projects": [}', Position(1, 15), "invalid YAML: "),
        ("document", "projects: [\n", Position(2, 1), "invalid YAML: "),
        ("plan.json", '["\\ud83d", ' + "[" * 100_000, Position(1, 5), "invalid YAML: "),
    ],
)
def test_a_syntax_error_is_described_in_the_terms_of_the_format(
    source: str, text: str, place: Position, words: str
) -> None:
    (fault,) = reader.read(text, source).diagnostics
    assert (fault.position, fault.message[: len(words)]) == (place, words)


def test_a_document_that_unfolds_into_millions_is_refused_before_it_unfolds() -> None:
    lines = ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(SyntaxProblem, match="more than 2,000,000 values"):
        yaml_tree.compose("\n".join(lines))


@pytest.mark.promise("plan:all-errors")
def test_every_error_in_a_document_is_found_at_once_with_line_and_column() -> None:
    text = """\
projects:
  - name: Shop
    colour: red
    epics:
      - nam: Checkout
        tasks:
          - name: Pay
            statuss: DONE
            priority: high
            labels: {a: 1}
          - just a text
          - name: Pay again
            status: almost
            name: Paid
      - name: Empty
        tasks: none
standalone_task: []
"""
    read = reader.read(text, "plan.yaml")
    found = {(fault.position, fault.field) for fault in read.diagnostics}
    assert found == {
        (Position(3, 5), "projects.0.colour"),
        (Position(5, 9), "projects.0.epics.0.nam"),
        (Position(5, 9), "projects.0.epics.0.name"),
        (Position(8, 13), "projects.0.epics.0.tasks.0.statuss"),
        (Position(9, 23), "projects.0.epics.0.tasks.0.priority"),
        (Position(10, 21), "projects.0.epics.0.tasks.0.labels"),
        (Position(11, 13), "projects.0.epics.0.tasks.1"),
        (Position(13, 21), "projects.0.epics.0.tasks.2.status"),
        (Position(14, 13), "projects.0.epics.0.tasks.2.name"),
        (Position(16, 16), "projects.0.epics.1.tasks"),
        (Position(17, 1), "standalone_task"),
    }


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("prjects: []", "`projects`"),
        ("projects: [{name: A, epcs: []}]", "`epics`"),
        ("projects: [{name: A, epics: [{name: B, taks: []}]}]", "`tasks`"),
        ("standalone_tasks: [{name: A, depend_on: B}]", "`depends_on`"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_valid_one(text: str, near: str) -> None:
    (fault,) = reader.read(text, "plan.yaml").diagnostics
    assert fault.message.startswith("unknown field ")
    assert f"did you mean {near}?" in fault.message


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("projects:\n- name: A\n- name: A\n", 3),
        ("projects:\n- name: A\n  epics:\n  - name: E\n  - name: E\n", 5),
        ("projects:\n- name: A\n  tasks:\n  - name: T\n  - name: T\n", 5),
        ("standalone_tasks:\n- {name: T, external_key: k}\n- {name: U, external_key: k}\n", 3),
        ("standalone_tasks:\n- {name: T}\n- {name: T, project: Inbox}\n", 3),
    ],
)
def test_a_duplicate_is_reported_with_the_line_of_the_first_one(text: str, line: int) -> None:
    (fault,) = reader.read(text, "plan.yaml").diagnostics
    assert fault.position.line == line
    assert f"is already defined on line {line - 1}" in fault.message


def test_tasks_with_the_same_name_and_different_keys_are_two_tasks() -> None:
    read = reader.read(
        "standalone_tasks:\n- {name: T}\n- {name: T, external_key: k}\n- {name: T, external_key: l}\n", "p"
    )
    assert read.diagnostics == []
    assert len(read.tasks) == 3


def test_the_error_for_an_empty_key_names_the_default() -> None:
    text = "standalone_tasks:\n- {name: T, description: , labels: ~, priority: null, due_at: , status: , project: }\n"
    read = reader.read(text, "p")
    assert read.diagnostics == []
    assert read.tasks[0].values == {"name": "T", "description": "", "labels": [], "priority": 2, "due_at": None}


def test_an_empty_document_is_no_plan() -> None:
    for text in ("", "# nothing\n", "~"):
        (fault,) = reader.read(text, "p").diagnostics
        assert "empty" in fault.message


def test_the_error_counts_its_details_and_lists_them_in_document_order() -> None:
    faults = [diagnostics.Diagnostic(Position(line, 1), "f", f"fault {line}") for line in range(700, 0, -1)]
    error = diagnostics.plan_error("plan.yaml", faults)
    assert isinstance(error, Invalid)
    listed: Any = error.details["errors"]
    assert error.details["total"] == 700
    assert [fault["line"] for fault in listed] == list(range(1, 501))
    assert error.message.startswith("plan.yaml:1:1: fault 1; plan.yaml:2:1: fault 2")
    assert error.message.endswith("; and 690 more")


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.name)
def test_an_example_is_a_plan_without_faults(path: Path) -> None:
    assert reader.read(path.read_text(), path.name).diagnostics == []


def test_one_example_is_a_real_plan_of_more_than_thirty_tasks_with_everything_in_it() -> None:
    sizes = {path: reader.read(path.read_text(), path.name).tasks for path in PLANS}
    tasks = max(sizes.values(), key=len)
    said = {name for task in tasks for name in task.values}
    assert len(tasks) > 30
    assert {"depends_on", "conflicts_with", "priority", "labels", "acceptance", "external_key", "due_at"} <= said


def test_the_plan_in_the_documentation_is_one() -> None:
    page = (CHECKOUT / "docs" / "import.md").read_text()
    for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL):
        assert reader.read(block, "docs").diagnostics == []


def test_every_key_of_the_format_is_in_the_documentation() -> None:
    page = (CHECKOUT / "docs" / "import.md").read_text()
    kinds = (
        plan_format.PlanDocument,
        plan_format.PlanProject,
        plan_format.PlanEpic,
        plan_format.PlanStandaloneTask,
        plan_format.PlanLog,
    )
    for kind in kinds:
        for name in kind.model_fields:
            assert f"`{name}`" in page
