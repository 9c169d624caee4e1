"""Knowledge of projects and epics: nothing that was written is lost, and nothing that was not sent changes."""

from typing import Any

import pytest

from project_manager.domain import limits
from project_manager.domain.actors import Actor, Role
from project_manager.domain.errors import (
    EpicNotFound,
    IdempotencyMismatch,
    Invalid,
    KnowledgeNotFound,
    MalformedCursor,
    NotEmpty,
    NotFound,
    ProjectNotFound,
    RoleRequired,
    TaskNotFound,
    UnknownArgument,
    VersionMismatch,
    WrongAgent,
)
from tests.desk import Desk, Json


async def project(desk: Desk, name: str = "Garden") -> int:
    made: int = (await desk.do("create_project", name=name))["id"]
    return made


async def epic(desk: Desk, project_id: int, name: str = "Fence") -> int:
    made: int = (await desk.do("create_epic", name=name, project_id=project_id))["id"]
    return made


async def test_instructions_bring_what_matters_most_in_the_project(desk: Desk) -> None:
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


async def test_instructions_stay_short_however_much_is_known(desk: Desk) -> None:
    project_id = await project(desk)
    for number in range(5):
        await known(desk, project_id=project_id, title=f"fact {number}", content="x" * 20_000)
    told = await desk.do("get_instructions", project_id=project_id)
    assert [item["content_cut"] for item in told["knowledge"]] == [True, True, True]
    assert sum(len(item["content"]) for item in told["knowledge"]) < 4000


async def test_instructions_for_a_project_that_is_not_there_are_refused(desk: Desk) -> None:
    await desk.refused(ProjectNotFound, "get_instructions", project_id=9)
    await desk.refused(EpicNotFound, "get_instructions", epic_id=9)


async def known(desk: Desk, **given: Any) -> Json:
    """A new item, as it was saved."""
    if not {"project_id", "project_name", "epic_id", "task_id", "parent_id"} & set(given):
        given["project_name"] = "Garden"
    saved: Json = await desk.do("upsert_knowledge", **{"title": "Paint", "content": "Green paint lasts.", **given})
    return saved


async def titles(desk: Desk, **filters: Any) -> list[str]:
    return [item["title"] for item in (await desk.do("get_knowledge", **filters))["items"]]


async def versions(desk: Desk, knowledge_id: int) -> list[Json]:
    """Oldest first."""
    page = await desk.do("list_knowledge_versions", knowledge_id=knowledge_id)
    return list(reversed(page["items"]))


# Writing


async def test_a_new_item_is_kept_with_all_that_was_sent(desk: Desk) -> None:
    garden = await project(desk)
    fence = await epic(desk, garden)
    task = await desk.task(epic_id=fence)
    saved = await known(
        desk,
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
        "created_at": desk.clock.later(0),
        "updated_by": "ann",
        "updated_at": desk.clock.later(0),
    }
    assert await desk.do("get_knowledge_item", knowledge_id=item["id"]) == item


async def test_a_change_leaves_what_was_not_sent_as_it_was(desk: Desk) -> None:
    first = await known(desk, category="decision", tags=["paint"], priority=4, metadata={"a": 1}, agent_id="ann")
    desk.clock.advance(5)
    changed = await desk.do(
        "upsert_knowledge", knowledge_id=first["knowledge_id"], content="Blue paint lasts.", agent_id="bob"
    )
    assert (changed["operation"], changed["version"]) == ("updated", 2)
    before, after = first["knowledge_item"], changed["knowledge_item"]
    assert {name for name in after if after[name] != before[name]} == {
        "content",
        "version",
        "updated_by",
        "updated_at",
    }


async def test_null_takes_away_what_may_be_missing(desk: Desk) -> None:
    first = await known(desk, category="decision")
    changed = await desk.do("upsert_knowledge", knowledge_id=first["knowledge_id"], category=None)
    assert changed["knowledge_item"]["category"] is None


async def test_sending_what_is_there_already_changes_nothing(desk: Desk) -> None:
    first = await known(desk, tags=["a"], metadata={"b": 1, "a": 2})
    head = await desk.head()
    again = await desk.do(
        "upsert_knowledge",
        knowledge_id=first["knowledge_id"],
        title="Paint",
        content="Green paint lasts.",
        tags='["a"]',
        metadata='{"a": 2, "b": 1}',
    )
    assert (again["operation"], again["version"]) == ("no_changes", 1)
    assert await desk.head() == head
    assert len(await versions(desk, first["knowledge_id"])) == 1


async def test_a_repeated_request_writes_one_item(desk: Desk) -> None:
    first = await known(desk, request_id="once")
    assert await known(desk, request_id="once") == first
    assert await titles(desk) == ["Paint"]
    with pytest.raises(IdempotencyMismatch):
        await known(desk, request_id="once", title="Other")


