"""OpenAPI 3.1, generated from the catalogue: the same definitions that validate requests and serialize responses."""

import re
from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from project_manager import __version__
from project_manager.catalogue import OPERATIONS
from project_manager.domain.errors import (
    BodyTooLarge,
    Invalid,
    MalformedBody,
    ProjectManagerError,
    RoleRequired,
    Stopped,
    Unauthorized,
)
from project_manager.domain.limits import KEY_CHARACTERS
from project_manager.domain.service_errors import Internal, RateLimited, StorageFull, Unavailable
from project_manager.operations.definition import Kind, Operation
from project_manager.schemas import event_schema, patterns
from project_manager.schemas.events import EVENT_STUB
from project_manager.web.errors import status_of

ABOUT = (
    "Task queue for AI agents: projects, epics, tasks, leases and events. Schemas show the recommended form. "
    "Numbers and booleans are also accepted as strings, and a single string as a list."
)
PARTIAL = ("PATCH ", "PUT ")
REFERENCE = "#/components/schemas/{model}"
ERROR_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "Body of every error response.",
    "required": ["code", "message", "hint", "details", "request_id"],
    "properties": {
        "code": {"type": "string", "description": "stable error code in snake_case"},
        "message": {"type": "string", "description": "the problem and its reason"},
        "hint": {"type": "string", "description": "suggested action"},
        "details": {"type": "object", "description": "error details; `errors` lists the first 20 field errors"},
        "request_id": {"type": "string"},
    },
}
KEYWORDS = {"ge": "minimum", "le": "maximum"}
COMMON_ERRORS: tuple[type[ProjectManagerError], ...] = (
    MalformedBody,
    Unauthorized,
    RoleRequired,
    Invalid,
    RateLimited,
    Internal,
    Unavailable,
)
BODY_ERRORS: tuple[type[ProjectManagerError], ...] = (BodyTooLarge, StorageFull)
SHARED_RESPONSE = "#/components/responses/{name}"
"""Reference to a response that many operations share."""


def document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    served = [operation for operation in OPERATIONS if operation.http]
    _, definitions = models_json_schema(
        [(operation.command, "validation") for operation in served], ref_template=REFERENCE
    )
    views: dict[str, Any] = {}
    schemas: dict[str, Any] = {**definitions.get("$defs", {}), "Error": ERROR_SCHEMA}
    schemas |= event_schema.definitions(REFERENCE)
    for operation in served:
        schema = TypeAdapter(operation.view).json_schema(mode="serialization", ref_template=REFERENCE)
        schemas.update(schema.pop("$defs", {}))
        views[operation.name] = _with_event_reference(schema)
    paths: dict[str, dict[str, Any]] = {}
    for operation in served:
        method, path = operation.http.split(" ")
        if operation.http.startswith(PARTIAL):
            _leave_out_defaults(schemas[operation.command.__name__])
        paths.setdefault(path, {})[method.lower()] = _entry(operation, method, path, views[operation.name])
        for alias in operation.aliases:
            method, path = alias.split(" ")
            entry = _entry(operation, method, path, views[operation.name])
            name = "_".join(re.findall(r"\w+", alias.lower()))
            paths.setdefault(path, {})[method.lower()] = entry | {"operationId": name, "deprecated": True}
    _link_created_items(served, paths, schemas)
    described: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "Project Manager", "version": __version__, "description": ABOUT},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {error.__name__: _response([error.code]) for error in (*COMMON_ERRORS, *BODY_ERRORS)},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }
    _use_keywords_of_json_schema(described)
    return described


