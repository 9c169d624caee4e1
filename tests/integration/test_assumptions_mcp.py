"""Assumptions over MCP, under the names and arguments of the predecessor."""

from pathlib import Path

from tests.integration.mcp_product import agent, product


async def test_a_tag_and_its_validation_by_their_old_names_show_up_with_the_task(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        task = (await someone.ok("create_task", name="Paint", project_name="Garden"))["id"]
        tagged = await someone.ok(
            "add_ra_tag",
            task_id=str(task),
            ra_tag_text="#ASSUMPTION: it is dry",
            file_path="/nowhere.py",
            line_number="3",
            code_snippet="dry = True",
            agent_id="ann",
        )
        for outcome in ("validated", "rejected"):
            judged = await someone.ok(
                "capture_assumption_validation",
                task_id=str(task),
                ra_tag_id=str(tagged["ra_tag_id"]),
                outcome=outcome,
                reason="looked",
                confidence="40",
                reviewer_agent_id="rev",
            )
            assert judged["outcome"] == outcome
        shown = (await someone.ok("get_task_details", task_id=task))["assumptions"]
        assert shown == [{name: value for name, value in judged["assumption"].items() if name != "task_id"}]
        assert (shown[0]["verdict"]["reviewer"], shown[0]["verdicts"]) == ("rev", 2)


async def test_a_tag_on_a_task_with_another_holder_is_refused_with_the_next_step(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        task = (await someone.ok("create_task", name="Paint", project_name="Garden"))["id"]
        await someone.ok("acquire_task_lock", task_id=task, agent_id="ann")
        text = await someone.fails("add_ra_tag", task_id=task, ra_tag_text="#A: b", agent_id="bob")
        assert text.startswith("LOCK_HELD: ")
        text = await someone.fails("add_ra_tag", task_id=task, ra_tag_text="b", agent_id="ann")
        assert text.startswith("INVALID: ")
        assert "#ASSUMPTION: the list is sorted" in text
