"""Knowledge in the work loop: saved by one call, and returned by claims and the context."""

from typing import Any

from project_manager.domain.errors import Invalid
from project_manager.services.knowledge import EXCERPTS_CHARACTERS
from tests.integration.invariants import check
from tests.operations_client import OperationsClient, invalid_fields


async def remember(api: OperationsClient, title: str, content: str = "text", **more: Any) -> Any:
    return await api.call("remember", title=title, content=content, **{"project_name": "Garden", **more})


async def test_a_claim_returns_the_three_most_important_active_items_of_the_project(api: OperationsClient) -> None:
    await remember(api, "old")
    await api.advance(1)
    for title, priority in (("urgent", 5), ("low", 0), ("middle", 2)):
        await remember(api, title, priority=priority)
    retired = await remember(api, "retired", priority=5)
    await api.call("retire_knowledge", knowledge_id=retired["knowledge_id"])
    await remember(api, "elsewhere", project_name="House", priority=5)
    task = await api.create_task()
    other = await api.create_task("without", project_name="Empty")
    claimed = await api.claim_next("ann")
    assert claimed["task"]["id"] == task["id"]
    assert [item["title"] for item in claimed["knowledge"]] == ["urgent", "middle", "low"]
    assert set(claimed["knowledge"][0]) == {"id", "title", "content"}
    by_name = await api.call("acquire_task_lock", task_id=other["id"], agent_id="bob")
    assert by_name["knowledge"] == []
    await api.release(task["id"], "ann")
    again = await api.call("acquire_task_lock", task_id=task["id"], agent_id="bob")
    assert again["knowledge"] == claimed["knowledge"]
    check(api)


async def test_items_of_equal_priority_are_returned_newest_first(api: OperationsClient) -> None:
    for title in ("one", "two", "three", "four"):
        await remember(api, title)
        await api.advance(1)
    await remember(api, "one", "changed")
    await api.create_task()
    claimed = await api.claim_next("ann")
    assert [item["title"] for item in claimed["knowledge"]] == ["one", "four", "three"]


async def test_long_items_share_2000_characters_and_say_that_they_are_truncated(api: OperationsClient) -> None:
    short = await remember(api, "short", "brief", priority=3)
    long = [await remember(api, title, "x" * 5000, priority=priority) for title, priority in (("a", 2), ("b", 1))]
    await api.create_task()
    found = (await api.claim_next("ann"))["knowledge"]
    assert found[0] == {"id": short["knowledge_id"], "title": "short", "content": "brief"}
    for item, saved in zip(found[1:], long, strict=True):
        assert item["content"].endswith(f" [truncated; read knowledge {saved['knowledge_id']}]")
    size = sum(len(item["title"]) + len(item["content"]) for item in found)
    assert EXCERPTS_CHARACTERS - 2 <= size <= EXCERPTS_CHARACTERS


async def test_the_same_title_replaces_the_content_and_keeps_the_versions(api: OperationsClient) -> None:
    first = await remember(api, "Tests", "run make")
    assert (first["operation"], first["version"]) == ("created", 1)
    assert (await remember(api, "Tests", "run make"))["operation"] == "no_changes"
    second = await remember(api, "Tests", "run scripts/test")
    assert (second["knowledge_id"], second["operation"], second["version"]) == (first["knowledge_id"], "updated", 2)
    assert (await remember(api, "Tests", "other", project_name="House"))["operation"] == "created"
    versions = await api.call("list_knowledge_versions", knowledge_id=first["knowledge_id"])
    assert [version["content"] for version in versions["items"]] == ["run scripts/test", "run make"]
    check(api)


async def test_the_project_is_that_of_the_task_or_of_the_callers_leases(api: OperationsClient) -> None:
    task = await api.create_task()
    saved = await api.call("remember", title="a", content="b", task_id=task["id"])
    assert (saved["knowledge_item"]["project_id"], saved["knowledge_item"]["task_id"]) == (
        task["project_id"],
        task["id"],
    )
    error = await api.call_error(Invalid, "remember", title="c", content="d", agent_id="ann")
    assert invalid_fields(error) == ["project_id"]
    await api.claim(task["id"], "ann")
    saved = await api.call("remember", title="c", content="d", agent_id="ann")
    assert saved["knowledge_item"]["project_id"] == task["project_id"]
    assert saved["knowledge_item"]["created_by"] == "ann"
    elsewhere = await api.create_task("elsewhere", project_name="House")
    await api.claim(elsewhere["id"], "ann")
    await api.call_error(Invalid, "remember", title="e", content="f", agent_id="ann")


async def test_the_context_has_the_knowledge_of_the_held_task_or_of_the_requested_project(
    api: OperationsClient,
) -> None:
    task = await api.create_task(epic_name="Fence")
    await remember(api, "Tests", "y" * 3000)
    assert (await api.call("get_context", agent_id="ann"))["knowledge"] == []
    for scope in ({"project_name": "Garden"}, {"epic_id": task["epic_id"]}):
        found = (await api.call("get_context", agent_id="ann", budget_tokens=400, **scope))["knowledge"]
        assert [item["title"] for item in found] == ["Tests"]
        assert len(found[0]["content"]) <= 400
    await api.claim(task["id"], "ann")
    assert [item["title"] for item in (await api.call("get_context", agent_id="ann"))["knowledge"]] == ["Tests"]
