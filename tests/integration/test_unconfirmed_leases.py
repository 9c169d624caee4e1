"""A claim after a wait: the client may have given up, so the lease is short until the holder's next call."""

from typing import Any

import anyio
import anyio.to_thread
import orjson
import pytest

from project_manager.catalogue import BY_NAME
from project_manager.domain.actors import LOCAL, Actor, Role
from project_manager.domain.errors import NotReady, ProjectManagerError, StorageFull
from project_manager.runtime.calls import Caller
from project_manager.services import leases
from tests.desk import PATIENCE, Desk, Json
from tests.integration.invariants import check, read
from tests.integration.test_claim_waiting import queue, until_queue_has
from tests.integration.test_lease_history import explained, listed
from tests.served import Served


async def waited(desk: Desk, seconds: float = 5, agent: str = "ann", **more: Any) -> Json:
    """Return the response to a claim that waited this long for the task."""
    got: list[Json] = []

    async def wait() -> None:
        got.append(await desk.next(agent, wait_seconds=50, **more))

    before = len(queue(desk))
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as agents:
            agents.start_soon(wait)
            await until_queue_has(desk, before + 1)
            desk.clock.advance(seconds)
            await desk.task()
    return got[0]


@pytest.mark.promise("lease:unconfirmed")
async def test_a_claim_after_a_wait_begins_with_a_short_lease_and_a_notice(desk: Desk) -> None:
    claimed = await waited(desk)
    lock = claimed["lock"]
    assert (lock["expires_at"], lock["ttl_seconds"]) == (desk.clock.later(120), 120)
    assert claimed["notice"] == "unconfirmed lease: a call before it expires extends it to 900 s"
    (locked,) = await desk.events(0, "task.locked")
    assert (locked["unconfirmed"], locked["timeout"], locked["lock"]) == (True, 120, lock)
    assert (await desk.look(claimed["task"]["id"]))["lock"] == lock
    check(desk)


@pytest.mark.parametrize(("seconds", "ttl"), [(0, 900), (4, 900), (4.001, 120)])
async def test_only_a_wait_of_more_than_four_seconds_makes_it_short(desk: Desk, seconds: float, ttl: int) -> None:
    assert (await waited(desk, seconds))["lock"]["ttl_seconds"] == ttl


async def test_a_lease_that_is_shorter_stays_as_it_is_and_counts_no_attempt_either(desk: Desk) -> None:
    claimed = await waited(desk, ttl_seconds=60)
    assert claimed["lock"]["ttl_seconds"] == 60
    await desk.pass_time(60)
    assert (await desk.look(claimed["task"]["id"]))["attempts"] == 0
    assert (await listed(desk))[0]["reason"] == "unconfirmed"


@pytest.mark.promise("lease:unconfirmed")
async def test_without_a_call_the_task_is_free_after_two_minutes_and_no_attempt_is_counted(desk: Desk) -> None:
    claimed = await waited(desk)
    number, since = claimed["task"]["id"], await desk.head()
    await desk.pass_time(119.999)
    assert (await desk.look(number))["lock"] == claimed["lock"]
    await desk.pass_time(0.001)
    seen = await desk.look(number)
    assert (seen["status"], seen["lock"], seen["attempts"], seen["ready"]) == ("TODO", None, 0, True)
    (unlocked,) = await desk.events(since, "task.unlocked")
    assert (unlocked["reason"], unlocked["agent_id"]) == ("unconfirmed", "ann")
    assert "was not confirmed before" in (await desk.logs(number))[-1]["body"]
    counted = await anyio.to_thread.run_sync(desk.runtime.metrics.render)
    assert b'pm_leases_total{outcome="unconfirmed"} 1.0' in counted
    assert b'pm_leases_total{outcome="expired"}' not in counted
    context = await desk.do("get_context", agent_id="ann")
    assert [lost["id"] for lost in context["lost"]] == [number]
    check(desk)


