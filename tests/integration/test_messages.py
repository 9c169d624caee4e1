"""Messages: addressees, deliveries, acknowledgements, expiry, and who reads them."""

import json
from typing import Any

import pytest

from project_manager.domain.actors import Actor, Role
from project_manager.domain.errors import Invalid, LockHeld, MailboxFull, ProjectNotFound, TaskNotFound
from project_manager.domain.limits import OPEN_MESSAGES
from project_manager.domain.messages import DELIVERED_BYTES
from project_manager.runtime import maintenance
from tests.operations_client import DAY_MS, Json, OperationsClient

OPERATOR = Actor("olga", "human", Role.OPERATOR)
AGENT = Actor("codex", "agent", Role.AGENT, bound=True)
OTHER = Actor("claude", "agent", Role.AGENT, bound=True)
VIEWER = Actor("vera", "human", Role.VIEWER)
MINUTE = 60


@pytest.fixture
def codex(api: OperationsClient) -> OperationsClient:
    return api.acting_as(AGENT)


@pytest.fixture
def olga(api: OperationsClient) -> OperationsClient:
    return api.acting_as(OPERATOR)


async def send(api: OperationsClient, **fields: Any) -> int:
    sent: Json = await api.call("send_message", **{"body": "Look at the logs", "to_agent": "codex", **fields})
    return int(sent["id"])


async def inbox(agent: OperationsClient, operation: str = "get_context", **raw: Any) -> list[Any]:
    """Return the messages that come with the response of a call."""
    return list((await agent.run(operation, **raw)).messages)


async def states(api: OperationsClient) -> dict[int, str]:
    items = (await api.acting_as(OPERATOR).call("list_messages"))["items"]
    return {item["id"]: item["state"] for item in items}


async def test_a_note_comes_with_the_next_response_and_the_call_after_it_acknowledges_it(
    api: OperationsClient, olga: OperationsClient, codex: OperationsClient
) -> None:
    number = await send(olga)
    assert await states(api) == {number: "sent"}
    (note,) = await inbox(codex, "create_project", name="Garden")
    assert (note.id, note.kind, note.sender, note.body) == (number, "note", "olga", "Look at the logs")
    assert await states(api) == {number: "delivered"}
    assert await inbox(codex) == []
    assert await states(api) == {number: "acknowledged"}
    types = [event["type"] for event in await api.events() if event["type"].startswith("message.")]
    assert types == ["message.sent", "message.delivered", "message.acknowledged"]


async def test_a_steer_is_repeated_once_a_minute_until_it_is_acknowledged(
    api: OperationsClient, olga: OperationsClient, codex: OperationsClient
) -> None:
    number = await send(olga, kind="steer")
    assert [message.id for message in await inbox(codex)] == [number]
    assert await inbox(codex) == []
    await api.advance(MINUTE)
    assert [message.id for message in await inbox(codex)] == [number]
    assert (await codex.call("acknowledge_messages", ids=[number]))["acknowledged"] == [number]
    await api.advance(MINUTE)
    assert await inbox(codex) == []
    assert await states(api) == {number: "acknowledged"}
    assert len(await api.events(0, "message.delivered")) == 1
    (item,) = (await olga.call("list_messages"))["items"]
    (receipt,) = item["receipts"]
    assert (receipt["agent_id"], receipt["acknowledged_at"]) == ("codex", api.clock.later(-MINUTE))


async def test_a_message_to_a_task_reaches_its_holder_also_the_next_one(
    api: OperationsClient, olga: OperationsClient, codex: OperationsClient
) -> None:
    task = await api.create_task()
    number = await send(olga, to_agent=None, to_task=task["id"], kind="steer")
    assert await inbox(codex) == []
    (message,) = await inbox(codex, "acquire_task_lock", task_id=task["id"])
    assert (message.id, message.task_id) == (number, task["id"])
    await codex.call("release_task_lock", task_id=task["id"])
    claude = api.acting_as(OTHER)
    assert [message.id for message in await inbox(claude, "claim_next_task")] == [number]
    await claude.call("acknowledge_messages", ids=[number])
    await api.advance(MINUTE)
    assert await inbox(codex) == []


