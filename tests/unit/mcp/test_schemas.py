"""Input schemas made from commands."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from project_manager.contract.fields import Id, Ids, Instant, TaskStatus
from project_manager.mcp.schemas import input_schema


class Sample(BaseModel):
    task_id: Id
    status: TaskStatus | None = None
    depends_on: Ids = Field(default_factory=list, description="what must be done first")
    due_at: Instant | None = None
    kind: Literal["a", "b"] = "a"
    count: Annotated[int, Field(ge=1, le=10)] = 3
    hidden: str = ""


def test_only_what_is_listed_is_shown_in_that_order() -> None:
    schema = input_schema(Sample, ("kind", "task_id"))
    assert list(schema["properties"]) == ["kind", "task_id"]
    assert schema["required"] == ["task_id"]
    assert schema["additionalProperties"] is False


def test_each_node_has_one_type_and_nothing_that_strict_clients_refuse() -> None:
    properties = input_schema(Sample, ("task_id", "status", "depends_on", "due_at", "kind", "count"))["properties"]
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
    assert "required" not in input_schema(Sample, ("kind",))