CALLS: list[tuple[str, Json]] = [
    ("get_context", {}),
    ("create_task", {"name": "Buy paint"}),
    ("add_task_log", {"task_id": 1, "body": "begun"}),
    ("add_task_log", {"task_id": 1, "body": "hm", "kind": "comment"}),
    ("renew_task_lock", {"task_id": 1}),
    ("acquire_task_lock", {"task_id": 1}),
    ("claim_next_task", {}),
    ("claim_next_task", {"wait_seconds": 1, "priority": 0}),
]


@pytest.mark.promise("lease:unconfirmed")
@pytest.mark.parametrize(("operation", "more"), CALLS)
async def test_any_call_that_names_the_holder_extends_the_lease_to_its_full_length(
    desk: Desk, operation: str, more: Json
) -> None:
    claimed = await waited(desk, ttl_seconds=600)
    number, fence = claimed["task"]["id"], claimed["lock"]["fence"]
    assert number == 1
    desk.clock.advance(119)
    since = await desk.head()
    await desk.do(operation, agent_id="ann", **more)
    lock = (await desk.look(number))["lock"]
    assert (lock["fence"], lock["ttl_seconds"], lock["expires_at"]) == (fence, 600, desk.clock.later(600))
    (renewed,) = await desk.events(since, "task.locked")
    assert (renewed["renewed"], renewed["lock"]) == (True, lock)
    await desk.pass_time(600)
    assert (await desk.look(number))["attempts"] == 1
    check(desk)


READS: list[tuple[str, Json]] = [
    ("get_task", {"task_id": 1}),
    ("get_task_details", {"task_id": 1}),
    ("list_tasks", {}),
    ("list_projects", {}),
    ("get_board_state", {}),
    ("wait_for_events", {}),
    ("wait_for_events", {"wait_seconds": 1}),
    ("list_leases", {}),
    ("get_agent", {"agent_id": "bob"}),
]


@pytest.mark.promise("lease:unconfirmed")
@pytest.mark.parametrize(("operation", "more"), READS)
async def test_a_read_with_the_holders_own_token_extends_it_too_and_sees_it_extended(
    desk: Desk, operation: str, more: Json
) -> None:
    claimed = await waited(desk)
    await desk.task("of bob")
    await desk.next("bob")
    desk.clock.advance(60)
    ann = desk.used_by(Actor("ann", "agent", Role.AGENT, bound=True))
    await ann.do(operation, **more)
    assert (await desk.look(claimed["task"]["id"]))["lock"]["expires_at"] == desk.clock.later(900)


async def test_the_first_read_shows_the_full_length_already(desk: Desk) -> None:
    await waited(desk)
    (holding,) = (await desk.do("get_context", agent_id="ann"))["holding"]
    assert (holding["lock"]["ttl_seconds"], holding["seconds_left"]) == (900, 900)


async def test_a_streamed_answer_is_a_call_too(desk: Desk) -> None:
    claimed = await waited(desk)
    await desk.used_by(Actor("ann", "agent", Role.AGENT, bound=True)).text("export_plan")
    assert (await desk.look(claimed["task"]["id"]))["lock"]["ttl_seconds"] == 900


async def test_a_refused_call_of_the_holder_extends_it_as_well(desk: Desk) -> None:
    claimed = await waited(desk)
    first = await desk.task("first")
    second = await desk.task("second", depends_on=[first["id"]])
    await desk.refused(NotReady, "acquire_task_lock", task_id=second["id"], agent_id="ann")
    assert (await desk.look(claimed["task"]["id"]))["lock"]["ttl_seconds"] == 900
    check(desk)


async def test_calls_of_others_about_the_task_or_the_agent_do_not_extend_it(desk: Desk) -> None:
    claimed = await waited(desk)
    number = claimed["task"]["id"]
    desk.clock.advance(10)
    await desk.do("get_context", agent_id="bob")
    await desk.do("get_agent", agent_id="ann")
    await desk.do("list_leases", agent_id="ann")
    await desk.do("list_tasks", holder="ann")
    await desk.do("get_board_state")
    await desk.edit(number, priority=0)
    await desk.used_by(Actor("ann", "human", Role.VIEWER)).do("get_context", agent_id="ann")
    assert (await desk.look(number))["lock"] == claimed["lock"]


