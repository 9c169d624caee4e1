"""Events: types, fields, order, retention, and reading."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from project_manager.domain.errors import Invalid, LockHeld, TaskNotFound
from project_manager.domain.events import EventType
from project_manager.services.events import retain
from tests.desk import PATIENCE, Desk, Json
from tests.integration.invariants import check, read
from tests.served import Served, frame

ENVELOPE = ["seq", "type", "timestamp", "actor", "project_id", "epic_id", "task_id"]
OWN_FIELDS = {
    "project.created": {"name", "version"},
    "project.updated": {"name", "changed", "archived", "version"},
    "project.archived": {"name", "changed", "archived", "version"},
    "project.deleted": {"name", "tasks", "epics"},
    "epic.created": {"name", "status", "version"},
    "epic.updated": {"name", "changes", "version"},
    "epic.deleted": {"name", "tasks"},
    "task.created": {"name", "status", "priority", "version"},
    "task.updated": {"changes", "previous", "version"},
    "task.status_changed": {"status", "previous_status", "agent_id", "lock_released", "version"},
    "task.locked": {"agent_id", "status", "timeout", "version", "lock"},
    "task.unlocked": {"agent_id", "reason", "status", "version"},
    "task.deleted": {"name"},
    "task.logged": {"log_id", "author", "kind"},
    "task.ready": {"status", "version"},
    "import.finished": {"created", "changed"},
    "token.created": {"token"},
    "token.revoked": {"token"},
    "tokens.cleared": {"tokens"},
}


async def everything(desk: Desk) -> None:
    """Make one change of each kind."""
    await desk.do("create_project", name="Garden")
    epic = await desk.do("create_epic", name="Outside", project_id=1)
    first = await desk.task("first", epic_id=epic["id"])
    second = await desk.task("second", depends_on=[first["id"]])
    lock = await desk.claim(first["id"], "ann")
    await desk.edit(first["id"], "ann", fence=lock["fence"], priority=0, log_entry="begun")
    await desk.set_status(first["id"], "DONE", "ann", fence=lock["fence"])
    await desk.do("update_epic", epic_id=epic["id"], status="COMPLETED")
    await desk.do("update_project", project_id=1, description="green")
    await desk.do("delete_task", task_id=second["id"])
    await desk.do("delete_epic", epic_id=epic["id"], force=True)
    await desk.do("update_project", project_id=1, archived=True)
    await desk.do("delete_project", project_id=1, force=True)
    await desk.do("import_plan", document="projects: [{name: Shed, tasks: [{name: Sort}]}]")
    await desk.do("create_token", name="olga", role="operator")
    await desk.do("revoke_token", token_id=1)
    await desk.do("clear_tokens")


@pytest.mark.promise("outbox:every-type", "outbox:no-gap", "outbox:whole-truth")
async def test_every_kind_of_change_has_its_type_with_the_envelope_and_its_fields(desk: Desk) -> None:
    await everything(desk)
    events = await desk.events()
    assert {event["type"] for event in events} == {kind for kind in EventType if kind in OWN_FIELDS}
    assert all(
        kind.split(".")[0] in ("knowledge", "assumption", "database") for kind in set(EventType) - set(OWN_FIELDS)
    )
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    for event in events:
        assert list(event)[:7] == ENVELOPE
        assert event["timestamp"] == desk.clock.later(0)
        assert set(event["actor"]) == {"id", "kind"}
        assert set(event) - set(ENVELOPE) >= OWN_FIELDS[event["type"]], event
        if event["type"].startswith("task."):
            assert event["project_id"] is not None
            assert event["task_id"] is not None
        if event["type"].startswith("epic."):
            assert event["epic_id"] is not None
    check(desk)


async def test_an_event_names_its_actor_and_its_kind(desk: Desk) -> None:
    await desk.task(agent_id="ann")
    await desk.edit(1, priority=0)
    await desk.claim(1, "ann", ttl_seconds=10)
    await desk.pass_time(10)
    actors = {event["type"]: event["actor"] for event in await desk.events()}
    assert actors["task.created"] == {"id": "ann", "kind": "agent"}
    assert actors["task.updated"] == {"id": "local", "kind": "human"}
    assert actors["task.unlocked"] == {"id": "system", "kind": "system"}


@pytest.mark.promise("outbox:no-gap")
async def test_a_refused_operation_leaves_no_event_and_no_gap(desk: Desk) -> None:
    await desk.task()
    await desk.claim(1, "ann")
    before = await desk.events()
    for _ in range(3):
        await desk.refused(LockHeld, "update_task_status", task_id=1, status="DONE", agent_id="bob", note="x")
    await desk.task()
    assert [event["seq"] for event in await desk.events(len(before))] == [len(before) + 1]
    check(desk)


@pytest.mark.promise("outbox:no-gap")
async def test_concurrent_changes_all_emit_events_in_one_order(desk: Desk) -> None:
    async def work(agent: str) -> None:
        for _ in range(5):
            task = await desk.task(agent_id=agent)
            lock = await desk.claim(task["id"], agent)
            await desk.set_status(task["id"], "DONE", agent, fence=lock["fence"])

    async with anyio.create_task_group() as agents:
        for number in range(8):
            agents.start_soon(work, f"agent {number}")
    events = await desk.events()
    assert len([event for event in events if event["type"] == "task.locked"]) == 40
    check(desk)


async def test_events_are_read_by_type_project_and_page(desk: Desk) -> None:
    await desk.task("one")
    await desk.task("two", project_name="Shed")
    await desk.claim(1, "ann")
    assert [event["task_id"] for event in await desk.events(0, "task.created", "task.locked")] == [1, 2, 1]
    page = await desk.do("wait_for_events", project_id=1)
    assert {event["project_id"] for event in page["items"]} == {1}
    first = await desk.do("wait_for_events", limit=2)
    assert ([event["seq"] for event in first["items"]], first["last_seq"]) == ([1, 2], 2)
    assert first["head"] == await desk.head()
    past = await desk.do("wait_for_events", types=["task.locked"], since=0)
    assert past["last_seq"] == past["head"]


async def test_events_without_a_project_reach_the_readers_of_every_project(desk: Desk, served: Served) -> None:
    await desk.task()
    await desk.do("import_plan", document="projects: [{name: Shed}, {name: Roof}]")
    since = await desk.head() - 1
    (read_on,) = (await desk.do("wait_for_events", since=since, project_id=1))["items"]
    async with served.listen(f"since={since}&project_id=1") as wire:
        assert (await frame(wire))["type"] == "hello"
        assert await frame(wire) == read_on
    assert (read_on["type"], read_on["project_id"]) == ("import.finished", None)


async def test_a_type_that_does_not_exist_is_refused_with_the_nearest(desk: Desk) -> None:
    refusal = await desk.refused(Invalid, "wait_for_events", types=["task.lockd"], wait_seconds=55)
    assert refusal.details["faults"][0]["field"].startswith("types")  # type: ignore[index]
    assert "task.locked" in refusal.message


async def test_waiting_for_events_ends_with_the_first_that_is_wanted(desk: Desk) -> None:
    await desk.task("one")
    since = await desk.head()
    pages: list[Json] = []

    async def wait(**filters: Any) -> None:
        pages.append(await desk.do("wait_for_events", since=since, wait_seconds=4, **filters))

    async with anyio.create_task_group() as readers:
        readers.start_soon(lambda: wait(types=["task.locked"]))
        readers.start_soon(lambda: wait(project_id=1, types=["task.locked"]))
        await desk.task("two", project_name="Shed")
        await desk.claim(1, "ann")
    assert [[event["type"] for event in page["items"]] for page in pages] == [["task.locked"]] * 2
    assert (await desk.do("wait_for_events", since=since + 99_999, wait_seconds=4))["resync"] is True


async def test_waiting_ends_empty_after_its_time_and_returns_the_next_position(desk: Desk) -> None:
    page = await desk.do("wait_for_events", since=0, wait_seconds=1)
    assert (page["items"], page["resync"], page["last_seq"], page["head"]) == ([], False, 0, 0)


@pytest.mark.promise("events:resync")
@pytest.mark.parametrize("filters", [{"since": 99}, {"epoch": "another", "since": 1}])
async def test_a_reader_with_a_position_of_another_history_must_load_again(desk: Desk, filters: Json) -> None:
    await desk.task()
    page = await desk.do("wait_for_events", **filters)
    assert (page["items"], page["resync"], page["last_seq"]) == ([], True, page["head"])


async def test_the_history_of_a_task_outlives_it(desk: Desk) -> None:
    await desk.task()
    await desk.do("delete_task", task_id=1)
    history = await desk.do("list_task_events", task_id=1)
    assert [event["type"] for event in history["items"]] == ["task.created", "task.deleted"]
    await desk.refused(TaskNotFound, "list_task_events", task_id=2)


# retention


async def keep(desk: Desk, days: int) -> None:
    await desk.runtime.database.writer.run("retain", lambda tx: retain(tx, days=days), desk.actor, "")


@pytest.mark.promise("outbox:retention")
async def test_old_events_are_deleted_and_readers_from_before_them_are_notified(desk: Desk) -> None:
    await desk.task("old")
    old = await desk.head()
    desk.clock.advance(3 * 24 * 3600)
    await desk.task("young")
    await keep(desk, 2)
    assert [event["seq"] for event in await desk.events(old)] == [old + 1]
    assert (await desk.do("wait_for_events", since=old - 1))["resync"] is True
    assert (await desk.do("wait_for_events", since=old))["resync"] is False
    assert (await desk.do("wait_for_events", since=0))["items"][0]["seq"] == old + 1


@pytest.mark.promise("outbox:retention")
@pytest.mark.parametrize("days", [0, 1])
async def test_events_of_the_last_day_are_never_deleted(desk: Desk, days: int) -> None:
    await desk.task()
    desk.clock.advance(24 * 3600)
    await keep(desk, days)
    assert len(await desk.events()) == 2


@pytest.mark.promise("outbox:retention", "outbox:no-gap")
async def test_numbers_continue_after_every_event_was_deleted(desk: Desk) -> None:
    await desk.task()
    head = await desk.head()
    desk.clock.advance(10 * 24 * 3600)
    await keep(desk, 1)
    assert read(desk.runtime.database.path, "SELECT * FROM events") == []
    page = await desk.do("wait_for_events", since=head)
    assert (page["resync"], page["last_seq"]) == (False, head)
    await desk.task()
    assert [event["seq"] for event in await desk.events(head)] == [head + 1]


# other processes

ANOTHER_PROCESS = """
import sys
from pathlib import Path
import anyio
from project_manager.runtime.calls import Caller
from project_manager.catalogue import BY_NAME
from project_manager.config.settings import load
from project_manager.domain.actors import LOCAL
from project_manager.runtime.dispatch import open_runtime

