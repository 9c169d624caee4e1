"""Composed and decomposed letters are the same text, over every interface."""

import json
import unicodedata
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import anyio.to_thread
import pytest

from project_manager.catalogue import BY_NAME
from project_manager.domain.actors import LOCAL
from project_manager.domain.errors import AgentRequired, ExternalKeyTaken, Invalid, NameTaken
from project_manager.runtime.calls import Caller
from project_manager.store import projects
from tests.http_service import HttpService
from tests.integration.mcp_product import agent, product
from tests.operations_client import Json, OperationsClient
from tests.stored_rows import INTEGRITY_ERRORS, address_of, writing

CAFE = "Caf\u00e9"
APART = unicodedata.normalize("NFD", CAFE)
WIDE = "\uff23\uff21\uff26\u00c9"


@pytest.fixture(autouse=True)
def the_forms_differ() -> None:
    assert APART != CAFE


async def test_a_task_in_two_forms_is_in_one_project_one_epic_and_has_composed_texts(api: OperationsClient) -> None:
    first = await api.create_task(APART, project_name=APART, epic_name=APART, labels=[APART, CAFE], acceptance=[APART])
    again = await api.create_task(CAFE, project_name=CAFE, epic_name=CAFE)
    assert (again["project_id"], again["epic_id"]) == (first["project_id"], first["epic_id"])
    assert (first["name"], first["labels"], first["acceptance"]) == (CAFE, [CAFE], [CAFE])
    assert (await api.call("list_tasks", label=APART, project_name=WIDE))["total"] == 1


@pytest.mark.parametrize("name", [APART, WIDE, f" {CAFE.upper()} ", "Ca\u00adf\u00e9"])
async def test_a_name_with_the_same_key_resolves_to_the_existing_one_and_is_taken(
    api: OperationsClient, name: str
) -> None:
    first = await api.create_task(project_name=CAFE, epic_name=CAFE)
    again = await api.create_task(project_name=name, epic_name=name)
    assert (again["project_id"], again["epic_id"]) == (first["project_id"], first["epic_id"])
    await api.call("create_project", name="Shop")
    await api.call("create_epic", name="Shop", project_id=1)
    await api.call_error(NameTaken, "create_project", name=name)
    await api.call_error(NameTaken, "update_project", project_id=2, name=name)
    await api.call_error(NameTaken, "create_epic", name=name, project_id=1)
    await api.call_error(NameTaken, "update_epic", epic_id=2, name=name)
    assert (await api.call("update_project", project_id=1, name=name))["id"] == 1
    await api.call_error(NameTaken, "create_project", name=CAFE)


async def test_the_database_refuses_a_second_name_of_one_key(api: OperationsClient) -> None:
    await api.call("create_project", name=CAFE)

    def add() -> None:
        with writing(address_of(api.runtime)) as tx:
            projects.add(tx, WIDE, "")

    with pytest.raises(INTEGRITY_ERRORS, match="name_key"):
        await anyio.to_thread.run_sync(add)


async def test_a_plan_in_the_other_form_changes_nothing(api: OperationsClient) -> None:
    plan = f"""
projects:
  - name: {CAFE}
    epics:
      - name: {CAFE}
        tasks:
          - name: {CAFE}
            external_key: {CAFE}-1
            labels: [{CAFE}]
          - name: Men\u00fc
            depends_on: [{CAFE}]
            conflicts_with: ["{CAFE} / {CAFE} / {CAFE}"]
    knowledge:
      - {{title: {CAFE}, content: x, epic: {CAFE}, task: Men\u00fc, tags: [{CAFE}]}}
      - {{title: below, content: x, parent: {CAFE}}}
"""
    done = await api.call("import_plan", document=plan)
    assert (done["created"], done["unchanged"]) == (6, 0)
    again = await api.call("import_plan", document=unicodedata.normalize("NFD", plan))
    assert (again["created"], again["changed"], again["unchanged"]) == (0, 0, 6)
    assert "".join([part async for part in _export(api)]).count(CAFE) >= 6


async def _export(api: OperationsClient) -> Any:
    yield await api.stream_text("export_plan", project=APART)


