"""Additional fields of a claim: the handoff note, the size of the log, and the agent's other leases."""

from pathlib import Path
from typing import Any

import pytest

from tests.http_service import HttpService
from tests.integration.mcp_product import agent, product
from tests.operations_client import Json, OperationsClient


async def claimed(api: OperationsClient, how: str, task_id: int, agent: str = "bob") -> Json:
    if how == "acquire_task_lock":
        return dict(await api.call(how, task_id=task_id, agent_id=agent))
    return await api.claim_next(agent)


HOW = pytest.mark.parametrize("how", ["claim_next_task", "acquire_task_lock"])


@pytest.mark.promise("claim:handoff")
@HOW
async def test_a_claim_brings_the_newest_handoff_note_and_the_size_of_the_log(api: OperationsClient, how: str) -> None:
    task = await api.create_task()
    await api.claim(task["id"], "ann")
    await api.call("add_task_log", task_id=task["id"], agent_id="ann", body="half way")
    await api.release(task["id"], "ann", handoff="the first coat is on")
    await api.claim(task["id"], "cid")
    await api.release(task["id"], "cid", handoff="the second coat is on", failed=True)
    await api.call("add_task_log", task_id=task["id"], body="use green", kind="comment")
    answer = await claimed(api, how, task["id"])
    assert answer["handoff"] == {"author": "cid", "body": "the second coat is on", "created_at": api.clock.later(0)}
    assert answer["log_entries"] == len(await api.logs(task["id"])) == 4


@HOW
async def test_a_task_without_a_log_has_no_note_and_no_entries(api: OperationsClient, how: str) -> None:
    task = await api.create_task()
    other = await api.create_task("other")
    await api.claim(other["id"], "cid")
    await api.release(other["id"], "cid", handoff="of the other")
    answer = await claimed(api, how, task["id"])
    assert (answer["handoff"], answer["log_entries"], answer["also_holding"]) == (None, 0, [])
    assert answer["notice"] is None


async def test_a_long_note_is_cut_and_marked_as_cut(api: OperationsClient) -> None:
    task = await api.create_task()
    await api.claim(task["id"], "ann")
    await api.release(task["id"], "ann", handoff="x" * 2001)
    body = (await claimed(api, "claim_next_task", task["id"]))["handoff"]["body"]
    assert len(body) == 2000
    assert body.endswith("x [truncated; see the log]")
    await api.release(task["id"], "bob", handoff="y" * 2000)
    assert (await claimed(api, "claim_next_task", task["id"]))["handoff"]["body"] == "y" * 2000


@pytest.mark.promise("claim:names-other-leases")
@HOW
async def test_a_claim_names_the_other_leases_of_the_agent(api: OperationsClient, how: str) -> None:
    first, second, third = [(await api.create_task(f"task {number}"))["id"] for number in range(3)]
    locks = {number: await api.claim(number, "bob", ttl_seconds=600 - number) for number in (first, second)}
    answer = await claimed(api, how, third)
    assert answer["task"]["id"] == third
    assert answer["also_holding"] == [
        {"task_id": number, "fence": locks[number]["fence"], "expires_at": locks[number]["expires_at"]}
        for number in (second, first)
    ]
    assert answer["notice"] == (
        f"your agent id also has leases on #{second}, #{first}; another session may use this id"
    )
    assert (await claimed(api, "acquire_task_lock", (await api.create_task())["id"], "cid"))["also_holding"] == []


@HOW
async def test_a_claim_of_an_agent_with_many_leases_names_the_five_that_end_first(
    api: OperationsClient, how: str
) -> None:
    tasks = [(await api.create_task(f"task {number}"))["id"] for number in range(7)]
    for number in tasks[:6]:
        await api.claim(number, "bob", ttl_seconds=600 - number)
    answer = await claimed(api, how, tasks[6])
    ends_first = sorted(tasks[1:6], reverse=True)
    assert [held["task_id"] for held in answer["also_holding"]] == ends_first
    assert f"#{ends_first[-1]}, ..; another session" in answer["notice"]
    nothing = await api.claim_next("bob")
    assert sorted(held["task_id"] for held in nothing["also_holding"]) == tasks


async def test_an_empty_claim_names_the_leases_of_the_agent(api: OperationsClient) -> None:
    task = await api.create_task()
    lock = await api.claim(task["id"], "bob")
    answer = await api.claim_next("bob")
    assert answer["task"] is None
    assert answer["also_holding"] == [{"task_id": task["id"], "fence": lock["fence"], "expires_at": lock["expires_at"]}]
    assert (await api.claim_next("cid"))["also_holding"] == []


async def test_leases_that_ended_are_not_named(api: OperationsClient) -> None:
    first, second, third = [(await api.create_task(f"task {number}"))["id"] for number in range(3)]
    await api.claim(first, "bob", ttl_seconds=10)
    await api.claim(second, "bob")
    await api.release(second, "bob")
    api.clock.advance(10)
    assert (await claimed(api, "acquire_task_lock", third))["also_holding"] == []


async def test_a_renewal_repeats_none_of_it(api: OperationsClient) -> None:
    task = await api.create_task()
    await api.claim(task["id"], "bob")
    for operation in ("acquire_task_lock", "renew_task_lock"):
        again = await api.call(operation, task_id=task["id"], agent_id="bob")
        assert not {"handoff", "log_entries", "also_holding"} & again.keys()


async def test_a_second_claim_of_the_same_task_under_one_agent_id_carries_a_notice(api: OperationsClient) -> None:
    task = await api.create_task()
    lock = await api.claim(task["id"], "bob")
    api.clock.advance(60)
    again = await api.call("acquire_task_lock", task_id=task["id"], agent_id="bob")
    assert again["notice"] == "already leased to your id; another session may use this id"
    own = await api.call("acquire_task_lock", task_id=task["id"], agent_id="bob", fence=lock["fence"])
    assert own["notice"] is None


@pytest.mark.parametrize("path", ["/api/tasks/claim", "/api/tasks/2/lock"])
async def test_over_rest_both_claims_bring_it(service: HttpService, api: OperationsClient, path: str) -> None:
    await api.create_task("first")
    await api.create_task("second")
    await api.claim(1, "bob")
    answer: Any = await service.ok("POST", path, {"agent_id": "bob"})
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
