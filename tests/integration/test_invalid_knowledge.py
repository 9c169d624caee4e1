"""Refused knowledge, with its field errors."""

from typing import Any

import pytest

from project_manager.domain import limits
from project_manager.domain.actors import Actor, Role
from project_manager.domain.errors import (
    AgentMismatch,
    EpicNotFound,
    Invalid,
    KnowledgeNotFound,
    NotFound,
    ProjectNotFound,
    RoleRequired,
    TaskNotFound,
    UnknownArgument,
)
from tests.integration.knowledge_helpers import epic, project, saved_knowledge, versions
from tests.operations_client import Json, OperationsClient


async def test_a_new_item_without_required_fields_is_refused_with_all_field_errors(api: OperationsClient) -> None:
    refusal = await api.call_error(Invalid, "upsert_knowledge")
    fields = [fault["field"] for fault in refusal.details["errors"]]  # type: ignore[attr-defined]
    assert fields == ["title", "content"]
    homeless = await api.call_error(Invalid, "upsert_knowledge", title="a", content="b")
    assert "project_id" in homeless.message


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("title", "", "is empty"),
        ("title", "x" * (limits.TITLE_CHARACTERS + 1), "more than 500 characters"),
        ("title", "two\nlines", "line break"),
        ("title", None, "must be a string"),
        ("content", "", "is empty"),
        ("content", "x" * (limits.DESCRIPTION_BYTES + 1), "the limit is 65536"),
        ("content", "nul \x00", "NUL"),
        ("content", "\ud800", "Unicode"),
        ("category", "x" * 101, "more than 100 characters"),
        ("tags", ["x" * 65], "more than 64 characters"),
        ("tags", [str(number) for number in range(33)], "more than 32 entries"),
        ("tags", ",".join(str(number) for number in range(33)), "more than 32 entries"),
        ("tags", "[1", "JSON list"),
        ("priority", 6, "at most 5"),
        ("priority", -1, "at least 0"),
        ("priority", "high", "must be an integer"),
        ("active", "perhaps", "must be true or false"),
        ("metadata", "[]", "object"),
        ("metadata", "{", "JSON object"),
        ("metadata", {"a": "x" * 9000}, "the limit is 8192"),
        ("metadata", '{"a": NaN}', "not valid JSON"),
        ("metadata", '{"a": "\\ud800"}', "not valid JSON"),
        ("metadata", '{"a": ' + "[" * 80 + "]" * 80 + "}", "deep"),
        ("metadata", "[" * 5000, "JSON object"),
        ("knowledge_id", "seven", "must be an integer"),
        ("version", 0, "at least 1"),
    ],
)
async def test_a_value_out_of_bounds_is_refused_by_name(
    api: OperationsClient, field: str, value: Any, words: str
) -> None:
    item = (await saved_knowledge(api))["knowledge_id"]
    refusal = await api.call_error(Invalid, "upsert_knowledge", **{"knowledge_id": item, field: value})
    assert f"`{field}" in refusal.message
    assert words in refusal.message
    assert len(await versions(api, item)) == 1


async def test_an_unknown_field_is_refused_with_the_nearest_one(api: OperationsClient) -> None:
    refusal = await api.call_error(UnknownArgument, "upsert_knowledge", titel="a", content="b", project_name="Garden")
    assert refusal.message == "unknown field `titel`; did you mean `title`?"


@pytest.mark.parametrize(
    ("error", "operation", "arguments"),
    [
        (KnowledgeNotFound, "upsert_knowledge", {"knowledge_id": 99, "title": "a"}),
        (KnowledgeNotFound, "get_knowledge", {"knowledge_id": 99}),
        (KnowledgeNotFound, "get_knowledge_item", {"knowledge_id": 99}),
        (KnowledgeNotFound, "retire_knowledge", {"knowledge_id": 99}),
        (KnowledgeNotFound, "list_knowledge_versions", {"knowledge_id": 99}),
        (KnowledgeNotFound, "list_knowledge_logs", {"knowledge_id": 99}),
        (KnowledgeNotFound, "append_knowledge_log", {"knowledge_id": 99, "action_type": "used"}),
        (KnowledgeNotFound, "upsert_knowledge", {"title": "a", "content": "b", "parent_id": 99}),
        (ProjectNotFound, "get_knowledge", {"project_id": 99}),
        (ProjectNotFound, "upsert_knowledge", {"title": "a", "content": "b", "project_id": 99}),
        (EpicNotFound, "get_knowledge", {"epic_id": 99}),
        (EpicNotFound, "upsert_knowledge", {"title": "a", "content": "b", "epic_id": 99}),
        (TaskNotFound, "upsert_knowledge", {"title": "a", "content": "b", "task_id": 99}),
    ],
)
async def test_unknown_ids_are_refused_as_not_found(
    api: OperationsClient, error: type[NotFound], operation: str, arguments: Json
) -> None:
    refusal = await api.call_error(error, operation, **arguments)
    assert "99" in refusal.message
    assert refusal.hint


async def test_links_into_another_project_are_refused(api: OperationsClient) -> None:
    item = (await saved_knowledge(api))["knowledge_id"]
    house = await project(api, "House")
    other = (await saved_knowledge(api, project_id=house))["knowledge_id"]
    task = await api.create_task(project_name="House")
    for field, value in (
        ("parent_id", other),
        ("task_id", task["id"]),
        ("epic_id", await epic(api, house)),
        ("project_id", house),
        ("project_name", "House"),
    ):
        await api.call_error(Invalid, "upsert_knowledge", **{"knowledge_id": item, field: value})
    same = await api.call("upsert_knowledge", knowledge_id=item, project_name="Garden", priority=1)
    assert same["operation"] == "updated"


async def test_an_item_cannot_be_its_own_ancestor(api: OperationsClient) -> None:
    top = (await saved_knowledge(api))["knowledge_id"]
    middle = (await saved_knowledge(api, parent_id=top))["knowledge_id"]
    bottom = (await saved_knowledge(api, parent_id=middle))["knowledge_id"]
    refusal = await api.call_error(Invalid, "upsert_knowledge", knowledge_id=top, parent_id=bottom)
    assert f"{top} -> {bottom} -> {middle} -> {top}" in refusal.message
    await api.call_error(Invalid, "upsert_knowledge", knowledge_id=top, parent_id=top)


async def test_a_viewer_does_not_write(api: OperationsClient) -> None:
    item = (await saved_knowledge(api))["knowledge_id"]
    viewer = api.acting_as(Actor("vic", "human", Role.VIEWER))
    assert (await viewer.call("get_knowledge"))["total"] == 1
    assert (await viewer.call("list_knowledge_versions", knowledge_id=item))["total"] == 1
    await viewer.call_error(RoleRequired, "upsert_knowledge", knowledge_id=item, title="b")
    await viewer.call_error(RoleRequired, "append_knowledge_log", knowledge_id=item, action_type="used")
    await viewer.call_error(RoleRequired, "retire_knowledge", knowledge_id=item)
    bound = api.acting_as(Actor("ann", "agent", Role.AGENT, bound=True))
    await bound.call_error(AgentMismatch, "upsert_knowledge", knowledge_id=item, title="b", created_by="bob")
