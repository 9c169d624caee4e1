"""Projects and epics, and the project and epic of a task."""

import pytest

from project_manager.domain.errors import (
    EpicNotFound,
    ExternalKeyTaken,
    Invalid,
    NameTaken,
    NotEmpty,
    ProjectNotFound,
    RoleRequired,
    VersionMismatch,
)
from tests.http_service import HttpService
from tests.integration.invariants import check
from tests.operations_client import Json, OperationsClient


async def test_a_project_is_made_read_edited_and_deleted(api: OperationsClient) -> None:
    made = await api.call("create_project", name="Garden", description="behind the house")
    assert made == await api.call("get_project", project_id=1)
    api.clock.advance(60)
    edited = await api.call("update_project", project_id=1, description="green")
    assert (edited["name"], edited["description"], edited["version"]) == ("Garden", "green", made["version"] + 1)
    assert (edited["created_at"], edited["updated_at"]) == (made["created_at"], api.clock.later(0))
    assert (await api.call("delete_project", project_id=1))["success"] is True
    await api.call_error(ProjectNotFound, "get_project", project_id=1)
    assert (await api.call("create_project", name="Garden"))["id"] == 2


async def test_an_epic_is_made_read_edited_and_deleted(api: OperationsClient) -> None:
    await api.call("create_project", name="Garden")
    made = await api.call("create_epic", name="Outside", project_name="Garden", status="planned")
    assert made == await api.call("get_epic", epic_id=1)
    assert (made["status"], made["project_id"]) == ("PLANNED", 1)
    edited = await api.call("update_epic", epic_id=1, status="active", position=7)
    assert (edited["name"], edited["status"], edited["position"]) == ("Outside", "ACTIVE", 7)
    assert (await api.call("delete_epic", epic_id=1))["deleted"] == "epic"
    await api.call_error(EpicNotFound, "get_epic", epic_id=1)


async def test_names_are_unique_where_they_have_to_be(api: OperationsClient) -> None:
    await api.call("create_epic", name="E", project_name="A")
    await api.call("create_epic", name="E", project_name="B")
    await api.call("create_epic", name="F", project_name="A")
    for operation, raw in [
        ("create_project", {"name": "A"}),
        ("update_project", {"project_id": 1, "name": "B"}),
        ("create_epic", {"name": "E", "project_id": 1}),
        ("update_epic", {"epic_id": 3, "name": "E"}),
    ]:
        before = await api.last_seq()
        sent: Json = dict(raw)  # type: ignore[call-overload]
        assert (await api.call_error(NameTaken, operation, **sent)).details["name"] in ("A", "B", "E")
        assert await api.last_seq() == before
    assert (await api.call("update_project", project_id=1, name="A"))["name"] == "A"


async def test_an_external_key_is_unique_in_its_project(api: OperationsClient) -> None:
    await api.create_task(external_key="G-1")
    await api.create_task("other", project_name="Shed", external_key="G-1")
    await api.create_task("third")
    refusal = await api.call_error(ExternalKeyTaken, "create_task", name="x", project_id=1, external_key="G-1")
    assert refusal.details["task_id"] == 1
    await api.call_error(ExternalKeyTaken, "update_task", task_id=3, external_key="G-1")
    assert (await api.update_task(1, external_key="G-1"))["external_key"] == "G-1"


async def test_a_task_without_a_project_goes_into_the_inbox(api: OperationsClient) -> None:
    task = await api.call("create_task", name="x")
    assert (await api.call("get_project", project_id=task["project_id"]))["name"] == "Inbox"


async def test_a_project_or_epic_given_by_name_is_made_once(api: OperationsClient) -> None:
    one = await api.create_task("one", epic_name="Outside")
    two = await api.create_task("two", epic_name="Outside")
    assert (one["project_id"], one["epic_id"]) == (two["project_id"], two["epic_id"])
    assert len(await api.events(0, "project.created", "epic.created")) == 2


@pytest.mark.parametrize(
    "raw",
    [{"project_id": 1, "epic_id": 2}, {"project_id": 1, "project_name": "B"}, {"project_name": "A", "epic_id": 2}],
)
async def test_two_answers_to_where_a_task_belongs_are_refused(api: OperationsClient, raw: Json) -> None:
    await api.call("create_epic", name="E", project_name="A")
    await api.call("create_epic", name="E", project_name="B")
    refusal = await api.call_error(Invalid, "create_task", name="x", **raw)
    assert refusal.details["errors"][0]["field"] in ("epic_id", "project_name")  # type: ignore[index]


