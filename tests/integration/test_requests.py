"""Requests over HTTP: accepted input, and one form of refusal for all other input."""

import logging
import socket
from typing import Any

import anyio
import orjson
import pytest

from project_manager.catalogue import BY_NAME
from project_manager.domain.errors import Invalid
from project_manager.domain.limits import BODY_BYTES
from tests.http_service import HttpService
from tests.operations_client import TIMEOUT, Json, OperationsClient

pytestmark = pytest.mark.slow

DEEP = b"[" * 100_000 + b"]" * 100_000
LONG = "x" * 201
BIG = 2**64
UNREADABLE = [
    b"{",
    b"name=x",
    b"[1]",
    b'"text"',
    b"null",
    b"7",
    b'{"name": "x",}',
    b'{"name": "\xff\xfe"}',
    b'{"name": "\\ud800"}',
    b'{"priority": NaN}',
    b'{"priority": 1e999}',
    DEEP,
    b'{"name": ' + DEEP + b"}",
    b"\x00",
    b"\xef\xbb\xbf{}",
]

WRITES = [
    ("POST", "/api/tasks"),
    ("PATCH", "/api/tasks/1"),
    ("POST", "/api/tasks/1/lock"),
    ("DELETE", "/api/tasks/1/lock"),
    ("POST", "/api/tasks/claim"),
    ("POST", "/api/task/1/status"),
    ("POST", "/api/projects"),
    ("POST", "/api/import"),
    ("POST", "/api/tokens"),
]
each_way_to_write = pytest.mark.parametrize(("method", "path"), WRITES)


# malformed bodies


@pytest.mark.promise("request:bad-input", "request:one-error-body")
@each_way_to_write
async def test_a_body_that_is_not_one_json_object_is_refused(service: HttpService, method: str, path: str) -> None:
    for body in UNREADABLE:
        error = await service.error(400, method, path, body)
        assert error["code"] == "malformed_body", body[:20]
        accepts = BY_NAME["import_plan"].accepts
        more = f" {accepts.hint}" if accepts is not None and path == "/api/import" else ""
        assert error["hint"] == f"Send one JSON object, encoded as UTF-8.{more}"


@pytest.mark.parametrize(
    ("method", "path", "hint"),
    [
        ("POST", "/api/tasks", "Send one JSON object, encoded as UTF-8."),
        ("POST", "/api/session", "Send one JSON object, encoded as UTF-8."),
        ("POST", "/api/import", "Encode it as UTF-8."),
    ],
)
async def test_a_body_that_is_not_utf_8_is_refused_with_the_position(
    service: HttpService, method: str, path: str, hint: str
) -> None:
    kind = {"Content_Type": "application/yaml" if path == "/api/import" else "application/json"}
    error = await service.error(400, method, path, b'{"name": "\xff\xfe"}', **kind)
    assert (error["message"], error["hint"]) == ("the body is not UTF-8: byte 11 is 0xff", hint)


@pytest.mark.parametrize("number", [2**63, 10**40, str(2**63)])
async def test_a_number_that_is_too_large_is_refused_with_its_size_in_bits(
    api: OperationsClient, number: object
) -> None:
    refusal = await api.call_error(Invalid, "get_task", task_id=number)
    assert refusal.message == "`task_id` must be a 64-bit integer"


async def test_a_plan_sent_as_it_is_without_its_type_is_answered_with_the_header_to_send(service: HttpService) -> None:
    plan = b"standalone_tasks:\n- name: Water\n"
    error = await service.error(400, "POST", "/api/import", plan)
    assert "`Content-Type: application/yaml`" in error["hint"]
    assert (await service.ok("POST", "/api/import", plan, Content_Type="application/yaml"))["created"] == 2


async def test_the_place_of_an_error_in_a_body_is_named(service: HttpService) -> None:
    error = await service.error(400, "POST", "/api/tasks", b'{"name": "x",\n  oops}')
    assert "line 2, column 3" in error["message"]


@pytest.mark.promise("request:limits")
async def test_a_body_of_two_megabytes_is_refused(service: HttpService) -> None:
    body = orjson.dumps({"name": "x", "description": "y" * (2 * 1024 * 1024)})
    for method, path in WRITES:
        if path == "/api/import":
            continue  # accepts larger bodies: tests/integration/test_large_plans.py
        assert (await service.error(413, method, path, body))["code"] == "body_too_large"


