"""`claim_next`: choice and order of tasks, and the response when no task is ready."""

from typing import Any

import anyio
import anyio.abc
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pytest

from project_manager.domain.errors import EpicNotFound, Invalid, LockHeld, ProjectNotFound
from project_manager.schemas.leases import NothingReadyView
from project_manager.store import claim_search
from tests.integration.invariants import check
from tests.operations_client import OperationsClient, run_due_jobs

NOTHING = NothingReadyView(task=None, lock=None, message="nothing", tasks=0, tasks_is_minimum=False, blockers=[])


async def taken(api: OperationsClient, agent: str = "ann", **filters: Any) -> str | None:
    """Claim the next task for the agent and return its name."""
    task = (await api.claim_next(agent, **filters))["task"]
    return None if task is None else str(task["name"])


@pytest.mark.promise("claim:best-first")
async def test_claims_are_ordered_by_priority_then_by_unblocked_tasks_then_by_age(api: OperationsClient) -> None:
    await api.create_task("old", priority=2)
    await api.create_task("young", priority=2)
    await api.create_task("late but urgent", priority=0)
    opens = await api.create_task("opens two doors", priority=2)
    await api.create_task("door", depends_on=[opens["id"]], priority=0)
    await api.create_task("other door", depends_on=[opens["id"]], priority=4)
    await api.create_task("whenever", priority=4)
    listed = [row["name"] for row in (await api.call("get_available_tasks"))["items"]]
    order = [await taken(api) for _ in range(5)]
    assert order == listed == ["late but urgent", "opens two doors", "old", "young", "whenever"]
    assert await taken(api) is None
    check(api)


