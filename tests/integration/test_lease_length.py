"""The length of a lease: the requested one, until its holder requests another."""

import pytest

from tests.http_service import HttpService
from tests.operations_client import Json, OperationsClient

LONG = 900


@pytest.mark.parametrize("path", ["/api/tasks/1/lock", "/api/task/1/lock"])
async def test_a_holder_that_claims_again_keeps_the_length_of_its_lease(
    api: OperationsClient, service: HttpService, path: str
) -> None:
    await api.create_task()
    await service.ok("POST", path, {"agent_id": "ann", "ttl_seconds": LONG})
    api.clock.advance(60)
    head = await api.last_seq()
    again = await service.ok("POST", path, {"agent_id": "ann"})
    assert (again["renewed"], again["timeout"], again["lock"]["ttl_seconds"]) == (True, LONG, LONG)
    assert again["expires_at"] == api.clock.later(LONG)
    assert await api.last_seq() == head


@pytest.mark.parametrize("words", [{"ttl_seconds": 30}, {"timeout": 30}, {"duration_seconds": 30}])
async def test_a_length_that_is_sent_counts(api: OperationsClient, words: Json) -> None:
    task = await api.create_task()
    await api.claim(task["id"], "ann", ttl_seconds=LONG)
    assert (await api.claim(task["id"], "ann", **words))["ttl_seconds"] == 30


async def test_a_lease_of_claim_next_keeps_its_length_too(api: OperationsClient) -> None:
    task = await api.create_task()
    assert (await api.claim_next("ann"))["lock"]["ttl_seconds"] == LONG
    assert (await api.claim(task["id"], "ann"))["ttl_seconds"] == LONG
    held = await api.set_status(task["id"], "IN_PROGRESS", "ann")
    assert held["lock"]["ttl_seconds"] == LONG


async def test_a_new_lease_without_a_length_has_the_default_and_not_the_last_length(api: OperationsClient) -> None:
    task = await api.create_task()
    await api.claim(task["id"], "ann", ttl_seconds=LONG)
    await api.release(task["id"], "ann")
    assert (await api.claim(task["id"], "bob"))["ttl_seconds"] == 300