async def test_a_message_to_a_project_has_a_receipt_for_each_agent_that_holds_or_claims_there(
    api: OperationsClient, olga: OperationsClient, codex: OperationsClient
) -> None:
    tasks = [await api.create_task(f"task {number}") for number in range(2)]
    claude, idle = api.acting_as(OTHER), api.acting_as(Actor("idle", "agent", Role.AGENT, bound=True))
    await codex.call("acquire_task_lock", task_id=tasks[0]["id"])
    number = await send(olga, to_agent=None, to_project=tasks[0]["project_id"], kind="steer")
    assert [message.id for message in await inbox(codex)] == [number]
    assert await inbox(idle) == []
    assert [message.id for message in await inbox(claude, "acquire_task_lock", task_id=tasks[1]["id"])] == [number]
    await codex.call("acknowledge_messages", ids=[number])
    assert await states(api) == {number: "delivered"}
    await claude.call("acknowledge_messages", ids=[number])
    assert await states(api) == {number: "acknowledged"}
    (item,) = (await olga.call("list_messages"))["items"]
    assert sorted(receipt["agent_id"] for receipt in item["receipts"]) == ["claude", "codex"]


async def test_a_response_has_at_most_three_messages_in_600_tokens_the_most_urgent_first(
    olga: OperationsClient, codex: OperationsClient
) -> None:
    notes = [await send(olga, body="é" * 400) for _ in range(4)]
    steer = await send(olga, kind="steer", body='"\n' * 2000)
    (first,) = await inbox(codex)
    assert (first.id, first.body_cut) == (steer, True)
    assert len(json.dumps(vars(first), ensure_ascii=False).encode()) <= DELIVERED_BYTES
    found = await inbox(codex)
    assert [message.id for message in found] == notes[: len(found)]
    assert 1 < len(found) <= 3
    assert sum(len(json.dumps(vars(one), ensure_ascii=False).encode()) + 1 for one in found) <= DELIVERED_BYTES


async def test_a_message_to_an_agent_that_never_comes_back_expires_and_needs_attention(
    api: OperationsClient, olga: OperationsClient, codex: OperationsClient
) -> None:
    number = await send(olga)
    assert (await olga.call("list_messages", attention=True))["items"] == []
    await api.advance(DAY_MS / 1000)
    assert await states(api) == {number: "expired"}
    assert [item["id"] for item in (await olga.call("list_messages", attention=True))["items"]] == [number]
    (event,) = await api.events(0, "message.expired")
    assert (event["message_id"], event["agent_id"]) == (number, "codex")
    assert await inbox(codex) == []
    assert (await olga.call("acknowledge_messages", ids=[number]))["acknowledged"] == [number]
    assert (await olga.call("list_messages", attention=True))["items"] == []


async def test_a_steer_needs_attention_until_it_is_acknowledged(
    olga: OperationsClient, codex: OperationsClient
) -> None:
    number = await send(olga, kind="steer")
    assert [item["id"] for item in (await olga.call("list_messages", attention=True))["items"]] == [number]
    await inbox(codex)
    await codex.call("acknowledge_messages", ids=[number])
    assert (await olga.call("list_messages", attention=True))["items"] == []


async def test_agents_write_to_each_other_and_to_people(
    api: OperationsClient, olga: OperationsClient, codex: OperationsClient
) -> None:
    claude = api.acting_as(OTHER)
    await send(codex, to_agent="claude", body="Take the tests")
    assert [message.sender for message in await inbox(claude)] == ["codex"]
    number = await send(claude, to_agent="olga", body="Which key?")
    (item,) = (await olga.call("list_messages", attention=True))["items"]
    assert (item["id"], item["body"], item["sender"]) == (number, "Which key?", "claude")
    await olga.call("acknowledge_messages", ids=[number])
    assert (await olga.call("list_messages", attention=True))["items"] == []
    assert (await states(api))[number] == "acknowledged"


async def test_only_the_addressee_the_sender_and_operators_read_a_message(
    api: OperationsClient, olga: OperationsClient, codex: OperationsClient
) -> None:
    number = await send(api.acting_as(OTHER), body="secret plan")
    for reader in (codex, api.acting_as(OTHER), olga):
        (item,) = (await reader.call("list_messages"))["items"]
        assert (item["id"], item["body"]) == (number, "secret plan")
    stranger = api.acting_as(Actor("gemini", "agent", Role.AGENT, bound=True))
    assert (await stranger.call("list_messages"))["items"] == []
    assert await inbox(stranger) == []
    await stranger.call("acknowledge_messages", ids=[number])
    assert await states(api) == {number: "sent"}
    assert "secret" not in json.dumps(await api.events())


