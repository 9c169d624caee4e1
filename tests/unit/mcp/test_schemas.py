"""Input schemas made from commands."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from project_manager.mcp.schemas import input_schema
from project_manager.operations.definition import WRITES, Tool
from project_manager.schemas.fields import Id, Ids, Instant, TaskStatus


class Sample(BaseModel):
    task_id: Id
    status: TaskStatus | None = None
    depends_on: Ids = Field(default_factory=list, description="what must be done first")
    due_at: Instant | None = None
    kind: Literal["a", "b"] = "a"
    count: Annotated[int, Field(ge=1, le=10)] = 3
    hidden: str = ""


def tool(*arguments: str, **more: Any) -> Tool:
    return Tool("A tool", WRITES, " ".join(arguments), **more)


def test_only_listed_arguments_are_shown_in_that_order() -> None:
    schema = input_schema(Sample, tool("kind", "task_id"))
    assert list(schema["properties"]) == ["kind", "task_id"]
    assert schema["required"] == ["task_id"]
    assert "additionalProperties" not in schema


def test_each_node_has_one_type_and_nothing_that_strict_clients_refuse() -> None:
    listed = tool("task_id", "status", "depends_on", "due_at", "kind", "count")
    properties = input_schema(Sample, listed)["properties"]
    assert properties["task_id"] == {"type": "integer"}
    assert properties["status"]["type"] == "string"
    assert "DONE" in properties["status"]["enum"]
    assert properties["depends_on"] == {
        "type": "array",
        "items": {"type": "integer"},
        "description": "what must be done first",
    }
    assert properties["due_at"] == {"type": "string", "format": "date-time"}
    assert properties["kind"] == {"type": "string", "enum": ["a", "b"]}
    assert properties["count"] == {"type": "integer"}


def test_nothing_required_leaves_no_empty_list() -> None:
    assert "required" not in input_schema(Sample, tool("kind"))


def test_the_nullable_dialect_marks_each_optional_argument_and_keeps_one_type() -> None:
    schema = input_schema(Sample, tool("task_id", "kind", "depends_on"), "nullable")
    assert schema["required"] == ["task_id"]
    assert schema["properties"]["task_id"] == {"type": "integer"}
    assert schema["properties"]["kind"] == {"type": "string", "enum": ["a", "b"], "nullable": True}
    assert schema["properties"]["depends_on"]["nullable"] is True


def test_the_strict_dialect_requires_every_argument_and_lets_each_optional_one_be_null() -> None:
    schema = input_schema(Sample, tool("kind", "task_id", "depends_on"), "strict")
    assert schema["required"] == ["kind", "task_id", "depends_on"]
    assert schema["properties"]["task_id"] == {"type": "integer"}
    assert schema["properties"]["kind"] == {"type": ["string", "null"], "enum": ["a", "b", None]}
    assert schema["properties"]["depends_on"]["type"] == ["array", "null"]
    assert schema["properties"]["depends_on"]["items"] == {"type": "integer"}


def test_an_agent_id_that_mcp_requires_is_not_nullable() -> None:
    class Claim(BaseModel):
        agent_id: str | None = None

    schema = input_schema(Claim, tool("agent_id", required=("agent_id",)), "strict")
    assert schema["properties"]["agent_id"] == {"type": "string"}


def test_a_tool_that_can_empty_fields_has_clear() -> None:
    schema = input_schema(Sample, tool("task_id", clearable={"depends_on": []}))
    assert schema["properties"]["clear"] == {
        "type": "array",
        "items": {"type": "string"},
        "description": "names of fields to empty",
    }
    assert schema["required"] == ["task_id"]
