"""Events: types, fields, order, retention, and reading."""

import subprocess
import sys
from typing import Any

import anyio
import pytest
from jsonschema import Draft202012Validator

from project_manager.domain.errors import Invalid, LockHeld, TaskNotFound
from project_manager.domain.events.event_types import EVENT_TYPES
from project_manager.schemas import event_schema
from tests.http_service import HttpService, frame
from tests.integration.invariants import check
from tests.operations_client import TIMEOUT, Json, OperationsClient, delete_events
from tests.stored_rows import Address, address_of, read, setting_of

ENVELOPE = ["seq", "type", "timestamp", "actor", "project_id", "epic_id", "task_id"]
IS_EVENT = Draft202012Validator(event_schema.document())


async def everything(api: OperationsClient) -> None:
    """Make one change of each kind."""
    await api.call("create_project", name="Garden")
    epic = await api.call("create_epic", name="Outside", project_id=1)
    first = await api.create_task("first", epic_id=epic["id"])
    second = await api.create_task("second", depends_on=[first["id"]])
    lock = await api.claim(first["id"], "ann")
    await api.update_task(first["id"], "ann", fence=lock["fence"], priority=0, log_entry="begun")
    await api.set_status(first["id"], "DONE", "ann", fence=lock["fence"])
    submitted = await api.set_status(first["id"], "REVIEW", "ann", reopen=True, fence=None)
    verdict: Json = {"digest": submitted["submission"]["digest"], "verdict": "changes_requested", "body": "again"}
    await api.call("review_task", task_id=first["id"], agent_id="bob", **verdict)
    await api.release(first["id"], "ann")
    asked = await api.call("ask", task_id=first["id"], text="Which colour?", agent_id="ann")
    ids: Json = {"task_id": first["id"], "question_id": asked["question"]["id"]}
    await api.call("answer_question", **ids, text="green")
    await api.release(first["id"], "ann")
    await api.call("ask", task_id=first["id"], text="Which paint?", agent_id="ann")
    await api.set_status(first["id"], "TODO")
    await api.call("add_ra_tag", task_id=first["id"], ra_tag_text="#ASSUMPTION: dry weather")
    judged: Json = {"ra_tag_id": 1, "outcome": "validated", "reason": "it is"}
    await api.call("capture_assumption_validation", task_id=first["id"], **judged)
    await api.call("upsert_knowledge", project_id=1, title="Paint", content="green")
    await api.call("upsert_knowledge", knowledge_id=1, content="dark green")
    await api.call("append_knowledge_log", knowledge_id=1, action_type="used")
    await api.call("update_epic", epic_id=epic["id"], status="COMPLETED")
    await api.call("update_project", project_id=1, description="green")
    await api.call("delete_task", task_id=second["id"])
    await api.call("delete_epic", epic_id=epic["id"], force=True)
    await api.call("start_pause", scope="project", id=1, reason="rain")
    await api.call("send_message", to_agent="ann", body="faster")
    await api.call("get_context", agent_id="ann")
    await api.call("acknowledge_messages", agent_id="ann", ids=[1])
    await api.call("update_project", project_id=1, archived=True)
    await api.call("delete_project", project_id=1, force=True)
    await api.call("import_plan", document="projects: [{name: Shed, tasks: [{name: Sort}]}]")
    saved = await api.call("save_view", name="Today", query="view=table")
    await api.call("delete_view", view_id=saved["id"])
    await api.call("create_token", name="olga", role="operator")
    await api.call("revoke_token", token_id=1)
    await api.call("clear_tokens")


@pytest.mark.promise("outbox:every-type", "outbox:no-gap", "outbox:whole-truth")
async def test_every_kind_of_change_has_its_type_with_the_envelope_and_its_fields(api: OperationsClient) -> None:
    await everything(api)
    events = await api.events()
    assert {event["type"] for event in events} == set(EVENT_TYPES) - {"database.restored", "message.expired"}
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    for event in events:
        assert list(event)[:7] == ENVELOPE
        assert event["timestamp"] == api.clock.later(0)
        assert set(event["actor"]) == {"id", "kind"}
        IS_EVENT.validate(event)
        if event["type"].startswith("task."):
            assert event["project_id"] is not None
            assert event["task_id"] is not None
        if event["type"].startswith("epic."):
            assert event["epic_id"] is not None
    check(api)


