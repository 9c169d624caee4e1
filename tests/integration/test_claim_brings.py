"""Additional fields of a claim: the handoff note, the size of the log, and the agent's other leases."""

from pathlib import Path
from typing import Any

import pytest

from tests.desk import Desk, Json
from tests.integration.mcp_product import agent, product
from tests.served import Served


async def claimed(desk: Desk, how: str, task_id: int, agent: str = "bob") -> Json:
    if how == "acquire_task_lock":
        return dict(await desk.do(how, task_id=task_id, agent_id=agent))
    return await desk.next(agent)


HOW = pytest.mark.parametrize("how", ["claim_next_task", "acquire_task_lock"])


@pytest.mark.promise("claim:handoff")
@HOW
async def test_a_claim_brings_the_newest_handoff_note_and_the_size_of_the_log(desk: Desk, how: str) -> None:
    task = await desk.task()
    await desk.claim(task["id"], "ann")
    await desk.do("add_task_log", task_id=task["id"], agent_id="ann", body="half way")
    await desk.release(task["id"], "ann", handoff="the first coat is on")
    await desk.claim(task["id"], "cid")
    await desk.release(task["id"], "cid", handoff="the second coat is on", failed=True)
    await desk.do("add_task_log", task_id=task["id"], body="use green", kind="comment")
    answer = await claimed(desk, how, task["id"])
    assert answer["handoff"] == {
        "author": "cid",
        "body": "the second coat is on",
        "created_at": desk.clock.later(0),
    }
    assert answer["log_entries"] == len(await desk.logs(task["id"])) == 4


@HOW
async def test_a_task_without_a_log_has_no_note_and_no_entries(desk: Desk, how: str) -> None:
    task = await desk.task()
    other = await desk.task("other")
    await desk.claim(other["id"], "cid")
    await desk.release(other["id"], "cid", handoff="of the other")
    answer = await claimed(desk, how, task["id"])
    assert (answer["handoff"], answer["log_entries"], answer["also_holding"]) == (None, 0, [])
    assert answer["notice"] is None


async def test_a_long_note_is_cut_and_marked_as_cut(desk: Desk) -> None:
    task = await desk.task()
    await desk.claim(task["id"], "ann")
    await desk.release(task["id"], "ann", handoff="x" * 2001)
    body = (await claimed(desk, "claim_next_task", task["id"]))["handoff"]["body"]
    assert len(body) == 2000
    assert body.endswith("x [truncated; see the log]")
    await desk.release(task["id"], "bob", handoff="y" * 2000)
    assert (await claimed(desk, "claim_next_task", task["id"]))["handoff"]["body"] == "y" * 2000


@pytest.mark.promise("claim:names-other-leases")
@HOW
async def test_a_claim_names_the_other_leases_of_the_agent(desk: Desk, how: str) -> None:
    first, second, third = [(await desk.task(f"task {number}"))["id"] for number in range(3)]
    locks = {number: await desk.claim(number, "bob", ttl_seconds=600 - number) for number in (first, second)}
    answer = await claimed(desk, how, third)
    assert answer["task"]["id"] == third
    assert answer["also_holding"] == [
        {"task_id": number, "fence": locks[number]["fence"], "expires_at": locks[number]["expires_at"]}
        for number in (second, first)
    ]
    assert answer["notice"] == (
        f"your agent id also has leases on #{second}, #{first}; another session may use this id"
    )
    assert (await claimed(desk, "acquire_task_lock", (await desk.task())["id"], "cid"))["also_holding"] == []


@HOW
async def test_a_claim_of_an_agent_with_many_leases_names_the_five_that_end_first(desk: Desk, how: str) -> None:
    tasks = [(await desk.task(f"task {number}"))["id"] for number in range(7)]
    for number in tasks[:6]:
        await desk.claim(number, "bob", ttl_seconds=600 - number)
    answer = await claimed(desk, how, tasks[6])
    ends_first = sorted(tasks[1:6], reverse=True)
    assert [held["task_id"] for held in answer["also_holding"]] == ends_first
    assert f"#{ends_first[-1]}, ..; another session" in answer["notice"]
    nothing = await desk.next("bob")
    assert sorted(held["task_id"] for held in nothing["also_holding"]) == tasks


