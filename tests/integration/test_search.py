"""Search in any script over every interface. The index follows every write to a text and no other write."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import bindparam, select

from project_manager.store import search
from project_manager.store.functions import HasPhrases
from project_manager.store.sqlite.search import WORDS_OF_PREFIXES
from project_manager.store.statement import Statement
from project_manager.store.tables import tasks
from project_manager.store.transaction import Tx
from tests.http_service import HttpService
from tests.integration.mcp_product import agent, product
from tests.operations_client import OperationsClient

TASKS = {
    "实现支付功能": "Zahlungen: 支付宝と決済テスト",
    "テスト自動化": "がんばる",
    "แก้ไขระบบชำระเงิน": "ทดสอบ",
    "ການຊໍາລະເງິນ": "ការទូទាត់",
    "지불기능 구현": "API接口v2",
    "Payment caf\u00e9": "a foo-bar b",
}
FOUND = {
    "支付": [1],
    "付功": [1],
    "功能": [1],
    "能": [1],
    "支": [1],
    "実装": [],
    "自動": [2],
    "テスト": [1, 2],
    "ば": [2],
    "か\u3099ん": [2],
    "ระบบ": [3],
    "เงิน": [3],
    "ສອບ": [],
    "ລະເງ": [4],
    "ទូទា": [4],
    "기능": [5],
    "API接口": [5],
    "接口v": [5],
    "口v2": [5],
    "api v2": [5],
    "pay cafe": [6],
    "foo-ba": [6],
    "bar-foo": [],
    "实现 决": [],
    "实现 决済": [],
    "実现": [],
    "支付 决": [],
    "支付 決済": [1],
}
ROWS_OF_INDEX = {
    "sqlite": "SELECT id, (SELECT json_array(count(*), sum(length(block))) FROM {0}_data) FROM {0}_docsize ORDER BY id",
    "postgresql": "SELECT rowid, CAST(xmin AS TEXT) FROM {0} ORDER BY rowid",
}
"""By the name of the dialect."""


async def filled(api: OperationsClient) -> None:
    for name, description in TASKS.items():
        await api.create_task(name, description=description)
        await api.call("upsert_knowledge", title=name, content=description, project_name="Garden")


async def test_any_part_of_a_text_without_blanks_is_found(api: OperationsClient) -> None:
    await filled(api)
    tasks, knowledge = [
        {query: sorted(row["id"] for row in (await api.call(operation, q=query))["items"]) for query in FOUND}
        for operation in ("list_tasks", "get_knowledge")
    ]
    assert tasks == FOUND
    assert knowledge == FOUND


async def test_the_phrases_of_a_query_are_found_in_the_texts_of_a_task_as_in_the_index(api: OperationsClient) -> None:
    await filled(api)
    await api.create_task("the end", description="of days", external_key="day-1")
    of_task = Statement(select(tasks.c.id).where(HasPhrases(tasks.c.id, bindparam("phrases"))).order_by(tasks.c.id))
    queries = [
        *FOUND,
        "end",
        "the-end",
        "end-of",
        "days day",
        "days-day",
        "day-1",
        "nd",
        "days the",
        "payment-caf",
        "口v",
    ]
    for query in queries:

        def by_texts(tx: Tx, query: str = query) -> list[int]:
            return [row[0] for row in of_task.rows(tx, phrases=search.phrases(tx, query))]

        by_index = [row["id"] for row in (await api.call("list_tasks", q=query))["items"]]
        assert await api.runtime.read("by texts", by_texts) == by_index, query


async def test_a_phrase_that_a_query_repeats_is_compared_once(api: OperationsClient) -> None:
    def of_repeated(tx: Tx) -> bool:
        return search.phrases(tx, "fence paint fence " * 50) == search.phrases(tx, "fence paint")

    assert await api.runtime.read("phrases", of_repeated)


async def test_over_rest_and_mcp_the_same_is_found(
    api: OperationsClient, service: HttpService, tmp_path_factory: pytest.TempPathFactory
) -> None:
    await filled(api)
    assert [row["id"] for row in (await service.ok("GET", f"/api/tasks?q={quote('付功')}"))["items"]] == [1]
    assert (await service.ok("GET", f"/api/knowledge?q={quote('ระบบ')}"))["total"] == 1
    async with product(tmp_path_factory.mktemp("mcp")) as made, agent(made.server) as someone:
        await someone.ok("create_task", name="实现支付功能")
        assert (await someone.ok("list_tasks", q="付功"))["total"] == 1
        await someone.ok("upsert_knowledge", title="決済", content="テスト", project_name="Inbox")
        assert (await someone.ok("get_knowledge", q="スト"))["total"] == 1


async def indexed(api: OperationsClient) -> list[Any]:
    """Return the rows of both indexes, with a value that each write changes."""

    def look(tx: Tx) -> Any:
        rows = ROWS_OF_INDEX[tx.connection.dialect.compiler.name]
        return [tx.connection.execute(rows.format(index)).fetchall() for index in ("tasks_fts", "knowledge_fts")]

    found: list[Any] = await api.runtime.read("indexed", look)
    return found


async def test_a_write_that_changes_no_text_leaves_the_index_alone(api: OperationsClient) -> None:
    await filled(api)
    before = await indexed(api)
    await api.update_task(1, priority=0, labels=["a"], due_at=api.clock.later(60))
    await api.update_task(1, name="实现支付功能")
    lock = await api.claim(1, "ann")
    await api.set_status(1, "DONE", "ann", fence=lock["fence"])
    await api.call("upsert_knowledge", knowledge_id=1, priority=5)
    assert await indexed(api) == before


async def test_the_index_follows_imports_edits_and_deletions_and_nothing_is_left_to_do(api: OperationsClient) -> None:
    plan = {
        "projects": [
            {
                "name": "Shop",
                "tasks": [{"name": "支付", "external_key": "付款-1"}],
                "knowledge": [{"title": "支付", "content": "x"}],
            }
        ]
    }
    await api.call("import_plan", document=json.dumps(plan))
    assert (await api.call("list_tasks", q="款"))["total"] == (await api.call("get_knowledge", q="付"))["total"] == 1
    plan["projects"][0]["tasks"] = [{"name": "接口", "external_key": "付款-1"}]
    plan["projects"][0]["knowledge"] = [{"title": "支付", "content": "口"}]
    await api.call("import_plan", document=json.dumps(plan))
    assert [(await api.call("list_tasks", q=query))["total"] for query in ("支", "口", "款")] == [0, 1, 1]
    assert (await api.call("get_knowledge", q="口"))["total"] == 1
    await api.update_task(1, external_key=None)
    assert (await api.call("list_tasks", q="款"))["total"] == 0
    await api.call("delete_project", project_id=1, force=True)
    assert await indexed(api) == [[], []]


@pytest.mark.parametrize("query", ["支a" * 250, "a " * 250, "a-" * 250, "支付" * 250])
async def test_the_longest_query_is_answered(api: OperationsClient, query: str) -> None:
    await api.create_task(description=query)
    assert (await api.call("list_tasks", q=query))["total"] == 1


async def expression(api: OperationsClient, query: str) -> str:
    """Return the expression for a search for tasks."""
    found: str = await api.runtime.read("expression", lambda tx: search.match_expression(tx, search.tasks_fts, query))
    return found


NAMES = ("a paint", "b painter's", "c painting", "d Pa\u00efnt", "e \u65e5\u672c", "f pai", "g paj", "h paint-box")


@pytest.mark.sqlite_only
async def test_a_prefix_of_few_words_becomes_these_words_because_fts5_reads_all_rows_of_a_prefix(
    api: OperationsClient,
) -> None:
    for name in NAMES:
        await api.create_task(name)
    assert await expression(api, "pain") == '("paint" OR "painter" OR "painting")'
    assert await expression(api, "PAINT paint b") == '("paint" OR "painter" OR "painting") AND ("b" OR "box")'
    assert await expression(api, "paint-b") == '("paint b" OR "paint box")'
    assert await expression(api, "\u65e5") == '("\u65e5\u672c")'
    assert await expression(api, "\u65e5\u672c") == '"\u65e5\u672c"'
    assert await expression(api, "zebra") == '"zebra"*'


async def test_a_search_by_a_prefix_finds_the_words_of_the_present_tasks(api: OperationsClient) -> None:
    for name in NAMES:
        await api.create_task(name)
    assert [row["id"] for row in (await api.call("list_tasks", q="pain"))["items"]] == [1, 2, 3, 4, 8]
    await api.call("delete_task", task_id=3)
    assert [row["id"] for row in (await api.call("list_tasks", q="pain"))["items"]] == [1, 2, 4, 8]


@pytest.fixture
async def many_words(api: OperationsClient) -> int:
    """Create tasks with different words that begin alike, and return their number."""
    number = WORDS_OF_PREFIXES + 10
    words = [{"name": f"word{one:02}"} for one in range(number)]
    await api.call("create_tasks", project_name="Garden", tasks=words)
    return number


async def test_a_prefix_of_many_words_finds_all_of_them(api: OperationsClient, many_words: int) -> None:
    assert (await api.call("list_tasks", q="word"))["total"] == many_words
    assert (await api.call("list_tasks", q="word1"))["total"] == 10


@pytest.mark.sqlite_only
@pytest.mark.usefixtures("many_words")
async def test_a_prefix_of_many_words_stays_a_prefix(api: OperationsClient) -> None:
    assert await expression(api, "word") == '"word"*'
    assert (await expression(api, "word1")).count(" OR ") == 9
    assert (await api.call("list_tasks", q="word word1"))["total"] == 10