@pytest.mark.promise("request:limits")
async def test_a_body_of_unknown_length_is_refused_when_it_is_too_large(service: HttpService) -> None:
    sent = 0

    async def chunks() -> Any:
        nonlocal sent
        yield b'{"name": "'
        while sent < 4 * BODY_BYTES:
            sent += 65536
            yield b"x" * 65536

    response = await service.client.post("/api/tasks", content=chunks())
    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")
    assert (await service.ok("GET", "/api/tasks"))["total"] == 0


@pytest.mark.promise("request:limits")
async def test_a_body_of_just_one_mebibyte_is_read(service: HttpService) -> None:
    filler = b" " * (BODY_BYTES - len(b'{"name":"x"}'))
    assert (await service.ok("POST", "/api/tasks", b'{"name":"x"}' + filler))["name"] == "x"
    await service.error(413, "POST", "/api/tasks", b'{"name":"x"}' + filler + b" ")


@pytest.mark.parametrize("length", [b"many", b"9" * 5000])
async def test_a_declared_length_that_is_no_number_is_refused(service: HttpService, length: bytes) -> None:
    head = b"POST /api/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + length + b"\r\n\r\n"
    with socket.create_connection(("127.0.0.1", service.port), timeout=TIMEOUT) as raw:
        await anyio.to_thread.run_sync(raw.sendall, head)
        answer = await anyio.to_thread.run_sync(raw.recv, 4096)
    assert answer.startswith(b"HTTP/1.1 400")


# values


FAULTS: list[tuple[Json, list[str]]] = [
    ({}, ["name"]),
    ({"name": ""}, ["name"]),
    ({"name": "   "}, ["name"]),
    ({"name": LONG}, ["name"]),
    ({"name": 7}, ["name"]),
    ({"name": None}, ["name"]),
    ({"name": ["x"]}, ["name"]),
    ({"name": "a\x00b"}, ["name"]),
    ({"name": "two\nlines"}, ["name"]),
    ({"name": "x", "description": "a\x00b"}, ["description"]),
    ({"name": "x", "description": "ä" * 32769}, ["description"]),
    ({"name": "x", "priority": 5}, ["priority"]),
    ({"name": "x", "priority": -1}, ["priority"]),
    ({"name": "x", "priority": "high"}, ["priority"]),
    ({"name": "x", "priority": 1.5}, ["priority"]),
    ({"name": "x", "priority": True}, ["priority"]),
    ({"name": "x", "project_id": 0}, ["project_id"]),
    ({"name": "x", "project_id": -3}, ["project_id"]),
    ({"name": "x", "project_id": BIG}, ["project_id"]),
    ({"name": "x", "project_id": str(10**30)}, ["project_id"]),
    ({"name": "x", "project_id": "7x"}, ["project_id"]),
    ({"name": "x", "project_id": "--7"}, ["project_id"]),
    ({"name": "x", "project_id": "7-"}, ["project_id"]),
    ({"name": "x", "project_id": "-"}, ["project_id"]),
    ({"name": "x", "project_id": "\u0667"}, ["project_id"]),
    ({"name": "x", "project_id": {}}, ["project_id"]),
    ({"name": "x", "labels": "[1, 2"}, ["labels"]),
    ({"name": "x", "labels": "[" * 5000}, ["labels"]),
    ({"name": "x", "depends_on": "[" * 500_000}, ["depends_on"]),
    ({"name": "x", "labels": [""]}, ["labels.0"]),
    ({"name": "x", "labels": [7]}, ["labels.0"]),
    ({"name": "x", "labels": [str(number) for number in range(33)]}, ["labels"]),
    ({"name": "x", "depends_on": [1, "two"]}, ["depends_on.1"]),
    ({"name": "x", "depends_on": {"a": 1}}, ["depends_on"]),
    ({"name": "x", "defer_until": "tomorrow"}, ["defer_until"]),
    ({"name": "x", "defer_until": "2026-11-23T10:00:00"}, ["defer_until"]),
    ({"name": "x", "defer_until": 1700000000}, ["defer_until"]),
    ({"name": "x", "due_at": "9999-99-99T00:00:00Z"}, ["due_at"]),
    ({"name": "x", "estimate_minutes": -1}, ["estimate_minutes"]),
    ({"name": "x", "external_key": "k" * 201}, ["external_key"]),
    ({"name": "x", "agent_id": "a" * 129}, ["agent_id"]),
    ({"name": "x", "agent_id": "a\tb"}, ["agent_id"]),
    ({"name": "x", "agent_id": 7}, ["agent_id"]),
    ({"name": LONG, "priority": 9, "labels": 7.5, "statuss": "TODO"}, ["name", "priority", "labels", "statuss"]),
]


