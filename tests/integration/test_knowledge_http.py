"""Knowledge over REST: the routes, ETag and If-Match, and the predecessor's paths."""

import pytest

from tests.http_service import HttpService

NEW = {"title": "Paint", "content": "Green paint lasts.", "project_name": "Garden"}


async def test_an_item_is_put_read_changed_and_retired(service: HttpService) -> None:
    created = await service.ok("PUT", "/api/knowledge", NEW)
    path = f"/api/knowledge/{created['knowledge_id']}"
    read = await service.send("GET", path)
    assert read.json() == created["knowledge_item"]
    assert read.headers["etag"] == '"1"'
    changed = await service.send("PUT", path, {"content": "Blue."}, if_match='"1"')
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    assert changed.json()["knowledge_item"]["title"] == "Paint"
    versions = await service.ok("GET", f"{path}/versions")
    assert [version["content"] for version in versions["items"]] == ["Blue.", "Green paint lasts."]
    retired = await service.ok("DELETE", path, None, if_match='"2"')
    assert retired["knowledge_item"]["active"] is False
    assert (await service.ok("GET", "/api/knowledge"))["total"] == 0
    assert (await service.ok("GET", "/api/knowledge?include_inactive=true"))["total"] == 1


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_a_change_under_an_old_etag_is_refused(service: HttpService, method: str) -> None:
    path = f"/api/knowledge/{(await service.ok('POST', '/api/knowledge', NEW))['knowledge_id']}"
    await service.ok("PATCH", path, {"priority": 3})
    body = None if method == "DELETE" else {"title": "Lost"}
    error = await service.error(412, method, path, body, if_match='"1"')
    assert error["code"] == "version_mismatch"
    assert (await service.ok("GET", path))["title"] == "Paint"


async def test_a_repeated_post_with_its_key_writes_once(service: HttpService) -> None:
    first = await service.send("POST", "/api/knowledge", NEW, idempotency_key="k")
    again = await service.send("POST", "/api/knowledge", NEW, idempotency_key="k")
    assert again.content == first.content
    assert again.headers["idempotency-replayed"] == "true"
    assert (await service.ok("GET", "/api/knowledge"))["total"] == 1


async def test_logs_are_appended_and_read(service: HttpService) -> None:
    item = (await service.ok("PUT", "/api/knowledge", NEW))["knowledge_id"]
    added = await service.send("POST", f"/api/knowledge/{item}/logs", {"action_type": "used", "created_by": "ann"})
    assert added.status_code == 201
    page = await service.ok("GET", f"/api/knowledge/{item}/logs?action_type=used")
    assert [(entry["id"], entry["author"]) for entry in page["items"]] == [(added.json()["log_id"], "ann")]


async def test_the_predecessors_paths_lead_to_the_knowledge_of_a_project_and_epic(service: HttpService) -> None:
    garden = (await service.ok("POST", "/api/projects", {"name": "Garden"}))["id"]
    fence = (await service.ok("POST", "/api/epics", {"name": "Fence", "project_id": garden}))["id"]
    await service.ok("PUT", "/api/knowledge", {"title": "a", "content": "x", "epic_id": fence})
    await service.ok("PUT", "/api/knowledge", {"title": "b", "content": "x", "project_id": str(garden)})
    assert (await service.ok("GET", f"/api/knowledge/project/{garden}"))["total"] == 2
    assert (await service.ok("GET", f"/api/knowledge/project/{garden}/epic/{fence}"))["total"] == 2
    house = (await service.ok("POST", "/api/projects", {"name": "House"}))["id"]
    error = await service.error(422, "GET", f"/api/knowledge/project/{house}/epic/{fence}")
    assert error["message"] == f"epic {fence} is in project {garden}, not {house}"


async def test_missing_and_malformed_input_has_the_one_error_body(service: HttpService) -> None:
    assert (await service.error(404, "GET", "/api/knowledge/9"))["code"] == "knowledge_not_found"
    assert (await service.error(422, "PUT", "/api/knowledge", {"title": "a"}))["code"] == "invalid"
    assert (await service.error(422, "GET", "/api/knowledge?q=" + "x" * 501))["code"] == "invalid"
    assert (await service.error(400, "GET", "/api/knowledge?cursor=zzz"))["code"] == "malformed_cursor"
    assert (await service.error(405, "DELETE", "/api/knowledge"))["code"] == "method_not_allowed"
    item = (await service.ok("PUT", "/api/knowledge", NEW))["knowledge_id"]
    contrary = await service.error(422, "PUT", f"/api/knowledge/{item}", {"knowledge_id": item + 1})
    assert contrary["code"] == "invalid"


async def test_openapi_describes_the_routes_and_their_errors(service: HttpService) -> None:
    paths = (await service.ok("GET", "/openapi.json"))["paths"]
    assert {method for method, one in paths["/api/knowledge"].items() if not one.get("deprecated")} == {"get", "put"}
    assert {"404", "412", "422"} <= set(paths["/api/knowledge"]["put"]["responses"])
    assert "version stays readable" in paths["/api/knowledge"]["put"]["description"]
    assert {"get", "delete"} <= set(paths["/api/knowledge/{knowledge_id}"])