async def test_an_event_names_its_actor_and_its_kind(api: OperationsClient) -> None:
    await api.create_task(agent_id="ann")
    await api.update_task(1, priority=0)
    await api.claim(1, "ann", ttl_seconds=10)
    await api.advance(10)
    actors = {event["type"]: event["actor"] for event in await api.events()}
    assert actors["task.created"] == {"id": "ann", "kind": "agent"}
    assert actors["task.updated"] == {"id": "local", "kind": "human"}
    assert actors["task.unlocked"] == {"id": "system", "kind": "system"}


@pytest.mark.promise("outbox:no-gap")
async def test_a_refused_operation_leaves_no_event_and_no_gap(api: OperationsClient) -> None:
    await api.create_task()
    await api.claim(1, "ann")
    before = await api.events()
    for _ in range(3):
        await api.call_error(LockHeld, "update_task_status", task_id=1, status="DONE", agent_id="bob", note="x")
    await api.create_task()
    assert [event["seq"] for event in await api.events(len(before))] == [len(before) + 1]
    check(api)


@pytest.mark.promise("outbox:no-gap")
async def test_concurrent_changes_all_emit_events_in_one_order(api: OperationsClient) -> None:
    async def work(agent: str) -> None:
        for _ in range(5):
            task = await api.create_task(agent_id=agent)
            lock = await api.claim(task["id"], agent)
            await api.set_status(task["id"], "DONE", agent, fence=lock["fence"])

    async with anyio.create_task_group() as agents:
        for number in range(8):
            agents.start_soon(work, f"agent {number}")
    events = await api.events()
    assert len([event for event in events if event["type"] == "task.locked"]) == 40
    check(api)


async def test_events_are_read_by_type_project_and_page(api: OperationsClient) -> None:
    await api.create_task("one")
    await api.create_task("two", project_name="Shed")
    await api.claim(1, "ann")
    assert [event["task_id"] for event in await api.events(0, "task.created", "task.locked")] == [1, 2, 1]
    page = await api.call("wait_for_events", project_id=1)
    assert {event["project_id"] for event in page["items"]} == {1}
    first = await api.call("wait_for_events", limit=2)
    assert ([event["seq"] for event in first["items"]], first["last_seq"]) == ([1, 2], 2)
    assert first["head"] == await api.last_seq()
    past = await api.call("wait_for_events", types=["task.locked"], since=0)
    assert past["last_seq"] == past["head"]


async def test_events_without_a_project_reach_the_readers_of_every_project(
    api: OperationsClient, service: HttpService
) -> None:
    await api.create_task()
    await api.call("import_plan", document="projects: [{name: Shed}, {name: Roof}]")
    since = await api.last_seq() - 1
    (read_on,) = (await api.call("wait_for_events", since=since, project_id=1))["items"]
    async with service.listen(f"since={since}&project_id=1") as wire:
        assert (await frame(wire))["type"] == "hello"
        assert await frame(wire) == read_on
    assert (read_on["type"], read_on["project_id"]) == ("import.finished", None)


async def test_a_type_that_does_not_exist_is_refused_with_the_nearest(api: OperationsClient) -> None:
    refusal = await api.call_error(Invalid, "wait_for_events", types=["task.lockd"], wait_seconds=55)
    assert refusal.details["errors"][0]["field"].startswith("types")  # type: ignore[index]
    assert "task.locked" in refusal.message


async def test_waiting_for_events_ends_with_the_first_that_is_wanted(api: OperationsClient) -> None:
    await api.create_task("one")
    since = await api.last_seq()
    pages: list[Json] = []

    async def wait(**filters: Any) -> None:
        pages.append(await api.call("wait_for_events", since=since, wait_seconds=4, **filters))

    async with anyio.create_task_group() as readers:
        readers.start_soon(lambda: wait(types=["task.locked"]))
        readers.start_soon(lambda: wait(project_id=1, types=["task.locked"]))
        await api.create_task("two", project_name="Shed")
        await api.claim(1, "ann")
    assert [[event["type"] for event in page["items"]] for page in pages] == [["task.locked"]] * 2
    assert (await api.call("wait_for_events", since=since + 99_999, wait_seconds=4))["resync"] is True


@pytest.mark.slow
async def test_waiting_ends_empty_after_its_time_and_returns_the_next_position(api: OperationsClient) -> None:
    page = await api.call("wait_for_events", since=0, wait_seconds=1)
    assert (page["items"], page["resync"], page["last_seq"], page["head"]) == ([], False, 0, 0)


@pytest.mark.promise("events:resync")
@pytest.mark.parametrize("filters", [{"since": 99}, {"epoch": "another", "since": 1}])
async def test_a_reader_with_a_position_of_another_history_must_load_again(
    api: OperationsClient, filters: Json
) -> None:
    await api.create_task()
    page = await api.call("wait_for_events", **filters)
    assert (page["items"], page["resync"], page["last_seq"]) == ([], True, page["head"])


