"""The routes of the predecessor: the requests of its clients and the fields that they read."""

import pytest

from tests.http_service import HttpService
from tests.operations_client import OperationsClient

pytestmark = pytest.mark.promise("predecessor:routes")


async def test_a_lock_is_acquired_and_released_with_a_body_as_before(
    service: HttpService, api: OperationsClient
) -> None:
    await api.create_task()
    taken = await service.ok("POST", "/api/task/1/lock", {"agent_id": "ann", "duration_seconds": 120})
    assert (taken["success"], taken["agent_id"], taken["expires_at"]) == (True, "ann", api.clock.later(120))
    assert (taken["lock"]["fence"], taken["task"]["status"]) == (1, "IN_PROGRESS")
    error = await service.error(409, "POST", "/api/task/1/lock", {"agent_id": "bob"})
    assert (error["code"], error["details"]["holder"]) == ("lock_held", "ann")
    given = await service.ok("DELETE", "/api/task/1/lock", {"agent_id": "ann"})
    assert given["success"] is True


async def test_a_lock_is_released_by_query_where_a_client_sends_no_body(
    service: HttpService, api: OperationsClient
) -> None:
    await api.create_task()
    await service.ok("POST", "/api/task/1/lock", {"agent_id": "ann"})
    assert (await service.ok("DELETE", "/api/task/1/lock?agent_id=ann"))["success"] is True


async def test_a_task_that_does_not_exist_is_not_found_where_it_was_locked_by_none(service: HttpService) -> None:
    assert (await service.error(404, "POST", "/api/task/99/lock", {"agent_id": "ann"}))["code"] == "task_not_found"
    assert (await service.error(404, "POST", "/api/task/details", {"task_id": "99"}))["code"] == "task_not_found"


@pytest.mark.parametrize("seconds", [-5, 0, 10**9, "soon"])
async def test_a_duration_out_of_range_is_refused_where_it_was_accepted(
    service: HttpService, api: OperationsClient, seconds: object
) -> None:
    await api.create_task()
    error = await service.error(422, "POST", "/api/task/1/lock", {"agent_id": "ann", "duration_seconds": seconds})
    assert error["details"]["errors"]


async def test_an_agent_id_that_is_a_number_is_refused_where_it_could_not_be_released(
    service: HttpService, api: OperationsClient
) -> None:
    await api.create_task()
    await service.error(422, "POST", "/api/task/1/lock", {"agent_id": 7})
    assert (await api.get_task(1))["lock"] is None


@pytest.mark.parametrize(
    ("word", "status"), [("DONE", "DONE"), ("review", "REVIEW"), ("BLOCKED", "BLOCKED"), ("COMPLETED", "DONE")]
)
async def test_a_status_is_set_as_before_and_in_the_words_that_were_refused(
    service: HttpService, api: OperationsClient, word: str, status: str
) -> None:
    await api.create_task()
    answer = await service.ok("POST", "/api/task/1/status", {"status": word, "agent_id": "ann"})
    assert (answer["success"], answer["status"], answer["agent_id"]) == (True, status, "ann")


async def test_in_progress_keeps_the_lock_as_documented(service: HttpService, api: OperationsClient) -> None:
    await api.create_task()
    answer = await service.ok("POST", "/api/task/1/status", {"status": "IN_PROGRESS", "agent_id": "ann"})
    assert (answer["lock_released"], answer["lock"]["holder"]) == (False, "ann")


async def test_the_board_has_the_fields_that_it_had(service: HttpService, api: OperationsClient) -> None:
    task = await api.create_task(epic_name="Outside", depends_on=[(await api.create_task("first"))["id"]])
    await api.claim(1, "ann")
    board = await service.ok("GET", "/api/board/state")
    held, waiting = board["tasks"]
    assert {"tasks", "epics", "projects", "seq"} <= set(board)
    assert (held["is_locked"], held["lock_holder"], held["lock_expires_at"]) == (
        True,
        "ann",
        held["lock"]["expires_at"],
    )
    assert (waiting["is_locked"], waiting["lock_holder"], waiting["lock_expires_at"]) == (False, None, None)
    assert waiting["dependencies"] == [1]
    assert {"id", "epic_id", "project_id", "name", "description", "status", "created_at", "updated_at"} <= set(waiting)
    assert [epic["id"] for epic in board["epics"]] == [task["epic_id"]]


async def test_details_are_posted_for_with_text_ids_and_the_old_names(
    service: HttpService, api: OperationsClient
) -> None:
    await api.create_task()
    for number in range(3):
        await api.call("add_task_log", task_id=1, body=f"entry {number}")
    details = await service.ok("POST", "/api/task/details", {"task_id": "1", "log_limit": 2})
    assert [entry["body"] for entry in details["logs"]] == ["entry 2", "entry 1"]
    older = await service.ok("POST", "/api/task/details", {"task_id": "1", "before_seq": details["logs_before"]})
    assert [entry["body"] for entry in older["logs"]] == ["entry 0"]
    assert (details["task"]["id"], details["project"]["name"]) == (1, "Garden")


async def test_lists_by_epic_of_a_project_and_filtered_tasks_answer_still(
    service: HttpService, api: OperationsClient
) -> None:
    task = await api.create_task(epic_name="Outside")
    epics = await service.ok("GET", f"/api/projects/{task['project_id']}/epics")
    assert [epic["name"] for epic in epics["items"]] == ["Outside"]
    filtered = await service.ok("GET", "/api/tasks/filtered?status=pending&limit=5")
    assert [row["id"] for row in filtered["items"]] == [task["id"]]
    assert (await service.ok("GET", "/api/projects?status=ALL"))["total"] == 1


async def test_deleting_a_task_under_a_working_agent_is_refused_where_it_was_not(
    service: HttpService, api: OperationsClient
) -> None:
    await api.create_task()
    await api.claim(1, "ann")
    assert (await service.error(409, "DELETE", "/api/tasks/1"))["code"] == "lock_held"
    deleted = await service.ok("DELETE", "/api/tasks/1?force=true")
    assert (deleted["success"], deleted["deleted"]) == (True, "task")
    assert [event["reason"] for event in await api.events(0, "task.unlocked")] == ["deleted"]


async def test_deleting_a_project_counts_the_rows_deleted_with_it(service: HttpService, api: OperationsClient) -> None:
    await api.create_task(epic_name="Outside")
    await api.create_task()
    error = await service.error(409, "DELETE", "/api/projects/1")
    assert (error["code"], error["details"]) == ("not_empty", {"epics": 1, "tasks": 2, "knowledge": 0})
    deleted = await service.ok("DELETE", "/api/projects/1?force=true")
    assert (deleted["epics"], deleted["tasks"]) == (1, 2)
    assert (await service.ok("GET", "/api/board/state"))["tasks"] == []


async def test_a_stale_agent_can_no_longer_reopen_finished_work(service: HttpService, api: OperationsClient) -> None:
    await api.create_task()
    await service.ok("POST", "/api/task/1/status", {"status": "DONE", "agent_id": "ann"})
    error = await service.error(409, "POST", "/api/task/1/status", {"status": "IN_PROGRESS", "agent_id": "bob"})
    assert error["code"] == "invalid_transition"
    assert (await service.error(409, "POST", "/api/task/1/lock", {"agent_id": "bob"}))["code"] == "invalid_transition"


async def test_search_has_a_path_of_its_own(service: HttpService, api: OperationsClient) -> None:
    await api.create_task()
    assert (await service.ok("GET", "/api/search?q=paint"))["total"] == 1
