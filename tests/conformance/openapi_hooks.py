"""Hooks of schemathesis for rules that the API description cannot express.

A valid request may be rejected because of data that no schema of one request can name. An invalid request may be
accepted where it is unambiguous. Each kind has its reason here.
"""

import json
import re
from contextlib import suppress
from itertools import count
from typing import Any

import schemathesis
from jsonschema import Draft202012Validator

from project_manager.domain.limits import NAME_CHARACTERS, WAIT_SECONDS_MAXIMUM
from project_manager.schemas.patterns import KEY_HEADER
from project_manager.web.openapi import document

KEY = "Idempotency-Key"
TOKENS_OF_THE_RUN = {"1", "2", "3"}
NO_TOKEN = "999999"
STATE_HINTS = {
    "Add filters, such as a status or an epic, or change the tasks in parts with `ids`.",
    "Choose another parent.",
    "Create them first.",
    "Epic, task and parent must be in the item's project.",
    "Omit the project, or create a new item.",
    "Remove its own id.",
    "Send one of the two.",
    "Send the id of a task of the same project.",
    "Send the id of the agent.",
    "Send a later time, or omit it.",
    "Send agent_id alone.",
    "Send each task once.",
    "Send one task for each change of dependencies, conflicts, parents and paths.",
    "Send project_id or project_name too.",
    "Send the id of a task, or the ref of another task of this request.",
    "Send unique refs.",
}
"""Hints of rejections because of other data.

Examples are a missing task or ref, a reference to itself, a project without the item or epic, an ambiguous name, two
changes of one task, links of as many tasks as a filter matches, and parameters of a query that exclude each other.
"""
BEYOND_A_PATTERN = ("invisible", "not printable", "no visible character")
"""Patterns of the description have no escapes for characters beyond U+FFFF, some of which are invisible."""
BEYOND_A_SCHEMA = re.compile(r"(^|\.)(paths\.[0-9]+|criterion)$")
"""Fields with a glob, of which a pattern cannot count the wildcards, or with an index of the criteria of the task."""
FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
API = document()

_sent: set[str] = set()
_numbers = count(1)


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Keep the tokens of the run, wait at most a second, and adapt a valid request to the data.

    A whole number such as `1.0` is valid in a body, but it is no id in a path.
    """
    given = case.path_parameters or {}
    given.update({name: int(value) for name, value in given.items() if isinstance(value, float) and value.is_integer()})
    if str(given.get("token_id")) in TOKENS_OF_THE_RUN:
        given["token_id"] = NO_TOKEN
    for part in (case.query, case.body):
        if isinstance(part, dict):
            _wait_a_second(part)
            if case.meta.generation.mode.is_positive:
                _fit(part, is_new=case.method == "POST")
    if case.meta.generation.mode.is_positive:
        _send_once(case)
    key = (case.headers or {}).get(KEY)
    if isinstance(key, str) and re.fullmatch(KEY_HEADER, key) and _was_sent(key):
        del case.headers[KEY]


def _wait_a_second(part: dict[str, Any]) -> None:
    with suppress(KeyError, TypeError, ValueError):
        seconds = float(part["wait_seconds"])
        if seconds.is_integer() and 1 < seconds <= WAIT_SECONDS_MAXIMUM:
            part["wait_seconds"] = 1


def _fit(part: dict[str, Any], *, is_new: bool) -> None:
    """Remove an invented cursor, a used key and the second name of one thing. Give a new item a unique name."""
    part.pop("cursor", None)
    if part.get("request_id") is not None and _was_sent(part["request_id"]):
        del part["request_id"]
    for thing in ("project", "epic"):
        if part.get(f"{thing}_id") is not None:
            part.pop(f"{thing}_name", None)
    if is_new and "name" in part:
        part["name"] = f"{part['name'][: NAME_CHARACTERS - 10]} {next(_numbers)}"


def _send_once(case: Any) -> None:
    """Remove a header if the body or the query has the same value: the two must not differ."""
    parts = [part for part in (case.query, case.body) if isinstance(part, dict)]
    for header, name in ((KEY, "request_id"), ("If-Match", "version")):
        if case.headers and header in case.headers and any(part.get(name) is not None for part in parts):
            del case.headers[header]


def _was_sent(key: str) -> bool:
    """Record the idempotency key and return whether it is known. A known key causes a replay or a rejection."""
    was_sent = key in _sent
    _sent.add(key)
    return was_sent


@schemathesis.hook
def filter_failure(_context: Any, failure: Any, case: Any, response: Any) -> bool:
    """Return whether the failure counts: it has none of the reasons above, and `before_call` did not cause it."""
    match type(failure).__name__:
        case "EnsureResourceAvailability":
            return (case.path_parameters or {}).get("token_id") != NO_TOKEN
        case "RejectedPositiveData":
            return not _fails_for_its_data(case, response.json()["details"].get("errors", ()))
        case "AcceptedNegativeData":
            return not _is_read_in_another_form(case)
    return True


def _fails_for_its_data(case: Any, faults: list[dict[str, Any]]) -> bool:
    """Return whether a document or a name in the request does not fit the data of the service."""
    return any(
        "line" in fault
        or fault["hint"] in STATE_HINTS
        or BEYOND_A_SCHEMA.search(fault["field"])
        or (fault["message"].endswith(BEYOND_A_PATTERN) and _has_astral(case))
        for fault in faults
    )


def _has_astral(case: Any) -> bool:
    sent = [case.path_parameters, case.query, case.body]
    return max(json.dumps(sent, ensure_ascii=False, default=str)) > "\uffff"


def _is_read_in_another_form(case: Any) -> bool:
    """Return whether the body is valid once flags and lists have the form that the description recommends."""
    described = API["paths"][case.path][case.method.lower()]["requestBody"]["content"]["application/json"]["schema"]
    schema = described | {"components": API["components"]}
    return bool(Draft202012Validator(schema).is_valid(_recommended(case.body, schema)))


def _recommended(value: Any, schema: dict[str, Any]) -> Any:
    """Return the value with `0` and `yes` as flags, and with one text in place of a list as a list."""
    if "$ref" in schema:
        return _recommended(value, API["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    kinds = {
        branch.get("type"): branch for branch in schema.get("anyOf", [schema]) if isinstance(branch.get("type"), str)
    }
    if "boolean" in kinds and not isinstance(value, bool):
        return FLAGS.get(str(value).strip().lower(), value)
    if "array" in kinds:
        rows = value if isinstance(value, list) else [value] if isinstance(value, str) else []
        return [_recommended(row, kinds["array"]["items"]) for row in rows] if rows else value
    if isinstance(value, dict):
        return {name: _recommended(of, schema.get("properties", {}).get(name, {})) for name, of in value.items()}
    return value
