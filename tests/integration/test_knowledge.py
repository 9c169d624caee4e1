"""Knowledge of projects and epics: no stored text is lost, and omitted fields do not change."""

from typing import Any

import pytest
from sqlalchemy import select

from project_manager.domain.errors import (
    IdempotencyMismatch,
    Invalid,
    KnowledgeNotFound,
    NotEmpty,
    TaskNotFound,
    VersionMismatch,
)
from project_manager.store import search
from project_manager.store.statement import Statement
from tests.integration.knowledge_helpers import epic, project, saved_knowledge, titles, versions
from tests.operations_client import OperationsClient

# Writing


async def test_a_new_item_is_kept_with_all_that_was_sent(api: OperationsClient) -> None:
    garden = await project(api)
    fence = await epic(api, garden)
    task = await api.create_task(epic_id=fence)
    saved = await saved_knowledge(
        api,
        epic_id=fence,
        task_id=task["id"],
        category="decision",
        tags=["paint", "outdoor"],
        priority=4,
        metadata={"seen": 3},
        agent_id="ann",
    )
    assert (saved["success"], saved["operation"], saved["version"]) == (True, "created", 1)
    item = saved["knowledge_item"]
    assert item == {
        "id": saved["knowledge_id"],
        "project_id": garden,
        "epic_id": fence,
        "task_id": task["id"],
        "parent_id": None,
        "title": "Paint",
        "content": "Green paint lasts.",
        "content_cut": False,
        "category": "decision",
        "tags": ["paint", "outdoor"],
        "priority": 4,
        "active": True,
        "metadata": {"seen": 3},
        "version": 1,
        "created_by": "ann",
        "created_at": api.clock.later(0),
        "updated_by": "ann",
        "updated_at": api.clock.later(0),
    }
    assert await api.call("get_knowledge_item", knowledge_id=item["id"]) == item


async def test_a_new_item_is_at_no_version(api: OperationsClient) -> None:
    garden = await project(api)
    with pytest.raises(VersionMismatch, match="a new item has no version 3"):
        await saved_knowledge(api, project_id=garden, version=3)


async def test_a_change_leaves_omitted_fields_as_they_were(api: OperationsClient) -> None:
    first = await saved_knowledge(
        api, category="decision", tags=["paint"], priority=4, metadata={"a": 1}, agent_id="ann"
    )
    api.clock.advance(5)
    changed = await api.call(
        "upsert_knowledge", knowledge_id=first["knowledge_id"], content="Blue paint lasts.", agent_id="bob"
    )
    assert (changed["operation"], changed["version"]) == ("updated", 2)
    before, after = first["knowledge_item"], changed["knowledge_item"]
    assert {name for name in after if after[name] != before[name]} == {"content", "version", "updated_by", "updated_at"}


async def test_null_clears_optional_fields(api: OperationsClient) -> None:
    first = await saved_knowledge(api, category="decision")
    changed = await api.call("upsert_knowledge", knowledge_id=first["knowledge_id"], category=None)
    assert changed["knowledge_item"]["category"] is None


async def test_sending_the_stored_values_changes_nothing(api: OperationsClient) -> None:
    first = await saved_knowledge(api, tags=["a"], metadata={"b": 1, "a": 2})
    head = await api.last_seq()
    again = await api.call(
        "upsert_knowledge",
        knowledge_id=first["knowledge_id"],
        title="Paint",
        content="Green paint lasts.",
        tags='["a"]',
        metadata='{"a": 2, "b": 1}',
    )
    assert (again["operation"], again["version"]) == ("no_changes", 1)
    assert await api.last_seq() == head
    assert len(await versions(api, first["knowledge_id"])) == 1


async def test_a_repeated_request_writes_one_item(api: OperationsClient) -> None:
    first = await saved_knowledge(api, request_id="once")
    assert await saved_knowledge(api, request_id="once") == first
    assert await titles(api) == ["Paint"]
    with pytest.raises(IdempotencyMismatch):
        await saved_knowledge(api, request_id="once", title="Other")


async def test_an_item_belongs_to_the_project_of_its_link(api: OperationsClient) -> None:
    garden = await project(api)
    task = await api.create_task()
    parent = await saved_knowledge(api, project_id=garden)
    for link in ({"task_id": task["id"]}, {"parent_id": parent["knowledge_id"]}, {"epic_id": await epic(api, garden)}):
        assert (await saved_knowledge(api, **link))["knowledge_item"]["project_id"] == garden