@pytest.mark.promise("request:all-errors", "request:one-error-body")
async def test_every_invalid_value_is_named_with_its_field(service: HttpService) -> None:
    for body, fields in FAULTS:
        error = await service.error(422, "POST", "/api/tasks", body)
        faults = error["details"]["errors"]
        assert sorted(fault["field"] for fault in faults) == sorted(fields), body
        assert all(fault["message"] in error["message"] for fault in faults)
        assert all(list(fault) == ["field", "message", "hint"] for fault in faults)
        assert "invalid literal" not in error["message"], "Python's own words"
    assert (await service.ok("GET", "/api/tasks"))["total"] == 0


@pytest.mark.promise("request:all-errors")
@pytest.mark.parametrize(
    ("path", "body", "field", "near"),
    [
        ("/api/tasks", {"name": "x", "statuss": "TODO"}, "statuss", "status"),
        ("/api/tasks", {"name": "x", "dependson": [1]}, "dependson", "depends_on"),
        ("/api/tasks/claim", {"agent": "ann"}, "agent", "agent_id"),
        ("/api/tasks/claim", {"ttl": 7}, "ttl", "ttl_seconds"),
        ("/api/tasks/claim", {"colour": 7}, "colour", None),
        ("/api/projects", {"nam": "x"}, "nam", "name"),
        ("/api/tasks/bulk", {"tasks": [{"name": "x", "prioriti": 1}]}, "tasks.0.prioriti", "priority"),
    ],
)
async def test_an_unknown_field_is_refused_by_name_with_the_nearest_valid_one(
    service: HttpService, path: str, body: Json, field: str, near: str | None
) -> None:
    error = await service.error(422, "POST", path, body)
    fault = next(fault for fault in error["details"]["errors"] if fault["field"] == field)
    if near is None:
        assert "The fields are" in fault["hint"]
    else:
        assert fault["message"] == f"unknown field `{field}`; did you mean `{near}`?"


@pytest.mark.promise("request:bad-input")
@pytest.mark.parametrize(
    "query", ["statuss=TODO", "limit=0", "limit=501", "limit=x", "ready=perhaps", "status=odd", "status=TODO,odd"]
)
async def test_field_errors_in_a_query_are_named_like_those_of_a_body(service: HttpService, query: str) -> None:
    error = await service.error(422, "GET", f"/api/tasks?{query}")
    assert [fault["field"].split(".")[0] for fault in error["details"]["errors"]] == [query.partition("=")[0]]


@pytest.mark.promise("request:bad-input")
@pytest.mark.parametrize("name", ["ids", "status", "fields"])
async def test_a_list_in_a_query_that_is_nested_too_deeply_is_refused(service: HttpService, name: str) -> None:
    error = await service.error(422, "GET", f"/api/tasks?{name}={'[' * 5000}")
    assert [fault["field"] for fault in error["details"]["errors"]] == [name]


@pytest.mark.promise("request:bad-input")
@pytest.mark.parametrize("query", ["q=%FF%FE", "q=%00", "cursor=%FF", "&".join(f"a{n}=1" for n in range(200))])
async def test_a_query_that_is_not_text_is_refused(service: HttpService, query: str) -> None:
    response = await service.send("GET", f"/api/tasks?{query}")
    assert response.status_code in (400, 422)
    assert list(response.json()) == ["code", "message", "hint", "details", "request_id"]


