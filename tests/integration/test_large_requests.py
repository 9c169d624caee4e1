"""Input that is expensive to refuse: it is refused before the work, with a short response."""

from typing import Any

import anyio.to_thread
import orjson
import pytest
from websockets.exceptions import ConnectionClosed

from project_manager.domain.errors import Invalid, ProjectNotFound
from project_manager.domain.limits import BODY_BYTES, FIELD_ERRORS, MAX_KEYS
from project_manager.runtime.dispatch import Runtime
from project_manager.runtime.open import open_runtime
from project_manager.runtime.rate_limit import BURST_SECONDS
from tests.http_service import HttpService, run_http_service
from tests.integration.mcp_product import agent, product
from tests.operations_client import Json, OperationsClient
from tests.stored_rows import Address, settings_of

pytestmark = pytest.mark.slow

RESPONSE_BYTES = 16 * 1024


def odd_fields(number: int) -> Json:
    return {f"naem{place}": 1 for place in range(number)}


async def queries(runtime: Runtime, name: str) -> float:
    """Return the number of runs of the query with this name."""
    line = f'pm_query_duration_seconds_count{{query="{name}"}} '
    page = (await anyio.to_thread.run_sync(runtime.metrics.render)).decode()
    return next((float(found.removeprefix(line)) for found in page.splitlines() if found.startswith(line)), 0.0)


async def test_an_object_with_too_many_fields_is_one_field_error_over_rest(service: HttpService) -> None:
    for method, path in (("POST", "/api/task/details"), ("PATCH", "/api/tasks/1"), ("POST", "/api/tasks")):
        error = await service.error(422, method, path, odd_fields(60_000))
        assert error["message"].endswith(" fields; the limit is 256")
        assert len(error["details"]["errors"]) == 1


async def test_an_object_in_a_list_with_too_many_fields_is_one_field_error(service: HttpService) -> None:
    body = {"tasks": [{"name": "x"}, {"name": "x", **odd_fields(MAX_KEYS)}]}
    error = await service.error(422, "POST", "/api/tasks/bulk", body)
    assert error["message"] == "`tasks.1` has 257 fields; the limit is 256"


async def test_too_many_fields_are_refused_over_mcp_and_by_the_websocket(
    tmp_path_factory: pytest.TempPathFactory, service: HttpService
) -> None:
    async with product(tmp_path_factory.mktemp("made")) as made, agent(made.server) as someone:
        text = await someone.fails("list_tasks", **odd_fields(60_000))
        assert text == "INVALID: `(body)` has 60,000 fields; the limit is 256"
    with pytest.raises(ConnectionClosed) as closed:
        async with service.listen("&".join(f"naem{place}=1" for place in range(MAX_KEYS + 1))) as connection:
            await connection.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.reason == "`(body)` has 257 fields; the limit is 256"


async def test_the_first_field_errors_are_listed_and_the_others_are_counted(service: HttpService) -> None:
    error = await service.error(422, "POST", "/api/tasks", {"name": "x", **odd_fields(200)})
    assert error["code"] == "unknown_argument"
    assert len(error["details"]["errors"]) == FIELD_ERRORS
    assert error["details"]["total"] == 200
    assert error["message"].endswith("; and 180 more")


async def test_unknown_fields_of_many_objects_are_counted_together(service: HttpService) -> None:
    body = {"tasks": [{"name": "x", **odd_fields(110)}] * 500}
    response = await service.send("POST", "/api/tasks/bulk", body)
    assert len(response.content) < RESPONSE_BYTES
    error = response.json()
    assert (error["code"], error["details"]["total"]) == ("unknown_argument", 55_000)
    assert [fault["field"] for fault in error["details"]["errors"]][:2] == ["tasks.0.naem0", "tasks.0.naem1"]


LISTS: list[tuple[str, str, str, object]] = [
    ("GET", "/api/tasks", "status", "bogus"),
    ("GET", "/api/events", "types", "bogus"),
    ("GET", "/api/tasks", "ids", "bogus"),
    ("GET", "/api/tasks", "fields", 1),
    ("POST", "/api/tasks", "labels", 1),
    ("POST", "/api/tasks", "acceptance", ""),
    ("POST", "/api/tasks", "depends_on", "bogus"),
    ("POST", "/api/tasks", "assumptions", 1),
]


