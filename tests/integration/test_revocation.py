"""Periodic checks of open streams and of waiting requests continue after any error."""

from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
import httpx
import pytest

from project_manager.domain.actors import Actor
from project_manager.domain.service_errors import QueueFull
from project_manager.observability.metrics import Metrics
from project_manager.runtime import authentication, background, revocation
from project_manager.runtime.background import BackgroundJobs
from project_manager.runtime.revocation import RevocationWatch
from project_manager.store.transaction import Tx
from tests.http_service import HttpService
from tests.operations_client import TIMEOUT, OperationsClient


@pytest.fixture(autouse=True)
def check_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocation, "CHECK_INTERVAL_SECONDS", 0.001)
    monkeypatch.setattr(background, "PAUSE_AFTER_FAILURE_SECONDS", 0.001)


def fail(*_arguments: object) -> Any:
    raise ZeroDivisionError


async def until_ended(
    api: OperationsClient, read: authentication.Read, first_end: Callable[[], object] = lambda: None
) -> None:
    """Open two streams with a revoked token and return when the second one is closed."""
    jobs, ended = BackgroundJobs(Metrics()), anyio.Event()
    present = RevocationWatch(read, jobs, required=True)
    with anyio.fail_after(TIMEOUT), present.registered("revoked", first_end), present.registered("revoked", ended.set):
        async with jobs.running("serve"):
            await ended.wait()


async def test_a_stream_that_cannot_be_ended_keeps_no_other_open(
    api: OperationsClient, caplog: pytest.LogCaptureFixture
) -> None:
    await until_ended(api, api.runtime.read, fail)
    assert "cannot close a stream" in caplog.messages


async def test_a_failed_check_is_followed_by_others(api: OperationsClient, caplog: pytest.LogCaptureFixture) -> None:
    faults = [ZeroDivisionError(), *[QueueFull("the read queue is full: 1024 reads wait")] * 5]

    async def read(name: str, work: Callable[[Tx], Any]) -> Any:
        if faults:
            raise faults.pop(0)
        return await api.runtime.read(name, work)

    await until_ended(api, read)
    assert [message for message in caplog.messages if message != "streams_ended"] == [
        "background job revocation: ZeroDivisionError()",
        "background job revocation: recovered",
    ]


async def test_a_wait_ends_with_its_token_and_claims_nothing(service: HttpService, api: OperationsClient) -> None:
    root = api.acting_as(Actor("root", "human"))
    made = await root.call("create_token", name="worker", role="agent", agent_id="worker")
    answers: list[httpx.Response] = []

    async def wait(method: str, path: str, **more: Any) -> None:
        headers = {"Authorization": f"Bearer {made['secret']}"}
        answers.append(await service.client.request(method, path, headers=headers, **more))

    with anyio.fail_after(TIMEOUT):
        async with anyio.create_task_group() as waits:
            waits.start_soon(partial(wait, "POST", "/api/tasks/claim", json={"wait_seconds": 50}))
            waits.start_soon(wait, "GET", "/api/events?wait_seconds=50&types=task.created")
            while api.runtime.hub.subscribers < 2:
                await anyio.lowlevel.checkpoint()
            await root.call("revoke_token", token_id=made["id"])
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(401, "unauthorized")] * 2
    assert (await api.create_task())["ready"]
