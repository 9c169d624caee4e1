"""A claim after a wait: the client may have given up, so the lease is short until the holder's next call."""

from typing import Any

import anyio
import anyio.to_thread
import orjson
import pytest

from project_manager.catalogue import BY_NAME
from project_manager.domain.actors import LOCAL, Actor, Role
from project_manager.domain.errors import NotReady, ProjectManagerError
from project_manager.domain.service_errors import StorageFull
from project_manager.runtime.calls import Caller
from project_manager.services import leases
from tests.http_service import HttpService
from tests.integration.invariants import check
from tests.integration.test_claim_long_poll import queue, until_queue_has
from tests.integration.test_lease_history import explained, listed
from tests.operations_client import TIMEOUT, Json, OperationsClient
from tests.stored_rows import address_of, read

pytestmark = pytest.mark.slow


async def waited(api: OperationsClient, seconds: float = 5, agent: str = "ann", **more: Any) -> Json:
    """Return the response to a claim that waited this long for the task."""
    got: list[Json] = []

    async def wait() -> None:
        got.append(await api.claim_next(agent, wait_seconds=50, **more))

    before = len(queue(api))
    with anyio.fail_after(TIMEOUT):
        async with anyio.create_task_group() as agents:
            agents.start_soon(wait)
            await until_queue_has(api, before + 1)
            api.clock.advance(seconds)
            await api.create_task()
    return got[0]


@pytest.mark.promise("lease:unconfirmed")
async def test_a_claim_after_a_wait_begins_with_a_short_lease_and_a_notice(api: OperationsClient) -> None:
    claimed = await waited(api)
    lock = claimed["lock"]
    assert (lock["expires_at"], lock["ttl_seconds"]) == (api.clock.later(120), 120)
    assert claimed["notice"] == "unconfirmed lease: a call before it expires extends it to 900 s"
    (locked,) = await api.events(0, "task.locked")
    assert (locked["unconfirmed"], locked["timeout"], locked["lock"]) == (True, 120, lock)
    assert (await api.get_task(claimed["task"]["id"]))["lock"] == lock
    check(api)


@pytest.mark.parametrize(("seconds", "ttl"), [(0, 900), (4, 900), (4.001, 120)])
async def test_only_a_wait_of_more_than_four_seconds_makes_it_short(
    api: OperationsClient, seconds: float, ttl: int
) -> None:
    assert (await waited(api, seconds))["lock"]["ttl_seconds"] == ttl


async def test_a_lease_that_is_shorter_stays_as_it_is_and_counts_no_attempt_either(api: OperationsClient) -> None:
    claimed = await waited(api, ttl_seconds=60)
    assert claimed["lock"]["ttl_seconds"] == 60
    await api.advance(60)
    task = await api.get_task(claimed["task"]["id"])
    assert (task["attempts"], task["worked_seconds"]) == (0, 0)
    assert (await listed(api))[0]["reason"] == "unconfirmed"


async def test_only_a_call_of_the_holder_makes_its_time_count_as_work(api: OperationsClient) -> None:
    for by, worked in (({"force": True}, 0), ({"agent_id": "ann"}, 30)):
        number = (await waited(api))["task"]["id"]
        await api.advance(30)
        await api.call("release_task_lock", task_id=number, **by)
        assert (await api.get_task(number))["worked_seconds"] == worked
        await api.set_status(number, "DONE")


