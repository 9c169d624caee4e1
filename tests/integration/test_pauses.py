"""Pauses: which claims they prevent, what they leave alone, and how they end."""

from typing import Any

import anyio
import pytest

from project_manager.domain.actors import Actor, Role
from project_manager.domain.errors import Invalid, LockRequired, Paused, PauseNotFound, RoleRequired, TaskNotFound
from tests.integration.plan_helpers import import_plan
from tests.integration.test_questions import answer, ask
from tests.operations_client import Json, OperationsClient

OPERATOR = Actor("olga", "human", Role.OPERATOR)
AGENT = Actor("codex", "agent", Role.AGENT, bound=True)
VIEWER = Actor("vera", "human", Role.VIEWER)
REASON = "the build is broken"


async def pause(api: OperationsClient, scope: str, subject: Any = None, **more: Any) -> Json:
    operator = api.acting_as(OPERATOR)
    started: Json = await operator.call("start_pause", **{"scope": scope, "id": subject, "reason": REASON, **more})
    return started


async def end(api: OperationsClient, pause_id: int) -> None:
    await api.acting_as(OPERATOR).call("end_pause", pause_id=pause_id)


async def listed(api: OperationsClient) -> list[Json]:
    items: list[Json] = (await api.call("list_pauses"))["items"]
    return items


def paused_by_olga(api: OperationsClient, scope: str) -> Json:
    return {"scope": scope, "reason": REASON, "author": "olga", "since": api.clock.later(0), "stopped": False}


@pytest.fixture
async def task(api: OperationsClient) -> Json:
    return await api.create_task()


@pytest.mark.parametrize(
    ("scope", "subject", "why"),
    [
        ("all", None, "all work is paused"),
        ("project", 1, "its project is paused"),
        ("project", "1", "its project is paused"),
        ("task", 1, "it is paused"),
    ],
)
async def test_a_paused_task_is_not_ready_until_the_pause_ends(
    api: OperationsClient, task: Json, scope: str, subject: Any, why: str
) -> None:
    since = await api.last_seq()
    started = await pause(api, scope, subject)
    found = await api.get_task(task["id"])
    assert (found["ready"], found["why_not_ready"]) == (False, [why])
    nothing = await api.claim_next("ann")
    assert (nothing["task"], nothing["paused"]) == (None, paused_by_olga(api, scope))
    refused = await api.call_error(Paused, "acquire_task_lock", task_id=task["id"], agent_id="ann")
    assert {**refused.details, "task_id": 1} == {"task_id": 1, **paused_by_olga(api, scope)}
    assert REASON in refused.message
    await end(api, started["id"])
    assert (await api.claim_next("ann"))["task"]["id"] == task["id"]
    types = [event["type"] for event in await api.events(since)]
    assert types[:4] == ["pause.started", "task.not_ready", "pause.ended", "task.ready"]


async def test_only_the_tasks_of_the_target_are_paused(api: OperationsClient, task: Json) -> None:
    other = await api.create_task("other", project_name="Orchard")
    await pause(api, "project", task["project_id"])
    assert (await api.claim_next("ann"))["task"]["id"] == other["id"]
    assert (await api.claim_next("bob"))["paused"]["scope"] == "project"
    assert (await api.claim_next("bob", project_name="Orchard"))["paused"] is None


@pytest.mark.parametrize("filters", [{"labels": ["x"]}, {"priority": 1}, {"project_name": "Orchard"}])
async def test_a_claim_reports_only_pauses_of_tasks_that_its_filters_accept(
    api: OperationsClient, task: Json, filters: Json
) -> None:
    await api.create_task("waits", project_name="Orchard", depends_on=[task["id"]])
    await pause(api, "all")
    assert (await api.claim_next("ann", **filters))["paused"] is None
    assert (await api.claim_next("ann"))["paused"]["scope"] == "all"


async def test_several_pauses_of_a_task_end_one_by_one(api: OperationsClient, task: Json) -> None:
    pauses = [await pause(api, *target) for target in (("task", 1), ("project", 1), ("all",))]
    for started in pauses:
        assert (await api.claim_next("ann"))["task"] is None
        await end(api, started["id"])
    assert (await api.claim_next("ann"))["task"]["id"] == task["id"]


async def test_holders_go_on_and_their_task_is_not_claimed_again(api: OperationsClient, task: Json) -> None:
    lock = await api.claim(task["id"], "ann")
    await pause(api, "all")
    await api.call("renew_task_lock", task_id=task["id"], agent_id="ann", fence=lock["fence"])
    await api.call("add_task_log", task_id=task["id"], agent_id="ann", fence=lock["fence"], body="half done")
    await api.release(task["id"], "ann", fence=lock["fence"])
    assert (await api.claim_next("ann"))["paused"]["scope"] == "all"