@pytest.mark.promise("request:bad-input")
@pytest.mark.parametrize("number", ["x", "-1", "1.0", "\u00b2", "9" * 5000, str(2**63)])
async def test_an_if_match_that_is_no_version_is_refused(service: HttpService, number: str) -> None:
    await service.ok("POST", "/api/tasks", {"name": "x"})
    response = await service.send("PATCH", "/api/tasks/1", {"priority": 0}, If_Match=f'"{number}"')
    assert response.status_code == 412
    assert list(response.json()) == ["code", "message", "hint", "details", "request_id"]


@pytest.mark.promise("request:bad-input")
@pytest.mark.parametrize(
    ("number", "status"),
    [
        ("0", 422),
        ("-1", 422),
        ("x", 422),
        ("1.0", 422),
        ("%00", 422),
        ("%FF", 422),
        (str(2**63), 422),
        (str(10**40), 422),
        (str(2**63 - 1), 404),
        ("99", 404),
    ],
)
async def test_a_number_in_a_path_is_refused_or_not_found_and_never_an_internal_error(
    service: HttpService, number: str, status: int
) -> None:
    for method, path in [
        ("GET", f"/api/tasks/{number}"),
        ("PATCH", f"/api/tasks/{number}"),
        ("DELETE", f"/api/tasks/{number}"),
        ("POST", f"/api/tasks/{number}/lock"),
        ("GET", f"/api/tasks/{number}/details"),
        ("GET", f"/api/tasks/{number}/events"),
        ("GET", f"/api/tasks/{number}/log"),
        ("GET", f"/api/epics/{number}"),
        ("GET", f"/api/projects/{number}"),
        ("GET", f"/api/projects/{number}/epics"),
    ]:
        body = {"name": "x"} if method == "PATCH" else None
        error = await service.error(status, method, path, body)
        assert status == 404 or error["details"]["errors"]


async def test_numbers_are_accepted_as_numbers_and_as_text(service: HttpService) -> None:
    project = await service.ok("POST", "/api/projects", {"name": "Garden"})
    for number in (project["id"], str(project["id"])):
        assert (await service.ok("POST", "/api/tasks", {"name": "x", "project_id": number}))["project_id"] == 1
    listed = await service.ok("POST", "/api/tasks", {"name": "y", "depends_on": '["1", 2]', "labels": "a, b"})
    assert (listed["depends_on"], listed["labels"]) == ([1, 2], ["a", "b"])


async def test_a_value_that_is_given_twice_differently_is_refused(service: HttpService) -> None:
    error = await service.error(422, "POST", "/api/tasks/7/lock", {"task_id": 8, "agent_id": "ann"})
    assert error["details"]["errors"][0]["field"] == "task_id"