def _with_event_reference(view: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a view with a reference for each event. pydantic cannot refer to other definitions."""
    items = view.get("properties", {}).get("items", {})
    if items.get("items") == EVENT_STUB:
        items["items"] = {"$ref": REFERENCE.format(model="Event")}
    return view


def _link_created_items(served: list[Operation], paths: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Add OpenAPI links from each operation that creates an item at `path` to those at `path/{item_id}`."""
    for operation in served:
        method, path = operation.http.split(" ")
        done = paths[path][method.lower()]["responses"][str(operation.status)]
        if operation.kind is Kind.WRITE:
            fields = _fields(done["content"]["application/json"]["schema"], schemas)
            done |= _links(path, fields, served)


def _links(path: str, fields: list[str], targets: list[Operation]) -> dict[str, Any]:
    links = {}
    for target in targets:
        found = re.fullmatch(rf"\w+ {re.escape(path)}/{{(\w+)}}[^{{}}]*", target.http)
        field = next((field for field in (found[1], "id") if field in fields), None) if found else None
        if found and field:
            parameters = {found[1]: f"$response.body#/{field}"}
            links[target.name] = {"operationId": target.name, "parameters": parameters}
    return {"links": links} if links else {}


def _fields(view: dict[str, Any], schemas: dict[str, Any]) -> list[str]:
    """Return the names of the fields of a view. In a union, the first alternative counts."""
    first = view.get("anyOf", [view])[0]
    described = schemas[first["$ref"].rpartition("/")[2]] if "$ref" in first else first
    return [*described.get("properties", {})]


def _use_keywords_of_json_schema(node: Any) -> None:
    """Rename bounds of numbers in place: after a custom validator, pydantic emits `ge` instead of `minimum`."""
    if isinstance(node, list):
        for part in node:
            _use_keywords_of_json_schema(part)
    elif isinstance(node, dict):
        for keyword, standard in KEYWORDS.items():
            if isinstance(node.get(keyword), int | float):
                node[standard] = node.pop(keyword)
        for part in node.values():
            _use_keywords_of_json_schema(part)


def _entry(operation: Operation, method: str, path: str, view: dict[str, Any]) -> dict[str, Any]:
    schema = operation.command.model_json_schema(ref_template=REFERENCE)
    fields = schema.get("properties", {})
    required = {name: {"required": True} for name in schema.get("required", ())}
    in_path = re.findall(r"{(\w+)}", path)
    in_query = [name for name in fields if name not in in_path] if method == "GET" else []
    entry: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "description": operation.description,
        "tags": [path.split("/")[2]],
        "parameters": [
            *(
                {"name": name, "in": "path", "required": True, "schema": _not_null(fields.get(name, {}))}
                for name in in_path
            ),
            *({"name": name, "in": "query", **required.get(name, {}), "schema": fields[name]} for name in in_query),
            *_headers(operation),
        ],
        "responses": {
            str(operation.status): {"description": "Done.", "content": {"application/json": {"schema": view}}},
            **_errors(operation, method),
        },
    }
    if method != "GET":
        schema = {"$ref": REFERENCE.format(model=operation.command.__name__)}
        entry["requestBody"] = {
            "required": _needs_body(operation.command.model_json_schema(), in_path),
            "content": {"application/json": {"schema": _without(operation, in_path, schema)}},
        }
    return entry


def _needs_body(schema: dict[str, Any], in_path: list[str]) -> bool:
    """Return whether a request without a body is rejected. The schema of a change excludes an empty one by `not`."""
    alternatives = [set(branch.get("required", ())) for branch in schema.get("oneOf", [{}])]
    needs_one = all(not names <= set(in_path) for names in alternatives)
    is_satisfied = _path_satisfies(schema, in_path) and set(schema.get("required", ())) <= set(in_path)
    return "not" in schema or needs_one or not is_satisfied


def _not_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a path parameter without null, because a path cannot omit it."""
    branches = [branch for branch in schema.get("anyOf", ()) if branch.get("type") != "null"]
    return {**branches[0], "description": schema.get("description", "")} if branches else schema


def _without(operation: Operation, in_path: list[str], reference: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of the body without the fields of the path."""
    if not in_path:
        return reference
    schema = operation.command.model_json_schema(ref_template=REFERENCE)
    schema.pop("$defs", None)
    if operation.http.startswith(PARTIAL):
        _leave_out_defaults(schema)
    schema["properties"] = {name: value for name, value in schema.get("properties", {}).items() if name not in in_path}
    schema["required"] = [name for name in schema.get("required", []) if name not in in_path]
    if _path_satisfies(schema, in_path):
        schema.pop("anyOf", None)
    return schema


def _path_satisfies(schema: dict[str, Any], in_path: list[str]) -> bool:
    """Return whether the path contains one of the alternative sets of required fields (`anyOf`)."""
    return any(set(branch["required"]) <= set(in_path) for branch in schema.get("anyOf", [{"required": []}]))


def _leave_out_defaults(schema: dict[str, Any]) -> None:
    """Remove the defaults of a partial update. A client that fills them in would overwrite fields."""
    for described in schema["properties"].values():
        described.pop("default", None)


def _headers(operation: Operation) -> Iterable[dict[str, Any]]:
    if operation.idempotent:
        yield {
            "name": "Idempotency-Key",
            "in": "header",
            "description": "A repeated key returns the first response for 24 h.",
            "schema": {"type": "string", "minLength": 1, "maxLength": KEY_CHARACTERS, "pattern": patterns.KEY_HEADER},
        }
    if operation.kind is Kind.WRITE and "version" in operation.command.model_fields:
        yield {
            "name": "If-Match",
            "in": "header",
            "description": "ETag of the version that was read; 412 if it has changed.",
            "schema": {"type": "string", "pattern": patterns.IF_MATCH},
        }


def _errors(operation: Operation, method: str) -> dict[str, Any]:
    codes: dict[int, list[type[ProjectManagerError]]] = {}
    common = COMMON_ERRORS if method == "GET" else (*COMMON_ERRORS, *BODY_ERRORS)
    stopped = (Stopped,) if operation.kind is Kind.WRITE and not operation.while_stopped else ()
    for error in (*common, *operation.errors, *stopped):
        codes.setdefault(status_of(error), []).append(error)
    return {str(status): _described(errors, common) for status, errors in sorted(codes.items())}


def _described(errors: list[type[ProjectManagerError]], common: Iterable[type[ProjectManagerError]]) -> dict[str, Any]:
    if len(errors) == 1 and errors[0] in common:
        return {"$ref": SHARED_RESPONSE.format(name=errors[0].__name__)}
    return _response(dict.fromkeys(error.code for error in errors))


def _response(codes: Iterable[str]) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": REFERENCE.format(model="Error")}}}
    return {"description": ", ".join(codes), "content": content}