async def test_a_key_and_an_idempotency_key_are_exact_after_composition(api: OperationsClient) -> None:
    task = await api.create_task(external_key=APART)
    assert task["external_key"] == CAFE
    await api.call_error(ExternalKeyTaken, "create_task", name="x", project_name="Garden", external_key=CAFE)
    assert (await api.create_task(external_key=CAFE.upper()))["external_key"] == CAFE.upper()
    first = await api.call("create_task", name="once", request_id=APART)
    assert (await api.call("create_task", name="once", request_id=CAFE))["id"] == first["id"]
    assert (await api.call("create_task", name="once", request_id=CAFE.upper()))["id"] != first["id"]


async def test_the_holder_is_the_same_agent_in_both_forms(api: OperationsClient) -> None:
    task = await api.create_task()
    lock = await api.claim(task["id"], APART)
    assert lock["holder"] == CAFE
    await api.release(task["id"], CAFE, fence=lock["fence"])
    assert (await api.call("get_agent", agent_id=APART))["id"] == CAFE
    assert (await api.claim(task["id"], CAFE.upper()))["holder"] == CAFE.upper()


@pytest.mark.parametrize("name", ["Local", "SYSTEM", "\uff4cocal", "Unnamed", "UNNAMED/x", "unnamed\uff0fx"])
async def test_no_agent_has_a_name_that_looks_like_one_of_the_service(api: OperationsClient, name: str) -> None:
    task = await api.create_task()
    await api.call_error(AgentRequired, "acquire_task_lock", task_id=task["id"], agent_id=name)
    token = {"name": "t", "role": "operator", "agent_id": name}
    with pytest.raises((AgentRequired, Invalid)):
        await api.runtime.run(BY_NAME["create_token"], token, Caller(LOCAL, "cli", "test"))


async def test_an_agent_id_has_no_invisible_letter(api: OperationsClient) -> None:
    task = await api.create_task()
    refused = await api.call_error(Invalid, "acquire_task_lock", task_id=task["id"], agent_id="lo\u034fcal")
    assert "`agent_id` contains a character that is invisible" in refused.message


INVISIBLE = ["\u200b", "\u3164", "\u115f", "\u2800", "\ufeff\u2060"]


@pytest.mark.parametrize("text", INVISIBLE)
async def test_a_text_of_one_line_without_anything_to_see_is_refused(api: OperationsClient, text: str) -> None:
    for operation, raw in (
        ("create_project", {"name": text}),
        ("create_task", {"name": "x", "project_name": text}),
        ("create_task", {"name": "x", "labels": [text]}),
        ("create_task", {"name": "x", "external_key": text}),
        ("create_task", {"name": "x", "request_id": text}),
        ("create_task", {"name": "x", "agent_id": text}),
        ("create_token", {"name": text, "role": "operator"}),
        ("upsert_knowledge", {"title": text, "content": "x", "project_name": "Garden"}),
    ):
        assert "has no visible character" in (await api.call_error(Invalid, operation, **raw)).message
    document = f'projects: [{{name: "{text}"}}]'
    refusal = await api.call_error(Invalid, "import_plan", document=document)
    assert "has no visible character" in refusal.message or "is empty" in refusal.message


async def test_a_text_that_is_too_long_only_before_composition_is_accepted(api: OperationsClient) -> None:
    name = unicodedata.normalize("NFD", "\u1f82" * 200)
    assert len(name) == 800
    assert (await api.create_task(name))["name"] == "\u1f82" * 200
    await api.call_error(Invalid, "create_task", name="x" + name)


async def test_over_rest_body_query_path_and_header_are_composed(api: OperationsClient, service: HttpService) -> None:
    await api.create_task(project_name=CAFE, labels=[CAFE], agent_id=CAFE)
    for query in (
        f"project_name={quote(APART)}",
        f"label={quote(APART)}",
        f"q={quote(APART)}&project_name={quote(WIDE)}",
    ):
        listed = await service.ok("GET", f"/api/tasks?{query}")
        assert listed["total"] == (0 if query.startswith("q=") else 1)
    assert (await service.ok("GET", f"/api/agents/{quote(APART)}"))["id"] == CAFE
    body: Json = {"name": "once", "project_name": APART}
    first = await service.ok("POST", "/api/tasks", body, Idempotency_Key=APART)
    replayed = await service.send("POST", "/api/tasks", body, Idempotency_Key=CAFE)
    assert (replayed.json()["id"], replayed.headers["idempotency-replayed"]) == (first["id"], "true")
    in_body = await service.ok("POST", "/api/tasks", {**body, "request_id": CAFE})
    assert in_body["id"] == first["id"]
    latin = await service.client.post("/api/tasks", json=body, headers={b"Idempotency-Key": CAFE.encode("latin-1")})
    assert latin.json()["id"] == first["id"]
    await service.error(400, "POST", "/api/tasks", body, Idempotency_Key="\u200b")