@pytest.mark.promise("request:limits")
async def test_text_at_the_limit_is_accepted_unchanged(service: HttpService) -> None:
    name, text = "ü" * 200, "€" * (64 * 1024 // 3)
    made = await service.ok("POST", "/api/tasks", {"name": name, "description": text})
    assert (made["name"], made["description"]) == (name, text)


async def test_text_of_agents_comes_back_as_it_was_sent(service: HttpService) -> None:
    text = "<img src=x onerror=alert(1)> 'quoted' \"twice\" \\ 🙂 \u202e; DROP TABLE tasks; --\r\n\t"
    made = await service.ok("POST", "/api/tasks", {"name": "<b>x</b>", "description": text})
    assert (made["name"], made["description"]) == ("<b>x</b>", text)
    assert (await service.ok("GET", "/api/tasks/1"))["description"] == text


# refusals of the router


@pytest.mark.promise("request:one-error-body")
async def test_a_path_that_does_not_exist_is_refused_in_the_one_error_body(service: HttpService) -> None:
    for path in ("/api/nothing", "/api", "/api/tasks/1/lock/2", "/mcp", "/api/tasks/"):
        assert (await service.error(404, "GET", path))["code"] == "route_not_found"


@pytest.mark.promise("request:one-error-body")
async def test_a_method_that_a_path_does_not_have_is_refused_with_those_that_it_has(service: HttpService) -> None:
    response = await service.send("PUT", "/api/tasks")
    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")
    assert response.headers["allow"] == "GET, HEAD, PATCH, POST"
    for method, path in [("DELETE", "/healthz"), ("POST", "/api/metrics"), ("PUT", "/api/session"), ("POST", "/")]:
        error = await service.error(405, method, path)
        assert error["code"] == "method_not_allowed"
    response = await service.send("PUT", "/api/session")
    assert response.headers["allow"] == "DELETE, GET, HEAD, POST"


async def test_head_is_answered_like_get_without_a_body(service: HttpService) -> None:
    response = await service.send("HEAD", "/api/tasks")
    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.promise("request:bad-input")
async def test_invalid_bytes_instead_of_http_do_no_harm(service: HttpService) -> None:
    for nonsense in (b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"POST /api/tasks HTTP/1.1\r\nHost: x\r\n\r\n" * 50):
        with socket.create_connection(("127.0.0.1", service.port), timeout=TIMEOUT) as raw:
            await anyio.to_thread.run_sync(raw.sendall, nonsense)
    assert (await service.ok("GET", "/healthz"))["status"] == "healthy"


# request ids


@pytest.mark.promise("request:id")
async def test_a_request_id_is_accepted_returned_and_logged(
    service: HttpService, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "project_manager")
    response = await service.send("POST", "/api/tasks", {"name": "x"}, X_Request_ID="my-own-7")
    assert response.headers["x-request-id"] == "my-own-7"
    logged = [record.fields for record in caplog.records if record.msg == "create_task"]  # type: ignore[attr-defined]
    assert [(fields["request_id"], fields["outcome"], fields["actor"]) for fields in logged] == [
        ("my-own-7", "ok", "local")
    ]


@pytest.mark.promise("request:id")
async def test_a_request_id_is_created_when_no_valid_one_is_sent(service: HttpService) -> None:
    made = set()
    for headers in ({}, {"X_Request_ID": "x" * 129}, {"X_Request_ID": "ü"}, {"X_Request_ID": ""}):
        made.add((await service.send("GET", "/api/tasks", **headers)).headers["x-request-id"])
    assert len(made) == 4
    assert all(len(one) == 16 for one in made)


@pytest.mark.promise("request:one-error-body")
async def test_an_internal_error_is_reported_without_internals(
    service: HttpService, api: OperationsClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from project_manager.services import serializers  # noqa: PLC0415

    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret of the inside")

    await api.create_task()
    monkeypatch.setattr(serializers, "task", broken)
    for method, path, body in [("GET", "/api/tasks/1", None), ("POST", "/api/tasks", {"name": "x"})]:
        response = await service.send(method, path, body)
        assert (response.status_code, response.json()["code"]) == (500, "internal")
        assert "secret" not in response.text
        assert "Traceback" not in response.text
    assert "ZeroDivisionError" in caplog.text
    monkeypatch.undo()
    assert (await service.ok("GET", "/api/tasks"))["total"] == 1


# idempotency


@pytest.mark.promise("request:idempotent")
async def test_the_same_key_gives_the_first_answer_again(service: HttpService) -> None:
    body = {"name": "x"}
    first = await service.send("POST", "/api/tasks", body, Idempotency_Key="k1")
    again = await service.send("POST", "/api/tasks", body, Idempotency_Key="k1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert again.headers["etag"] == first.headers["etag"]
    assert (await service.ok("GET", "/api/tasks"))["total"] == 1


@pytest.mark.promise("request:idempotent")
async def test_another_request_under_the_same_key_is_refused(service: HttpService) -> None:
    await service.ok("POST", "/api/tasks", {"name": "x"}, Idempotency_Key="k1")
    for path, body in [("/api/tasks", {"name": "y"}), ("/api/projects", {"name": "x"})]:
        error = await service.error(422, "POST", path, body, Idempotency_Key="k1")
        assert error["code"] == "idempotency_mismatch"


@pytest.mark.parametrize("key", ["", "k" * 201, "a\tb"])
async def test_a_key_that_is_no_key_is_refused(service: HttpService, key: str) -> None:
    assert (await service.error(400, "POST", "/api/tasks", {"name": "x"}, Idempotency_Key=key))["code"] == (
        "malformed_header"
    )
