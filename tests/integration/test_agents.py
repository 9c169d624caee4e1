"""Agents: their log entries over all tasks, their messages, and whether they wait for work."""

from typing import Any

import anyio
import pytest

from project_manager.clock import rfc3339
from project_manager.domain.errors import AgentNotFound
from project_manager.services import logs
from tests.integration.test_claim_long_poll import Waiting, queue
from tests.operations_client import Json, OperationsClient


async def entries(api: OperationsClient, agent: str, **filters: Any) -> list[Json]:
    """Return the entries of all pages."""
    found: list[Json] = []
    cursor: Json = {}
    while True:
        page = await api.call("list_agent_logs", agent_id=agent, **filters, **cursor)
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


async def test_the_entries_of_an_agent_are_listed_over_all_tasks_the_newest_first(
    api: OperationsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = [(await api.create_task(name))["id"] for name in ("Paint", "Clean")]
    for number in range(1, 7):
        author = "bob" if number == 4 else "ann"
        kind = "comment" if number % 2 else "progress"
        task = first if number < 4 else second
        await api.claim(task, author)
        await api.call("add_task_log", task_id=task, body=f"entry {number}", agent_id=author, kind=kind)
        await api.release(task, author)
    of_ann = [entry for entry in await entries(api, "ann") if entry["kind"] != "system"]
    assert [(entry["body"], entry["task_id"]) for entry in of_ann] == [
        ("entry 6", second),
        ("entry 5", second),
        ("entry 3", first),
        ("entry 2", first),
        ("entry 1", first),
    ]
    whole = await entries(api, "bob")
    monkeypatch.setattr(logs, "SEARCHED_PER_PAGE", 1)
    assert await entries(api, "bob") == whole
    assert [entry["body"] for entry in await entries(api, "ann", kind="comment", limit=1)] == [
        "entry 5",
        "entry 3",
        "entry 1",
    ]
    error = await api.call_error(AgentNotFound, "list_agent_logs", agent_id="eve")
    assert error.details["agent_id"] == "eve"


async def test_an_agent_is_waiting_while_its_claim_waits_for_a_task(api: OperationsClient) -> None:
    await api.call("create_project", name="Garden", agent_id="bob")
    async with anyio.create_task_group() as tasks:
        await Waiting(api, tasks).enqueue("ann", wait_seconds=55)
        assert queue(api) == ["ann"]
        listed = (await api.call("list_agents"))["items"]
        assert {agent["id"]: agent["waiting"] for agent in listed if agent["kind"] == "agent"} == {
            "ann": True,
            "bob": False,
        }
        assert (await api.call("get_agent", agent_id="ann"))["waiting"] is True
        tasks.cancel_scope.cancel()


async def test_agents_are_selected_by_the_time_they_were_last_seen(api: OperationsClient) -> None:
    await api.call("create_project", name="Garden", agent_id="ann")
    api.clock.advance(600)
    task = await api.create_task(agent_id="bob")
    lock = await api.claim(task["id"], "bob")
    (bob,) = (await api.call("list_agents", seen_since=rfc3339(api.clock.instant - 60_000)))["items"]
    assert (bob["id"], [held["fence"] for held in bob["locks"]]) == ("bob", [lock["fence"]])
    found = await api.call("list_agents", seen_since=rfc3339(api.clock.instant - 60_000), active=False)
    assert found["items"] == []


async def test_messages_are_selected_by_their_sender_or_addressee(api: OperationsClient) -> None:
    for sender, to in (("ann", "bob"), ("bob", "ann"), ("eve", "bob")):
        await api.call("send_message", to_agent=to, body=f"{sender} to {to}", agent_id=sender)
    found = (await api.call("list_messages", participant="ann"))["items"]
    assert [message["body"] for message in found] == ["bob to ann", "ann to bob"]


async def test_messages_are_selected_by_the_task_of_their_addressee(api: OperationsClient) -> None:
    first, second = (await api.create_task())["id"], (await api.create_task())["id"]
    for task in (first, second, first):
        await api.call("send_message", to_task=task, body=f"to #{task}", agent_id="ann")
    page = await api.call("list_messages", to_task=first, limit=1, total="exact")
    rest = await api.call("list_messages", to_task=first, limit=1, cursor=page["next_cursor"])
    assert (page["total"], [*page["items"], *rest["items"]][1]["body"]) == (2, f"to #{first}")
    assert rest["next_cursor"] is None


async def test_the_first_lines_of_log_entries_are_read_by_their_ids(api: OperationsClient) -> None:
    task = (await api.create_task())["id"]
    bodies = ["\n\n  Found it  \nIn the cart.", "x" * 300, "\N{GRINNING FACE} done"]
    ids = [(await api.call("add_task_log", task_id=task, body=body))["id"] for body in bodies]
    found = (await api.call("read_log_lines", ids=[*ids, 999]))["items"]
    assert [item["id"] for item in found] == ids
    assert [item["line"] for item in found] == ["Found it", "x" * 199 + "\N{HORIZONTAL ELLIPSIS}", bodies[2]]
