"""Audit: events and log lines name the token and the request that caused them, for operators only."""

import logging
from contextlib import suppress
from functools import partial
from typing import Any

import anyio
import pytest

from project_manager.catalogue import BY_NAME
from project_manager.domain.actors import LOCAL, SYSTEM, Actor
from project_manager.domain.service_errors import Internal
from project_manager.observability import logging as logs
from project_manager.observability.logging import ActionRecord
from project_manager.runtime import dispatch
from project_manager.runtime.calls import Caller
from tests.http_service import HttpService, frame
from tests.operations_client import TIMEOUT, Json, OperationsClient
from tests.stored_rows import address_of, read

CAUSE = {"token_id", "request_id"}


async def bearer(api: OperationsClient, role: str, agent_id: str | None = None) -> dict[str, str]:
    """Make a token and return the header that carries it."""
    raw = {"name": f"token of {agent_id or role}", "role": role, "agent_id": agent_id}
    answer = await api.runtime.run(BY_NAME["create_token"], raw, Caller(LOCAL, "cli", "test"))
    return {"authorization": f"Bearer {answer.view.secret}"}


def causes(api: OperationsClient, kind: str) -> list[tuple[int | None, str | None]]:
    """Return token id and request id of the stored events of this type."""
    rows = read(address_of(api.runtime), f"SELECT token_id, request_id FROM events WHERE type = '{kind}'")
    return [(row["token_id"], row["request_id"]) for row in rows]


async def test_an_event_is_stored_with_its_token_and_its_request(service: HttpService, api: OperationsClient) -> None:
    await bearer(api, "operator")
    ann, anna = await bearer(api, "agent", "ann"), await bearer(api, "agent")
    task = {"name": "Rake", "project_name": "Garden"}
    await service.ok("POST", "/api/tasks", task, x_request_id="by ann", **ann)
    await service.ok("POST", "/api/tasks/1/lock", {"agent_id": "bob"}, x_request_id="as bob", **anna)
    assert causes(api, "project.created") == causes(api, "task.created") == [(2, "by ann")]
    assert causes(api, "task.locked") == [(3, "as bob")]


async def test_a_claim_that_waited_is_stored_with_its_own_token_and_request(
    service: HttpService, api: OperationsClient
) -> None:
    """One pass over the queue serves several waiters, each as itself."""
    await bearer(api, "operator")
    headers = {name: await bearer(api, "agent", name) for name in ("ann", "bob")}
    await api.call("create_project", name="Garden")
    with anyio.fail_after(TIMEOUT):
        async with anyio.create_task_group() as calls:
            for name, own in headers.items():
                claim = partial(service.ok, "POST", "/api/tasks/claim", {"wait_seconds": 5}, x_request_id=name, **own)
                calls.start_soon(claim)
            while len(api.runtime.long_polls.waiting_calls) < len(headers):  # noqa: ASYNC110 the queue has no event
                await anyio.sleep(0.001)
            await api.call("create_tasks", project_name="Garden", tasks=[{"name": "Rake"}, {"name": "Mow"}])
    assert sorted(causes(api, "task.locked")) == [(2, "ann"), (3, "bob")]


async def test_an_event_has_no_token_without_one_and_no_request_without_one(
    service: HttpService, api: OperationsClient
) -> None:
    await service.ok("POST", "/api/tasks", {"name": "Rake", "project_name": "Garden"}, x_request_id="a person")
    await api.claim(1, "ann", ttl_seconds=10)
    await api.advance(11)
    assert causes(api, "task.created") == [(None, "a person")]
    assert causes(api, "task.unlocked") == [(None, None)]


async def test_tokens_are_created_revoked_and_cleared_by_events_that_name_them_to_operators(
    service: HttpService, api: OperationsClient
) -> None:
    operator, viewer = await bearer(api, "operator"), await bearer(api, "viewer")
    made = await service.ok(
        "POST", "/api/tokens", {"name": "ci", "role": "agent", "agent_id": "ann"}, x_request_id="new", **operator
    )
    await service.ok("DELETE", "/api/tokens/3", x_request_id="gone", **operator)
    await service.ok("DELETE", "/api/tokens/3", **operator)
    token = {"id": 3, "name": "ci", "role": "agent", "agent_id": "ann", "attests": False}
    path = "/api/events?types=token.created&types=token.revoked&since=2"
    created, revoked = (await service.ok("GET", path, **operator))["items"]
    assert (created["type"], created["token_id"], created["request_id"]) == ("token.created", 1, "new")
    assert (revoked["type"], revoked["token_id"], revoked["request_id"]) == ("token.revoked", 1, "gone")
    assert created["token"] == revoked["token"] == token
    assert made["secret"] not in str(created)
    for event in (await service.ok("GET", path, **viewer))["items"]:
        assert set(event) == {"seq", "type", "timestamp", "actor", "project_id", "epic_id", "task_id"}
    assert await api.call("clear_tokens") == {"deleted": 3}
    assert await api.call("clear_tokens") == {"deleted": 0}
    assert [event["tokens"] for event in await api.events(0, "tokens.cleared")] == [3]


