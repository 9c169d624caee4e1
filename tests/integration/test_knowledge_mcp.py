"""Knowledge over MCP: tools under the predecessor's names and arguments, listed only on request."""

from pathlib import Path

from tests.integration.mcp_product import agent, product

NAMES = {"get_knowledge", "upsert_knowledge", "append_knowledge_log"}


async def test_the_tools_of_knowledge_answer_without_being_listed(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        tools = {tool.name for tool in (await someone.client.list_tools()).tools}
        assert not tools & NAMES
        project = (await someone.ok("create_project", name="Garden"))["id"]
        saved = await someone.ok(
            "upsert_knowledge",
            title="Paint",
            content="Green paint lasts.",
            project_id=str(project),
            tags='["paint", "outdoor"]',
            priority="5",
            metadata='{"a": 1}',
            created_by="ann",
        )
        item = saved["knowledge_item"]
        assert (item["tags"], item["priority"], item["metadata"]) == (["paint", "outdoor"], 5, {"a": 1})
        assert item["created_by"] == "ann"
        logged = await someone.ok(
            "append_knowledge_log", knowledge_id=str(item["id"]), action_type="used", created_by="bob"
        )
        assert logged["log"]["author"] == "bob"
        found = await someone.ok("get_knowledge", project_id=str(project), include_inactive="false", limit="5")
        assert found["items"] == [item]


async def test_the_tools_of_knowledge_are_listed_when_all_are_asked_for(tmp_path: Path) -> None:
    async with product(tmp_path, MCP_TOOLS="all") as made, agent(made.server) as someone:
        tools = {tool.name: tool for tool in (await someone.client.list_tools()).tools}
        assert tools.keys() >= NAMES
        annotations = tools["get_knowledge"].annotations
        assert annotations is not None
        assert annotations.read_only_hint


async def test_an_argument_that_was_left_out_or_null_by_its_old_name_changes_nothing(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        first = await someone.ok(
            "upsert_knowledge", title="Paint", content="Green.", project_name="Garden", category="decision", tags=["a"]
        )
        changed = await someone.ok(
            "upsert_knowledge", knowledge_id=first["knowledge_id"], title="Paint", content="Blue.", is_active=None
        )
        assert (changed["operation"], changed["knowledge_item"]["category"]) == ("updated", "decision")
        assert (changed["knowledge_item"]["tags"], changed["knowledge_item"]["active"]) == (["a"], True)


async def test_a_default_response_stays_short_with_any_amount_of_knowledge(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        for number in range(40):
            await someone.ok("upsert_knowledge", title=f"item {number}", content="word " * 2000, project_name="Garden")
        result = await someone.result("get_knowledge")
        assert len(result.content[0].text) / 4 <= 6000
        page = result.structured_content
        assert all(item["content_cut"] and item["content"] for item in page["items"])
        assert (page["total"], page.get("next_cursor") is None) == (40, False)
        whole = await someone.ok("get_knowledge", knowledge_id=page["items"][0]["id"], budget_tokens=20_000)
        assert len(whole["items"][0]["content"]) == 10_000


async def test_a_refusal_is_one_text_that_begins_with_its_code(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        assert (await someone.fails("get_knowledge", knowledge_id=9)).startswith("KNOWLEDGE_NOT_FOUND: ")
        text = await someone.fails("upsert_knowledge", title="a", content="b")
        assert text.startswith("INVALID: `project_id` is missing")
        assert "did you mean `content`" in await someone.fails("upsert_knowledge", titel="a", contents="b")