async def test_over_mcp_arguments_resources_and_completions_are_composed(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        await someone.ok("create_task", name=APART, project_name=APART, agent_id=APART, request_id=APART)
        again = await someone.ok("create_task", name=CAFE, project_name=CAFE, agent_id=CAFE, request_id=CAFE)
        assert again["id"] == 1
        claimed = await someone.ok("claim_next_task", agent_id=APART, project_name=WIDE)
        assert claimed["task"]["name"] == CAFE
        for form in (APART, CAFE):
            read = await someone.client.read_resource(f"pm://agent/{quote(form)}")
            assert f'"agent_id":"{CAFE}"' in read.model_dump()["contents"][0]["text"]
        assert "has no visible character" in await someone.fails("create_task", name="\u3164")


RESERVED = ["team/one", "a/b/c", "50%", "%2F", "a?b=c&d", "a#b", "<b>x</b>", "a b", "a+b", "a;b,c", "x" * 126 + "/y"]


async def test_an_agent_id_with_reserved_letters_is_read_back_over_rest(
    api: OperationsClient, service: HttpService
) -> None:
    for name in RESERVED:
        task = await api.create_task()
        lock = await api.claim(task["id"], name)
        assert lock["holder"] == name
        found = await service.ok("GET", f"/api/agents/{quote(name, safe='')}")
        assert (found["id"], [held["task_id"] for held in found["locks"]]) == (name, [task["id"]])
        assert (await service.ok("GET", f"/api/tasks?holder={quote(name, safe='')}"))["total"] == 1


async def test_an_agent_id_with_reserved_letters_is_read_back_over_mcp(tmp_path: Path) -> None:
    async with product(tmp_path) as made, agent(made.server) as someone:
        for name in RESERVED:
            await someone.ok("create_task", name="x")
            await someone.ok("claim_next_task", agent_id=name)
            read = await someone.client.read_resource(f"pm://agent/{quote(name, safe='')}")
            assert json.loads(read.model_dump()["contents"][0]["text"])["agent_id"] == name


async def test_an_agent_id_is_found_also_where_a_proxy_has_decoded_the_slash(
    api: OperationsClient, service: HttpService
) -> None:
    await api.claim((await api.create_task())["id"], "team/one")
    assert (await service.ok("GET", "/api/agents/team/one"))["id"] == "team/one"
    assert (await service.error(404, "GET", "/api/agents/team/two"))["code"] == "agent_not_found"
    assert (await service.error(404, "GET", "/api/agents/"))["code"] == "route_not_found"
    await service.error(422, "DELETE", "/api/tasks/1%2Flock")


async def test_a_label_holds_a_comma_in_a_list_and_a_text_of_labels_is_split_at_commas(
    api: OperationsClient, service: HttpService
) -> None:
    body = {"name": "x", "labels": ["needs, review", "plain"]}
    assert (await service.ok("POST", "/api/tasks", body))["labels"] == ["needs, review", "plain"]
    as_text = {"name": "x", "labels": "needs, review"}
    assert (await service.ok("POST", "/api/tasks", as_text))["labels"] == ["needs", "review"]
    as_json = {"name": "x", "labels": '["needs, review"]'}
    assert (await service.ok("POST", "/api/tasks", as_json))["labels"] == ["needs, review"]
    assert (await service.ok("GET", f"/api/tasks?label={quote('needs, review')}"))["total"] == 2
    listed = await service.ok("GET", "/api/tasks/available?" + urlencode({"labels": '["needs, review"]'}))
    assert listed["total"] == 2
    exported = await api.stream_text("export_plan")
    await api.call("import_plan", document=exported)
    assert await api.stream_text("export_plan") == exported
