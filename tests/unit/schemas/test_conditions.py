"""Rules about several fields in the schemas of the API description: which bodies they accept."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from project_manager.catalogue import OPERATIONS
from project_manager.operations.definition import Kind
from project_manager.web.openapi import document

DIGEST = "0" * 64
API = document()


@pytest.mark.parametrize(
    ("path", "valid", "body"),
    [
        ("/api/messages", True, {"body": "x", "to_task": 1, "to_agent": None}),
        ("/api/messages", False, {"body": "x", "to_task": None}),
        ("/api/messages", False, {"body": "x", "to_task": 1, "to_agent": "ann"}),
        ("/api/messages", True, {"body": "x", "to_project": 1}),
        ("/api/messages", False, {"body": "x", "to_project": 1, "kind": "stop"}),
        ("/api/pauses", True, {"scope": "all", "id": None}),
        ("/api/pauses", False, {"scope": "all", "id": 1}),
        ("/api/pauses", True, {"scope": "agent", "id": "ann"}),
        ("/api/pauses", True, {"scope": "agent"}),
        ("/api/pauses", True, {"scope": "task", "id": 1}),
        ("/api/pauses", True, {"scope": "project", "id": "1"}),
        ("/api/pauses", False, {"scope": "project", "id": "ann"}),
        ("/api/pauses", False, {"scope": "project", "id": None}),
        ("/api/pauses", False, {"scope": "task"}),
        ("/api/tasks/{task_id}/log", True, {"body": "x", "kind": "evidence", "exit_code": 0}),
        ("/api/tasks/{task_id}/log", True, {"body": "x", "kind": "comment", "exit_code": None}),
        ("/api/tasks/{task_id}/log", False, {"body": "x", "kind": "comment", "exit_code": 0}),
        ("/api/tasks/{task_id}/log", False, {"body": "x", "source": "ci"}),
        ("/api/tasks/{task_id}/log", False, {"body": "x", "kind": "evidence", "criterion": 64}),
        ("/api/tasks/{task_id}/reviews", True, {"verdict": "approved", "digest": DIGEST}),
        ("/api/tasks/{task_id}/reviews", True, {"verdict": "changes_requested", "digest": DIGEST, "body": "test it"}),
        ("/api/tasks/{task_id}/reviews", False, {"verdict": "changes_requested", "digest": DIGEST}),
        ("/api/tasks/{task_id}/reviews", False, {"verdict": "changes_requested", "digest": DIGEST, "body": " \n"}),
        ("/api/tasks/{task_id}/status", True, {"status": "DONE", "evidence": [{"command": "make"}]}),
        ("/api/tasks/{task_id}/status", True, {"status": "DONE", "evidence": [{"url": "https://ci.example/1"}]}),
        ("/api/tasks/{task_id}/status", True, {"status": "DONE", "evidence": [{"body": "I ran it."}]}),
        ("/api/tasks/{task_id}/status", False, {"status": "DONE", "evidence": [{"body": " ", "exit_code": 0}]}),
        ("/api/tasks/{task_id}/status", False, {"status": "DONE", "evidence": [{"url": "https://a\x01"}]}),
        ("/api/tasks", True, {"ids": [1], "changes": {"priority": 0}}),
        ("/api/tasks", True, {"filter": {"status": ["TODO"]}, "changes": {"epic_id": None}}),
        ("/api/tasks", False, {"filter": {}, "changes": {"epic_id": None}, "ids": None}),
        ("/api/tasks", True, {"tasks": [{"id": 1, "version": 2, "status": "TODO", "reopen": True}]}),
        ("/api/tasks", False, {}),
        ("/api/tasks", False, {"ids": [1]}),
        ("/api/tasks", False, {"changes": {"priority": 0}}),
        ("/api/tasks", False, {"ids": [1], "filter": {}, "changes": {"priority": 0}}),
        ("/api/tasks", False, {"ids": [1], "tasks": [], "changes": {"priority": 0}}),
        ("/api/tasks", False, {"tasks": [{"id": 1, "priority": 0}], "changes": {"priority": 0}}),
        ("/api/tasks", True, {"ids": [1], "changes": {}}),
        ("/api/tasks", False, {"ids": [1], "changes": {"attempts": 1}}),
        ("/api/tasks", True, {"tasks": [{"id": 1, "version": 2}]}),
        ("/api/knowledge/remember", True, {"title": "x", "content": "y", "project_name": "Shop"}),
        ("/api/knowledge/remember", False, {"title": "x", "content": "y", "task_id": None}),
    ],
)
def test_a_condition_about_several_fields_is_described(path: str, valid: bool, body: dict[str, Any]) -> None:
    method = "patch" if path == "/api/tasks" else "post"
    described = API["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"]
    assert Draft202012Validator({**described, "components": API["components"]}).is_valid(body) is valid


def test_the_writes_that_a_stopped_agent_may_not_call_name_the_error() -> None:
    for operation in OPERATIONS:
        method, _, path = operation.http.partition(" ")
        if path:
            conflict = API["paths"][path][method.lower()]["responses"].get("409", {}).get("description", "")
            is_refused = operation.kind is Kind.WRITE and not operation.while_stopped
            assert ("stopped" in conflict) is is_refused, operation.name