async def test_a_holder_finishes_a_paused_task(api: OperationsClient, task: Json) -> None:
    lock = await api.claim(task["id"], "ann")
    await pause(api, "task", task["id"])
    assert (await api.set_status(task["id"], "DONE", "ann", fence=lock["fence"]))["status"] == "DONE"


async def test_a_paused_task_gives_no_short_lease(api: OperationsClient, task: Json) -> None:
    await pause(api, "task", task["id"])
    await api.call_error(LockRequired, "update_task_status", task_id=task["id"], status="DONE", agent_id="ann")
    await api.call_error(Paused, "update_task_status", task_id=task["id"], status="IN_PROGRESS", agent_id="ann")
    assert (await api.set_status(task["id"], "BACKLOG"))["status"] == "BACKLOG"


async def test_new_tasks_of_a_paused_project_are_paused_too(api: OperationsClient, task: Json) -> None:
    await pause(api, "project", task["project_id"])
    await api.create_task("one more")
    await api.call("create_tasks", project_name="Garden", tasks=[{"name": "first"}, {"name": "second"}])
    await import_plan(api, "projects: [{name: Garden, epics: [{name: Fence, tasks: [{name: imported}]}]}]")
    rows = (await api.call("list_tasks", limit=500))["items"]
    assert len(rows) == 5
    assert {row["ready"] for row in rows} == {False}


async def test_a_paused_agent_claims_nothing_and_others_do(api: OperationsClient, task: Json) -> None:
    await pause(api, "agent", "ann")
    assert (await api.claim_next("ann"))["paused"] == paused_by_olga(api, "agent")
    await api.call_error(Paused, "acquire_task_lock", task_id=task["id"], agent_id="ann")
    await api.call_error(Paused, "update_task_status", task_id=task["id"], status="DONE", agent_id="ann")
    context = await api.call("get_context", agent_id="ann")
    assert context["paused"]["scope"] == "agent"
    assert REASON in context["next_step"]
    assert (await api.claim_next("bob"))["task"]["id"] == task["id"]


async def test_an_agent_may_pause_and_resume_only_itself(api: OperationsClient, task: Json) -> None:
    agent = api.acting_as(AGENT)
    for scope, subject in (("all", None), ("project", 1), ("task", task["id"]), ("agent", "ann")):
        await agent.call_error(RoleRequired, "start_pause", scope=scope, id=subject)
    own = await agent.call("start_pause", scope="agent", reason="out of tokens")
    assert (own["agent_id"], own["author"], own["reason"]) == ("codex", "codex", "out of tokens")
    assert (await agent.call("claim_next_task"))["paused"]["author"] == "codex"
    await agent.call("end_pause", pause_id=own["id"])
    assert (await agent.call("claim_next_task"))["task"]["id"] == task["id"]


async def test_an_agent_cannot_end_the_pause_of_an_operator(api: OperationsClient) -> None:
    started = await pause(api, "agent", "codex")
    await api.acting_as(AGENT).call_error(RoleRequired, "end_pause", pause_id=started["id"])
    await api.acting_as(VIEWER).call_error(RoleRequired, "end_pause", pause_id=started["id"])
    assert [row["id"] for row in await listed(api)] == [started["id"]]


async def test_the_first_of_two_operators_pauses_and_both_see_it(api: OperationsClient, task: Json) -> None:
    found: list[Json] = []

    async def start(actor: Actor) -> None:
        found.append(await api.acting_as(actor).call("start_pause", scope="all", reason=actor.id))

    async with anyio.create_task_group() as running:
        for name in ("olga", "otto"):
            running.start_soon(start, Actor(name, "human"))
    assert found[0] == found[1]
    assert await listed(api) == found[:1]
    assert len(await api.events(0, "pause.started")) == 1
    await end(api, found[0]["id"])
    await api.acting_as(OPERATOR).call_error(PauseNotFound, "end_pause", pause_id=found[0]["id"])
    assert (await api.claim_next("ann"))["task"]["id"] == task["id"]


async def waiting(api: OperationsClient, number: int) -> None:
    """Wait until this number of claims wait in the queue."""
    with anyio.fail_after(10):
        while len(api.runtime.long_polls.waiting_calls) != number:
            await anyio.lowlevel.checkpoint()


async def test_a_waiting_claim_goes_on_waiting_during_a_pause_and_gets_the_task_after_it(api: OperationsClient) -> None:
    found: list[Json] = []

    async def claim() -> None:
        found.append(await api.claim_next("ann", wait_seconds=15))

    async with anyio.create_task_group() as running:
        running.start_soon(claim)
        await waiting(api, 1)
        started = await pause(api, "all")
        task = await api.create_task()
        assert found == []
        await end(api, started["id"])
    assert found[0]["task"]["id"] == task["id"]


