"""Normalising the arguments of a call: fillers are dropped, `clear` is translated."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from project_manager.catalogue import BY_NAME, OPERATIONS
from project_manager.domain.errors import Invalid
from project_manager.mcp.arguments import ParsedArguments, ToolArguments
from project_manager.mcp.schemas import Schema, flat_properties
from project_manager.operations.definition import CLEAR, Operation
from project_manager.schemas import validation

TOOLS = [row for row in OPERATIONS if row.tool is not None]
each_tool = pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
EDIT: dict[str, Any] = {"task_id": 7, "agent_id": "ann", "fence": 3}
FILLERS: dict[str, list[Any]] = {
    "string": ["", " ", "null"],
    "integer": [0, "", "null", 0.0],
    "number": [0, ""],
    "boolean": [False, "", "false"],
    "array": [[], "", "[]", [""], [None]],
    "object": [{}, "", "{}"],
}


def read(tool: str, *, nullable: bool = False, **arguments: Any) -> ParsedArguments:
    return ToolArguments(BY_NAME[tool]).read(arguments, nullable=nullable)


def optional_nodes(tool: Operation) -> dict[str, Schema]:
    assert tool.tool is not None
    nodes = flat_properties(tool.command)
    fields = tool.command.model_fields
    optional = {name: nodes[name] for name in nodes if not fields[name].is_required()}
    return {**optional, **({CLEAR: {"type": "array"}} if tool.tool.clearable else {})}


def needed(tool: Operation) -> dict[str, Any]:
    """Return a value for each argument that the command requires."""
    return {name: "1" for name, field in tool.command.model_fields.items() if field.is_required()}


@each_tool
@pytest.mark.parametrize("value", [["x"], [1], [["x"]], [{"a": 1}], {"a": ["x"]}], ids=str)
def test_a_value_of_another_type_is_left_to_the_validation(tool: Operation, value: Any) -> None:
    assert tool.tool is not None
    for name in optional_nodes(tool).keys() - {CLEAR}:
        in_list = isinstance(value, dict) and name in tool.tool.nested  # one object stands for a list of one
        read_value = ToolArguments(tool).read({**needed(tool), name: value}, nullable=False).arguments[name]
        assert read_value == ([value] if in_list else value)


@each_tool
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_call_with_every_optional_argument_filled_equals_the_call_without_them(
    tool: Operation, data: st.DataObject
) -> None:
    nodes = optional_nodes(tool)
    fillers = {name: data.draw(st.sampled_from(FILLERS[node["type"]]), name) for name, node in nodes.items()}
    fillers |= {"agent_id": ""} if "agent_id" in fillers else {}
    reader = ToolArguments(tool)
    filled = reader.read({**needed(tool), **fillers}, nullable=False)
    if any(value in ("", " ", "null", [], {}) for value in fillers.values()):
        assert filled.arguments == reader.read(needed(tool), nullable=False).arguments
        assert set(filled.ignored) == set(fillers)


@each_tool
def test_null_for_every_listed_argument_equals_the_call_without_them(tool: Operation) -> None:
    assert tool.tool is not None
    nulls = dict.fromkeys((name for name in tool.tool.arguments if name in optional_nodes(tool)), None)
    reader = ToolArguments(tool)
    for nullable in (False, True):
        assert reader.read({**needed(tool), **nulls}, nullable=nullable) == reader.read(needed(tool), nullable=nullable)


def test_an_edit_that_fills_every_argument_changes_only_the_intended_fields() -> None:
    fillers: dict[str, Any] = {"description": "", "priority": 0, "labels": [], "acceptance": [], "version": 0}
    filled = read("update_task", **EDIT, name="same", log_entry="note", **fillers)
    assert filled.arguments == {**EDIT, "name": "same", "log_entry": "note"}
    assert filled.ignored == ("description", "priority", "labels", "acceptance", "version")


@pytest.mark.parametrize("priority", ["P0", "p0", "P3", 1])
def test_a_priority_that_is_written_out_counts_in_a_filled_call(priority: object) -> None:
    assert read("update_task", **EDIT, priority=priority, labels=[]).arguments["priority"] == priority


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("update_task", {"task_id": 7, "priority": 0}),
        ("update_task", {"task_id": 7, "estimate_minutes": 0}),
        ("list_projects", {"archived": False}),
        ("list_tasks", {"ready": "false"}),
        ("wait_for_events", {"since": 0}),
        ("upsert_knowledge", {"knowledge_id": 1, "active": False, "priority": 0}),
    ],
)
def test_zero_and_false_count_in_a_call_that_is_not_filled(tool: str, arguments: dict[str, Any]) -> None:
    reading = read(tool, **arguments)
    assert reading.ignored == ()
    assert arguments.items() <= reading.arguments.items()


@pytest.mark.parametrize("filler", [{"request_id": ""}, {"epic_id": 0}, {"labels": []}, {"epic_name": "null"}])
def test_one_value_that_no_caller_wants_makes_the_call_filled(filler: dict[str, Any]) -> None:
    reading = read("create_task", name="x", priority=0, estimate_minutes=0, **filler)
    assert reading.arguments == {"name": "x"}
    assert reading.ignored == ("priority", "estimate_minutes", *filler)


def test_where_null_is_possible_zero_and_false_count_also_with_an_empty_value() -> None:
    reading = read("update_task", nullable=True, **EDIT, priority=0, reopen=False, labels=[], name=None)
    assert reading.arguments == {**EDIT, "priority": 0, "reopen": False}
    assert reading.ignored == ("labels",)


@pytest.mark.parametrize("nullable", [False, True])
def test_zero_is_the_first_criterion_and_a_success_in_evidence_and_a_filler_elsewhere(nullable: bool) -> None:
    sent: dict[str, Any] = {"task_id": 7, "body": "ok", "criterion": 0, "command": "make", "exit_code": 0, "fence": 0}
    evidence = read("add_task_log", nullable=nullable, **sent, kind="evidence")
    assert {name: evidence.arguments[name] for name in ("criterion", "exit_code")} == {"criterion": 0, "exit_code": 0}
    assert evidence.ignored == ("fence",)
    progress = read("add_task_log", nullable=nullable, **{**sent, "command": ""}, kind="progress")
    assert progress.arguments == {"task_id": 7, "body": "ok", "kind": "progress"}


FILLED_EVIDENCE = {"criterion": 0, "command": "make", "exit_code": 0, "body": "", "commit": "null", "url": None}


@pytest.mark.parametrize("sent", [[FILLED_EVIDENCE], FILLED_EVIDENCE, orjson.dumps([FILLED_EVIDENCE]).decode()])
def test_evidence_with_every_field_filled_equals_evidence_without_them(sent: object) -> None:
    reading = read("update_task_status", task_id=7, status="DONE", evidence=sent)
    assert reading.arguments["evidence"] == [{"criterion": 0, "command": "make", "exit_code": 0}]


@pytest.mark.parametrize("sent", ["[not json", "passed", ["passed"], 3])
def test_evidence_that_is_no_list_of_objects_is_left_to_the_validation(sent: object) -> None:
    with pytest.raises(Invalid) as caught:
        validation.read(
            BY_NAME["update_task_status"].command,
            read("update_task_status", task_id=7, status="DONE", evidence=sent).arguments,
        )
    errors: Any = caught.value.details["errors"]
    assert errors[0]["field"].startswith("evidence")


def test_a_filler_under_another_name_of_an_argument_is_dropped_too() -> None:
    reading = read("update_task", **EDIT, dependencies="", ra_tags=[], priority=0)
    assert reading.arguments == EDIT
    assert reading.ignored == ("dependencies", "ra_tags", "priority")


def test_a_required_argument_is_never_a_filler() -> None:
    assert read("add_task_log", task_id=0, body="", kind="").arguments == {"task_id": 0, "body": ""}


def test_a_name_that_the_tool_does_not_have_is_left_for_the_validation() -> None:
    assert read("list_tasks", statuss="").arguments["statuss"] == ""


# Emptying fields


def test_clear_empties_each_field_that_it_names() -> None:
    reading = read("update_task", **EDIT, clear=["labels", "due_at", "description", "dependencies", "attempts"])
    empty: dict[str, Any] = {"labels": [], "due_at": None, "description": "", "depends_on": [], "attempts": 0}
    assert reading == ParsedArguments({**EDIT, **empty})


@pytest.mark.parametrize("clear", ["labels", '["labels"]'])
def test_clear_may_be_text(clear: str) -> None:
    assert read("update_task", **EDIT, clear=clear).arguments == {**EDIT, "labels": []}


def test_clear_counts_in_a_filled_call() -> None:
    reading = read("update_task", **EDIT, labels=[], acceptance=[], priority=0, clear=["labels"])
    assert reading.arguments == {**EDIT, "labels": []}


@pytest.mark.parametrize("clear", [[], "", None])
def test_an_empty_clear_empties_nothing(clear: object) -> None:
    assert read("update_task", **EDIT, clear=clear).arguments == EDIT


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"clear": ["label"]}, "did you mean `labels`?"),
        ({"clear": ["name"]}, "`clear` cannot empty"),
        ({"clear": [7]}, "`clear` cannot empty"),
        ({"clear": 7}, "`clear` cannot empty"),
        ({"clear": {"labels": True}}, "must be a list of field names"),
        ({"clear": "[labels"}, "must be a list of field names"),
        ({"clear": ["labels"], "labels": ["a"]}, "`labels` is both sent and cleared"),
        ({"clear": ["depends_on"], "dependencies": [1]}, "`depends_on` is both sent and cleared"),
    ],
)
def test_a_clear_that_cannot_be_carried_out_is_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid, match=words.replace("?", r"\?")) as raised:
        read("update_task", **EDIT, **arguments)
    assert str(raised.value.details["errors"]).startswith(f"[{{'field': {CLEAR!r}")


def test_null_for_an_unlisted_field_is_named_as_ignored() -> None:
    assert read("update_task", **EDIT, due_at=None, name="x") == ParsedArguments({**EDIT, "name": "x"}, ("due_at",))


def test_a_tool_without_fields_to_empty_has_no_clear() -> None:
    assert read("create_task", name="x", clear=["labels"]).arguments["clear"] == ["labels"]
