"""Reports to a returning agent about its leases that ended meanwhile."""

from dataclasses import replace
from typing import Any

import pytest

from project_manager.store import lease_history
from project_manager.store.transaction import Tx
from tests.integration.watched_connection import WatchedConnection
from tests.operations_client import OperationsClient

DAY = 24 * 3600


async def lost(api: OperationsClient, agent: str, **more: Any) -> list[int]:
    return [task["id"] for task in (await api.call("get_context", agent_id=agent, **more))["lost"]]


async def test_a_lease_that_ran_out_is_lost_to_its_holder_alone(api: OperationsClient) -> None:
    task = await api.create_task("Paint")
    await api.claim(task["id"], "ann", ttl_seconds=60)
    assert await lost(api, "ann") == []
    await api.advance(61)
    context = await api.call("get_context", agent_id="ann")
    assert context["lost"] == [{"id": task["id"], "name": "Paint", "status": "TODO"}]
    assert f"Your lease ended on #{task['id']}" in context["next_step"]
    assert await lost(api, "bob") == []


async def test_a_lease_that_an_operator_ended_is_lost(api: OperationsClient) -> None:
    task = await api.create_task()
    await api.claim(task["id"], "ann")
    await api.release(task["id"], force=True)
    assert await lost(api, "ann") == [task["id"]]


async def test_a_lease_that_the_agent_released_itself_is_not_lost(api: OperationsClient) -> None:
    task = await api.create_task()
    await api.claim(task["id"], "ann")
    await api.release(task["id"], "ann")
    await api.claim(task["id"], "ann")
    await api.set_status(task["id"], "REVIEW", "ann")
    context = await api.call("get_context", agent_id="ann")
    assert context["lost"] == []
    assert "Your lease ended" not in context["next_step"]


async def test_a_task_is_no_longer_lost_once_the_agent_claims_it_again(api: OperationsClient) -> None:
    task = await api.create_task()
    await api.claim(task["id"], "ann", ttl_seconds=60)
    await api.advance(61)
    await api.claim(task["id"], "ann")
    assert await lost(api, "ann") == []
    await api.release(task["id"], "ann")
    assert await lost(api, "ann") == []


async def test_a_lost_task_stays_lost_while_another_works_on_it_until_it_is_done(api: OperationsClient) -> None:
    task = await api.create_task()
    await api.claim(task["id"], "ann", ttl_seconds=60)
    await api.advance(61)
    lock = await api.claim(task["id"], "bob")
    assert await lost(api, "ann") == [task["id"]]
    await api.set_status(task["id"], "DONE", "bob", fence=lock["fence"])
    assert await lost(api, "ann") == []


async def test_lost_leases_are_forgotten_after_a_day(api: OperationsClient) -> None:
    task = await api.create_task()
    await api.claim(task["id"], "ann", ttl_seconds=60)
    await api.advance(60)
    await api.advance(DAY - 1)
    assert await lost(api, "ann") == [task["id"]]
    await api.advance(1)
    assert await lost(api, "ann") == []


async def test_lost_leases_come_newest_first_and_only_of_the_requested_project(api: OperationsClient) -> None:
    made = [await api.create_task(project_name=name) for name in ("Garden", "House", "Garden")]
    for task in made:
        await api.claim(task["id"], "ann", ttl_seconds=60)
        await api.advance(61)
    first, second, third = (task["id"] for task in made)
    assert await lost(api, "ann") == [third, second, first]
    assert await lost(api, "ann", project_id=made[0]["project_id"]) == [third, first]


async def test_a_deleted_task_is_not_lost(api: OperationsClient) -> None:
    task = await api.create_task()
    await api.claim(task["id"], "ann", ttl_seconds=60)
    await api.advance(61)
    await api.call("delete_task", task_id=task["id"])
    assert await lost(api, "ann") == []


@pytest.mark.sqlite_only
async def test_the_query_for_lost_leases_reads_only_the_lost_leases_of_the_agent(api: OperationsClient) -> None:
    plan = await api.runtime.read("plan", plan_of_losses)
    assert any("ix_ended_leases_lost" in step for step in plan), plan
    assert not any(step.startswith("SCAN") for step in plan)


def plan_of_losses(tx: Tx) -> list[str]:
    plan: list[str] = []

    def explained(sql: str, values: Any) -> Any:
        plan.extend(row[3] for row in tx.connection.execute(f"EXPLAIN QUERY PLAN {sql}", values).fetchall())
        return tx.connection.execute(sql, values)

    lease_history.lost_by(
        replace(tx, connection=WatchedConnection(tx.connection, explained)), "ann", since=0, project_id=1
    )
    return plan
