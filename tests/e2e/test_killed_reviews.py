"""A server that is killed between a submission and its review, and in other work: each write is whole or not there."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count, repeat
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from tests.e2e.conftest import Start
from tests.e2e.service import Service
from tests.integration import invariants
from tests.stored_rows import Address, read

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

MAX_ATTEMPTS = 5
CHANGES = "Two boards are bare."
OF_EACH_KIND = 2
KILLED_AFTER = (1, 5, 9)
"""Numbers of responses after which the server is killed, while the other requests are in flight."""
MORE = 20
"""Further kills until one comes before a response. One batch can answer all requests at once."""

Json = dict[str, Any]


@dataclass
class Request:
    """A request with an idempotency key, and the query that counts its effects in the database."""

    path: str
    body: Json
    effects: str
    of: object
    method: str = "POST"
    key: str = field(default_factory=partial(next, map("request-{}".format, count())))
    answer: Json | None = None

    async def send(self, http: httpx.AsyncClient) -> Json:
        """Send the request, and return the response without messages, which come with any response."""
        response = await http.request(self.method, self.path, json=self.body, headers={"Idempotency-Key": self.key})
        assert response.is_success, f"{self.path} {self.body}: {response.text}"
        found: Json = response.json()
        found.pop("messages", None)
        return found


@pytest.fixture
def make_service(database: Address) -> Start:
    return Service if isinstance(database, Path) else partial(Service, DATABASE_PATH="", DATABASE_URL=database)


@pytest.fixture
def service(start_service: Start) -> Service:
    """Start a service with a project whose work needs a review."""
    service = start_service()
    with service.http() as http:
        policy = {"review": "required", "evidence": "any"}
        http.post("/api/projects", json={"name": "Garden", "policy": policy}).raise_for_status()
    return service


class Work:
    """The steps of agents and of a person, each as a request that is not sent yet."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def task(self, **fields: Any) -> int:
        return int(
            self._ok("POST", "/api/tasks", {"name": "Paint the fence", "project_name": "Garden", **fields})["id"]
        )

    def claimed(self) -> tuple[int, Json]:
        """Return a task with a lease of ann that reserves a path, and the proof of that lease."""
        number = self.task()
        self._ok("PATCH", f"/api/tasks/{number}", {"paths": [f"fence/{number}/*"]})
        lock = self._ok("POST", f"/api/tasks/{number}/lock", {"agent_id": "ann"})["lock"]
        return number, {"agent_id": "ann", "fence": lock["fence"]}

    def submission(self) -> Request:
        number, held = self.claimed()
        evidence = [{"command": "make test", "exit_code": 0}]
        body = {**held, "status": "REVIEW", "summary": "painted", "evidence": evidence}
        return Request(f"/api/tasks/{number}/status", body, "submissions WHERE task_id = ?", number)

    def review(self, verdict: str = "approved") -> Request:
        asked = self.submission()
        digest = self._ok(asked.method, asked.path, asked.body)["submission"]["digest"]
        body = {"agent_id": "bob", "digest": digest, "verdict": verdict, "body": CHANGES}
        effects = "submissions WHERE verdict IS NOT NULL AND task_id = ?"
        return Request(asked.path.replace("status", "reviews"), body, effects, asked.of)

    def question(self) -> Request:
        number, held = self.claimed()
        body = {**held, "text": "Which colour?", "options": ["green", "red"]}
        return Request(f"/api/tasks/{number}/questions", body, "questions WHERE task_id = ?", number)

    def answer(self) -> Request:
        asked = self.question()
        question = self._ok(asked.method, asked.path, asked.body)["question"]["id"]
        effects = "questions WHERE state = 'answered' AND task_id = ?"
        return Request(f"{asked.path}/{question}/answer", {"text": "green"}, effects, asked.of)

    def steer(self) -> Request:
        number, _ = self.claimed()
        body = {"to_task": number, "kind": "steer", "body": "Use the green paint."}
        return Request("/api/messages", body, "messages WHERE to_task = ?", number)

    def stop(self) -> Request:
        number, _ = self.claimed()
        body = {"to_task": number, "kind": "stop", "body": "It rains."}
        return Request("/api/messages", body, "messages WHERE to_task = ?", number)

    def pause(self) -> Request:
        number = self.task()
        body = {"scope": "task", "id": str(number), "reason": "It rains."}
        return Request("/api/pauses", body, "pauses WHERE task_id = ?", number)

    def _ok(self, method: str, path: str, body: Json) -> Json:
        found: Json = self._http.request(method, path, json=body).raise_for_status().json()
        return found