@pytest.mark.slow
async def test_a_waiting_claim_reports_the_pause_at_its_end(api: OperationsClient, task: Json) -> None:
    await pause(api, "all")
    assert (await api.claim_next("ann", wait_seconds=1))["paused"] == paused_by_olga(api, "all")


async def test_a_task_is_not_reserved_for_a_waiter_that_is_paused(api: OperationsClient) -> None:
    found: dict[str, Json] = {}
    is_served = anyio.Event()

    async def claim(agent: str) -> None:
        found[agent] = await api.claim_next(agent, wait_seconds=15)
        is_served.set()

    async with anyio.create_task_group() as running:
        running.start_soon(claim, "ann")
        await waiting(api, 1)
        running.start_soon(claim, "bob")
        await waiting(api, 2)
        started = await pause(api, "agent", "ann")
        first = await api.create_task("first")
        with anyio.fail_after(10):
            await is_served.wait()
        assert found["bob"]["task"]["id"] == first["id"]
        second = await api.create_task("second")
        assert (await api.claim_next("cid"))["task"]["id"] == second["id"]
        third = await api.create_task("third")
        await end(api, started["id"])
    assert found["ann"]["task"]["id"] == third["id"]


async def test_a_task_that_was_reserved_for_a_waiter_is_free_when_the_waiter_is_paused(api: OperationsClient) -> None:
    started = await pause(api, "agent", "ann")
    task = await api.create_task()
    found: list[Json] = []

    async def claim() -> None:
        found.append(await api.claim_next("ann", wait_seconds=15))

    async with anyio.create_task_group() as running:
        running.start_soon(claim)
        await waiting(api, 1)
        await end(api, started["id"])
    assert found[0]["task"]["id"] == task["id"]


@pytest.mark.parametrize("scope", ["task", "project"])
async def test_the_deletion_of_the_target_ends_the_pause(api: OperationsClient, task: Json, scope: str) -> None:
    await pause(api, scope, task[{"task": "id", "project": "project_id"}[scope]])
    if scope == "task":
        await api.call("delete_task", task_id=task["id"])
    else:
        await api.call("delete_project", project_id=task["project_id"], force=True)
    assert await listed(api) == []
    (ended,) = await api.events(0, "pause.ended")
    assert ended["scope"] == scope


async def test_the_deletion_of_a_project_ends_the_pauses_of_its_tasks(api: OperationsClient, task: Json) -> None:
    await pause(api, "task", task["id"])
    await api.call("delete_project", project_id=task["project_id"], force=True)
    assert await listed(api) == []
    assert len(await api.events(0, "pause.ended")) == 1


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"scope": "all", "id": 1}, Invalid),
        ({"scope": "galaxy"}, Invalid),
        ({"scope": "project"}, Invalid),
        ({"scope": "project", "id": "Garden"}, Invalid),
        ({"scope": "task", "id": "9" * 30}, Invalid),
        ({"scope": "task", "id": 999}, TaskNotFound),
        ({"scope": "all", "reason": "x" * 501}, Invalid),
        ({"scope": "agent"}, Invalid),
        ({"scope": "agent", "id": "auto"}, Invalid),
    ],
)
async def test_a_bad_pause_is_rejected(api: OperationsClient, task: Json, given: Json, error: Any) -> None:
    await api.acting_as(OPERATOR).call_error(error, "start_pause", **given)
    assert await listed(api) == []


async def test_a_pause_survives_a_reopened_task(api: OperationsClient, task: Json) -> None:
    await pause(api, "project", task["project_id"])
    await api.set_status(task["id"], "DONE")
    await api.set_status(task["id"], "TODO", reopen=True)
    assert (await api.get_task(task["id"]))["why_not_ready"] == ["its project is paused"]


async def test_the_pauses_are_listed_in_pages(api: OperationsClient) -> None:
    started = [await pause(api, "agent", f"agent-{number}") for number in range(3)]
    first = await api.call("list_pauses", limit=2)
    second = await api.call("list_pauses", limit=2, cursor=first["next_cursor"])
    assert [*first["items"], *second["items"]] == started


@pytest.mark.slow
async def test_a_paused_agent_gets_no_offer(api: OperationsClient, task: Json) -> None:
    asked = await ask(api, task["id"])
    results: list[Json] = []

    async def wait() -> None:
        results.append(await api.claim_next("ann", wait_seconds=1))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await waiting(api, 1)
        await pause(api, "agent", "ann")
        await answer(api.acting_as(OPERATOR), asked)
    assert (results[0]["task"], results[0]["paused"]["scope"]) == (None, "agent")
    assert (await api.claim_next("bob"))["task"]["id"] == task["id"]
