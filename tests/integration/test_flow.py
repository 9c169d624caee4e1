"""Flow: hourly roll-ups of what was created, done and failed, of how long work took, and of where it waited."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import anyio.to_thread
import pytest

from project_manager.clock import rfc3339
from project_manager.domain.actors import SYSTEM, Actor, Role
from project_manager.domain.errors import AgentNotFound, EpicNotFound, Invalid, ProjectManagerError, RoleRequired
from project_manager.domain.flow import HOUR_MS
from project_manager.domain.statuses import Status
from project_manager.runtime import flow as flow_jobs
from project_manager.runtime.open import open_runtime
from project_manager.schemas.flow import GetFlow
from project_manager.services import flow
from project_manager.store import flow as rows
from project_manager.store import flow_check, flow_steps
from project_manager.store.checks import check_contents
from project_manager.store.transaction import Tx
from tests.integration.test_query_plans import plan_of
from tests.integration.test_reviews import REQUIRED, project, review, submit
from tests.operations_client import Json, OperationsClient, delete_events
from tests.stored_rows import Address, Row, address_of, execute, read, settings_of

pytestmark = pytest.mark.usefixtures("without_background_jobs")

HOUR = 3600
DAY = 24 * HOUR
ERROR = 0.06
"""Relative error of a quantile."""


async def flow_of(api: OperationsClient, **filters: Any) -> Json:
    """Fold the new events, and return the flow."""
    await flow_jobs.fold(api.runtime.database)
    found: Json = await api.call("get_flow", **filters)
    return found


async def present_hour(api: OperationsClient, **filters: Any) -> Json:
    point: Json = (await flow_of(api, hours=1, **filters))["series"][0]
    return point


def numbers(view: Json, *names: str) -> list[Any]:
    return [view[name] for name in names]


async def change(api: OperationsClient, work: Callable[[Tx], Any]) -> Any:
    return await api.runtime.database.writer.run("test", work, SYSTEM, "")


async def roll_ups(api: OperationsClient) -> tuple[list[Row], list[Row]]:
    """Return all roll-ups, and the states from which the next events are folded."""
    address = address_of(api.runtime)
    hours = await anyio.to_thread.run_sync(read, address, "SELECT * FROM flow_hours ORDER BY scope, hour")
    states = await anyio.to_thread.run_sync(
        read, address, "SELECT key, value FROM flow_states WHERE side = 0 ORDER BY key"
    )
    return hours, states


async def test_a_task_is_counted_with_the_times_that_it_waited_and_took(api: OperationsClient) -> None:
    task = (await api.create_task(epic_name="Fence"))["id"]
    await api.advance(600)
    await api.claim(task, "ann", ttl_seconds=3600)
    await api.advance(240)
    await api.set_status(task, "DONE", "ann")
    epic = (await api.get_task(task))["epic_id"]
    for scope in ({}, {"project_name": "garden"}, {"epic_id": epic}, {"project_id": 1, "epic_name": "Fence"}):
        found = await flow_of(api, hours=2, **scope)
        before, last = found["series"]
        assert numbers(last, "created", "completed", "leased_seconds", "failed") == [1, 1, 240, 0], scope
        assert last["ready_p50_seconds"] == pytest.approx(600, rel=ERROR)
        assert last["cycle_p95_seconds"] == pytest.approx(240, rel=ERROR)
        assert last["counts"] == {status: int(status is Status.DONE) for status in Status}
        assert (last["at"], last["complete"]) == ("2026-11-23T10:00:00.000Z", False)
        assert {name for name, value in before.items() if value is not None} == {"at", "complete"}
        assert numbers(found["totals"], "completed", "per_hour", "review_p50_seconds") == [1, 1.0, None]
    of_agent = await present_hour(api, agent_id="ann")
    assert numbers(of_agent, "created", "completed", "leased_seconds", "counts") == [0, 1, 240, None]


async def test_failed_and_expired_leases_count_for_their_agent(api: OperationsClient) -> None:
    task = (await api.create_task())["id"]
    await api.claim(task, "ann")
    await api.release(task, "ann", failed=True)
    await api.claim(task, "bob", ttl_seconds=10)
    await api.advance(10)
    await api.claim(task, "ann")
    await api.release(task, "ann")
    assert numbers(await present_hour(api), "failed", "expired") == [1, 1]
    assert numbers(await present_hour(api, agent_id="ann"), "failed", "expired") == [1, 0]
    assert numbers(await present_hour(api, agent_id="bob"), "failed", "expired") == [0, 1]


async def test_an_agent_is_idle_between_two_leases_but_away_after_an_hour(api: OperationsClient) -> None:
    tasks = [(await api.create_task(name))["id"] for name in ("Paint", "Saw", "Nail")]
    for task, pause in zip(tasks, (300, HOUR + 1, 0), strict=True):
        await api.claim(task, "ann")
        await api.set_status(task, "DONE", "ann")
        await api.advance(pause)
    assert (await flow_of(api, agent_id="ann", hours=2))["totals"]["idle_seconds"] == 300
    assert (await flow_of(api, hours=2))["totals"]["idle_seconds"] == 300


async def test_reviews_count_for_the_reviewer_and_the_time_in_review_for_the_author(api: OperationsClient) -> None:
    await project(api, **REQUIRED)
    task = (await api.create_task())["id"]
    submission = await submit(api, task)
    await api.advance(120)
    await review(api, submission, "changes_requested")
    submission = await submit(api, task)
    await api.advance(120)
    await review(api, submission)
    names = ("submitted", "reviewed", "approved", "changes_requested", "completed")
    assert numbers(await present_hour(api), *names) == [2, 2, 1, 1, 1]
    ann, bob = await present_hour(api, agent_id="ann"), await present_hour(api, agent_id="bob")
    assert numbers(ann, *names) == [2, 0, 0, 0, 1]
    assert numbers(bob, *names) == [0, 2, 1, 1, 0]
    assert ann["review_p50_seconds"] == pytest.approx(120, rel=ERROR)
    assert bob["review_p50_seconds"] is None


async def test_a_reopened_task_begins_a_new_cycle_with_its_next_claim(api: OperationsClient) -> None:
    task = (await api.create_task())["id"]
    await api.claim(task, "ann")
    await api.set_status(task, "DONE", "ann")
    await api.advance(5 * HOUR)
    await api.set_status(task, "TODO", reopen=True)
    await api.claim(task, "bob")
    await api.advance(100)
    await api.set_status(task, "DONE", "bob")
    found = await present_hour(api)
    assert numbers(found, "reopened", "completed") == [1, 1]
    assert found["cycle_p95_seconds"] == pytest.approx(100, rel=ERROR)


async def test_hours_without_events_have_zeros_and_the_counts_of_the_hour_before(api: OperationsClient) -> None:
    await api.create_task()
    await api.advance(3 * HOUR)
    await api.create_task("another", status="BACKLOG")
    found = await flow_of(api, hours=6)
    assert [point["created"] for point in found["series"]] == [None, None, 1, 0, 0, 1]
    assert [point["complete"] for point in found["series"]] == [False, False, True, True, True, False]
    assert [(point["counts"] or {}).get("TODO") for point in found["series"]] == [None, None, 1, 1, 1, 1]
    assert (found["since"], found["until"]) == ("2026-11-23T08:00:00.000Z", "2026-11-23T14:00:00.000Z")
    assert found["known_since"] == "2026-11-23T10:00:00.000Z"
    later = await flow_of(api, hours=2, until="2026-11-23T15:30:00Z")
    assert [point["counts"] for point in later["series"]] == [None, None]
    early = await flow_of(api, hours=1, until="2026-11-23T12:10:00Z")
    assert numbers(early["series"][0], "created", "complete") == [0, True]


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


async def test_events_that_are_not_folded_yet_are_not_known(api: OperationsClient) -> None:
    assert numbers(await flow_of(api, hours=1), "known_since", "as_of") == [None, None]
    await api.create_task()
    await flow_of(api)
    await api.advance(2 * HOUR)
    assert (await api.call("get_flow"))["as_of"] == api.clock.later(0)
    await api.create_task("another")
    at = api.clock.later(0)
    await api.advance(HOUR)
    found = await api.call("get_flow", hours=2)
    assert found["as_of"] == at
    assert [point["created"] for point in found["series"]] == [0, None]


async def test_a_query_with_contradicting_or_unknown_filters_is_rejected(api: OperationsClient) -> None:
    task = await api.create_task(agent_id="ann", epic_name="Fence")
    await api.create_task(project_name="House")
    await api.call_error(Invalid, "get_flow", agent_id="ann", project_id=1)
    await api.call_error(Invalid, "get_flow", epic_id=task["epic_id"], project_id=2)
    await api.call_error(Invalid, "get_flow", hours=721)
    await api.call_error(AgentNotFound, "get_flow", agent_id="nobody")
    await api.call_error(EpicNotFound, "get_flow", epic_id=99)
    agent = api.acting_as(Actor("ann", "agent", Role.AGENT))
    await agent.call_error(RoleRequired, "rebuild_flow")


class RandomHistory:
    """Random calls of agents and people in two projects, over several days."""

    def __init__(self, api: OperationsClient, seed: int) -> None:
        self.api = api
        self.random = Random(seed)
        self.tasks: list[int] = []

    async def run(self, calls: int) -> None:
        """Make this many calls. Some are rejected, as the state may not allow them."""
        for _ in range(calls):
            with suppress(ProjectManagerError):
                await self._call()
            if self.random.random() < 0.3:
                await self.api.advance(self.random.choice([1, 20, 400, 4000, 20_000]))

    async def _call(self) -> None:
        api, pick = self.api, self.random.choice
        agent, task = pick(["ann", "bob", "codex"]), pick(self.tasks) if self.tasks else 0
        match self.random.randrange(12):
            case 0 | 1 | 2:
                more = pick([{}, {"epic_name": pick(["Fence", "Gate"])}, {"status": "BACKLOG"}])
                made = await api.create_task("t", project_name=pick(["Garden", "House"]), agent_id=agent, **more)
                self.tasks.append(made["id"])
            case 3 | 4:
                await api.claim_next(agent, ttl_seconds=pick([10, 600]))
            case 5:
                await api.release(task, pick(["ann", "bob", "codex"]), failed=pick([True, False]))
            case 6 | 7:
                status = pick([*Status])
                await api.set_status(task, status, pick([agent, None]), reopen=True, force=pick([False, True]))
            case 8:
                submission = (await api.call("get_task_details", task_id=task))["submission"]
                if submission is not None:
                    await review(api, submission, pick(["approved", "changes_requested"]), agent_id=agent)
            case 9:
                await api.update_task(task, epic_id=pick([None, 1, 2, 3]), force=True)
            case 10:
                await api.call("delete_task", task_id=task, force=True)
            case 11 if self.random.random() < 0.2:
                await api.call("delete_epic", epic_id=pick([1, 2, 3]), force=True)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_rebuild_gives_the_same_roll_ups_also_after_old_events_were_removed(
    api: OperationsClient, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow_steps, "EVENTS_AT_ONCE", 7)
    history = RandomHistory(api, seed)
    for _ in range(4):
        await history.run(60)
        await flow_jobs.fold(api.runtime.database)
    kept = await roll_ups(api)
    await check_counts(api)
    assert await change(api, flow_check.check) == []
    rebuilt = await api.call("rebuild_flow")
    assert rebuilt["events"] > 100
    await flow_jobs.fold(api.runtime.database)
    assert await roll_ups(api) == kept
    floor = (await api.events())[0]["seq"]
    await api.advance(DAY / 2)
    await delete_events(api.runtime, days=1)
    assert (await api.events())[0]["seq"] > floor
    await history.run(30)
    await flow_jobs.fold(api.runtime.database)
    kept = await roll_ups(api)
    assert await change(api, flow_check.check) == []
    assert (await api.call("rebuild_flow"))["events"] > 0
    assert await change(api, flow_check.check) == []
    await history.run(10)  # the rebuild does not stop the service
    await flow_jobs.fold(api.runtime.database)
    again = await roll_ups(api)
    await check_counts(api)
    await api.call("rebuild_flow")
    await flow_jobs.fold(api.runtime.database)
    assert await roll_ups(api) == again
    hour = min(row["hour"] for row in kept[0])
    assert [row for row in again[0] if row["hour"] == hour] == [row for row in kept[0] if row["hour"] == hour]


async def test_the_check_of_the_database_names_the_hours_that_differ_from_their_events(api: OperationsClient) -> None:
    for name in ("first", "second", "third"):
        await api.create_task(name)
        await api.advance(HOUR)
    await flow_jobs.fold(api.runtime.database)
    hours = sorted({row["hour"] for row in (await roll_ups(api))[0]})
    assert await change(api, flow_check.check) == []
    await change(api, lambda tx: execute(tx, "UPDATE flow_hours SET created = 2 WHERE hour = ?", hours[1]))
    await change(api, lambda tx: execute(tx, "DELETE FROM flow_hours WHERE hour = ? AND scope = 'all'", hours[2]))
    found = await change(api, flow_check.check)
    assert found == [
        f"the flow of the hour {rfc3339(hours[1] * HOUR_MS)} differs from its events in agent:local, all, project:1",
        f"the flow of the hour {rfc3339(hours[2] * HOUR_MS)} differs from its events in all",
    ]
    checked = await change(api, lambda tx: check_contents(tx, "", with_flow=True))
    assert (checked.differences, checked.outdated_flow) == ((), tuple(found))
    await change(api, lambda tx: execute(tx, "UPDATE flow_hours SET hour = ? WHERE hour = ?", 2**60, hours[1]))
    differs, cannot_be_read = "differs from its events in agent:local, all, project:1", "cannot be read"
    assert (await change(api, flow_check.check))[-1] == f"the flow of the hour {2**60} {differs}"
    await change(api, lambda tx: execute(tx, "UPDATE flow_hours SET cycle = 'x'"))
    assert await change(api, flow_check.check) == [
        f"the flow of the hour {rfc3339(hours[0] * HOUR_MS)} {cannot_be_read}",
        f"the flow of the hour {rfc3339(hours[1] * HOUR_MS)} {differs}",
        f"the flow of the hour {rfc3339(hours[2] * HOUR_MS)} {cannot_be_read}",
        f"the flow of the hour {2**60} {cannot_be_read}",
    ]
    await change(api, lambda tx: execute(tx, "INSERT INTO flow_states (side, key, value) VALUES (1, 'agent:x', '[')"))
    assert cannot_be_read in (await change(api, flow_check.check))[0]
    await change(api, lambda tx: execute(tx, "DELETE FROM flow_states WHERE key = 'agent:x'"))
    await api.call("rebuild_flow")
    await flow_jobs.fold(api.runtime.database)
    assert await change(api, flow_check.check) == []


async def test_the_check_leaves_out_hours_without_roll_ups_after_retention(api: OperationsClient) -> None:
    await api.create_task("first")
    await flow_jobs.fold(api.runtime.database)
    await api.advance(401 * DAY)
    await delete_events(api.runtime, days=1000)
    assert (await roll_ups(api))[0] == []
    assert await change(api, flow_check.check) == []
    await api.create_task("second")
    await flow_jobs.fold(api.runtime.database)
    await change(api, lambda tx: execute(tx, "DELETE FROM flow_hours"))
    assert len(await change(api, flow_check.check)) == 1


async def check_counts(api: OperationsClient) -> None:
    """Compare the counts of the present hour with the tasks."""
    tasks = (await api.call("list_tasks", limit=500, fields="status,project_id,epic_id"))["items"]
    scopes: list[Json] = [{}, *[{"project_id": number} for number in (1, 2)]]
    scopes += [{"epic_id": epic["id"]} for epic in (await api.call("list_epics"))["items"]]
    for scope in scopes:
        found = (await present_hour(api, **scope))["counts"]
        chosen = [task["status"] for task in tasks if all(task[name] == value for name, value in scope.items())]
        assert found == {status: chosen.count(status) for status in Status}, scope


async def test_two_instances_fold_each_event_once(
    api: OperationsClient, database: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow_steps, "EVENTS_AT_ONCE", 3)
    for number in range(20):
        await api.create_task(f"task {number}")
    async with open_runtime(settings_of(database), clock=api.clock) as other, anyio.create_task_group() as instances:
        instances.start_soon(flow_jobs.fold, api.runtime.database)
        instances.start_soon(flow_jobs.fold, other.database)
    assert (await present_hour(api))["created"] == 20


async def test_a_step_is_stored_only_at_the_position_that_it_was_computed_for(api: OperationsClient) -> None:
    await api.create_task()
    await flow_jobs.fold(api.runtime.database)
    await api.create_task("another")
    step = await api.runtime.database.readers.run("test", flow_steps.next_step, SYSTEM, "")
    assert step is not None
    assert await change(api, lambda tx: flow_steps.store(tx, step))
    assert not await change(api, lambda tx: flow_steps.store(tx, step))
    assert (await present_hour(api))["created"] == 2


async def test_a_database_with_removed_events_starts_with_the_tasks_that_it_has(api: OperationsClient) -> None:
    """The previous release has kept no roll-ups, and retention has removed the oldest events."""
    await api.call("create_project", name="House")
    old = [(await api.create_task(f"task {number}"))["id"] for number in range(4)]
    await api.set_status(old[0], "DONE")
    await api.claim(old[1], "ann", ttl_seconds=3600)
    await api.advance(1800)
    await api.set_status(old[2], "REVIEW")
    await change(api, lambda tx: execute(tx, "DELETE FROM flow_position"))
    await change(api, lambda tx: execute(tx, "DELETE FROM events WHERE seq < 5000 AND at < ?", tx.now))
    last = (await api.events())[0]["seq"]
    facts = '{"tasks": 4}'
    sql = "UPDATE meta SET event_floor = ?, floor_facts = ?"
    await change(api, lambda tx: execute(tx, sql, last - 1, facts))
    await api.set_status(old[1], "DONE", "ann")
    await api.create_task("new")
    found = await present_hour(api)
    await check_counts(api)
    assert numbers(found, "created", "completed", "cycle_p50_seconds", "ready_p50_seconds") == [1, 1, None, None]


async def test_an_event_that_cannot_be_read_stops_neither_the_fold_nor_the_retention(api: OperationsClient) -> None:
    for name in ("Paint", "Saw", "Nail"):
        await api.create_task(name)
    await change(
        api, lambda tx: execute(tx, "UPDATE events SET data = 'x' WHERE type = 'task.created' AND task_id = 1")
    )
    await change(api, lambda tx: execute(tx, "UPDATE events SET data = '{}' WHERE task_id = 2"))
    assert (await present_hour(api))["created"] == 1
    await api.advance(2 * DAY)
    await delete_events(api.runtime, days=1)
    assert await api.events() == []


async def test_the_previous_release_may_remove_events_that_a_rebuild_would_need(api: OperationsClient) -> None:
    await api.create_task()
    await flow_jobs.fold(api.runtime.database)
    await change(api, lambda tx: execute(tx, "DELETE FROM events"))
    await change(api, lambda tx: execute(tx, "UPDATE meta SET event_floor = ?", 1000))
    await change(api, lambda tx: execute(tx, "UPDATE flow_position SET seq = ?", 1000))
    await flow_jobs.fold(api.runtime.database)
    found = await change(api, rows.position)
    assert (found.seq, found.base_seq) == (1000, 1000)
    kept = await roll_ups(api)
    assert (await api.call("rebuild_flow")) == {"success": True, "since": None, "events": 0}
    assert await roll_ups(api) == kept


async def test_the_roll_ups_of_a_deleted_project_are_deleted_and_old_ones_too(api: OperationsClient) -> None:
    await api.create_task(epic_name="Fence")
    await api.create_task(project_name="House")
    await flow_jobs.fold(api.runtime.database)
    await api.call("delete_project", project_id=1, force=True)
    await flow_jobs.fold(api.runtime.database)
    hours, states = await roll_ups(api)
    assert {row["scope"] for row in hours} == {"all", "project:2", "agent:local"}
    assert {row["key"] for row in states if row["key"].startswith("scope:")} == {"scope:all", "scope:project:2"}
    await api.advance(401 * DAY)
    await delete_events(api.runtime, days=90)
    assert (await roll_ups(api))[0] == []
    assert (await present_hour(api, project_id=2))["counts"]["TODO"] == 1


def test_a_query_reads_the_rows_of_its_hours_by_their_key(database_file: Path) -> None:
    plan = plan_of(lambda tx: flow.get(tx, GetFlow.model_validate({"hours": 720})), database_file)
    assert not any(step.startswith("SCAN flow_hours") or "ORDER BY" in step for step in plan), plan
    assert any("PRIMARY KEY (scope=? AND hour>? AND hour<?)" in step for step in plan), plan
