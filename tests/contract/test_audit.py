"""Audit: events and log lines name the token and the request that caused them, for operators only."""

from typing import Any

import pytest

from project_manager.calls import Caller
from project_manager.catalogue import BY_NAME
from project_manager.domain.actors import LOCAL
from tests.contract.invariants import read
from tests.desk import Desk, Json
from tests.served import Served, frame

CAUSE = {"token_id", "request_id"}


async def bearer(desk: Desk, role: str, agent_id: str | None = None) -> dict[str, str]:
    """Make a token and return the header that carries it."""
    raw = {"name": f"token of {agent_id or role}", "role": role, "agent_id": agent_id}
    answer = await desk.runtime.run(BY_NAME["create_token"], raw, Caller(LOCAL, "cli", "test"))
    return {"authorization": f"Bearer {answer.view.secret}"}


def causes(desk: Desk, kind: str) -> list[tuple[int | None, str | None]]:
    """Return token id and request id of the stored events of this type."""
    rows = read(desk.runtime.database.path, f"SELECT token_id, request_id FROM events WHERE type = '{kind}'")
    return [(row["token_id"], row["request_id"]) for row in rows]


async def test_an_event_is_stored_with_its_token_and_its_request(served: Served, desk: Desk) -> None:
    await bearer(desk, "operator")
    ann, anna = await bearer(desk, "agent", "ann"), await bearer(desk, "agent")
    task = {"name": "Rake", "project_name": "Garden"}
    await served.ok("POST", "/api/tasks", task, x_request_id="by ann", **ann)
    await served.ok("POST", "/api/tasks/1/lock", {"agent_id": "bob"}, x_request_id="as bob", **anna)
    assert causes(desk, "project.created") == causes(desk, "task.created") == [(2, "by ann")]
    assert causes(desk, "task.locked") == [(3, "as bob")]


async def test_an_event_has_no_token_without_one_and_no_request_without_one(served: Served, desk: Desk) -> None:
    await served.ok("POST", "/api/tasks", {"name": "Rake", "project_name": "Garden"}, x_request_id="a person")
    await desk.claim(1, "ann", ttl_seconds=10)
    await desk.pass_time(11)
    assert causes(desk, "task.created") == [(None, "a person")]
    assert causes(desk, "task.unlocked") == [(None, None)]


@pytest.mark.parametrize(("role", "agent_id"), [("viewer", None), ("agent", None), ("agent", "ann")])
async def test_only_operators_see_the_causes_of_events(
    served: Served, desk: Desk, role: str, agent_id: str | None
) -> None:
    operator = await bearer(desk, "operator")
    other = await bearer(desk, role, agent_id)
    await served.ok("POST", "/api/tasks", {"name": "Rake", "project_name": "Garden"}, x_request_id="made", **operator)
    cause = {"token_id": 1, "request_id": "made"}
    for path in ("/api/events?types=task.created", "/api/tasks/1/events"):
        (seen,), (hidden,) = [(await served.ok("GET", path, **who))["items"] for who in (operator, other)]
        assert seen == {**hidden, **cause}
        assert CAUSE.isdisjoint(hidden)
    assert await followed(served, operator, "") == [seen]
    assert await followed(served, other, "") == [hidden]
    assert await followed(served, operator, "&batch=true") == [seen]
    assert await followed(served, other, "&batch=true") == [hidden]


async def followed(served: Served, headers: dict[str, str], query: str) -> list[Json]:
    """Return the newest event as the WebSocket sends it."""
    head = served.runtime.hub.head
    async with served.listen(f"since={head - 1}{query}", additional_headers=headers) as connection:
        await frame(connection)
        found: Any = await frame(connection)
    items: list[Json] = found["events"] if found["type"] == "batch" else [found]
    return items