@pytest.mark.promise("lease:unconfirmed")
async def test_a_waiting_claim_of_the_same_agent_does_not_confirm_the_lease(desk: Desk) -> None:
    """The client of the first claim gave up and sent a second one. The second claim does not answer the first."""
    got: list[Json] = []

    async def wait(limit: int) -> None:
        got.append(await desk.next("ann", wait_seconds=50))
        if len(got) == limit:
            agents.cancel_scope.cancel()

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as agents:
            for number in (1, 2):
                agents.start_soon(wait, 2)
                await until_queue_has(desk, number)
                desk.clock.advance(5)
            await desk.task("first")
            await until_queue_has(desk, 1)
            since = await desk.head()
            await desk.task("second")
    assert [claimed["lock"]["ttl_seconds"] for claimed in got] == [120, 120]
    assert [event["unconfirmed"] for event in await desk.events(since, "task.locked")] == [True]
    first, second = (claimed["task"]["id"] for claimed in got)
    assert [(await desk.look(number))["lock"]["ttl_seconds"] for number in (first, second)] == [120, 120]
    await desk.do("get_context", agent_id="ann")
    assert [(await desk.look(number))["lock"]["ttl_seconds"] for number in (first, second)] == [900, 900]


async def test_a_confirmed_lease_is_not_written_by_reads_any_more(desk: Desk) -> None:
    await waited(desk)
    await desk.do("get_context", agent_id="ann")
    head = await desk.head()
    desk.clock.advance(30)
    before = read(desk.runtime.database.path, "SELECT lock_expires_at FROM tasks")
    await desk.do("get_context", agent_id="ann")
    assert read(desk.runtime.database.path, "SELECT lock_expires_at FROM tasks") == before
    assert await desk.head() == head


async def test_the_lease_after_an_unconfirmed_one_counts_as_any_other(desk: Desk) -> None:
    claimed = await waited(desk)
    number = claimed["task"]["id"]
    await desk.release(number, "ann")
    await desk.claim(number, "bob", ttl_seconds=10)
    await desk.pass_time(10)
    assert (await desk.look(number))["attempts"] == 1
    reasons = [lease["reason"] for lease in await listed(desk)]
    assert sorted(reasons) == ["explicit_release", "lock_expired"]


async def test_a_read_is_answered_also_when_the_lease_cannot_be_extended(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await waited(desk)

    def full(*_: object, **__: object) -> ProjectManagerError:
        raise StorageFull("the disk of the database is full")

    monkeypatch.setattr(leases, "confirm", full)
    (holding,) = (await desk.do("get_context", agent_id="ann"))["holding"]
    assert holding["lock"]["ttl_seconds"] == 120


async def test_over_mcp_a_call_that_names_the_agent_extends_it(desk: Desk) -> None:
    claimed = await waited(desk)
    caller = Caller(LOCAL, "mcp", "test")
    await desk.runtime.run(BY_NAME["list_tasks"], {}, caller)
    assert (await desk.look(claimed["task"]["id"]))["lock"]["ttl_seconds"] == 120
    answer = await desk.runtime.run(BY_NAME["get_context"], {"agent_id": "ann"}, caller)
    assert orjson.loads(answer.body)["holding"][0]["lock"]["ttl_seconds"] == 900
    assert answer.expiring_leases == []


async def test_over_rest_a_call_that_names_the_agent_extends_it(served: Served, desk: Desk) -> None:
    claimed = await waited(desk)
    await served.ok("GET", "/api/context?agent_id=ann")
    lock = (await served.ok("GET", f"/api/tasks/{claimed['task']['id']}"))["lock"]
    assert lock["ttl_seconds"] == 900


async def test_unconfirmed_leases_are_read_from_their_own_index(desk: Desk) -> None:
    for work in (
        explained(lambda tx: leases.has_unconfirmed(tx, tx.now)),
        explained(lambda tx: leases.confirm(tx, tx.now)),
    ):
        plan = await desk.runtime.read("plan", work)
        assert all("ix_tasks_unconfirmed" in step for step in plan), plan