@pytest.mark.parametrize(("method", "path", "field", "entry"), LISTS)
async def test_a_list_with_too_many_invalid_entries_is_one_field_error(
    service: HttpService, method: str, path: str, field: str, entry: object
) -> None:
    error = await service.error(422, method, path, {"name": "x", field: [entry] * (BODY_BYTES // 10)})
    faults = [fault["field"] for fault in error["details"]["errors"]]
    assert [found for found in faults if found.startswith(field)] == [f"{field}.0"]


@pytest.mark.parametrize("faulty", [{"labels": [1] * 500}, {"status": "bogus"}], ids=str)
async def test_field_errors_of_many_objects_have_a_short_response(service: HttpService, faulty: Json) -> None:
    response = await service.send("POST", "/api/tasks/bulk", {"tasks": [{"name": "x", **faulty}] * 500})
    assert response.status_code == 422
    assert len(response.content) < RESPONSE_BYTES
    error = response.json()
    assert (len(error["details"]["errors"]), error["details"]["total"]) == (FIELD_ERRORS, 500)


async def test_a_list_that_is_too_long_is_refused_before_its_entries_are_read(service: HttpService) -> None:
    error = await service.error(422, "POST", "/api/tasks", {"name": "x", "labels": ["a"] * 100_000})
    assert error["message"] == "`labels` has more than 32 entries"


async def test_a_very_long_name_is_quoted_by_its_beginning(service: HttpService, api: OperationsClient) -> None:
    name = "n" * (BODY_BYTES - 100)
    for body in ({name: 1}, {"tasks": [{name: 1}]}):
        response = await service.send("POST", "/api/tasks/bulk", body)
        assert response.status_code == 422
        assert len(response.content) < RESPONSE_BYTES
    document = f"projects: [{{name: P, tasks: [{{? '{name}' : 1, ? '{name}' : 2, name: x}}]}}]"
    refusal = await api.call_error(Invalid, "import_plan", document=document)
    assert len(orjson.dumps([refusal.message, refusal.hint, refusal.details])) < RESPONSE_BYTES


async def test_calls_with_invalid_input_count_for_the_agent_that_they_name(database: Address) -> None:
    settings = settings_of(database, RATE_LIMIT_PER_SECOND=1)
    async with open_runtime(settings) as runtime, run_http_service(runtime) as service:
        body = {"agent_id": "wild", "naem": 1}
        answers = [await service.send("POST", "/api/tasks", body) for _ in range(BURST_SECONDS + 1)]
        assert [answer.status_code for answer in answers] == [422] * BURST_SECONDS + [429]
        assert (await service.send("POST", "/api/tasks", body | {"agent_id": "tame"})).status_code == 422


@pytest.mark.parametrize("operation", ["claim_next_task", "list_tasks", "export_plan"])
async def test_a_reader_searches_for_a_suggestion_after_the_refusal(
    api: OperationsClient, runtime: Runtime, operation: str
) -> None:
    await api.call("create_project", name="Website")
    if operation == "export_plan":
        with pytest.raises(ProjectNotFound) as caught:
            await api.stream_text(operation, project="Webstie")
        refusal = caught.value
    else:
        refusal = await api.call_error(ProjectNotFound, operation, project_name="Webstie")
    assert refusal.hint == "Did you mean `Website`?"
    assert await queries(runtime, "suggest") == 1


async def test_a_new_name_is_compared_by_a_reader_between_two_transactions(
    api: OperationsClient, runtime: Runtime
) -> None:
    made = await api.create_task(project_name="Website", epic_name="Checkout", key="once")
    assert made["created"] == {"project": {"id": 1, "name": "Website"}, "epic": {"id": 1, "name": "Checkout"}}
    assert await queries(runtime, "compare_names") == 1
    await api.create_task(project_name="Website", epic_name="Search")
    await api.create_task(project_name="Website", epic_name="Search")
    assert await queries(runtime, "compare_names") == 2
    refusal = await api.call_error(Invalid, "create_task", name="x", project_name="Website", epic_name="Saerch")
    assert refusal.message == "epic not found; did you mean `Search`?"
    again = await api.create_task(project_name="Website", epic_name="Checkout", key="once")
    assert again["id"] == made["id"]


async def test_references_of_a_plan_get_their_suggestions_after_the_transaction(
    api: OperationsClient, runtime: Runtime
) -> None:
    document = "projects: [{name: P, tasks: [{name: Dig a hole}, {name: x, depends_on: [Dig a hoel]}]}]"
    refusal = await api.call_error(Invalid, "import_plan", document=document, dry_run=True)
    named: Any = refusal.details["errors"]
    assert refusal.message.endswith("database; did you mean `Dig a hole`?")
    assert [fault["message"].rpartition("; ")[2] for fault in named] == ["did you mean `Dig a hole`?"]
    assert await queries(runtime, "suggest") == 1