async def test_a_log_line_names_token_task_and_request(
    service: HttpService, api: OperationsClient, caplog: pytest.LogCaptureFixture
) -> None:
    await bearer(api, "operator")
    ann = await bearer(api, "agent", "ann")
    with caplog.at_level(logging.DEBUG, logger="project_manager"):
        await service.ok("POST", "/api/tasks", {"name": "Rake", "project_name": "Garden"}, x_request_id="1", **ann)
        await service.ok("POST", "/api/tasks/claim", {}, x_request_id="2", **ann)
        await service.ok("POST", "/api/tasks/1/log", {"body": "half way"}, x_request_id="3", **ann)
        await service.error(404, "DELETE", "/api/tasks/9/lock", {}, x_request_id="4", **ann)
        await service.ok("POST", "/api/tasks", {"name": "x"}, x_request_id="5", idempotency_key="k", **ann)
        await service.ok("POST", "/api/tasks", {"name": "x"}, x_request_id="6", idempotency_key="k", **ann)
        await service.ok("POST", "/api/tasks/claim", {"labels": ["none"]}, x_request_id="7", **ann)
        await service.ok("GET", "/api/tasks/1", x_request_id="8", **ann)
        await service.error(422, "PATCH", "/api/tasks/1", {"nam": "y"}, x_request_id="9", **ann)
        await service.error(403, "DELETE", "/api/tasks/2", {}, x_request_id="10", **ann)
    found = [
        (record.fields["request_id"], record.fields["token_id"], record.fields.get("task_id"))
        for record in caplog.records
        if isinstance(record, ActionRecord) and "actor" in record.fields
    ]
    tasks = {"1": 1, "2": 1, "3": 1, "4": 9, "5": 2, "6": 2, "7": None, "8": 1, "9": 1, "10": 2}
    assert found == [(request, 2, task) for request, task in tasks.items()]


@pytest.mark.parametrize("thread", ["writer", "reader"])
async def test_a_line_of_a_database_thread_names_the_request_that_it_works_for(
    api: OperationsClient, thread: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "SLOW_QUERY_SECONDS", -1.0)
    records: list[logging.LogRecord] = []
    handler = logging.Handler(logging.WARNING)
    handler.addFilter(logs._add_context)
    monkeypatch.setattr(handler, "emit", records.append)
    monkeypatch.setattr(logging.getLogger("project_manager"), "handlers", [handler])
    database, actor = api.runtime.database, Actor("ann", "agent", token_id=7)

    def work(tx: Any) -> None:
        if thread == "writer":
            raise ZeroDivisionError

    run = database.writer.run if thread == "writer" else database.readers.run
    with suppress(Internal):
        await run("broken", work, actor, "asked here")
    await database.writer.run("run_due", lambda tx: None, SYSTEM, "")
    lines = [vars(record) for record in records]
    for name, cause in (("broken", ("asked here", 7)), ("run_due", ("", None))):
        assert {(line["request_id"], line["token_id"]) for line in lines if name in str(line)} == {cause}


@pytest.mark.parametrize(("role", "agent_id"), [("viewer", None), ("agent", None), ("agent", "ann")])
async def test_only_operators_see_the_causes_of_events(
    service: HttpService, api: OperationsClient, role: str, agent_id: str | None
) -> None:
    operator = await bearer(api, "operator")
    other = await bearer(api, role, agent_id)
    await service.ok("POST", "/api/tasks", {"name": "Rake", "project_name": "Garden"}, x_request_id="made", **operator)
    cause = {"token_id": 1, "request_id": "made"}
    for path in ("/api/events?types=task.created", "/api/tasks/1/events"):
        (seen,), (hidden,) = [(await service.ok("GET", path, **who))["items"] for who in (operator, other)]
        assert seen == {**hidden, **cause}
        assert CAUSE.isdisjoint(hidden)
    since = f"since={seen['seq'] - 1}"
    assert await followed(service, operator, since) == [seen]
    assert await followed(service, other, since) == [hidden]
    assert await followed(service, operator, f"{since}&batch=true") == [seen]
    assert await followed(service, other, f"{since}&batch=true") == [hidden]


async def followed(service: HttpService, headers: dict[str, str], query: str) -> list[Json]:
    """Return the next event as the WebSocket sends it."""
    async with service.listen(query, additional_headers=headers) as connection:
        await frame(connection)
        found: Any = await frame(connection)
    items: list[Json] = found["events"] if found["type"] == "batch" else [found]
    return items