@pytest.mark.slow
@pytest.mark.promise("claim:best-first")
@pytest.mark.parametrize("wait_seconds", [0, 4])
async def test_a_claim_by_labels_finds_a_task_behind_many_parts_of_its_search(
    api: OperationsClient, monkeypatch: pytest.MonkeyPatch, wait_seconds: int
) -> None:
    monkeypatch.setattr(claim_search, "COMPARED_LABELS", 4)
    for number in range(10):
        await api.create_task(f"task {number}", labels=["common"])
    for name in ("last", "too late"):
        await api.create_task(name, labels=["common"], project_name="Shed")
    filters: dict[str, Any] = {"labels": ["common"], "project_name": "Shed", "wait_seconds": wait_seconds}
    assert await taken(api, **filters) == "last"
    assert await taken(api, labels=["common", "rare"], wait_seconds=wait_seconds // 4) is None


@pytest.mark.promise("claim:best-first")
async def test_finished_dependents_do_not_count_as_unblocked(api: OperationsClient) -> None:
    plain, opens = await api.create_task("plain"), await api.create_task("opens")
    door = await api.create_task("door", depends_on=[opens["id"]])
    await api.set_status(door["id"], "CANCELLED")
    assert (await api.get_task(opens["id"]))["unblocks"] == 0
    assert await taken(api) == plain["name"]


@pytest.mark.promise("claim:filters")
async def test_no_task_outside_the_filters_is_claimed(api: OperationsClient) -> None:
    await api.create_task("elsewhere", project_name="Shed", priority=0)
    shed = await api.create_task("tools", project_name="Shed", epic_name="Order", labels=["wood", "iron"], priority=3)
    assert await taken(api, labels=["wood", "glass"]) is None
    assert await taken(api, epic_id=shed["epic_id"], priority=2) is None
    assert await taken(api, project_id=shed["project_id"], labels=["iron"], priority=3) == "tools"
    assert await taken(api, epic_id=shed["epic_id"]) is None
    assert await taken(api, project_id=shed["project_id"]) == "elsewhere"
    assert await taken(api) is None


async def test_the_answer_has_the_task_and_its_lock_for_fifteen_minutes(api: OperationsClient) -> None:
    task = await api.create_task()
    claimed = await api.claim_next("ann")
    assert claimed["task"] == await api.get_task(task["id"])
    assert claimed["lock"] == claimed["task"]["lock"]
    assert (claimed["lock"]["fence"], claimed["lock"]["ttl_seconds"]) == (1, 900)
    assert f"fence {claimed['lock']['fence']}" in claimed["message"]


async def test_a_claimed_task_is_never_offered_to_its_own_holder(api: OperationsClient) -> None:
    await api.create_task()
    await api.claim_next("ann")
    assert await taken(api, "ann") is None


@pytest.mark.promise("lease:exclusive")
async def test_many_agents_at_once_get_different_tasks_each(api: OperationsClient) -> None:
    made = [(await api.create_task(f"task {number}"))["id"] for number in range(20)]
    got: list[tuple[int, str]] = []

    async def work(agent: str) -> None:
        while (claimed := await api.claim_next(agent))["task"] is not None:
            got.append((claimed["task"]["id"], agent))

    async with anyio.create_task_group() as agents:
        for number in range(8):
            agents.start_soon(work, f"agent {number}")
    assert sorted(task for task, _ in got) == made
    assert len({agent for _, agent in got}) > 1
    check(api)


# no task yet


@pytest.mark.promise("claim:empty-says-why")
async def test_an_empty_response_counts_the_tasks_and_their_blockers(api: OperationsClient) -> None:
    first = await api.create_task("first")
    await api.create_task("second", depends_on=[first["id"]])
    await api.create_task("third", defer_until=api.clock.later(60))
    await api.create_task("idea", status="BACKLOG")
    done = await api.create_task("done")
    await api.set_status(done["id"], "DONE")
    look = await api.create_task("look")
    await api.set_status(look["id"], "REVIEW")
    await api.claim_next("ann")
    answer = await api.claim_next("bob")
    assert (answer["task"], answer["lock"], answer["tasks"]) == (None, None, 6)
    counted = {entry["reason"]: entry["tasks"] for entry in answer["blockers"]}
    assert counted == {
        "in progress": 1,
        "not ready (dependencies, defer_until, a conflict, a pause, no attempts left or an archived project)": 2,
        "in review": 1,
        "in the backlog": 1,
        "finished": 1,
    }
    assert sum(counted.values()) == answer["tasks"]
    assert all(f"{number} {reason}" in answer["message"] for reason, number in counted.items())


@pytest.mark.promise("claim:empty-says-why")
async def test_an_empty_response_reports_that_the_filters_exclude_all_ready_tasks(api: OperationsClient) -> None:
    await api.create_task(labels=["wood"])
    answer = await api.claim_next("ann", labels=["iron"])
    assert [(entry["reason"], entry["tasks"]) for entry in answer["blockers"]] == [
        ("ready but excluded by your filters or reserved for earlier waiters", 1)
    ]


@pytest.mark.promise("claim:empty-says-why")
async def test_an_empty_database_is_reported_as_having_no_tasks(api: OperationsClient) -> None:
    answer = await api.claim_next("ann")
    assert (answer["tasks"], answer["blockers"]) == (0, [])
    assert "no open tasks" in answer["message"]


async def test_a_project_or_epic_that_does_not_exist_is_no_reason_to_wait(api: OperationsClient) -> None:
    await api.call_error(ProjectNotFound, "claim_next_task", agent_id="ann", project_id=9, wait_seconds=55)
    await api.call_error(EpicNotFound, "claim_next_task", agent_id="ann", epic_id=9, wait_seconds=55)


@pytest.mark.parametrize("seconds", [-1, 56, "long"])
async def test_waiting_out_of_range_is_refused(api: OperationsClient, seconds: object) -> None:
    refusal = await api.call_error(Invalid, "claim_next_task", agent_id="ann", wait_seconds=seconds)
    assert refusal.details["errors"][0]["field"] == "wait_seconds"  # type: ignore[index]


# every claim


async def test_leases_are_counted_by_outcome(api: OperationsClient) -> None:
    def counts() -> dict[str, float]:
        words = ("acquired", "renewed", "released", "expired", "conflict", "stale_fence")
        found = {word: api.runtime.metrics.value("pm_leases_total", outcome=word) for word in words}
        return {word: count for word, count in found.items() if count}

    await api.claim_next("ann")
    with pytest.raises(Invalid):
        await api.claim_next("ann", nonsense=1)
    assert await anyio.to_thread.run_sync(counts) == {}
    first, second = await api.create_task("first"), await api.create_task("second")
    await api.claim_next("ann")
    await api.claim(first["id"], "ann")
    with pytest.raises(LockHeld):
        await api.claim(first["id"], "bob")
    await api.set_status(first["id"], "DONE", agent_id="ann")
    await api.claim(second["id"], "bob")
    api.clock.advance(4000)
    await run_due_jobs(api.runtime)
    assert await anyio.to_thread.run_sync(counts) == {
        "acquired": 2,
        "renewed": 1,
        "conflict": 1,
        "released": 1,
        "expired": 1,
    }


async def test_the_number_of_tasks_is_returned_only_by_an_empty_claim(api: OperationsClient) -> None:
    await api.create_task()
    rest = ["log_entries", "also_holding", "review", "answer", "submission", "policy"]
    brought = ["notice", "handoff", "knowledge", *rest]
    assert list(await api.claim_next("ann")) == ["task", "lock", "message", *brought]
    assert list(await api.claim_next("bob")) == [
        *("task", "lock", "message", "tasks", "tasks_is_minimum", "blockers", "also_holding", "paused")
    ]
