"""The length of a lease: the requested one, until its holder requests another."""

import pytest

from tests.desk import Desk, Json
from tests.served import Served

LONG = 900


@pytest.mark.parametrize("path", ["/api/tasks/1/lock", "/api/task/1/lock"])
async def test_a_holder_that_claims_again_keeps_the_length_of_its_lease(desk: Desk, served: Served, path: str) -> None:
    await desk.task()
    await served.ok("POST", path, {"agent_id": "ann", "ttl_seconds": LONG})
    desk.clock.advance(60)
    head = await desk.head()
    again = await served.ok("POST", path, {"agent_id": "ann"})
    assert (again["renewed"], again["timeout"], again["lock"]["ttl_seconds"]) == (True, LONG, LONG)
    assert again["expires_at"] == desk.clock.later(LONG)
    assert await desk.head() == head


@pytest.mark.parametrize("words", [{"ttl_seconds": 30}, {"timeout": 30}, {"duration_seconds": 30}])
async def test_a_length_that_is_sent_counts(desk: Desk, words: Json) -> None:
    task = await desk.task()
    await desk.claim(task["id"], "ann", ttl_seconds=LONG)
    assert (await desk.claim(task["id"], "ann", **words))["ttl_seconds"] == 30


async def test_a_lease_of_claim_next_keeps_its_length_too(desk: Desk) -> None:
    task = await desk.task()
    assert (await desk.next("ann"))["lock"]["ttl_seconds"] == LONG
    assert (await desk.claim(task["id"], "ann"))["ttl_seconds"] == LONG
    held = await desk.set_status(task["id"], "IN_PROGRESS", "ann")
    assert held["lock"]["ttl_seconds"] == LONG


async def test_a_new_lease_without_a_length_has_the_default_and_not_the_last_length(desk: Desk) -> None:
    task = await desk.task()
    await desk.claim(task["id"], "ann", ttl_seconds=LONG)
    await desk.release(task["id"], "ann")
    assert (await desk.claim(task["id"], "bob"))["ttl_seconds"] == 300