STEPS: tuple[Callable[[Work], Request], ...] = (
    Work.submission,
    Work.review,
    lambda work: work.review("changes_requested"),
    Work.question,
    Work.answer,
    Work.steer,
    Work.stop,
    Work.pause,
)


def check(address: Address) -> None:
    invariants.check_database(address, now=time.time_ns() // 1_000_000, max_attempts=MAX_ATTEMPTS)


def effects_of(address: Address, request: Request) -> int:
    return int(read(address, f"SELECT count(*) AS number FROM {request.effects}", request.of)[0]["number"])


def kill_and_start_again(service: Service) -> None:
    service.kill()
    service.start()


async def test_each_answered_write_is_there_after_a_kill_and_its_repetition_has_no_effect(
    service: Service, database: Address
) -> None:
    for steps in zip(STEPS[::2], STEPS[1::2], strict=True):
        with service.http() as http:
            requests = [step(Work(http)) for step in steps]
        async with service.client() as client:
            for request in requests:
                request.answer = await request.send(client)
        await anyio.to_thread.run_sync(kill_and_start_again, service)
        check(database)
        assert [effects_of(database, request) for request in requests] == [1, 1]
        async with service.client() as client:
            assert [await request.send(client) for request in requests] == [request.answer for request in requests]
        assert [effects_of(database, request) for request in requests] == [1, 1]
    check(database)


async def test_writes_in_flight_at_a_kill_are_whole_or_not_there_and_their_repetition_has_one_effect(
    service: Service, database: Address
) -> None:
    unanswered = 0
    for number in (*KILLED_AFTER, *repeat(1, MORE)):
        if unanswered and number == 1:
            break
        with service.http() as http:
            requests = [step(Work(http)) for step in STEPS for _ in range(OF_EACH_KIND)]
        await send_until(service, requests, number)
        await anyio.to_thread.run_sync(service.start)
        check(database)
        for request in requests:
            assert effects_of(database, request) in ((0, 1) if request.answer is None else (1,)), request.path
        unanswered += sum(request.answer is None for request in requests)
        async with service.client() as client:
            for request in requests:
                repeated = await request.send(client)
                assert repeated == (request.answer or await request.send(client))
        assert {effects_of(database, request) for request in requests} == {1}
        check(database)
    assert unanswered > 0


async def send_until(service: Service, requests: list[Request], number: int) -> None:
    """Send the requests at once, each on its own connection, and kill the server after this number of responses."""
    answered = 0

    async def send(request: Request) -> None:
        nonlocal answered
        async with service.client() as http:
            try:
                request.answer = await request.send(http)
            except httpx.TransportError:
                return
        answered += 1
        if answered == number:
            await anyio.to_thread.run_sync(service.kill)

    async with anyio.create_task_group() as tasks:
        for request in requests:
            tasks.start_soon(send, request)


async def test_an_author_continues_after_a_kill_with_the_review_and_the_answer(service: Service) -> None:
    with service.http() as http:
        work = Work(http)
        for request in (work.review("changes_requested"), work.answer()):
            http.post(request.path, json=request.body).raise_for_status()
    await anyio.to_thread.run_sync(kill_and_start_again, service)
    with service.http() as http:
        claims = [http.post("/api/tasks/claim", json={"agent_id": "ann"}).raise_for_status().json() for _ in range(2)]
    assert sorted(claim["task"]["id"] for claim in claims) == [1, 2]
    assert [claim["review"]["body"] for claim in claims if claim.get("review")] == [CHANGES]
    assert [claim["answer"]["answer"] for claim in claims if claim.get("answer")] == ["green"]