async def test_a_task_moves_to_another_epic_of_its_project_only(api: OperationsClient) -> None:
    await api.create_task(epic_name="One")
    two = await api.call("create_epic", name="Two", project_id=1)
    far = await api.call("create_epic", name="Far", project_name="Shed")
    assert (await api.update_task(1, epic_id=two["id"]))["epic_id"] == two["id"]
    await api.call_error(Invalid, "update_task", task_id=1, epic_id=far["id"])
    await api.call_error(EpicNotFound, "update_task", task_id=1, epic_id=99)
    assert (await api.update_task(1, epic_id=None))["epic_id"] is None


async def test_a_project_or_epic_with_content_is_deleted_only_with_force(api: OperationsClient) -> None:
    await api.create_task(epic_name="Outside")
    assert (await api.call_error(NotEmpty, "delete_epic", epic_id=1)).details == {"tasks": 1}
    await api.call_error(NotEmpty, "delete_project", project_id=1)
    await api.claim(1, "ann")
    await api.call("delete_epic", epic_id=1, force=True)
    assert [event["type"] for event in await api.events(0)][-3:] == ["task.unlocked", "task.deleted", "epic.deleted"]
    check(api)


async def test_the_holder_of_a_deleted_task_gets_task_not_found(api: OperationsClient) -> None:
    from project_manager.domain.errors import TaskNotFound  # noqa: PLC0415

    await api.create_task()
    lock = await api.claim(1, "ann")
    await api.call("delete_task", task_id=1, force=True)
    await api.call_error(TaskNotFound, "renew_task_lock", task_id=1, agent_id="ann", fence=lock["fence"])
    assert (await api.create_task())["id"] == 2


async def test_a_project_counts_its_tasks_by_status(api: OperationsClient) -> None:
    for status in ("TODO", "TODO", "BACKLOG"):
        await api.create_task(status=status)
    assert (await api.call("get_project", project_id=1))["tasks"] == {"BACKLOG": 1, "TODO": 2}


async def test_live_leases_continue_when_their_project_is_archived(api: OperationsClient) -> None:
    await api.create_task()
    lock = await api.claim(1, "ann")
    archived = await api.call("update_project", project_id=1, archived=True)
    assert archived["archived_at"] == api.clock.later(0)
    assert (await api.set_status(1, "DONE", "ann", fence=lock["fence"]))["status"] == "DONE"
    assert [item["id"] for item in (await api.call("list_projects", archived=False))["items"]] == []
    check(api)


@pytest.mark.promise("request:if-match")
@pytest.mark.parametrize("kind", ["projects", "epics", "tasks"])
async def test_an_etag_guards_an_edit_and_a_deletion(service: HttpService, api: OperationsClient, kind: str) -> None:
    await api.create_task(epic_name="Outside")
    path = f"/api/{kind}/1"
    first = (await service.send("GET", path)).headers["etag"]
    assert first == f'"{(await service.ok("GET", path))["version"]}"'
    edited = await service.send("PATCH", path, {"name": "new"}, If_Match=first)
    assert (edited.status_code, edited.headers["etag"] != first) == (200, True)
    for method, body in (("PATCH", {"name": "newer"}), ("DELETE", None)):
        error = await service.error(412, method, path, body, If_Match=first)
        assert error["code"] == "version_mismatch"
        assert error["details"] == {
            "version": int(edited.headers["etag"].strip('"')),
            "expected": int(first.strip('"')),
        }
    assert (await service.ok("GET", path))["name"] == "new"
    for header in ("W/" + edited.headers["etag"], "*"):
        await service.ok("PATCH", path, {"description": header}, If_Match=header)
        edited = await service.send("GET", path)
    assert (await service.error(412, "PATCH", path, {"name": "x"}, If_Match='"abc"'))["code"] == "version_mismatch"
    await service.ok("DELETE", f"{path}?force=true", None, If_Match=edited.headers["etag"])
    await service.error(404, "GET", path)