# Versions


async def test_every_version_stays_readable_with_author_and_reason(api: OperationsClient) -> None:
    item = (await saved_knowledge(api, agent_id="ann"))["knowledge_id"]
    for number in range(2, 6):
        api.clock.advance(60)
        await api.call(
            "upsert_knowledge",
            knowledge_id=item,
            content=f"Text {number}",
            agent_id=f"agent-{number}",
            change_reason=f"because {number}",
        )
    found = await versions(api, item)
    assert [version["version"] for version in found] == [1, 2, 3, 4, 5]
    assert [version["content"] for version in found] == ["Green paint lasts.", "Text 2", "Text 3", "Text 4", "Text 5"]
    assert [version["author"] for version in found] == ["ann", "agent-2", "agent-3", "agent-4", "agent-5"]
    assert [version["change_reason"] for version in found][1:] == [f"because {number}" for number in range(2, 6)]
    assert found[2]["changed"] == ["content"]
    assert found[1]["created_at"] < found[2]["created_at"]


async def test_versions_are_read_page_by_page_newest_first(api: OperationsClient) -> None:
    item = (await saved_knowledge(api))["knowledge_id"]
    for number in range(2, 6):
        await api.call("upsert_knowledge", knowledge_id=item, priority=number % 5)
    read, cursor = [], None
    while True:
        page = await api.call("list_knowledge_versions", knowledge_id=item, limit=2, cursor=cursor)
        read += [version["version"] for version in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert read == [5, 4, 3, 2, 1]
    assert page["total"] == 5


async def test_a_change_of_an_old_version_is_refused_and_changes_nothing(api: OperationsClient) -> None:
    item = (await saved_knowledge(api))["knowledge_id"]
    await api.call("upsert_knowledge", knowledge_id=item, content="Second", version=1)
    refusal = await api.call_error(
        VersionMismatch, "upsert_knowledge", knowledge_id=item, content="Lost update", version=1
    )
    assert refusal.details == {"version": 2, "expected": 1}
    assert (await api.call("get_knowledge_item", knowledge_id=item))["content"] == "Second"


async def test_a_retired_item_leaves_lists_and_comes_back_with_its_versions(api: OperationsClient) -> None:
    item = (await saved_knowledge(api))["knowledge_id"]
    assert (await api.call("retire_knowledge", knowledge_id=item))["knowledge_item"]["active"] is False
    assert await titles(api) == []
    assert await titles(api, q="green") == []
    assert await titles(api, include_inactive=True) == ["Paint"]
    assert await titles(api, knowledge_id=item) == ["Paint"]
    await api.call("upsert_knowledge", knowledge_id=item, is_active=True)
    assert await titles(api) == ["Paint"]
    assert [version["active"] for version in await versions(api, item)] == [True, False, True]
    await api.call_error(VersionMismatch, "retire_knowledge", knowledge_id=item, version=1)


# Logs


async def test_a_log_entry_records_an_action_and_leaves_the_item_unchanged(api: OperationsClient) -> None:
    item = await saved_knowledge(api)
    noted = await api.call(
        "append_knowledge_log",
        knowledge_id=item["knowledge_id"],
        action_type="used",
        change_reason="for the gate",
        metadata={"task": 7},
        created_by="bob",
    )
    assert (noted["success"], noted["knowledge_id"]) == (True, item["knowledge_id"])
    await api.call("append_knowledge_log", knowledge_id=item["knowledge_id"], action_type="questioned")
    page = await api.call("list_knowledge_logs", knowledge_id=item["knowledge_id"])
    assert [entry["action_type"] for entry in page["items"]] == ["questioned", "used"]
    assert page["items"][1] == noted["log"]
    assert (noted["log"]["author"], noted["log"]["metadata"]) == ("bob", {"task": 7})
    used = await api.call("list_knowledge_logs", knowledge_id=item["knowledge_id"], action_type="used")
    assert (len(used["items"]), used["total"]) == (1, 1)
    assert (await api.call("get_knowledge_item", knowledge_id=item["knowledge_id"])) == item["knowledge_item"]


# Events


async def test_every_change_emits_an_event(api: OperationsClient) -> None:
    garden = await project(api)
    fence = await epic(api, garden)
    since = await api.last_seq()
    item = (await saved_knowledge(api, epic_id=fence, agent_id="ann"))["knowledge_id"]
    await api.call("upsert_knowledge", knowledge_id=item, tags=["a"], agent_id="bob")
    await api.call("append_knowledge_log", knowledge_id=item, action_type="used", agent_id="cid")
    created, updated, logged = await api.events(since)
    assert [event["type"] for event in (created, updated, logged)] == [
        "knowledge.created",
        "knowledge.updated",
        "knowledge.logged",
    ]
    assert [event["actor"]["id"] for event in (created, updated, logged)] == ["ann", "bob", "cid"]
    assert (created["project_id"], created["epic_id"], created["knowledge_id"]) == (garden, fence, item)
    assert (updated["version"], updated["changed"]) == (2, ["tags"])
    assert logged["action_type"] == "used"


# Deletion


async def test_an_edit_may_name_the_project_of_the_item_in_any_case_but_no_other_project(api: OperationsClient) -> None:
    item = (await saved_knowledge(api, project_name="Garden"))["knowledge_id"]
    await api.call("upsert_knowledge", knowledge_id=item, project_name="garden", content="Blue paint lasts.")
    error = await api.call_error(Invalid, "upsert_knowledge", knowledge_id=item, project_name="House", content="no")
    assert "project_name" in str(error.details["errors"])


async def test_deleting_a_project_takes_its_knowledge_with_it_and_leaves_the_rest(api: OperationsClient) -> None:
    garden = await project(api)
    fence = await epic(api, garden)
    parent = (await saved_knowledge(api, epic_id=fence, title="above"))["knowledge_id"]
    below = (await saved_knowledge(api, project_id=garden, parent_id=parent, title="below"))["knowledge_id"]
    await api.call("upsert_knowledge", knowledge_id=below, content="changed")
    await api.call("append_knowledge_log", knowledge_id=below, action_type="used")
    await saved_knowledge(api, project_name="House", title="of the house", content="Green too")
    await api.call("delete_project", project_id=garden, force=True)
    await api.call_error(KnowledgeNotFound, "get_knowledge_item", knowledge_id=below)
    assert await titles(api, q="green") == ["of the house"]
    assert await titles(api) == ["of the house"]
    left = await api.runtime.read("left", left_behind)
    assert left == {"knowledge_versions": 1, "knowledge_logs": 0, "search": "whole"}


def left_behind(tx: Any) -> dict[str, Any]:
    """Return rows of the tables behind the items, and whether the search index agrees with the items."""
    counts = {
        name: tx.connection.execute(f"SELECT count(*) FROM {name}", {}).fetchone()[0]
        for name in ("knowledge_versions", "knowledge_logs")
    }
    index = search.knowledge_fts
    indexed = Statement(select(index.c.rowid).where(search.matches(index, "q")))
    ids = {
        row[0] for word in ("green", "changed") for row in indexed.rows(tx, q=search.match_expression(tx, index, word))
    }
    return {**counts, "search": "whole" if len(ids) == 1 else "torn"}


async def test_a_project_that_has_nothing_but_knowledge_is_not_deleted_by_accident(api: OperationsClient) -> None:
    item = await saved_knowledge(api)
    garden = item["knowledge_item"]["project_id"]
    refusal = await api.call_error(NotEmpty, "delete_project", project_id=garden)
    assert refusal.details == {"epics": 0, "tasks": 0, "knowledge": 1}
    since = await api.last_seq()
    await api.call("delete_project", project_id=garden, force=True)
    assert [event["knowledge"] for event in await api.events(since, "project.deleted")] == [1]


async def test_knowledge_outlives_the_epic_the_task_and_the_parent_that_it_came_from(api: OperationsClient) -> None:
    garden = await project(api)
    fence = await epic(api, garden)
    task = await api.create_task(project_id=garden, epic_id=fence)
    item = (await saved_knowledge(api, epic_id=fence, task_id=task["id"]))["knowledge_id"]
    await api.call("delete_epic", epic_id=fence, force=True)
    await api.call_error(TaskNotFound, "get_task", task_id=task["id"])
    left = await api.call("get_knowledge_item", knowledge_id=item)
    assert (left["project_id"], left["epic_id"], left["task_id"]) == (garden, None, None)
    first = (await versions(api, item))[0]
    assert (first["epic_id"], first["task_id"]) == (fence, task["id"])