async def main() -> None:
    settings = load({"DATABASE_PATH": sys.argv[1]}, {}).settings
    async with open_runtime(settings, kind="command") as runtime:
        for number in range(3):
            raw = {"name": f"task {number}"}
            await runtime.run(BY_NAME["create_task"], raw, Caller(LOCAL, "cli", "other"))

anyio.run(main)
"""


def change_by_another_process(database: Path) -> None:
    command = [sys.executable, "-c", ANOTHER_PROCESS, str(database)]
    subprocess.run(command, check=True, timeout=30, capture_output=True)


@pytest.mark.promise("events:other-processes")
async def test_changes_by_another_process_reach_every_waiter(desk: Desk, served: Served) -> None:
    pages: list[Json] = []
    claims: list[Json] = []

    async def wait() -> None:
        pages.append(await served.ok("GET", "/api/events?wait_seconds=30&types=task.created"))

    async def claim() -> None:
        claims.append(await served.ok("POST", "/api/tasks/claim", {"agent_id": "ann", "wait_seconds": 30}))

    served.client.timeout = 40
    async with served.listen() as socket, anyio.create_task_group() as waiting:
        assert (await frame(socket))["type"] == "hello"
        waiting.start_soon(wait)
        waiting.start_soon(claim)
        await anyio.to_thread.run_sync(change_by_another_process, desk.runtime.database.path)
        with anyio.fail_after(PATIENCE):
            while (heard := await frame(socket))["type"] != "task.created":
                pass
        assert heard["actor"] == {"id": "local", "kind": "human"}
    assert pages[0]["items"][0]["type"] == "task.created"
    assert claims[0]["task"]["name"] == "task 0"
