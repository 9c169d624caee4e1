"""Projects and epics by name: found in any case, created only on purpose, and always reported."""

from collections.abc import Callable
from typing import Any

import pytest

from project_manager.domain.actors import LOCAL
from project_manager.domain.errors import Invalid, NameTaken, ProjectNotFound
from project_manager.services import resolve
from project_manager.services.resolve import TypoCheckRequired
from project_manager.store.transaction import Tx
from tests.http_service import HttpService
from tests.integration.mcp_product import agent, product
from tests.operations_client import Json, OperationsClient


async def test_projects_and_epics_created_for_a_task_are_in_the_response(api: OperationsClient) -> None:
    task = await api.create_task(project_name="Website", epic_name="Checkout")
    assert task["created"] == {"project": {"id": 1, "name": "Website"}, "epic": {"id": 1, "name": "Checkout"}}
    assert "created" not in await api.create_task(project_name="Website", epic_name="Checkout")
    assert (await api.create_task(project_name="Website", epic_name="Search"))["created"] == {
        "epic": {"id": 2, "name": "Search"}
    }
    alone = await api.call("create_task", name="loose end")
    assert alone["created"] == {"project": {"id": 2, "name": "Inbox"}}


async def test_projects_and_epics_created_for_many_tasks_or_an_epic_are_in_the_response(api: OperationsClient) -> None:
    tasks = [{"name": "one"}, {"name": "two"}]
    first = await api.call("create_tasks", project_name="Website", epic_name="Checkout", tasks=tasks)
    assert first["created"] == {"project": {"id": 1, "name": "Website"}, "epic": {"id": 1, "name": "Checkout"}}
    assert (await api.call("create_tasks", project_name="Website", tasks=tasks))["created"] == {}
    assert (await api.call("create_epic", name="E", project_name="Shop"))["created"] == {
        "project": {"id": 2, "name": "Shop"}
    }
    assert "created" not in await api.call("create_epic", name="F", project_name="Shop")


