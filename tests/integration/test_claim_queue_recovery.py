"""The claim queue after the expiry of waiters, also of a suspended process."""

from functools import partial

import anyio
import pytest

from project_manager.services import claim_queue
from project_manager.store.claim_queue import Queue, Waiter
from tests.integration.test_claim_long_poll import Waiting, enqueue, queue
from tests.integration.test_claim_next import taken
from tests.integration.test_claim_queue import claim_of
from tests.operations_client import OperationsClient

EXPIRED_AFTER = 20
LONG = 55
"""Seconds to wait for a task, longer than a test. At the end of its wait, a call searches again."""


async def run_heartbeat(api: OperationsClient) -> None:
    assert await api.runtime.jobs.run_once("heartbeat")


@pytest.mark.promise("claim:first-come")
async def test_a_claim_overtakes_no_waiter_of_a_process_that_was_suspended(
    api: OperationsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim_queue, "drop_expired_waiters", lambda _: None)
    async with anyio.create_task_group() as agents:
        waiting = Waiting(api, agents)
        await waiting.enqueue("ann", labels=["garden"], wait_seconds=LONG)
        await api.create_task("first")
        api.clock.advance(EXPIRED_AFTER)
        assert await taken(api, "zoe") == "first"  # the writer reads the queue without ann and keeps it
        await run_heartbeat(api)
        assert queue(api) == ["ann"]
        async with anyio.create_task_group() as rush:
            rush.start_soon(partial(api.create_task, "task", labels=["garden"]))
            for _ in range(5):
                rush.start_soon(taken, api, "bob")
        await waiting.until_served(1)
    assert waiting.got == {"ann": "task"}


async def test_the_kept_queue_forgets_a_waiter_at_its_expiry(api: OperationsClient) -> None:
    await api.create_task("first")
    assert await taken(api, "zoe") == "first"  # the writer reads the empty queue and keeps it
    await enqueue(api, claim_of(agent_id="orphan"))
    await api.create_task("task")
    assert await taken(api, "bob") is None
    api.clock.advance(EXPIRED_AFTER)
    assert await taken(api, "bob") == "task"


def test_a_queue_is_valid_until_the_first_expiry_also_of_a_later_waiter() -> None:
    def waiter(number: int, expires_at: int) -> Waiter:
        return Waiter(number, "ann", None, None, "[]", None, expires_at)

    found = Queue([waiter(1, 30)])
    found.add(waiter(2, 20))
    assert found.valid_until == 20