async def test_a_viewer_sees_no_body_and_takes_no_message_of_an_agent(
    api: OperationsClient, olga: OperationsClient, codex: OperationsClient
) -> None:
    number = await send(olga, body="secret plan")
    viewer = api.acting_as(VIEWER)
    result = await viewer.run("get_context", agent_id="codex")
    assert (result.messages, b"secret" in result.body) == ([], False)
    listed = await viewer.call("list_messages", agent_id="codex")
    assert [item["body"] for item in listed["items"]] == [None]
    assert [message.id for message in await inbox(codex)] == [number]


async def test_an_operator_that_acts_as_an_agent_with_its_own_token_takes_no_message_of_it(
    api: OperationsClient, olga: OperationsClient, codex: OperationsClient
) -> None:
    number = await send(olga, kind="steer", body="use white paint")
    operator = api.acting_as(Actor("ops", "human", Role.OPERATOR, token_id=99))
    assert [message.id for message in await inbox(operator, agent_id="codex")] == [number]  # no token is bound yet
    await olga.call("create_token", name="codex-1", role="agent", agent_id="codex")
    await api.advance(61)
    assert await inbox(operator, agent_id="codex") == []
    acknowledged = await operator.call("acknowledge_messages", agent_id="codex", ids=[number])
    assert acknowledged["acknowledged"] == []
    assert [message.id for message in await inbox(codex)] == [number]
    assert (await codex.call("acknowledge_messages", ids=[number]))["acknowledged"] == [number]


async def test_a_refused_call_delivers_messages_too(
    api: OperationsClient, olga: OperationsClient, codex: OperationsClient
) -> None:
    task = await api.create_task()
    await api.claim(task["id"], "ann")
    number = await send(olga, kind="steer")
    error = await codex.call_error(LockHeld, "acquire_task_lock", task_id=task["id"])
    assert [message.id for message in error.messages] == [number]
    assert await states(api) == {number: "delivered"}


@pytest.mark.slow
@pytest.mark.parametrize("wait_seconds", [0, 1])
async def test_a_claim_without_a_task_delivers_messages_at_its_end(
    olga: OperationsClient, codex: OperationsClient, wait_seconds: int
) -> None:
    number = await send(olga)
    assert [message.id for message in await inbox(codex, "claim_next_task", wait_seconds=wait_seconds)] == [number]


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"to_agent": None}, Invalid),
        ({"to_task": 1}, Invalid),
        ({"to_agent": None, "to_task": 99}, TaskNotFound),
        ({"to_agent": None, "to_project": 99}, ProjectNotFound),
        ({"body": ""}, Invalid),
        ({"body": " \n"}, Invalid),
        ({"body": "x" * 4001}, Invalid),
        ({"kind": "shout"}, Invalid),
        ({"to_agent": "auto"}, Invalid),
        ({"to_agent": "Unnamed/x"}, Invalid),
        ({"expires_at": "2020-01-01T00:00:00Z"}, Invalid),
    ],
)
async def test_a_bad_message_is_rejected(olga: OperationsClient, given: Json, error: Any) -> None:
    await olga.call_error(error, "send_message", **{"to_agent": "codex", "body": "x", **given})
    assert (await olga.call("list_messages"))["items"] == []


async def test_an_addressee_has_a_limited_number_of_open_messages(olga: OperationsClient) -> None:
    for _ in range(OPEN_MESSAGES):
        await send(olga)
    await olga.call_error(MailboxFull, "send_message", to_agent="codex", body="one more")
    await send(olga, to_agent="claude")


async def test_an_agent_with_a_full_mailbox_is_stopped(api: OperationsClient, olga: OperationsClient) -> None:
    task = await api.create_task()
    await api.claim(task["id"], "codex")
    for _ in range(OPEN_MESSAGES):
        await send(olga)
    stopped = await olga.call("send_message", to_agent="codex", kind="stop", body="Wrong branch")
    assert stopped["stopped"] == [task["id"]]


async def test_old_messages_are_deleted_with_the_events(api: OperationsClient, olga: OperationsClient) -> None:
    await send(olga)
    await api.advance(DAY_MS / 1000)
    api.clock.advance(91 * DAY_MS / 1000)
    await maintenance.delete_expired(api.runtime.database, event_days=90)
    assert await states(api) == {}


async def test_a_repeated_request_sends_one_message(api: OperationsClient, olga: OperationsClient) -> None:
    assert await send(olga, request_id="k") == await send(olga, request_id="k")
    assert len(await states(api)) == 1