async def test_the_history_of_a_task_outlives_it(api: OperationsClient) -> None:
    await api.create_task()
    await api.call("delete_task", task_id=1)
    history = await api.call("list_task_events", task_id=1)
    assert [event["type"] for event in history["items"]] == ["task.created", "task.deleted"]
    selected = await api.call("list_task_events", task_id=1, types=["task.deleted"], total="exact")
    assert ([event["type"] for event in selected["items"]], selected["total"]) == (["task.deleted"], 1)
    assert (await api.call("list_task_events", task_id=1, types=["task.logged"]))["items"] == []
    await api.call_error(TaskNotFound, "list_task_events", task_id=2)


# retention


async def keep(api: OperationsClient, days: int) -> None:
    await delete_events(api.runtime, days=days)


@pytest.mark.promise("outbox:retention")
async def test_old_events_are_deleted_and_readers_from_before_them_are_notified(api: OperationsClient) -> None:
    await api.create_task("old")
    old = await api.last_seq()
    api.clock.advance(3 * 24 * 3600)
    await api.create_task("young")
    await keep(api, 2)
    assert [event["seq"] for event in await api.events(old)] == [old + 1]
    assert (await api.call("wait_for_events", since=old - 1))["resync"] is True
    assert (await api.call("wait_for_events", since=old))["resync"] is False
    assert (await api.call("wait_for_events", since=0))["items"][0]["seq"] == old + 1


@pytest.mark.promise("outbox:retention")
@pytest.mark.parametrize("days", [0, 1])
async def test_events_of_the_last_day_are_never_deleted(api: OperationsClient, days: int) -> None:
    await api.create_task()
    api.clock.advance(24 * 3600)
    await keep(api, days)
    assert len(await api.events()) == 2


@pytest.mark.promise("outbox:retention", "outbox:no-gap")
async def test_numbers_continue_after_every_event_was_deleted(api: OperationsClient) -> None:
    await api.create_task()
    head = await api.last_seq()
    api.clock.advance(10 * 24 * 3600)
    await keep(api, 1)
    assert read(address_of(api.runtime), "SELECT * FROM events") == []
    page = await api.call("wait_for_events", since=head)
    assert (page["resync"], page["last_seq"]) == (False, head)
    await api.create_task()
    assert [event["seq"] for event in await api.events(head)] == [head + 1]


# other processes

ANOTHER_PROCESS = """
import sys
from pathlib import Path
import anyio
from project_manager.runtime.calls import Caller
from project_manager.catalogue import BY_NAME
from project_manager.config.settings import load
from project_manager.domain.actors import LOCAL
from project_manager.runtime.open import open_runtime

async def main() -> None:
    settings = load({sys.argv[1]: sys.argv[2]}, {}).settings
    async with open_runtime(settings, kind="command") as runtime:
        for number in range(3):
            raw = {"name": f"task {number}"}
            await runtime.run(BY_NAME["create_task"], raw, Caller(LOCAL, "cli", "other"))

anyio.run(main)
"""


def change_by_another_process(database: Address) -> None:
    command = [sys.executable, "-c", ANOTHER_PROCESS, setting_of(database), str(database)]
    subprocess.run(command, check=True, timeout=30, capture_output=True)


@pytest.mark.slow
@pytest.mark.promise("events:other-processes")
async def test_changes_by_another_process_reach_every_waiter(api: OperationsClient, service: HttpService) -> None:
    pages: list[Json] = []
    claims: list[Json] = []

    async def wait() -> None:
        pages.append(await service.ok("GET", "/api/events?wait_seconds=30&types=task.created"))

    async def claim() -> None:
        claims.append(await service.ok("POST", "/api/tasks/claim", {"agent_id": "ann", "wait_seconds": 30}))

    service.client.timeout = 40
    async with service.listen() as socket, anyio.create_task_group() as waiting:
        assert (await frame(socket))["type"] == "hello"
        waiting.start_soon(wait)
        waiting.start_soon(claim)
        await anyio.to_thread.run_sync(change_by_another_process, address_of(api.runtime))
        with anyio.fail_after(TIMEOUT):
            while (heard := await frame(socket))["type"] != "task.created":
                pass
        assert heard["actor"] == {"id": "local", "kind": "human"}
    assert pages[0]["items"][0]["type"] == "task.created"
    assert claims[0]["task"]["name"] == "task 0"