async def test_an_item_goes_to_the_project_of_what_it_is_linked_to(desk: Desk) -> None:
    garden = await project(desk)
    task = await desk.task()
    parent = await known(desk, project_id=garden)
    for link in ({"task_id": task["id"]}, {"parent_id": parent["knowledge_id"]}, {"epic_id": await epic(desk, garden)}):
        assert (await known(desk, **link))["knowledge_item"]["project_id"] == garden


# Versions


async def test_every_version_stays_readable_with_author_and_reason(desk: Desk) -> None:
    item = (await known(desk, agent_id="ann"))["knowledge_id"]
    for number in range(2, 6):
        desk.clock.advance(60)
        await desk.do(
            "upsert_knowledge",
            knowledge_id=item,
            content=f"Text {number}",
            agent_id=f"agent-{number}",
            change_reason=f"because {number}",
        )
    found = await versions(desk, item)
    assert [version["version"] for version in found] == [1, 2, 3, 4, 5]
    assert [version["content"] for version in found] == ["Green paint lasts.", "Text 2", "Text 3", "Text 4", "Text 5"]
    assert [version["author"] for version in found] == ["ann", "agent-2", "agent-3", "agent-4", "agent-5"]
    assert [version["change_reason"] for version in found][1:] == [f"because {number}" for number in range(2, 6)]
    assert found[2]["changed"] == ["content"]
    assert found[1]["created_at"] < found[2]["created_at"]


async def test_versions_are_read_page_by_page_newest_first(desk: Desk) -> None:
    item = (await known(desk))["knowledge_id"]
    for number in range(2, 6):
        await desk.do("upsert_knowledge", knowledge_id=item, priority=number % 5)
    read, cursor = [], None
    while True:
        page = await desk.do("list_knowledge_versions", knowledge_id=item, limit=2, cursor=cursor)
        read += [version["version"] for version in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert read == [5, 4, 3, 2, 1]
    assert page["total"] == 5


async def test_a_change_of_a_version_that_moved_is_refused_and_keeps_what_is_there(desk: Desk) -> None:
    item = (await known(desk))["knowledge_id"]
    await desk.do("upsert_knowledge", knowledge_id=item, content="Second", version=1)
    refusal = await desk.refused(
        VersionMismatch, "upsert_knowledge", knowledge_id=item, content="Lost update", version=1
    )
    assert refusal.details == {"version": 2, "expected": 1}
    assert (await desk.do("get_knowledge_item", knowledge_id=item))["content"] == "Second"


async def test_a_retired_item_leaves_lists_and_comes_back_with_its_versions(desk: Desk) -> None:
    item = (await known(desk))["knowledge_id"]
    assert (await desk.do("retire_knowledge", knowledge_id=item))["knowledge_item"]["active"] is False
    assert await titles(desk) == []
    assert await titles(desk, q="green") == []
    assert await titles(desk, include_inactive=True) == ["Paint"]
    assert await titles(desk, knowledge_id=item) == ["Paint"]
    await desk.do("upsert_knowledge", knowledge_id=item, is_active=True)
    assert await titles(desk) == ["Paint"]
    assert [version["active"] for version in await versions(desk, item)] == [True, False, True]
    await desk.refused(VersionMismatch, "retire_knowledge", knowledge_id=item, version=1)


# Finding


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
        ("", []),
    ],
)
async def test_search_finds_all_words_in_title_content_category_and_tags(
    desk: Desk, words: str, found: list[str]
) -> None:
    await known(desk, tags=["outdoor"], category="decision")
    await known(desk, title="Café", content="naïve text")
    assert await titles(desk, q=words) == found


async def test_search_finds_what_an_item_says_now_and_not_what_it_said(desk: Desk) -> None:
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


async def test_a_budget_shortens_contents_and_says_which(desk: Desk) -> None:
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


# Logs


async def test_a_log_notes_what_was_done_with_an_item_and_leaves_it_as_it_is(desk: Desk) -> None:
    item = await known(desk)
    noted = await desk.do(
        "append_knowledge_log",
        knowledge_id=item["knowledge_id"],
        action_type="used",
        change_reason="for the gate",
        metadata={"task": 7},
        created_by="bob",
    )
    assert (noted["success"], noted["knowledge_id"]) == (True, item["knowledge_id"])
    await desk.do("append_knowledge_log", knowledge_id=item["knowledge_id"], action_type="questioned")
    page = await desk.do("list_knowledge_logs", knowledge_id=item["knowledge_id"])
    assert [entry["action_type"] for entry in page["items"]] == ["questioned", "used"]
    assert page["items"][1] == noted["log"]
    assert (noted["log"]["author"], noted["log"]["metadata"]) == ("bob", {"task": 7})
    used = await desk.do("list_knowledge_logs", knowledge_id=item["knowledge_id"], action_type="used")
    assert (len(used["items"]), used["total"]) == (1, 1)
    assert (await desk.do("get_knowledge_item", knowledge_id=item["knowledge_id"])) == item["knowledge_item"]