@pytest.mark.promise("request:if-match")
async def test_a_version_in_the_body_guards_like_the_header(api: OperationsClient) -> None:
    await api.create_task(epic_name="Outside")
    for operation, raw in (
        ("update_project", {"project_id": 1, "name": "x"}),
        ("update_epic", {"epic_id": 1, "name": "x"}),
        ("update_task", {"task_id": 1, "name": "x"}),
        ("delete_task", {"task_id": 1}),
    ):
        sent: Json = dict(raw)
        await api.call_error(VersionMismatch, operation, **sent, version=99)


async def test_an_edit_without_fields_is_refused_with_the_names_of_the_fields(api: OperationsClient) -> None:
    await api.create_task()
    refusal = await api.call_error(Invalid, "update_task", task_id=1)
    assert "priority" in refusal.hint


@pytest.mark.promise("access:roles")
async def test_deleting_with_force_is_for_operators(service: HttpService, api: OperationsClient) -> None:
    from project_manager.domain.actors import Actor, Role  # noqa: PLC0415

    await api.create_task(epic_name="Outside")
    agent = api.acting_as(Actor("ann", "agent", Role.AGENT))
    await agent.call_error(RoleRequired, "delete_epic", epic_id=1, force=True)
    await agent.call_error(RoleRequired, "delete_project", project_id=1, force=True)


# logs, agents, context


async def test_a_log_is_read_newest_first_and_by_kind(api: OperationsClient) -> None:
    await api.create_task()
    for kind in ("progress", "evidence", "comment", "handoff"):
        await api.call("add_task_log", task_id=1, body=f"some {kind}", kind=kind, agent_id="ann")
    page = await api.call("list_task_logs", task_id=1)
    assert [entry["kind"] for entry in page["items"]] == ["handoff", "comment", "evidence", "progress"]
    only = await api.call("list_task_logs", task_id=1, kind="evidence")
    assert ([entry["body"] for entry in only["items"]], only["total"]) == (["some evidence"], 1)
    assert [event["kind"] for event in await api.events(0, "task.logged")] == [
        "progress",
        "evidence",
        "comment",
        "handoff",
    ]
    await api.call_error(Invalid, "add_task_log", task_id=1, body="", agent_id="ann")
    await api.call_error(Invalid, "add_task_log", task_id=1, body="x", kind="system", agent_id="ann")


async def test_agents_are_listed_with_their_live_leases(api: OperationsClient) -> None:
    await api.create_task()
    await api.create_task("second")
    lock = await api.claim(1, "ann", ttl_seconds=60)
    api.clock.advance(10)
    await api.call("add_task_log", task_id=2, body="looked at it", agent_id="bob")
    agents = {agent["id"]: agent for agent in (await api.call("list_agents"))["items"]}
    assert (agents["ann"]["kind"], agents["ann"]["locks"]) == ("agent", [lock])
    assert (agents["bob"]["locks"], agents["bob"]["last_seen"]) == ([], api.clock.later(0))
    assert [agent["id"] for agent in (await api.call("list_agents", active=True))["items"]] == ["ann"]
    await api.advance(60)
    assert (await api.call("get_agent", agent_id="ann"))["locks"] == []


async def test_an_agent_that_lost_its_context_gets_back_to_work(api: OperationsClient) -> None:
    await api.create_task()
    lock = await api.claim(1, "ann", ttl_seconds=60)
    await api.call("add_task_log", task_id=1, body="half way", agent_id="ann")
    api.clock.advance(20)
    context = await api.call("get_context", agent_id="ann")
    (holding,) = context["holding"]
    assert (holding["lock"]["fence"], holding["seconds_left"]) == (lock["fence"], 40)
    assert [entry["body"] for entry in holding["logs"]] == ["half way"]
    assert f"fence {lock['fence']}" in context["next_step"]
    await api.advance(60)
    context = await api.call("get_context", agent_id="ann")
    assert (context["holding"], [task["id"] for task in context["lost"]]) == ([], [1])
    assert context["ready_tasks"] == 1


async def test_details_bring_the_resources_of_a_task(api: OperationsClient) -> None:
    first = await api.create_task("first", epic_name="Outside")
    task = await api.create_task("second", depends_on=[first["id"]])
    last = await api.create_task("last", depends_on=[task["id"]])
    details = await api.call("get_task_details", task_id=task["id"])
    assert details["dependencies"] == [{"id": first["id"], "name": "first", "status": "TODO"}]
    assert details["dependents"] == [{"id": last["id"], "name": "last", "status": "TODO"}]
    assert (details["project"], details["epic"]) == ({"id": 1, "name": "Garden"}, None)