@pytest.mark.promise("lease:unconfirmed")
async def test_without_a_call_the_task_is_free_after_two_minutes_and_no_attempt_is_counted(
    api: OperationsClient,
) -> None:
    claimed = await waited(api)
    number, since = claimed["task"]["id"], await api.last_seq()
    await api.advance(119.999)
    assert (await api.get_task(number))["lock"] == claimed["lock"]
    await api.advance(0.001)
    seen = await api.get_task(number)
    assert (seen["status"], seen["lock"], seen["attempts"], seen["ready"]) == ("TODO", None, 0, True)
    (unlocked,) = await api.events(since, "task.unlocked")
    assert (unlocked["reason"], unlocked["agent_id"]) == ("unconfirmed", "ann")
    assert "was not confirmed before" in (await api.logs(number))[-1]["body"]
    counted = await anyio.to_thread.run_sync(api.runtime.metrics.render)
    assert b'pm_leases_total{outcome="unconfirmed"} 1.0' in counted
    assert b'pm_leases_total{outcome="expired"}' not in counted
    context = await api.call("get_context", agent_id="ann")
    assert [lost["id"] for lost in context["lost"]] == [number]
    check(api)


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
    api: OperationsClient, operation: str, more: Json
) -> None:
    claimed = await waited(api, ttl_seconds=600)
    number, fence = claimed["task"]["id"], claimed["lock"]["fence"]
    assert number == 1
    api.clock.advance(119)
    since = await api.last_seq()
    await api.call(operation, agent_id="ann", **more)
    lock = (await api.get_task(number))["lock"]
    assert (lock["fence"], lock["ttl_seconds"], lock["expires_at"]) == (fence, 600, api.clock.later(600))
    (renewed,) = await api.events(since, "task.locked")
    assert (renewed["renewed"], renewed["lock"]) == (True, lock)
    await api.advance(600)
    assert (await api.get_task(number))["attempts"] == 1
    check(api)


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
    api: OperationsClient, operation: str, more: Json
) -> None:
    claimed = await waited(api)
    await api.create_task("of bob")
    await api.claim_next("bob")
    api.clock.advance(60)
    ann = api.acting_as(Actor("ann", "agent", Role.AGENT, bound=True))
    await ann.call(operation, **more)
    assert (await api.get_task(claimed["task"]["id"]))["lock"]["expires_at"] == api.clock.later(900)


async def test_the_first_read_shows_the_full_length_already(api: OperationsClient) -> None:
    await waited(api)
    (holding,) = (await api.call("get_context", agent_id="ann"))["holding"]
    assert (holding["lock"]["ttl_seconds"], holding["seconds_left"]) == (900, 900)


async def test_a_streamed_answer_is_a_call_too(api: OperationsClient) -> None:
    claimed = await waited(api)
    await api.acting_as(Actor("ann", "agent", Role.AGENT, bound=True)).stream_text("export_plan")
    assert (await api.get_task(claimed["task"]["id"]))["lock"]["ttl_seconds"] == 900


async def test_a_refused_call_of_the_holder_extends_it_as_well(api: OperationsClient) -> None:
    claimed = await waited(api)
    first = await api.create_task("first")
    second = await api.create_task("second", depends_on=[first["id"]])
    await api.call_error(NotReady, "acquire_task_lock", task_id=second["id"], agent_id="ann")
    assert (await api.get_task(claimed["task"]["id"]))["lock"]["ttl_seconds"] == 900
    check(api)


async def test_calls_of_others_about_the_task_or_the_agent_do_not_extend_it(api: OperationsClient) -> None:
    claimed = await waited(api)
    number = claimed["task"]["id"]
    api.clock.advance(10)
    await api.call("get_context", agent_id="bob")
    await api.call("get_agent", agent_id="ann")
    await api.call("list_leases", agent_id="ann")
    await api.call("list_tasks", holder="ann")
    await api.call("get_board_state")
    await api.update_task(number, priority=0)
    await api.acting_as(Actor("ann", "human", Role.VIEWER)).call("get_context", agent_id="ann")
    assert (await api.get_task(number))["lock"] == claimed["lock"]