# Events


async def test_every_change_is_told_in_the_outbox(desk: Desk) -> None:
    garden = await project(desk)
    fence = await epic(desk, garden)
    since = await desk.head()
    item = (await known(desk, epic_id=fence, agent_id="ann"))["knowledge_id"]
    await desk.do("upsert_knowledge", knowledge_id=item, tags=["a"], agent_id="bob")
    await desk.do("append_knowledge_log", knowledge_id=item, action_type="used", agent_id="cid")
    created, updated, logged = await desk.events(since)
    assert [event["type"] for event in (created, updated, logged)] == [
        "knowledge.created",
        "knowledge.updated",
        "knowledge.logged",
    ]
    assert [event["actor"]["id"] for event in (created, updated, logged)] == ["ann", "bob", "cid"]
    assert (created["project_id"], created["epic_id"], created["knowledge_id"]) == (garden, fence, item)
    assert (updated["version"], updated["changed"]) == (2, ["tags"])
    assert logged["action_type"] == "used"


# What goes and what stays


async def test_deleting_a_project_takes_its_knowledge_with_it_and_leaves_the_rest(desk: Desk) -> None:
    garden = await project(desk)
    fence = await epic(desk, garden)
    parent = (await known(desk, epic_id=fence, title="above"))["knowledge_id"]
    below = (await known(desk, project_id=garden, parent_id=parent, title="below"))["knowledge_id"]
    await desk.do("upsert_knowledge", knowledge_id=below, content="changed")
    await desk.do("append_knowledge_log", knowledge_id=below, action_type="used")
    await known(desk, project_name="House", title="of the house", content="Green too")
    await desk.do("delete_project", project_id=garden, force=True)
    await desk.refused(KnowledgeNotFound, "get_knowledge_item", knowledge_id=below)
    assert await titles(desk, q="green") == ["of the house"]
    assert await titles(desk) == ["of the house"]
    left = await desk.runtime.read("left", left_behind)
    assert left == {"knowledge_versions": 1, "knowledge_logs": 0, "search": "whole"}


def left_behind(tx: Any) -> dict[str, Any]:
    """Rows of the tables behind the items; and whether the search index agrees with the items."""
    counts = {
        name: tx.execute(f"SELECT count(*) FROM {name}", {}).fetchone()[0]
        for name in ("knowledge_versions", "knowledge_logs")
    }
    indexed = tx.execute("SELECT count(*) FROM knowledge_fts WHERE knowledge_fts MATCH 'green OR changed'", {})
    return {**counts, "search": "whole" if indexed.fetchone()[0] == 1 else "torn"}


async def test_a_project_that_has_nothing_but_knowledge_is_not_deleted_by_accident(desk: Desk) -> None:
    item = await known(desk)
    garden = item["knowledge_item"]["project_id"]
    refusal = await desk.refused(NotEmpty, "delete_project", project_id=garden)
    assert refusal.details == {"epics": 0, "tasks": 0, "knowledge": 1}
    since = await desk.head()
    await desk.do("delete_project", project_id=garden, force=True)
    assert [event["knowledge"] for event in await desk.events(since, "project.deleted")] == [1]


async def test_knowledge_outlives_the_epic_the_task_and_the_parent_that_it_came_from(desk: Desk) -> None:
    garden = await project(desk)
    fence = await epic(desk, garden)
    task = await desk.task(project_id=garden, epic_id=fence)
    item = (await known(desk, epic_id=fence, task_id=task["id"]))["knowledge_id"]
    await desk.do("delete_epic", epic_id=fence, force=True)
    await desk.refused(TaskNotFound, "get_task", task_id=task["id"])
    left = await desk.do("get_knowledge_item", knowledge_id=item)
    assert (left["project_id"], left["epic_id"], left["task_id"]) == (garden, None, None)
    first = (await versions(desk, item))[0]
    assert (first["epic_id"], first["task_id"]) == (fence, task["id"])


# Refusals


