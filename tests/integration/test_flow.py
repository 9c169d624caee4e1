"""Flow: hourly roll-ups of what was created, done and failed, and of how long work took."""

from typing import Any

from project_manager.runtime import flow as flow_jobs
from tests.operations_client import Json, OperationsClient


async def flow_of(api: OperationsClient, **filters: Any) -> Json:
    """Fold the new events, and return the flow."""
    await flow_jobs.fold(api.runtime.database)
    found: Json = await api.call("get_flow", **filters)
    return found


async def test_a_task_is_counted_when_it_is_created_and_done_with_its_times(api: OperationsClient) -> None:
    task = (await api.create_task())["id"]
    await api.advance(600)
    await api.claim(task, "ann")
    await api.advance(240)
    await api.set_status(task, "DONE", "ann")
    found = await flow_of(api, hours=2)
    last = found["series"][-1]
    assert (last["created"], last["completed"], last["leased_seconds"]) == (1, 1, 240)
    assert abs(last["ready_p50_seconds"] - 600) <= 36
    assert abs(last["cycle_p50_seconds"] - 240) <= 15
    assert last["counts"]["DONE"] == 1
    assert found["series"][0]["created"] is None
    assert found["totals"]["completed"] == 1


async def test_steps_of_several_hours_have_their_sums_and_their_own_quantiles(api: OperationsClient) -> None:
    for minutes in (1, 2, 30):
        task = (await api.create_task())["id"]
        await api.claim(task, "ann", ttl_seconds=3600)
        await api.advance(60 * minutes)
        await api.set_status(task, "DONE", "ann")
        await api.advance(3600)
    hourly = await flow_of(api, hours=8)
    found = await flow_of(api, hours=8, step_hours=6)
    first, last = found["series"]
    assert found["step_seconds"] == 6 * 3600
    assert (first["at"], last["at"]) == (hourly["series"][0]["at"], hourly["series"][6]["at"])
    parts = [point for point in hourly["series"][:6] if point["created"] is not None]
    assert parts
    assert first["completed"] == sum(point["completed"] for point in parts)
    assert first["counts"] == parts[-1]["counts"]
    assert last["complete"] is False
    whole = await flow_of(api, hours=24, step_hours=24)
    assert whole["series"][0]["completed"] == 3
    assert abs(whole["series"][0]["cycle_p50_seconds"] - 120) <= 8
    assert whole["series"][0]["cycle_p95_seconds"] == whole["totals"]["cycle_p95_seconds"]