async def test_an_empty_claim_names_the_leases_of_the_agent(desk: Desk) -> None:
    task = await desk.task()
    lock = await desk.claim(task["id"], "bob")
    answer = await desk.next("bob")
    assert answer["task"] is None
    assert answer["also_holding"] == [{"task_id": task["id"], "fence": lock["fence"], "expires_at": lock["expires_at"]}]
    assert (await desk.next("cid"))["also_holding"] == []


async def test_leases_that_ended_are_not_named(desk: Desk) -> None:
    first, second, third = [(await desk.task(f"task {number}"))["id"] for number in range(3)]
    await desk.claim(first, "bob", ttl_seconds=10)
    await desk.claim(second, "bob")
    await desk.release(second, "bob")
    desk.clock.advance(10)
    assert (await claimed(desk, "acquire_task_lock", third))["also_holding"] == []


async def test_a_renewal_repeats_none_of_it(desk: Desk) -> None:
    task = await desk.task()
    await desk.claim(task["id"], "bob")
    for operation in ("acquire_task_lock", "renew_task_lock"):
        again = await desk.do(operation, task_id=task["id"], agent_id="bob")
        assert not {"handoff", "log_entries", "also_holding"} & again.keys()


async def test_a_second_claim_of_the_same_task_under_one_agent_id_carries_a_notice(desk: Desk) -> None:
    task = await desk.task()
    lock = await desk.claim(task["id"], "bob")
    desk.clock.advance(60)
    again = await desk.do("acquire_task_lock", task_id=task["id"], agent_id="bob")
    assert again["notice"] == "already leased to your id; another session may use this id"
    own = await desk.do("acquire_task_lock", task_id=task["id"], agent_id="bob", fence=lock["fence"])
    assert own["notice"] is None


@pytest.mark.parametrize("path", ["/api/tasks/claim", "/api/tasks/2/lock"])
async def test_over_rest_both_claims_bring_it(served: Served, desk: Desk, path: str) -> None:
    await desk.task("first")
    await desk.task("second")
    await desk.claim(1, "bob")
    answer: Any = await served.ok("POST", path, {"agent_id": "bob"})
    assert [held["task_id"] for held in answer["also_holding"]] == [1]


@pytest.mark.parametrize("tool", ["claim_next_task", "acquire_task_lock"])
async def test_over_mcp_a_claim_brings_it_too_and_omits_empty_fields(tmp_path: Path, tool: str) -> None:
    async with product(tmp_path) as made, agent(made.server) as client:
        for name in ("first", "second"):
            await client.ok("create_task", name=name, project_name="p", agent_id="ann")
        first = await client.ok("acquire_task_lock", task_id=1, agent_id="ann")
        assert not {"notice", "handoff", "also_holding"} & first.keys()
        await client.ok("acquire_task_lock", task_id=2, agent_id="bob")
        await client.ok("release_task_lock", task_id=2, agent_id="bob", handoff="half way")
        answer = await client.ok(tool, agent_id="ann", **({"task_id": 2} if tool == "acquire_task_lock" else {}))
        assert (answer["handoff"]["author"], answer["handoff"]["body"]) == ("bob", "half way")
        assert [held["task_id"] for held in answer["also_holding"]] == [1]
        assert answer["notice"].startswith("your agent id also has leases on #1")
        nothing = await client.ok("claim_next_task", agent_id="ann")
        assert sorted(held["task_id"] for held in nothing["also_holding"]) == [1, 2]
        assert "also_holding" not in await client.ok("claim_next_task", agent_id="bob")
        again = await client.ok("acquire_task_lock", task_id=2, agent_id="ann")
        assert "another session may use this id" in again["notice"]
