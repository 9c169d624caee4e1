"""Transitions between statuses, through the operations that make them."""

from urllib.parse import quote

import pytest

from project_manager.domain.errors import Invalid, InvalidTransition
from project_manager.domain.statuses import CLOSED, TRANSITIONS, Status
from project_manager.schemas.tasks import UpdateTask
from tests.http_service import HttpService
from tests.integration.invariants import check
from tests.integration.mcp_product import agent, product
from tests.operations_client import Json, OperationsClient

WAYS = {
    Status.BACKLOG: ["BACKLOG"],
    Status.TODO: [],
    Status.IN_PROGRESS: ["IN_PROGRESS"],
    Status.REVIEW: ["REVIEW"],
    Status.BLOCKED: ["BLOCKED"],
    Status.DONE: ["DONE"],
    Status.CANCELLED: ["CANCELLED"],
}


async def task_with_status(api: OperationsClient, status: Status) -> int:
    number: int = (await api.create_task())["id"]
    for step in WAYS[status]:
        await api.set_status(number, step)
    return number


@pytest.mark.promise("status:transitions")
@pytest.mark.parametrize("current", Status)
async def test_every_transition_is_made_or_refused_as_in_the_table(api: OperationsClient, current: Status) -> None:
    for target in Status:
        number = await task_with_status(api, current)
        if target in TRANSITIONS[current]:
            moved = await api.set_status(number, target, reopen=current in CLOSED)
            assert (moved["status"], moved["previous_status"]) == (target, current)
            continue
        refusal = await api.call_error(
            InvalidTransition, "update_task_status", task_id=number, status=target, reopen=True
        )
        assert refusal.details["legal"] == sorted(TRANSITIONS[current] - {current})
        assert all(legal in refusal.hint for legal in TRANSITIONS[current] - {current})
        assert (await api.get_task(number))["status"] == current
    check(api)


@pytest.mark.promise("status:reopen")
@pytest.mark.parametrize("status", sorted(CLOSED))
@pytest.mark.parametrize("agent", ["ann", None])
async def test_a_late_agent_cannot_undo_finished_work(api: OperationsClient, status: Status, agent: str | None) -> None:
    number = await task_with_status(api, status)
    raw: Json = {"task_id": number, "status": "TODO", **({"agent_id": agent} if agent else {})}
    refusal = await api.call_error(InvalidTransition, "update_task_status", **raw)
    assert "reopen=true" in refusal.hint
    assert refusal.details["legal"] == sorted(TRANSITIONS[status] - {status})
    assert refusal.details["reopen_required"] is True
    if agent is not None:
        claimed = await api.call_error(InvalidTransition, "acquire_task_lock", task_id=number, agent_id=agent)
        assert claimed.details == refusal.details
    assert (await api.get_task(number))["status"] == status
    assert (await api.call("update_task_status", **raw, reopen=True))["status"] == "TODO"
    check(api)


@pytest.mark.promise("status:reopen")
async def test_finished_work_is_reopened_on_purpose_straight_into_a_lease(api: OperationsClient) -> None:
    number = await task_with_status(api, Status.DONE)
    moved = await api.set_status(number, "IN_PROGRESS", "ann", reopen=True)
    assert (moved["status"], moved["lock"]["holder"]) == ("IN_PROGRESS", "ann")
    assert (await api.get_task(number))["completed_at"] is None
    check(api)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("todo", "TODO"),
        ("pending", "TODO"),
        ("completed", "DONE"),
        ("Complete", "DONE"),
        ("canceled", "CANCELLED"),
        ("in-progress", "IN_PROGRESS"),
        ("In Progress", "IN_PROGRESS"),
        (" review ", "REVIEW"),
    ],
)
async def test_a_status_is_accepted_in_any_case_and_in_the_words_of_the_predecessor(
    api: OperationsClient, word: str, status: str
) -> None:
    number = await task_with_status(api, Status.BLOCKED)
    assert (await api.set_status(number, word))["status"] == status


@pytest.mark.parametrize(("word", "status"), [("wip", "IN_PROGRESS"), ("closed", "DONE"), ("won't fix", "CANCELLED")])
async def test_the_words_of_other_trackers_are_accepted_over_rest_and_mcp_and_in_plans(
    api: OperationsClient, service: HttpService, tmp_path_factory: pytest.TempPathFactory, word: str, status: str
) -> None:
    number = await task_with_status(api, Status.BLOCKED)
    changed = await service.ok("POST", f"/api/tasks/{number}/status", {"status": word})
    assert changed["status"] == status
    assert (await service.ok("GET", f"/api/tasks?status={quote(word)}"))["total"] == 1
    document = f"standalone_tasks: [{{name: from a plan, status: {word}}}]"
    await api.call("import_plan", document=document)
    assert (await api.call("list_tasks", status=status))["total"] == 2
    async with product(tmp_path_factory.mktemp("mcp")) as made, agent(made.server) as someone:
        await someone.ok("create_task", name="x", agent_id="ann")
        assert (await someone.ok("update_task_status", task_id=1, status=word, agent_id="ann"))["status"] == status


@pytest.mark.parametrize("word", ["DOEN", "almost", "", 7, None, ["DONE"]])
async def test_a_word_that_is_no_status_is_refused_with_those_that_are(api: OperationsClient, word: object) -> None:
    number = await task_with_status(api, Status.TODO)
    refusal = await api.call_error(Invalid, "update_task_status", task_id=number, status=word)
    assert "BACKLOG, TODO, IN_PROGRESS, REVIEW, BLOCKED, DONE, CANCELLED" in refusal.message
    assert ("did you mean `DONE`?" in refusal.message) is (word == "DOEN")


@pytest.mark.parametrize("status", ["IN_PROGRESS", "REVIEW", "BLOCKED"])
async def test_a_task_does_not_begin_in_the_middle(api: OperationsClient, status: str) -> None:
    refusal = await api.call_error(Invalid, "create_task", name="x", status=status)
    assert refusal.details["errors"][0]["field"] == "status"  # type: ignore[index]


async def test_setting_the_status_that_a_task_has_changes_nothing(api: OperationsClient) -> None:
    number = await task_with_status(api, Status.REVIEW)
    before, head = await api.get_task(number), await api.last_seq()
    moved = await api.set_status(number, "REVIEW")
    assert (moved["status"], moved["previous_status"]) == ("REVIEW", "REVIEW")
    assert await api.get_task(number) == before
    assert await api.last_seq() == head


async def test_a_note_with_a_status_is_in_the_log(api: OperationsClient) -> None:
    number = await task_with_status(api, Status.TODO)
    await api.set_status(number, "BLOCKED", "ann", note="the API key is missing")
    assert [(entry["author"], entry["body"]) for entry in await api.logs(number)] == [("ann", "the API key is missing")]


async def test_completed_at_is_there_exactly_while_a_task_is_done(api: OperationsClient) -> None:
    number = await task_with_status(api, Status.TODO)
    api.clock.advance(60)
    assert (await api.set_status(number, "DONE"))["task"]["completed_at"] == api.clock.later(0)
    assert (await api.set_status(number, "REVIEW", reopen=True))["task"]["completed_at"] is None


async def test_an_edit_without_fields_is_refused_with_every_field_name(api: OperationsClient) -> None:
    number = await task_with_status(api, Status.TODO)
    refusal = await api.call_error(Invalid, "update_task", task_id=number)
    named = set(refusal.hint.removeprefix("The fields are ").removesuffix(".").split(", "))
    about_the_call = {"task_id", "agent_id", "fence", "request_id", "version", "force", "reopen"}
    assert named == set(UpdateTask.model_fields) - about_the_call
