"""The published interface: the API description and the list of tools change only on purpose.

After a change on purpose, run: python -m tests.integration.test_interface
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from project_manager.catalogue import OPERATIONS
from project_manager.mcp.schemas import input_schema
from project_manager.mcp.tools import tool_list
from project_manager.schemas import event_schema
from project_manager.web.errors import status_of
from project_manager.web.openapi import document
from tests.http_service import HttpService

pytestmark = pytest.mark.slow

SNAPSHOTS = Path(__file__).with_name("snapshots")


def described_tools() -> list[Any]:
    return [
        {
            "name": row.name,
            "title": row.tool.title,
            "description": row.summary,
            "profile": row.tool.profile.value,
            "hints": [getattr(row.tool.hints, name) for name in ("read_only", "destructive", "idempotent")],
            "defaults": dict(row.tool.defaults),
            "input": input_schema(row.command, row.tool),
        }
        for row in OPERATIONS
        if row.tool is not None
    ]


@cache
def described_api() -> dict[str, Any]:
    """Return the OpenAPI document, which takes longer to build than most tests."""
    return document()


def described() -> dict[str, Any]:
    api = described_api()
    return {
        "openapi.json": {**api, "info": {**api["info"], "version": "any"}},
        "tools.json": described_tools(),
        "mcp_tools.json": tool_list("all", "plain")["tools"],
    }


def text_of(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


@pytest.mark.promise("interface:stable")
@pytest.mark.parametrize("name", ["openapi.json", "tools.json"])
def test_the_published_interface_is_the_one_that_was_agreed_on(name: str) -> None:
    assert json.loads((SNAPSHOTS / name).read_text()) == json.loads(text_of(described()[name]))


@pytest.mark.slow
def test_the_description_is_valid_openapi_and_every_reference_leads_somewhere() -> None:
    api = described_api()
    assert api["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(api).validate()
    names = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(api)))
    assert names <= set(api["components"]["schemas"])


def test_an_edit_is_described_without_defaults_because_omitted_fields_stay() -> None:
    for path, methods in described_api()["paths"].items():
        body = methods.get("patch", {}).get("requestBody", {}).get("content", {}).get("application/json", {})
        fields = body.get("schema", {}).get("properties", {})
        assert [name for name, field in fields.items() if "default" in field] == [], path


@pytest.mark.parametrize(
    ("path", "body", "valid"),
    [
        ("/api/tasks/{task_id}", {}, False),
        ("/api/tasks/{task_id}", {"agent_id": "ann", "version": 1, "force": False}, False),
        ("/api/tasks/{task_id}", {"status": None}, True),
        ("/api/tasks/{task_id}", {"due_at": None}, True),
        ("/api/tasks/{task_id}", {"due_at": "0174-01-27T01:40:10Z"}, False),
        ("/api/tasks/{task_id}", {"due_at": "9999-01-27T01:40:10Z"}, True),
        ("/api/knowledge", {"title": "Paint", "content": "Green"}, False),
        ("/api/knowledge", {"title": "Paint", "content": "Green", "project_id": None}, False),
        ("/api/knowledge", {"title": "Paint", "content": "Green", "task_id": 7}, True),
        ("/api/knowledge", {"knowledge_id": 7}, True),
        ("/api/knowledge/{knowledge_id}", {}, True),
        ("/api/tasks/bulk", {"tasks": [{"name": "Paint", "depends_on": [-1]}]}, False),
        (
            "/api/tasks/bulk",
            {"tasks": [{"name": "Fence", "ref": "fence"}, {"name": "Paint", "depends_on": [1, "fence"]}]},
            True,
        ),
    ],
)
async def test_a_body_is_described_with_its_required_fields(
    service: HttpService, path: str, body: dict[str, Any], *, valid: bool
) -> None:
    api = described_api()
    method = next(method for method in ("patch", "put", "post") if method in api["paths"][path])
    described = api["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"]
    schema = described | {"components": api["components"]}
    assert Draft202012Validator(schema).is_valid(body) == valid
    await service.ok("POST", "/api/tasks", {"name": "one"})
    response = await service.send(method.upper(), re.sub(r"\{\w+\}", "1", path), body)
    assert (response.status_code == 422) is not valid


def test_a_created_resource_is_linked_to_its_operations() -> None:
    paths = described_api()["paths"]
    operations = {entry["operationId"]: entry for methods in paths.values() for entry in methods.values()}
    linked: dict[str, list[str]] = {}
    for name, entry in operations.items():
        for done in entry["responses"].values():
            for link in done.get("links", {}).values():
                target = operations[link["operationId"]]
                assert {row["name"] for row in target["parameters"] if row["in"] == "path"} == set(link["parameters"])
                linked.setdefault(name, []).append(link["operationId"])
    assert linked["create_project"] == ["get_project", "update_project", "delete_project"]
    assert {"acquire_task_lock", "update_task_status", "add_task_log"} <= set(linked["create_task"])
    assert "get_knowledge_item" in linked["upsert_knowledge"]


async def test_the_schema_of_events_is_served_and_is_part_of_the_description(service: HttpService) -> None:
    served = await service.send("GET", "/schemas/events.json")
    assert served.headers["content-type"] == "application/schema+json"
    assert served.json() == event_schema.document()
    described = (await service.ok("GET", "/openapi.json"))["components"]["schemas"]
    assert described.keys() >= {"Event", *served.json()["$defs"]}


async def test_every_described_route_is_there_with_each_status_that_it_may_answer(service: HttpService) -> None:
    api = await service.ok("GET", "/openapi.json")
    for row in OPERATIONS:
        if not row.http:
            continue
        method, path = row.http.split(" ")
        entry = api["paths"][path][method.lower()]
        assert entry["operationId"] == row.name
        assert str(row.status) in entry["responses"]
        assert {str(status_of(error)) for error in row.errors} <= set(entry["responses"])
        response = await service.send("PROPFIND", re.sub(r"\{\w+\}", "1", path))
        assert response.status_code == 405
        assert method in response.headers["allow"]


async def test_the_page_of_the_description_loads_nothing_from_other_hosts(service: HttpService) -> None:
    page = await service.send("GET", "/docs")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert links
    assert all(link.startswith("/") for link in links)
    assert "<script" not in page.text
    for link in links:
        assert (await service.send("GET", link)).status_code == 200
    assert all(f'id="{row.name}"' in page.text for row in OPERATIONS if row.http)


async def test_the_page_describes_the_allowed_values_in_plain_words(service: HttpService) -> None:
    page = await service.send("GET", "/docs")
    kinds = set(re.findall(r"<td>(?:path|query|header|body)</td><td>([^<]*)</td>", page.text))
    assert {"integer | string", "integer | string | null", "list of string", "boolean"} <= kinds
    assert [kind for kind in kinds if re.search(r"[^a-z |]", kind)] == []


def test_an_operation_names_the_errors_that_its_command_makes_possible() -> None:
    """A lookup by id may find nothing."""
    missing = []
    for row in OPERATIONS:
        codes = {error.code for error in row.errors}
        wanted = {"task_id": "task_not_found", "version": "version_mismatch", "token_id": "token_not_found"}
        missing += [
            f"{row.name}: {code}"
            for name, code in wanted.items()
            if name in row.command.model_fields and row.command.model_fields[name].is_required() and code not in codes
        ]
        by_name = {"project_name": "project_not_found", "epic_name": "epic_not_found"}
        fields = row.command.model_fields
        missing += [f"{row.name}: {code}" for name, code in by_name.items() if name in fields and code not in codes]
    assert missing == []


async def test_every_route_is_described_with_all_of_its_methods(service: HttpService) -> None:
    paths = described_api()["paths"]
    for row in OPERATIONS:
        for route in filter(None, (row.http, *row.aliases)):
            method, path = route.split(" ")
            assert method.lower() in paths[path]
    for path, methods in paths.items():
        response = await service.send("OPTIONS", re.sub(r"\{\w+\}", "1", path))
        allowed = set(response.headers["allow"].lower().split(", "))
        assert allowed - {"head"} == set(methods), path


def test_each_entry_of_the_description_has_an_id_of_its_own() -> None:
    entries = [entry for methods in described_api()["paths"].values() for entry in methods.values()]
    ids = [entry["operationId"] for entry in entries]
    assert sorted(set(ids)) == sorted(ids)
    assert {row.name for row in OPERATIONS if row.http} == {
        entry["operationId"] for entry in entries if not entry.get("deprecated")
    }


async def test_a_method_that_a_path_lacks_is_refused_before_its_headers_are_read(service: HttpService) -> None:
    for headers in ({"If-Match": ""}, {"If-Match": "x, " * 20 + "x"}, {"Idempotency-Key": "k" * 300}):
        error = await service.error(405, "PUT", "/api/tasks/1", {"name": ""}, **headers)
        assert error["code"] == "method_not_allowed"


if __name__ == "__main__":
    SNAPSHOTS.mkdir(exist_ok=True)
    for file_name, value in described().items():
        (SNAPSHOTS / file_name).write_text(text_of(value))
