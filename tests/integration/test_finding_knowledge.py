"""Search for knowledge by text and by project, within a budget."""

import pytest

from project_manager.domain.errors import (
    EpicNotFound,
    MalformedCursor,
    ProjectNotFound,
)
from tests.desk import Desk
from tests.integration.knowing import epic, known, project, titles


async def test_instructions_bring_the_most_important_items_of_the_project(desk: Desk) -> None:
    project_id = await project(desk)
    epic_id = await epic(desk, project_id)
    for number in range(4):
        await known(desk, project_id=project_id, title=f"fact {number}", priority=number)
    await known(desk, epic_id=epic_id, title="of the epic", priority=5)
    plain = await desk.do("get_instructions")
    assert "claim_next_task" in plain["instructions"]
    assert (plain["knowledge"], plain["knowledge_total"]) == ([], 0)
    told = await desk.do("get_instructions", project_id=str(project_id))
    assert [item["title"] for item in told["knowledge"]] == ["of the epic", "fact 3", "fact 2"]
    assert (told["knowledge_total"], told["instructions"]) == (5, plain["instructions"])
    told = await desk.do("get_instructions", epic_id=epic_id, include_knowledge_context="false")
    assert told == plain


async def test_instructions_stay_short_with_any_amount_of_knowledge(desk: Desk) -> None:
    project_id = await project(desk)
    for number in range(5):
        await known(desk, project_id=project_id, title=f"fact {number}", content="x" * 20_000)
    told = await desk.do("get_instructions", project_id=project_id)
    assert [item["content_cut"] for item in told["knowledge"]] == [True, True, True]
    assert sum(len(item["content"]) for item in told["knowledge"]) < 4000


async def test_instructions_for_a_project_that_is_not_there_are_refused(desk: Desk) -> None:
    await desk.refused(ProjectNotFound, "get_instructions", project_id=9)
    await desk.refused(EpicNotFound, "get_instructions", epic_id=9)


async def test_an_epic_shows_its_own_items_and_those_of_its_whole_project(desk: Desk) -> None:
    garden = await project(desk)
    fence, pond = await epic(desk, garden), await epic(desk, garden, "Pond")
    await known(desk, project_id=garden, title="of the garden")
    await known(desk, epic_id=fence, title="of the fence")
    await known(desk, epic_id=pond, title="of the pond")
    await known(desk, project_name="House", title="of the house")
    assert set(await titles(desk, epic_id=fence)) == {"of the garden", "of the fence"}
    assert set(await titles(desk, project_id=garden)) == {"of the garden", "of the fence", "of the pond"}
    assert len(await titles(desk)) == 4


async def test_items_are_listed_by_priority_and_then_by_their_last_change(desk: Desk) -> None:
    for title, priority in (("a", 1), ("b", 5), ("c", 1), ("d", 5)):
        await known(desk, title=title, priority=priority)
        desk.clock.advance(1)
    assert await titles(desk) == ["d", "b", "c", "a"]
    await desk.do("upsert_knowledge", knowledge_id=1, content="new")
    assert await titles(desk) == ["d", "b", "a", "c"]


async def test_a_list_is_read_page_by_page_without_gap_or_repetition(desk: Desk) -> None:
    for number in range(7):
        await known(desk, title=f"item {number}", priority=number % 3)
    read: list[str] = []
    cursor = None
    while True:
        page = await desk.do("get_knowledge", limit=3, cursor=cursor)
        read += [item["title"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert sorted(read) == [f"item {number}" for number in range(7)]
    assert page["total"] == 7
    whole = await titles(desk)
    assert read == whole


async def test_a_cursor_of_another_list_is_refused(desk: Desk) -> None:
    for number in range(3):
        await known(desk, title=f"item {number}")
    cursor = (await desk.do("get_knowledge", limit=1))["next_cursor"]
    await desk.refused(MalformedCursor, "get_knowledge", limit=1, cursor=cursor, q="item")


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
    desk: Desk, words: str, found: list[str]
) -> None:
    await known(desk, tags=["outdoor"], category="decision")
    await known(desk, title="Café", content="naïve text")
    assert await titles(desk, q=words) == found


async def test_search_finds_the_present_text_of_an_item_and_not_an_older_one(desk: Desk) -> None:
    item = (await known(desk))["knowledge_id"]
    await desk.do("upsert_knowledge", knowledge_id=item, content="Blue paint lasts.")
    assert await titles(desk, q="green") == []
    assert await titles(desk, q="blue") == ["Paint"]


async def test_filters_by_category_tags_task_and_parent_go_together(desk: Desk) -> None:
    task = await desk.task()
    parent = (await known(desk, title="above"))["knowledge_id"]
    await known(desk, title="below", parent_id=parent, task_id=task["id"], category="decision", tags=["a", "b"])
    await known(desk, title="beside", category="decision", tags=["a"])
    assert await titles(desk, parent_id=parent) == ["below"]
    assert await titles(desk, task_id=task["id"]) == ["below"]
    assert await titles(desk, tags="a,b") == ["below"]
    assert set(await titles(desk, category="decision", tags=["a"])) == {"below", "beside"}
    assert await titles(desk, category="Decision") == []


async def test_a_budget_shortens_contents_and_marks_them(desk: Desk) -> None:
    for number in range(5):
        await known(desk, title=f"item {number}", content="ü" * 4000)
    await known(desk, title="short", content="short", priority=5)
    page = await desk.do("get_knowledge", budget_tokens=3000)
    assert [item["content_cut"] for item in page["items"]] == [False, True, True, True, True, True]
    assert all(item["content"] for item in page["items"])
    assert page["next_cursor"] is None
    whole = await desk.do("get_knowledge", knowledge_id=1, budget_tokens=10_000)
    assert whole["items"][0]["content"] == "ü" * 4000


async def test_rows_that_do_not_fit_a_budget_are_on_the_next_page(desk: Desk) -> None:
    for number in range(10):
        await known(desk, title=f"item {number}", metadata={"x": "y" * 2000})
    answer = await desk.answer("get_knowledge", budget_tokens=2000)
    assert len(answer.body) < 3 * 2000 * 4
    read: list[str] = []
    page = await desk.do("get_knowledge", budget_tokens=2000)
    while True:
        read += [item["title"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        page = await desk.do("get_knowledge", budget_tokens=2000, cursor=page["next_cursor"])
    assert sorted(read) == [f"item {number}" for number in range(10)]