async def test_the_text_for_an_agent_names_the_resources_that_its_call_created(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async with product(tmp_path_factory.mktemp("made")) as made, agent(made.server) as someone:
        task = await someone.ok("create_task", name="one", project_name="Website")
        assert task["created"] == {"project": {"id": 1, "name": "Website"}}


@pytest.mark.parametrize("name", ["website", " Website ", "WEBSITE"])
async def test_a_name_in_another_case_resolves_to_the_existing_one(api: OperationsClient, name: str) -> None:
    first = await api.create_task(project_name="Website", epic_name="Check out")
    again = await api.create_task(project_name=name, epic_name="CHECK  OUT")
    assert (again["project_id"], again["epic_id"]) == (first["project_id"], first["epic_id"])
    assert "created" not in again


RENAMES: list[tuple[str, Json]] = [
    ("create_project", {"name": "web SITE"}),
    ("update_project", {"project_id": 2, "name": "WebSite"}),
    ("create_epic", {"name": "check OUT", "project_id": 1}),
    ("update_epic", {"epic_id": 2, "name": "Check Out"}),
]


@pytest.mark.parametrize(("operation", "raw"), RENAMES)
async def test_a_name_that_differs_in_case_alone_is_taken(api: OperationsClient, operation: str, raw: Json) -> None:
    await api.call("create_project", name="Web site" if operation == "create_project" else "Website")
    await api.call("create_project", name="Shop")
    await api.call("create_epic", name="Check out", project_id=1)
    await api.call("create_epic", name="Search", project_id=1)
    refusal = await api.call_error(NameTaken, operation, **raw)
    assert refusal.message.startswith(("the name 'Web", "the name 'Check out' is already used by epic 1"))


async def test_a_project_and_an_epic_may_change_the_case_of_their_own_name(api: OperationsClient) -> None:
    await api.create_task(project_name="Website", epic_name="Check out")
    assert (await api.call("update_project", project_id=1, name="WebSite"))["name"] == "WebSite"
    assert (await api.call("update_epic", epic_id=1, name="Check Out"))["name"] == "Check Out"


PLANS = [
    ("projects: [{name: garden}]", "1:12: project 'garden' has the same name as project 'Garden'"),
    (
        "standalone_tasks: [{name: Dig, project: GARDEN}]",
        "1:20: project 'GARDEN' has the same name as project 'Garden'",
    ),
    ("projects: [{name: Shop}, {name: shop}]", "1:26: project 'shop' has the same name as project 'Shop'"),
    ("projects: [{name: Garden, epics: [{name: bEDS}]}]", "1:35: epic 'bEDS' has the same name as epic 'Beds'"),
]


@pytest.mark.parametrize(("document", "words"), PLANS)
async def test_a_plan_with_names_that_differ_from_others_in_case_alone_is_refused(
    api: OperationsClient, document: str, words: str
) -> None:
    await api.create_task(project_name="Garden", epic_name="Beds")
    before = await api.last_seq()
    refusal = await api.call_error(Invalid, "import_plan", document=document)
    assert words in refusal.message
    assert "here too" in str(refusal.details)
    assert await api.last_seq() == before


SLIPS: list[tuple[str, Json]] = [
    ("create_task", {"name": "x"}),
    ("create_tasks", {"tasks": [{"name": "x"}]}),
    ("create_epic", {"name": "x"}),
]


@pytest.mark.parametrize(("operation", "raw"), SLIPS)
async def test_a_misspelt_project_name_creates_nothing(api: OperationsClient, operation: str, raw: Json) -> None:
    await api.call("create_project", name="Website")
    before = await api.last_seq()
    refusal = await api.call_error(Invalid, operation, project_name="Webiste", **raw)
    assert refusal.message == "project not found; did you mean `Website`?"
    assert "POST /api/projects" in refusal.hint
    assert [fault["field"] for fault in refusal.details["errors"]] == ["project_name"]  # type: ignore[attr-defined]
    assert await api.last_seq() == before


async def test_a_misspelt_epic_name_creates_nothing_and_a_new_name_is_created_on_purpose(api: OperationsClient) -> None:
    await api.create_task(project_name="Website", epic_name="Checkout")
    before = await api.last_seq()
    refusal = await api.call_error(Invalid, "create_task", name="x", project_name="Website", epic_name="Chekout")
    assert refusal.message == "epic not found; did you mean `Checkout`?"
    assert await api.last_seq() == before
    await api.call("create_epic", name="Chekout", project_name="Website")
    assert (await api.create_task(project_name="Website", epic_name="Chekout"))["epic_id"] == 2


async def test_a_name_that_another_call_created_meanwhile_is_not_misspelt(api: OperationsClient) -> None:
    async def compared_while_made(kind: str, name: str, check: Callable[[Tx], None], **place: Any) -> None:
        with pytest.raises(TypoCheckRequired) as new:
            await api.runtime.database.writer.run("test", check, LOCAL, "test")
        await api.call(f"create_{kind}", name=name, **place)
        await api.runtime.read("test", new.value.check)

    await compared_while_made("project", "Website", lambda tx: resolve.PROJECT_NAMES.require_typo_check(tx, "website "))
    await compared_while_made(
        "epic", "Checkout", lambda tx: resolve.epic_names(1).require_typo_check(tx, "Checkout"), project_name="Website"
    )


async def test_the_inbox_is_created_by_its_name_or_without_one_despite_similar_names(api: OperationsClient) -> None:
    await api.call("create_project", name="Inboxs")
    assert (await api.call("create_task", name="x"))["created"] == {"project": {"id": 2, "name": "Inbox"}}
    await api.call("delete_project", project_id=2, force=True)
    assert (await api.create_task(project_name="Inbox"))["created"] == {"project": {"id": 3, "name": "Inbox"}}


async def test_a_misspelt_inbox_creates_nothing_also_before_there_is_one(api: OperationsClient) -> None:
    refusal = await api.call_error(Invalid, "create_task", name="x", project_name="Inbux")
    assert refusal.hint.startswith("Send `Inbox`.")
    assert (await api.call("list_projects"))["total"] == 0


READS = ["list_tasks", "get_available_tasks", "list_epics", "get_context", "claim_next_task"]


@pytest.mark.parametrize("operation", READS)
async def test_a_question_may_name_its_project(api: OperationsClient, operation: str) -> None:
    await api.create_task("outside", project_name="Garden", epic_name="Beds")
    await api.create_task("inside", project_name="House", epic_name="Beds")
    named = {"agent_id": "ann"} if operation in ("claim_next_task", "get_context") else {}
    answer = await api.call(operation, project_name="house", **named)
    if operation == "claim_next_task":
        assert answer["task"]["name"] == "inside"
    elif operation == "get_context":
        assert answer["ready_tasks"] == 1
    else:
        assert answer["total"] == 1
        assert [item.get("name") for item in answer["items"]] == (["Beds"] if operation == "list_epics" else ["inside"])
    refusal = await api.call_error(ProjectNotFound, operation, project_name="Houses", **named)
    assert (refusal.message, refusal.hint) == ("project `Houses` not found", "Did you mean `House`?")
    assert (await api.call_error(Invalid, operation, project_name="House", project_id=1, **named)).message


@pytest.mark.slow
async def test_a_wait_by_name_gets_the_task_of_that_project(api: OperationsClient) -> None:
    await api.create_task("outside", project_name="Garden")
    await api.call("create_project", name="House")
    empty = await api.claim_next("ann", project_name="HOUSE", wait_seconds=1)
    assert (empty["task"], empty["tasks"]) == (None, 0)
    await api.create_task("inside", project_name="House")
    assert (await api.claim_next("ann", project_name="HOUSE", wait_seconds=1))["task"]["name"] == "inside"


async def test_an_archived_project_accepts_nothing_new(api: OperationsClient, service: HttpService) -> None:
    await api.create_task("old", project_name="Attic", epic_name="Boxes")
    await api.call("update_project", project_id=1, archived=True)
    before = await api.last_seq()
    for place in ({"project_id": 1}, {"project_name": "attic"}, {"epic_id": 1}):
        for path, body in (("/api/tasks", {"name": "x"}), ("/api/tasks/bulk", {"tasks": [{"name": "x"}]})):
            error = await service.error(409, "POST", path, {**body, **place})
            assert (error["code"], error["details"]) == ("project_archived", {"project_id": 1})
    for place in ({"project_id": 1}, {"project_name": "attic"}):
        assert (await service.error(409, "POST", "/api/epics", {"name": "E", **place}))["code"] == "project_archived"
    assert await api.last_seq() == before
    await api.call("update_project", project_id=1, archived=False)
    assert (await api.create_task("new", project_name="Attic"))["project_id"] == 1


async def test_a_doubled_letter_and_letters_that_changed_places_make_no_new_project_or_epic(
    api: OperationsClient, service: HttpService
) -> None:
    await api.create_task(project_name="lab", epic_name="auth")
    before = await api.last_seq()
    refusal = await api.call_error(Invalid, "create_task", name="x", project_name="labb")
    assert refusal.message == "project not found; did you mean `lab`?"
    refusal = await api.call_error(Invalid, "create_task", name="x", project_name="lab", epic_name="auht")
    assert refusal.message == "epic not found; did you mean `auth`?"
    for query, near in (("project_name=labb", "lab"), ("project_name=lap", "lab"), ("epic_name=auht", "auth")):
        error = await service.error(404, "GET", f"/api/tasks?{query}")
        assert error["hint"] == f"Did you mean `{near}`?"
    assert await api.last_seq() == before


async def test_a_list_in_another_order_is_refused_because_there_is_one_order(service: HttpService) -> None:
    for name in ("sort", "order", "order_by"):
        error = await service.error(422, "GET", f"/api/tasks?{name}=priority")
        assert (error["message"], error["hint"]) == (f"unknown field `{name}`", "Lists have a fixed order.")
