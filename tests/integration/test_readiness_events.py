"""Events of tasks that become ready or not ready because another task or their project changed."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from project_manager.domain.errors import Invalid
from project_manager.domain.limits import LINKS
from project_manager.store import claim_search
from project_manager.store.transaction import BatchState, Tx
from project_manager.store.write_jobs import Job, JobRunner
from tests.integration.invariants import check
from tests.integration.watched_connection import WatchedConnection
from tests.operations_client import Json, OperationsClient


async def import_tasks(api: OperationsClient, *tasks: Json, **project: object) -> None:
    plan = {"projects": [{"name": "Garden", **project, "tasks": tasks}]}
    await api.call("import_plan", document=orjson.dumps(plan).decode())


async def changes(api: OperationsClient, since: int) -> list[tuple[str, int]]:
    """Return type and task of each `task.ready` and `task.not_ready`."""
    found = await api.events(since, "task.ready", "task.not_ready")
    assert all(event["task"]["ready"] is (event["type"] == "task.ready") for event in found)
    return [(event["type"], event["task_id"]) for event in found]


@pytest.mark.promise("ready:event")
async def test_a_claim_makes_ready_tasks_that_conflict_not_ready_until_its_end(api: OperationsClient) -> None:
    task = await api.create_task("task")
    ready = await api.create_task("ready", conflicts_with=[task["id"]])
    await api.create_task("not ready before", conflicts_with=[task["id"]], status="BACKLOG")
    since = await api.last_seq()
    await api.claim(task["id"], "ann")
    assert await changes(api, since) == [("task.not_ready", ready["id"])]
    since = await api.last_seq()
    await api.set_status(task["id"], "DONE", "ann")
    assert await changes(api, since) == [("task.ready", ready["id"])]
    check(api)


async def test_a_second_conflicting_lease_emits_nothing_more(api: OperationsClient) -> None:
    first, second = await api.create_task("first"), await api.create_task("second")
    await api.create_task("third", conflicts_with=[first["id"], second["id"]])
    await api.claim(first["id"], "ann")
    since = await api.last_seq()
    await api.claim(second["id"], "bob")
    await api.set_status(first["id"], "DONE", "ann")
    assert await changes(api, since) == []
    check(api)


@pytest.mark.promise("ready:event")
async def test_a_reopened_dependency_makes_ready_dependents_not_ready(api: OperationsClient) -> None:
    first = await api.create_task("first")
    second = await api.create_task("second", depends_on=[first["id"]])
    await api.create_task("in the backlog", depends_on=[first["id"]], status="BACKLOG")
    await api.set_status(first["id"], "DONE")
    since = await api.last_seq()
    await api.set_status(first["id"], "TODO", reopen=True)
    assert await changes(api, since) == [("task.not_ready", second["id"]), ("task.ready", first["id"])]
    check(api)


@pytest.mark.promise("ready:event")
@pytest.mark.parametrize("way", ["update", "import"])
async def test_archiving_a_project_emits_an_event_for_each_ready_task(api: OperationsClient, way: str) -> None:
    ready = await api.create_task("ready")
    held = await api.create_task("held")
    await api.create_task("waiting", depends_on=[ready["id"]])
    await api.claim(held["id"], "ann")

    async def archive(archived: bool) -> list[tuple[str, int]]:
        since = await api.last_seq()
        if way == "update":
            await api.call("update_project", project_id=1, archived=archived)
        else:
            await import_tasks(api, archived=archived)
        check(api)
        return await changes(api, since)

    assert await archive(True) == [("task.not_ready", ready["id"])]
    assert await archive(False) == [("task.ready", ready["id"])]


@pytest.mark.promise("ready:event")
async def test_archiving_a_project_emits_events_for_ready_tasks_behind_tasks_with_many_conflicts(
    api: OperationsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim_search, "COMPARED_CONFLICTS", 1)
    held = (await api.create_task("held", project_name="Shed"))["id"]
    for name in ("blocked", "also blocked"):
        project_id = (await api.create_task(name, conflicts_with=[held]))["project_id"]
    ready = [(await api.create_task(name))["id"] for name in ("ready", "also ready")]
    await api.claim(held, "ann")
    for archived, event in ((True, "task.not_ready"), (False, "task.ready")):
        since = await api.last_seq()
        await api.call("update_project", project_id=project_id, archived=archived)
        assert await changes(api, since) == [(event, task_id) for task_id in ready]


@pytest.mark.promise("ready:event")
@pytest.mark.parametrize("settings", [{"MAX_ATTEMPTS": 1}])
async def test_a_reset_of_the_attempts_makes_a_task_ready(api: OperationsClient) -> None:
    await import_tasks(api, {"name": "tried", "attempts": 1})
    since = await api.last_seq()
    assert (await api.get_task(1))["ready"] is False
    await api.update_task(1, attempts=0)
    assert await changes(api, since) == [("task.ready", 1)]
    check(api)


@pytest.mark.promise("ready:event")
async def test_an_import_of_a_conflict_with_a_leased_task_emits_an_event_for_the_other_task(
    api: OperationsClient,
) -> None:
    held, other = await api.create_task("held"), await api.create_task("other")
    await api.claim(held["id"], "ann")

    async def import_conflicts(*names: str) -> list[tuple[str, int]]:
        since = await api.last_seq()
        await import_tasks(api, {"name": "held", "conflicts_with": names})
        check(api)
        return await changes(api, since)

    assert await import_conflicts("other") == [("task.not_ready", other["id"])]
    assert await import_conflicts() == [("task.ready", other["id"])]


@pytest.mark.parametrize("number", [20, 200])
async def test_the_dependents_of_a_finished_task_are_read_by_one_statement(
    api: OperationsClient, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    statements: list[str] = []
    await import_tasks(api, {"name": "first"}, *[{"name": f"{n}", "depends_on": ["first"]} for n in range(number)])
    run_job = JobRunner._run_job

    def recorded(self: JobRunner, job: Job[Any], tx: Tx, shared: BatchState, *, flushes: bool) -> bool:
        def execute(sql: str, *values: Any) -> Any:
            statements.append(sql)
            return tx.connection.execute(sql, *values)

        watched = replace(tx, connection=WatchedConnection(tx.connection, execute))
        return run_job(self, job, watched, shared, flushes=flushes)

    since = await api.last_seq()
    monkeypatch.setattr(JobRunner, "_run_job", recorded)
    await api.set_status(1, "DONE")
    assert len(await changes(api, since)) == number
    assert len(statements) < 30
    check(api)


@pytest.mark.parametrize(("way", "full"), [("create_task", "task 1"), ("import_plan", "document:1:77: 'hub'")])
async def test_a_task_with_too_many_conflicts_is_refused_also_from_the_other_side(
    api: OperationsClient, way: str, full: str
) -> None:
    await import_tasks(api, {"name": "hub"}, *[{"name": f"{n}", "conflicts_with": ["hub"]} for n in range(LINKS)])
    since = await api.last_seq()
    plan = {"projects": [{"name": "Garden", "tasks": [{"name": "one more", "conflicts_with": ["hub"]}]}]}
    inputs: dict[str, Json] = {
        "create_task": {"name": "one more", "project_name": "Garden", "conflicts_with": [1]},
        "import_plan": {"document": orjson.dumps(plan).decode()},
    }
    error = await api.call_error(Invalid, way, **inputs[way])
    assert f"{full} would conflict with more than 256 tasks" in error.message
    assert await api.last_seq() == since
    check(api)
