"""One effect for repeated requests, and no lost update under concurrent writes."""

from typing import Any

import anyio
import orjson
import pytest

from project_manager.domain.actors import Actor, Role
from project_manager.domain.errors import IdempotencyMismatch, LockHeld, StaleFence, VersionMismatch
from tests.http_service import HttpService
from tests.integration.invariants import check
from tests.operations_client import Json, OperationsClient
from tests.stored_rows import address_of, read

NAMING_THE_FIRST = [
    '"9", "1"',
    '"1","9"',
    'W/"9", W/"1"',
    ', "1",, "1" ,',
    '"1"',
    '"1-gzip"',
    'W/"1-gzip"',
    '"1--gzip"',
    '"1;gzip"',
    '"1-br"',
    '"1-zstd", "x"',
    '"1", "x"',
]

pytestmark = pytest.mark.promise("request:idempotent")


@pytest.mark.parametrize(
    ("operation", "raw"),
    [
        ("create_project", {"name": "Shed"}),
        ("create_epic", {"name": "Order", "project_name": "Shed"}),
        ("create_task", {"name": "Sort the tools"}),
        ("create_tasks", {"tasks": [{"name": "one", "ref": "a"}, {"name": "two", "depends_on": ["a"]}]}),
        ("claim_next_task", {"agent_id": "ann"}),
        ("acquire_task_lock", {"task_id": 1, "agent_id": "ann"}),
        ("update_task_status", {"task_id": 1, "status": "DONE", "agent_id": "ann"}),
        ("update_task", {"task_id": 1, "log_entry": "tried", "agent_id": "ann"}),
        ("add_task_log", {"task_id": 1, "body": "half way", "agent_id": "ann"}),
        ("import_plan", {"document": "projects: [{name: Shed, tasks: [{name: Sort}]}]"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("way", ["header", "argument"])
async def test_a_request_sent_twice_under_one_key_has_one_effect(
    api: OperationsClient, operation: str, raw: Json, way: str
) -> None:
    await api.create_task()
    sent: dict[str, Any] = {"key": "k"} if way == "header" else {"request_id": "k"}
    first = await api.call(operation, **raw, **sent)
    events = await api.events()
    api.clock.advance(3600)
    assert await api.call(operation, **raw, **sent) == first
    assert [event for event in await api.events() if event["type"] != "task.unlocked"][: len(events)] == events
    again = [event["type"] for event in await api.events(len(events))]
    assert set(again) <= {"task.unlocked", "task.status_changed", "task.logged", "task.ready"}
    check(api)


async def test_a_release_sent_twice_under_one_key_gives_one_handoff(api: OperationsClient) -> None:
    task = await api.create_task()
    await api.claim(task["id"], "ann")
    released = await api.release(task["id"], "ann", handoff="nearly done", key="k")
    assert await api.release(task["id"], "ann", handoff="nearly done", key="k") == released
    assert len(await api.logs(task["id"])) == 1


async def test_another_request_under_the_key_is_refused_for_any_difference(api: OperationsClient) -> None:
    await api.create_task()
    await api.call("acquire_task_lock", task_id=1, agent_id="ann", ttl_seconds=60, key="k")
    others: list[tuple[str, Json]] = [
        ("acquire_task_lock", {"task_id": 1, "agent_id": "ann", "ttl_seconds": 61}),
        ("acquire_task_lock", {"task_id": 2, "agent_id": "ann", "ttl_seconds": 60}),
        ("claim_next_task", {"agent_id": "ann"}),
    ]
    for operation, raw in others:
        refusal = await api.call_error(IdempotencyMismatch, operation, key="k", **raw)
        assert "a different request" in refusal.message


@pytest.mark.parametrize("known_first", [True, False])
@pytest.mark.parametrize(
    ("operation", "raw"),
    [
        ("create_task", {"name": "Rake", "project_name": "Garden"}),
        ("claim_next_task", {"ttl_seconds": 60}),
        ("acquire_task_lock", {"task_id": 1}),
        ("update_task", {"task_id": 1, "log_entry": "tried"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_an_agent_may_repeat_a_request_with_and_without_its_id(
    api: OperationsClient, operation: str, raw: Json, known_first: bool
) -> None:
    await api.create_task()
    ann = api.acting_as(Actor("ann", "agent", Role.AGENT, bound=True))
    named = {**raw, "agent_id": "ann"}
    first = await ann.call(operation, key="k", **(named if known_first else raw))
    again = await ann.run(operation, key="k", **(raw if known_first else named))
    assert again.replayed
    assert orjson.loads(again.body) == first
    other = "create_epic" if operation == "create_task" else "create_task"
    await ann.call_error(IdempotencyMismatch, other, key="k", name="Rake", project_name="Garden")


async def test_a_key_belongs_to_its_actor(api: OperationsClient) -> None:
    one = await api.call("create_task", name="x", agent_id="ann", key="k")
    other = await api.call("create_task", name="x", agent_id="bob", key="k")
    assert one["id"] != other["id"]


async def test_a_refused_request_keeps_no_answer_so_that_it_may_succeed_later(api: OperationsClient) -> None:
    task = await api.create_task()
    await api.claim(task["id"], "ann")
    await api.call_error(LockHeld, "acquire_task_lock", task_id=task["id"], agent_id="bob", key="k")
    await api.release(task["id"], "ann")
    assert (await api.claim(task["id"], "bob", key="k"))["holder"] == "bob"


async def test_an_empty_claim_keeps_no_answer_so_that_asking_again_asks_again(api: OperationsClient) -> None:
    assert (await api.claim_next("ann", key="k"))["task"] is None
    task = await api.create_task()
    assert (await api.claim_next("ann", key="k"))["task"]["id"] == task["id"]
    assert (await api.claim_next("ann", key="k"))["task"]["id"] == task["id"]
    assert (await api.claim_next("ann", key="l"))["task"] is None


async def test_the_same_request_many_times_at_once_has_one_effect(api: OperationsClient) -> None:
    answers: list[Json] = []

    async def send() -> None:
        answers.append(await api.call("create_task", name="x", key="k"))

    async with anyio.create_task_group() as senders:
        for _ in range(10):
            senders.start_soon(send)
    assert answers == [answers[0]] * 10
    assert (await api.call("list_tasks"))["total"] == 1


async def test_answers_are_forgotten_after_a_day_and_not_before(api: OperationsClient) -> None:
    async def forget_old() -> list[Json]:
        assert await api.runtime.jobs.run_once("retention")
        return read(address_of(api.runtime), "SELECT key FROM answers")

    await api.create_task(key="k")
    await api.advance(24 * 3600)
    assert await forget_old() == [{"key": "k"}]
    await api.advance(1)
    assert await forget_old() == []


# versions


@pytest.mark.promise("request:if-match")
async def test_of_many_edits_from_one_version_one_is_kept_and_the_others_know(api: OperationsClient) -> None:
    task = await api.create_task(labels=["a"])
    outcomes: list[str] = []
    refusals: list[Json] = []

    async def edit(number: int) -> None:
        try:
            await api.update_task(task["id"], labels=[f"edit {number}"], version=task["version"])
            outcomes.append(f"edit {number}")
        except VersionMismatch as refusal:
            refusals.append(refusal.details)

    async with anyio.create_task_group() as editors:
        for number in range(10):
            editors.start_soon(edit, number)
    assert len(outcomes) == 1
    assert refusals == [{"version": task["version"] + 1, "expected": task["version"]}] * 9
    assert (await api.get_task(task["id"]))["labels"] == outcomes
    assert len(await api.events(0, "task.updated")) == 1


@pytest.mark.promise("request:if-match")
async def test_the_version_grows_with_every_change_and_with_nothing_else(api: OperationsClient) -> None:
    task = await api.create_task()
    seen = [task["version"]]

    async def grown() -> bool:
        seen.append((await api.get_task(task["id"]))["version"])
        return bool(seen[-1] > seen[-2])

    await api.update_task(task["id"], priority=1)
    assert await grown()
    lock = await api.claim(task["id"], "ann", ttl_seconds=60)
    assert await grown()
    await api.call("renew_task_lock", task_id=task["id"], agent_id="ann", fence=lock["fence"])
    await api.call("add_task_log", task_id=task["id"], body="x", agent_id="ann", fence=lock["fence"])
    assert not await grown()
    await api.advance(60)
    assert await grown()
    await api.call_error(StaleFence, "update_task", task_id=task["id"], priority=0, agent_id="ann", fence=lock["fence"])
    assert not await grown()


@pytest.mark.promise("request:if-match")
async def test_an_edit_changes_only_the_fields_that_were_sent(api: OperationsClient) -> None:
    whole: Json = {
        "description": "with a brush",
        "priority": 1,
        "labels": ["wood"],
        "acceptance": ["it is green"],
        "due_at": "2026-12-01T00:00:00.000Z",
        "estimate_minutes": 90,
        "external_key": "G-1",
    }
    await api.call("create_project", name="Garden")
    task = await api.create_task(**whole)
    after = await api.update_task(task["id"], name="Paint the door")
    changed = {name for name in task if task[name] != after[name]}
    assert changed <= {"name", "version", "updated_at"}
    cleared = await api.update_task(task["id"], due_at=None, estimate_minutes=None, external_key=None, labels=[])
    assert [cleared[name] for name in ("due_at", "estimate_minutes", "external_key", "labels")] == [
        None,
        None,
        None,
        [],
    ]
    (first, second) = await api.events(0, "task.updated")
    assert (first["changes"], first["previous"]) == ({"name": "Paint the door"}, {"name": "Paint the fence"})
    assert second["previous"]["labels"] == ["wood"]


@pytest.mark.promise("request:if-match")
@pytest.mark.parametrize("listed", [*NAMING_THE_FIRST, "*"])
async def test_any_of_the_versions_that_are_named_is_good(service: HttpService, listed: str) -> None:
    await service.ok("POST", "/api/tasks", {"name": "x"})
    for _ in range(2):
        sent = await service.send("PATCH", "/api/tasks/1", {"priority": 0}, If_Match=listed, Idempotency_Key="k")
        assert (sent.status_code, sent.json()["version"]) == (200, 2), sent.text
    assert sent.headers["idempotency-replayed"] == "true"
    if listed != "*":
        for method, body in (("PATCH", {"priority": 1}), ("DELETE", None)):
            error = await service.error(412, method, "/api/tasks/1", body, If_Match=listed)
            assert (error["code"], error["details"]["version"]) == ("version_mismatch", 2)
    another = await service.error(422, "PATCH", "/api/tasks/1", {"priority": 3}, If_Match=listed, Idempotency_Key="k")
    assert another["code"] == "idempotency_mismatch"
    assert (await service.ok("GET", "/api/tasks/1"))["priority"] == 0


@pytest.mark.promise("request:if-match")
@pytest.mark.parametrize(
    ("listed", "status", "code"),
    [
        (",", 400, "malformed_header"),
        (", ".join(f'"{number}"' for number in range(1, 18)), 400, "malformed_header"),
        ('""', 412, "version_mismatch"),
        ('"x"', 412, "version_mismatch"),
        (f'"{",1" * 20}"', 412, "version_mismatch"),
        ('"1-x"', 412, "version_mismatch"),
        ('"0", "-1", "1.0"', 412, "version_mismatch"),
        (f'"{2**63}"', 412, "version_mismatch"),
        ('"gzip"', 412, "version_mismatch"),
    ],
)
async def test_a_list_of_versions_without_the_present_one_is_refused(
    service: HttpService, listed: str, status: int, code: str
) -> None:
    await service.ok("POST", "/api/tasks", {"name": "x"})
    error = await service.error(status, "PATCH", "/api/tasks/1", {"priority": 0}, If_Match=listed)
    assert error["code"] == code
    assert (await service.ok("GET", "/api/tasks/1"))["version"] == 1


@pytest.mark.promise("request:if-match")
@pytest.mark.parametrize(("lines", "status"), [(("1", "7"), 200), (("7", "1"), 200), (("7", "8"), 412)])
async def test_several_lines_of_if_match_are_one_list(
    service: HttpService, lines: tuple[str, str], status: int
) -> None:
    await service.ok("POST", "/api/tasks", {"name": "x"})
    headers = [("If-Match", f'"{version}"') for version in lines]
    sent = await service.client.request("PATCH", "/api/tasks/1", json={"priority": 0}, headers=headers)
    assert sent.status_code == status, sent.text


@pytest.mark.parametrize(
    ("field", "header", "given"), [("request_id", "Idempotency_Key", "k"), ("version", "If_Match", '"1"')]
)
async def test_a_field_and_a_header_that_differ_are_refused(
    service: HttpService, field: str, header: str, given: str
) -> None:
    await service.ok("POST", "/api/tasks", {"name": "x"})
    same, other = (1, 2) if field == "version" else ("k", "other")
    error = await service.error(422, "PATCH", "/api/tasks/1", {"priority": 0, field: other}, **{header: given})
    assert error["details"]["errors"][0]["field"] == field
    assert header.replace("_", "-") in error["message"]
    await service.ok("PATCH", "/api/tasks/1", {"priority": 0, field: same}, **{header: given})


@pytest.mark.promise("request:if-match")
async def test_if_match_is_refused_by_a_write_that_compares_no_version(service: HttpService) -> None:
    await service.ok("POST", "/api/tasks", {"name": "x"})
    error = await service.error(400, "POST", "/api/task/1/status", {"status": "DONE"}, If_Match='"1"')
    assert "If-Match" in error["message"]
    assert error["hint"] == "Remove the If-Match header."
    await service.ok("GET", "/api/tasks/1", If_Match='"7"')
    await service.ok("POST", "/api/task/1/status", {"status": "DONE"}, If_Match="*")


@pytest.mark.parametrize("version", [1, "1", 1.0])
async def test_a_version_in_any_form_agrees_with_its_header(service: HttpService, version: object) -> None:
    await service.ok("POST", "/api/tasks", {"name": "x"})
    await service.ok("PATCH", "/api/tasks/1", {"priority": 0, "version": version}, If_Match='"1"')