async def test_a_new_item_without_its_parts_is_refused_with_every_fault_at_once(desk: Desk) -> None:
    refusal = await desk.refused(Invalid, "upsert_knowledge", version=3)
    fields = [fault["field"] for fault in refusal.details["faults"]]  # type: ignore[attr-defined]
    assert fields == ["title", "content", "knowledge_id"]
    homeless = await desk.refused(Invalid, "upsert_knowledge", title="a", content="b")
    assert "project_id" in homeless.message


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("title", "", "is empty"),
        ("title", "x" * (limits.TITLE_CHARACTERS + 1), "more than 500 characters"),
        ("title", "two\nlines", "line break"),
        ("title", None, "must be a text"),
        ("content", "", "is empty"),
        ("content", "x" * (limits.DESCRIPTION_BYTES + 1), "at most 65536"),
        ("content", "nul \x00", "NUL"),
        ("content", "\ud800", "Unicode"),
        ("category", "x" * 101, "more than 100 characters"),
        ("tags", ["x" * 65], "more than 64 characters"),
        ("tags", [str(number) for number in range(33)], "more than 32 entries"),
        ("tags", ",".join(str(number) for number in range(33)), "more than 32 entries"),
        ("tags", "[1", "JSON list"),
        ("priority", 6, "at most 5"),
        ("priority", -1, "at least 0"),
        ("priority", "high", "whole number"),
        ("active", "perhaps", "neither true nor false"),
        ("metadata", "[]", "object"),
        ("metadata", "{", "JSON object"),
        ("metadata", {"a": "x" * 9000}, "at most 8192"),
        ("metadata", '{"a": NaN}', "JSON cannot hold"),
        ("metadata", '{"a": "\\ud800"}', "JSON cannot hold"),
        ("metadata", '{"a": ' + "[" * 80 + "]" * 80 + "}", "deep"),
        ("metadata", "[" * 5000, "JSON object"),
        ("knowledge_id", "seven", "whole number"),
        ("version", 0, "at least 1"),
    ],
)
async def test_a_value_out_of_bounds_is_refused_by_name(desk: Desk, field: str, value: Any, words: str) -> None:
    item = (await known(desk))["knowledge_id"]
    refusal = await desk.refused(Invalid, "upsert_knowledge", **{"knowledge_id": item, field: value})
    assert f"`{field}" in refusal.message
    assert words in refusal.message
    assert len(await versions(desk, item)) == 1


async def test_an_unknown_field_is_refused_with_the_nearest_one(desk: Desk) -> None:
    refusal = await desk.refused(UnknownArgument, "upsert_knowledge", titel="a", content="b", project_name="Garden")
    assert refusal.message == "unknown field `titel`: did you mean `title`?"


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
async def test_what_does_not_exist_is_said_to_be_missing(
    desk: Desk, error: type[NotFound], operation: str, arguments: Json
) -> None:
    refusal = await desk.refused(error, operation, **arguments)
    assert "99" in refusal.message
    assert refusal.hint


async def test_links_into_another_project_are_refused(desk: Desk) -> None:
    item = (await known(desk))["knowledge_id"]
    house = await project(desk, "House")
    other = (await known(desk, project_id=house))["knowledge_id"]
    task = await desk.task(project_name="House")
    for field, value in (
        ("parent_id", other),
        ("task_id", task["id"]),
        ("epic_id", await epic(desk, house)),
        ("project_id", house),
        ("project_name", "House"),
    ):
        await desk.refused(Invalid, "upsert_knowledge", **{"knowledge_id": item, field: value})
    same = await desk.do("upsert_knowledge", knowledge_id=item, project_name="Garden", priority=1)
    assert same["operation"] == "updated"


async def test_an_item_cannot_be_above_itself(desk: Desk) -> None:
    top = (await known(desk))["knowledge_id"]
    middle = (await known(desk, parent_id=top))["knowledge_id"]
    bottom = (await known(desk, parent_id=middle))["knowledge_id"]
    refusal = await desk.refused(Invalid, "upsert_knowledge", knowledge_id=top, parent_id=bottom)
    assert f"{top} -> {bottom} -> {middle} -> {top}" in refusal.message
    await desk.refused(Invalid, "upsert_knowledge", knowledge_id=top, parent_id=top)


async def test_who_may_only_read_does_not_write(desk: Desk) -> None:
    item = (await known(desk))["knowledge_id"]
    viewer = desk.used_by(Actor("vic", "human", Role.VIEWER))
    assert (await viewer.do("get_knowledge"))["total"] == 1
    assert (await viewer.do("list_knowledge_versions", knowledge_id=item))["total"] == 1
    await viewer.refused(RoleRequired, "upsert_knowledge", knowledge_id=item, title="b")
    await viewer.refused(RoleRequired, "append_knowledge_log", knowledge_id=item, action_type="used")
    await viewer.refused(RoleRequired, "retire_knowledge", knowledge_id=item)
    bound = desk.used_by(Actor("ann", "agent", Role.AGENT, bound=True))
    await bound.refused(WrongAgent, "upsert_knowledge", knowledge_id=item, title="b", created_by="bob")