@pytest.mark.promise("lease:unconfirmed")
async def test_a_waiting_claim_of_the_same_agent_does_not_confirm_the_lease(api: OperationsClient) -> None:
    """The client of the first claim gave up and sent a second one. The second claim does not answer the first."""
    got: list[Json] = []

    async def wait(limit: int) -> None:
        got.append(await api.claim_next("ann", wait_seconds=50))
        if len(got) == limit:
            agents.cancel_scope.cancel()

    with anyio.fail_after(TIMEOUT):
        async with anyio.create_task_group() as agents:
            for number in (1, 2):
                agents.start_soon(wait, 2)
                await until_queue_has(api, number)
                api.clock.advance(5)
            await api.create_task("first")
            await until_queue_has(api, 1)
            since = await api.last_seq()
            await api.create_task("second")
    assert [claimed["lock"]["ttl_seconds"] for claimed in got] == [120, 120]
    assert [event["unconfirmed"] for event in await api.events(since, "task.locked")] == [True]
    first, second = (claimed["task"]["id"] for claimed in got)
    assert [(await api.get_task(number))["lock"]["ttl_seconds"] for number in (first, second)] == [120, 120]
    await api.call("get_context", agent_id="ann")
    assert [(await api.get_task(number))["lock"]["ttl_seconds"] for number in (first, second)] == [900, 900]


async def test_a_confirmed_lease_is_not_written_by_reads_any_more(api: OperationsClient) -> None:
    await waited(api)
    await api.call("get_context", agent_id="ann")
    head = await api.last_seq()
    api.clock.advance(30)
    before = read(address_of(api.runtime), "SELECT lock_expires_at FROM tasks ORDER BY id")
    await api.call("get_context", agent_id="ann")
    assert read(address_of(api.runtime), "SELECT lock_expires_at FROM tasks ORDER BY id") == before
    assert await api.last_seq() == head


async def test_the_lease_after_an_unconfirmed_one_counts_as_any_other(api: OperationsClient) -> None:
    claimed = await waited(api)
    number = claimed["task"]["id"]
    await api.release(number, "ann")
    await api.claim(number, "bob", ttl_seconds=10)
    await api.advance(10)
    assert (await api.get_task(number))["attempts"] == 1
    reasons = [lease["reason"] for lease in await listed(api)]
    assert sorted(reasons) == ["explicit_release", "lock_expired"]


async def test_a_read_is_answered_also_when_the_lease_cannot_be_extended(
    api: OperationsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await waited(api)

    def full(*_: object, **__: object) -> ProjectManagerError:
        raise StorageFull("the disk of the database is full")

    monkeypatch.setattr(leases, "confirm", full)
    (holding,) = (await api.call("get_context", agent_id="ann"))["holding"]
    assert holding["lock"]["ttl_seconds"] == 120


async def test_over_mcp_a_call_that_names_the_agent_extends_it(api: OperationsClient) -> None:
    claimed = await waited(api)
    caller = Caller(LOCAL, "mcp", "test")
    await api.runtime.run(BY_NAME["list_tasks"], {}, caller)
    assert (await api.get_task(claimed["task"]["id"]))["lock"]["ttl_seconds"] == 120
    answer = await api.runtime.run(BY_NAME["get_context"], {"agent_id": "ann"}, caller)
    assert orjson.loads(answer.body)["holding"][0]["lock"]["ttl_seconds"] == 900
    assert answer.expiring_leases == []


async def test_over_rest_a_call_that_names_the_agent_extends_it(service: HttpService, api: OperationsClient) -> None:
    claimed = await waited(api)
    await service.ok("GET", "/api/context?agent_id=ann")
    lock = (await service.ok("GET", f"/api/tasks/{claimed['task']['id']}"))["lock"]
    assert lock["ttl_seconds"] == 900


PARTIAL = ("ix_tasks_unconfirmed", "ix_tasks_offered_to")
"""The indexes of the rare states of tasks, which one statement reads."""


@pytest.mark.sqlite_only
async def test_unconfirmed_leases_are_read_from_their_own_index(api: OperationsClient) -> None:
    for work in (
        explained(lambda tx: leases.has_unconfirmed(tx, tx.now)),
        explained(lambda tx: leases.confirm(tx, tx.now)),
    ):
        plan = await api.runtime.read("plan", work)
        of_tasks = [step for step in plan if " tasks " in step]
        assert of_tasks
        assert all(any(index in step for index in PARTIAL) for step in of_tasks), of_tasks
