"""Notices to holders shortly before their leases expire."""

from typing import Any

import anyio
import orjson

from project_manager.catalogue import BY_NAME
from project_manager.domain.actors import LOCAL
from project_manager.mcp.tools import result_text
from project_manager.runtime.calls import Caller
from tests.operations_client import TIMEOUT, OperationsClient


async def asked_by_agent(api: OperationsClient, operation: str, **raw: Any) -> Any:
    with anyio.fail_after(TIMEOUT):
        answer = await api.runtime.run(BY_NAME[operation], raw, Caller(LOCAL, "mcp", "test"))
    return orjson.loads(result_text(BY_NAME[operation], answer))


async def test_with_less_than_a_third_of_the_lease_left_every_response_names_its_expiry(api: OperationsClient) -> None:
    task = await api.create_task()
    lock = await api.claim(task["id"], "agent-1", ttl_seconds=300)
    await api.advance(190)
    assert "your_leases_end_soon" not in await asked_by_agent(api, "get_context", agent_id="agent-1")
    await api.advance(20)
    context = await asked_by_agent(api, "get_context", agent_id="agent-1")
    notice = {"task_id": task["id"], "fence": lock["fence"], "expires_at": lock["expires_at"]}
    assert context["your_leases_end_soon"] == [notice]
    assert (await asked_by_agent(api, "create_task", name="x", agent_id="agent-1"))["your_leases_end_soon"] == [notice]


async def test_a_renewed_lease_causes_no_notice_and_neither_does_that_of_another_agent(api: OperationsClient) -> None:
    task = await api.create_task()
    await api.claim(task["id"], "agent-1", ttl_seconds=300)
    await api.advance(250)
    assert "your_leases_end_soon" not in await asked_by_agent(api, "get_context", agent_id="agent-2")
    renewed = await asked_by_agent(api, "renew_task_lock", agent_id="agent-1", task_id=task["id"])
    assert "your_leases_end_soon" not in renewed
