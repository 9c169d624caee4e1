"""Search for knowledge by text and by project, within a budget."""

import pytest

from project_manager.domain.errors import EpicNotFound, MalformedCursor, ProjectNotFound
from tests.integration.knowledge_helpers import epic, project, saved_knowledge, titles
from tests.operations_client import OperationsClient


async def test_instructions_bring_the_most_important_items_of_the_project(api: OperationsClient) -> None:
    project_id = await project(api)
    epic_id = await epic(api, project_id)
    for number in range(4):
        await saved_knowledge(api, project_id=project_id, title=f"fact {number}", priority=number)
    await saved_knowledge(api, epic_id=epic_id, title="of the epic", priority=5)
    plain = await api.call("get_instructions")
    assert "claim_next_task" in plain["instructions"]
    assert (plain["knowledge"], plain["knowledge_total"]) == ([], 0)
    instructions = await api.call("get_instructions", project_id=str(project_id))
    assert [item["title"] for item in instructions["knowledge"]] == ["of the epic", "fact 3", "fact 2"]
    assert (instructions["knowledge_total"], instructions["instructions"]) == (5, plain["instructions"])
    instructions = await api.call("get_instructions", epic_id=epic_id, include_knowledge_context="false")
    assert instructions == plain


async def test_instructions_stay_short_with_any_amount_of_knowledge(api: OperationsClient) -> None:
    project_id = await project(api)
    for number in range(5):
        await saved_knowledge(api, project_id=project_id, title=f"fact {number}", content="x" * 20_000)
    instructions = await api.call("get_instructions", project_id=project_id)
    assert [item["content_cut"] for item in instructions["knowledge"]] == [True, True, True]
    assert sum(len(item["content"]) for item in instructions["knowledge"]) < 4000


async def test_instructions_for_a_project_that_is_not_there_are_refused(api: OperationsClient) -> None:
    await api.call_error(ProjectNotFound, "get_instructions", project_id=9)
    await api.call_error(EpicNotFound, "get_instructions", epic_id=9)


async def test_an_epic_shows_its_own_items_and_those_of_its_whole_project(api: OperationsClient) -> None:
    garden = await project(api)
    fence, pond = await epic(api, garden), await epic(api, garden, "Pond")
    await saved_knowledge(api, project_id=garden, title="of the garden")
    await saved_knowledge(api, epic_id=fence, title="of the fence")
    await saved_knowledge(api, epic_id=pond, title="of the pond")
    await saved_knowledge(api, project_name="House", title="of the house")
    assert set(await titles(api, epic_id=fence)) == {"of the garden", "of the fence"}
    assert set(await titles(api, project_id=garden)) == {"of the garden", "of the fence", "of the pond"}
    assert len(await titles(api)) == 4


async def test_items_are_listed_by_priority_and_then_by_their_last_change(api: OperationsClient) -> None:
    for title, priority in (("a", 1), ("b", 5), ("c", 1), ("d", 5)):
        await saved_knowledge(api, title=title, priority=priority)
        api.clock.advance(1)
    assert await titles(api) == ["d", "b", "c", "a"]
    await api.call("upsert_knowledge", knowledge_id=1, content="new")
    assert await titles(api) == ["d", "b", "a", "c"]


async def test_a_list_is_read_page_by_page_without_gap_or_repetition(api: OperationsClient) -> None:
    for number in range(7):
        await saved_knowledge(api, title=f"item {number}", priority=number % 3)
    read: list[str] = []
    cursor = None
    while True:
        page = await api.call("get_knowledge", limit=3, cursor=cursor)
        read += [item["title"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert sorted(read) == [f"item {number}" for number in range(7)]
    assert page["total"] == 7
    whole = await titles(api)
    assert read == whole


async def test_a_cursor_of_another_list_is_refused(api: OperationsClient) -> None:
    for number in range(3):
        await saved_knowledge(api, title=f"item {number}")
    cursor = (await api.call("get_knowledge", limit=1))["next_cursor"]
    await api.call_error(MalformedCursor, "get_knowledge", limit=1, cursor=cursor, q="item")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("green", ["Paint"]),
        ("GREEN pai", ["Paint"]),
        ("lasts paint", ["Paint"]),
        ("outdoor", ["Paint"]),
        ("deci", ["Paint"]),
        ("naive", ["Café"]),
        ("cafe", ["Café"]),
        ("green cafe", []),
        ('"green', ["Paint"]),
        ("NOT OR *", []),
    ],
)
async def test_search_finds_all_words_in_title_content_category_and_tags(
    api: OperationsClient, words: str, found: list[str]
) -> None:
    await saved_knowledge(api, tags=["outdoor"], category="decision")
    await saved_knowledge(api, title="Café", content="naïve text")
    assert await titles(api, q=words) == found


async def test_search_finds_the_present_text_of_an_item_and_not_an_older_one(api: OperationsClient) -> None:
    item = (await saved_knowledge(api))["knowledge_id"]
    await api.call("upsert_knowledge", knowledge_id=item, content="Blue paint lasts.")
    assert await titles(api, q="green") == []
    assert await titles(api, q="blue") == ["Paint"]


async def test_filters_by_category_tags_task_and_parent_go_together(api: OperationsClient) -> None:
    task = await api.create_task()
    parent = (await saved_knowledge(api, title="above"))["knowledge_id"]
    await saved_knowledge(
        api, title="below", parent_id=parent, task_id=task["id"], category="decision", tags=["a", "b"]
    )
    await saved_knowledge(api, title="beside", category="decision", tags=["a"])
    assert await titles(api, parent_id=parent) == ["below"]
    assert await titles(api, task_id=task["id"]) == ["below"]
    assert await titles(api, tags="a,b") == ["below"]
    assert set(await titles(api, category="decision", tags=["a"])) == {"below", "beside"}
    assert await titles(api, category="Decision") == []


async def test_a_budget_shortens_contents_and_marks_them(api: OperationsClient) -> None:
    for number in range(5):
        await saved_knowledge(api, title=f"item {number}", content="ü" * 4000)
    await saved_knowledge(api, title="short", content="short", priority=5)
    page = await api.call("get_knowledge", budget_tokens=3000)
    assert [item["content_cut"] for item in page["items"]] == [False, True, True, True, True, True]
    assert all(item["content"] for item in page["items"])
    assert page["next_cursor"] is None
    whole = await api.call("get_knowledge", knowledge_id=1, budget_tokens=10_000)
    assert whole["items"][0]["content"] == "ü" * 4000


async def test_rows_that_do_not_fit_a_budget_are_on_the_next_page(api: OperationsClient) -> None:
    for number in range(10):
        await saved_knowledge(api, title=f"item {number}", metadata={"x": "y" * 2000})
    answer = await api.run("get_knowledge", budget_tokens=2000)
    assert len(answer.body) < 3 * 2000 * 4
    read: list[str] = []
    page = await api.call("get_knowledge", budget_tokens=2000)
    while True:
        read += [item["title"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        page = await api.call("get_knowledge", budget_tokens=2000, cursor=page["next_cursor"])
    assert sorted(read) == [f"item {number}" for number in range(10)]
