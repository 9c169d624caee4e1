"""The renewal of all leases of an agent in one call."""

import anyio.to_thread
import pytest

from project_manager.domain.actors import Actor, Role
from project_manager.domain.errors import AgentMismatch, FenceRequired, Invalid
from tests.http_service import HttpService
from tests.integration.claimed_task import claimed_task
from tests.integration.invariants import check
from tests.integration.test_unconfirmed_leases import waited
from tests.operations_client import Json, OperationsClient


@pytest.mark.promise("lease:renewal")
async def test_one_call_extends_each_lease_by_its_own_length(api: OperationsClient) -> None:
    first, _ = await claimed_task(api, ttl_seconds=60)
    second, lock = await claimed_task(api, ttl_seconds=600)
    api.clock.advance(59)
    since = await api.last_seq()
    renewed = await api.call("renew_agent_locks", agent_id="ann")
    assert renewed == {
        "agent_id": "ann",
        "renewed": 2,
        "leases": [
            {"task_id": first, "fence": 1, "expires_at": api.clock.later(60)},
            {"task_id": second, "fence": 1, "expires_at": api.clock.later(600)},
        ],
    }
    assert (await api.get_task(second))["lock"] == {**lock, "expires_at": api.clock.later(600)}
    assert await api.events(since) == []
    counted = await anyio.to_thread.run_sync(api.runtime.metrics.render)
    assert b'pm_leases_total{outcome="renewed"} 2.0' in counted
    check(api)


async def test_a_lease_that_requires_its_fence_is_renewed_and_still_requires_it(api: OperationsClient) -> None:
    number, lock = await claimed_task(api)
    await api.call("renew_task_lock", task_id=number, agent_id="ann", fence=lock["fence"])
    api.clock.advance(100)
    await api.call("renew_task_lock", agent_id="ann")
    assert (await api.get_task(number))["lock"]["expires_at"] == api.clock.later(300)
    await api.call_error(FenceRequired, "add_task_log", task_id=number, agent_id="ann", body="done")


async def test_an_expired_lease_and_those_of_others_are_not_renewed(api: OperationsClient) -> None:
    expired, _ = await claimed_task(api, ttl_seconds=60)
    other = (await api.create_task())["id"]
    held = await api.claim(other, "bob", ttl_seconds=600)
    api.clock.advance(60)
    assert (await api.call("renew_agent_locks", agent_id="ann"))["leases"] == []
    assert (await api.get_task(expired))["lock"] is None
    assert (await api.get_task(other))["lock"] == held
    check(api)


async def test_the_call_confirms_a_lease_that_began_before_it(api: OperationsClient) -> None:
    claimed = await waited(api, ttl_seconds=600)
    api.clock.advance(100)
    since = await api.last_seq()
    renewed = await api.call("renew_agent_locks", agent_id="ann")
    assert [lease["expires_at"] for lease in renewed["leases"]] == [api.clock.later(600)]
    assert [event["renewed"] for event in await api.events(since, "task.locked")] == [True]
    assert (await api.get_task(claimed["task"]["id"]))["lock"]["ttl_seconds"] == 600


async def test_hundreds_of_leases_are_renewed_with_one_statement(api: OperationsClient) -> None:
    names = [{"name": f"Task {number}"} for number in range(300)]
    await api.call("create_tasks", project_name="Garden", tasks=names)
    for number in range(1, 301):
        await api.claim(number, "ann")
    api.clock.advance(200)
    renewed = await api.call("renew_agent_locks", agent_id="ann")
    assert renewed["renewed"] == len(renewed["leases"]) == 300
    assert {lease["expires_at"] for lease in renewed["leases"]} == {api.clock.later(300)}


@pytest.mark.parametrize("field", ["fence", "ttl_seconds"])
async def test_a_field_of_one_lease_without_its_task_is_refused(api: OperationsClient, field: str) -> None:
    sent: Json = {"agent_id": "ann", field: 1}
    await claimed_task(api)
    refusal = await api.call_error(Invalid, "renew_task_lock", **sent)
    assert f"`{field}` needs task_id" in str(refusal)


async def test_a_bound_token_renews_only_the_leases_of_its_own_agent(api: OperationsClient) -> None:
    await claimed_task(api)
    bob = api.acting_as(Actor("bob", "agent", Role.AGENT, bound=True))
    await bob.call_error(AgentMismatch, "renew_agent_locks", agent_id="ann")
    assert (await bob.call("renew_task_lock"))["agent_id"] == "bob"


async def test_the_route_takes_an_agent_id_with_a_slash(service: HttpService) -> None:
    await service.ok("POST", "/api/tasks", {"name": "x"})
    await service.ok("POST", "/api/tasks/1/lock", {"agent_id": "ann/sub-1"})
    renewed = await service.ok("PUT", "/api/agents/ann/sub-1/locks")
    assert [lease["task_id"] for lease in renewed["leases"]] == [1]
