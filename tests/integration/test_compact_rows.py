"""Compact rows in the events of tasks."""

import anyio
import orjson

from project_manager.domain.actors import LOCAL
from project_manager.domain.events.event import COMPACT_ROW_BYTES
from project_manager.domain.events.tasks import TaskUpdated
from project_manager.domain.task_fields import COMPACT
from project_manager.store import chain
from project_manager.store import events as outbox
from project_manager.store.transaction import Tx
from tests.http_service import HttpService, frame
from tests.operations_client import Json, OperationsClient

WIDE = "\N{CJK UNIFIED IDEOGRAPH-4E00}"
"""A character of three bytes."""


async def compact(api: OperationsClient, task_id: int) -> Json:
    """Return the compact row of a list."""
    (row,) = (await api.call("list_tasks", ids=[task_id], fields=["compact"]))["items"]
    found: Json = row
    return found


async def test_each_event_of_a_transaction_has_the_row_at_its_end(api: OperationsClient) -> None:
    task = await api.create_task("Paint", priority=1)
    since = await api.last_seq()
    await api.claim(task["id"], "ann")
    locked, moved = await api.events(since)
    assert (locked["type"], moved["type"]) == ("task.locked", "task.status_changed")
    assert locked["task"] == moved["task"] == await compact(api, task["id"])
    assert list(locked["task"]) == [*COMPACT]
    assert locked["task"] == {
        "id": task["id"],
        "name": "Paint",
        "status": "IN_PROGRESS",
        "priority": 1,
        "ready": False,
        "holder": "ann",
        "worked_by": "ann",
    }


async def test_changes_in_one_batch_share_the_last_row(api: OperationsClient) -> None:
    task = await api.create_task()
    since = await api.last_seq()
    async with anyio.create_task_group() as together:
        together.start_soon(lambda: api.update_task(task["id"], priority=0))
        together.start_soon(lambda: api.update_task(task["id"], name="Renamed"))
    assert [event["task"] for event in await api.events(since)] == [await compact(api, task["id"])] * 2


async def test_the_events_of_a_deleted_task_have_no_row(api: OperationsClient) -> None:
    task = await api.create_task()
    await api.claim(task["id"], "ann")
    since = await api.last_seq()
    await api.call("delete_task", task_id=task["id"], force=True)
    assert [(event["type"], event["task"]) for event in await api.events(since)] == [
        ("task.unlocked", None),
        ("task.deleted", None),
    ]


async def test_a_row_is_complete_or_null_but_never_cut(api: OperationsClient) -> None:
    agent = WIDE * 128
    short, long = await api.create_task(WIDE * 200), await api.create_task(WIDE * 200)
    await api.claim(short["id"], "a" * 128)
    await api.claim(long["id"], agent)
    assert len(orjson.dumps(await compact(api, short["id"]))) <= COMPACT_ROW_BYTES
    assert len(orjson.dumps(await compact(api, long["id"]))) > COMPACT_ROW_BYTES
    rows = {event["task_id"]: event["task"] for event in await api.events(0, "task.locked")}
    assert rows == {short["id"]: await compact(api, short["id"]), long["id"]: None}


async def test_a_row_has_no_text_of_the_task(api: OperationsClient) -> None:
    task = await api.create_task(description="secret", labels=["secret"], acceptance=["secret"])
    (created,) = await api.events(0, "task.created")
    assert created["task"] == await compact(api, task["id"])
    assert "secret" not in str(created["task"])


async def test_an_event_of_an_older_release_has_no_row_and_is_delivered(
    api: OperationsClient, service: HttpService
) -> None:
    task = await api.create_task()

    def add_without_row(tx: Tx) -> None:
        event = TaskUpdated(changes={}, previous={}, version=1)
        outbox.write(tx, outbox_rows(tx, event, task["id"]), chain.head(tx))

    since = await api.last_seq()
    await api.runtime.database.writer.run("old", add_without_row, LOCAL, "")
    (old,) = await api.events(since)
    assert "task" not in old
    async with service.listen(f"since={since}") as wire:
        assert (await frame(wire))["type"] == "hello"
        assert "task" not in await frame(wire)
    assert (await api.call("list_task_events", task_id=task["id"]))["items"][-1] == old


def outbox_rows(tx: Tx, event: TaskUpdated, task_id: int) -> list[list[object]]:
    data = orjson.dumps(vars(event)).decode()
    return [[event.type, tx.now, LOCAL.id, LOCAL.kind, 1, None, task_id, data, None, None, None]]
