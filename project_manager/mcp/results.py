"""Shorten the results of tools, because each token costs money and context.

Results omit null, empty, default and repeated values. A write does not return the values that the caller sent.
`tests/integration/test_mcp_budget.py` checks the size of each result. REST keeps every field.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import orjson

from project_manager.domain.limits import PRIORITY_DEFAULT, WAIT_SECONDS_RECOMMENDED
from project_manager.domain.policies import NO_POLICY

Json = dict[str, Any]
Shape = Callable[[Json], Json]

LIST_BYTES = 20_000
"""Maximum size of all rows of a list. Descriptions of projects and epics are truncated to fit."""
EVENT_TEXT_BYTES = 400
"""Maximum size of a text in an event, and of its changes. Longer texts are truncated, longer changes are only named."""

_WAIT = f"to wait, call claim_next_task with wait_seconds={WAIT_SECONDS_RECOMMENDED}"
_OPAQUE = frozenset({"changes", "previous", "metadata"})
"""Objects with meaningful null and empty values."""
_DEFAULTS: Mapping[str, object] = {
    "ready": False,
    "resync": False,
    "total_is_minimum": False,
    "ready_tasks_is_minimum": False,
    "tasks_is_minimum": False,
    "kind": "work",
    "attempts": 0,
    "unblocks": 0,
    "log_entries": 0,
    "worked_seconds": 0,
    "success": True,
    "stopped": False,
    "body_cut": False,
}
_NO_POLICY = asdict(NO_POLICY)
_WRITE_FIELDS = (
    "id",
    "project_id",
    "epic_id",
    "status",
    "ready",
    "why_not_ready",
    "created_by",
    "assumptions",
    "created",
)
_LEASE = ("fence", "expires_at")
_WORKED = ("worked_by", "worked_seconds")


def shorten(tool: str, body: bytes) -> Json:
    """Return the short form of the result of a tool. `body` is the result of REST, a JSON object."""
    result: Json = orjson.loads(body)
    shape = _SHAPES.get(tool)
    return pruned(shape(result) if shape else result)


def pruned(value: Json) -> Json:
    """Return the object without null, empty and default values, at every depth. An empty list of rows stays."""
    kept: Json = {}
    for name, item in value.items():  # the most frequent type first: a claim has 40 values
        if isinstance(item, str):
            if item:
                kept[name] = item
        elif name in _OPAQUE:
            kept[name] = item
        elif isinstance(item, int):
            if name not in _DEFAULTS or item != _DEFAULTS[name]:
                kept[name] = item
        elif item:
            inner = _rules(item) if name == "policy" else _inner(item)
            if inner:
                kept[name] = inner
        elif name == "items":
            kept[name] = item
    return kept


def _rules(policy: Json) -> Json:
    """Return the rules of a policy that are not the default."""
    return pruned({name: value for name, value in policy.items() if value != _NO_POLICY.get(name)})


def _inner(item: Any) -> Any:
    if isinstance(item, dict):
        return pruned(item)
    if isinstance(item, list):
        return [_inner(part) for part in item]
    return item


def _only(value: Json, names: tuple[str, ...]) -> Json:
    return {name: value[name] for name in names if name in value}


def _without(value: Json, *names: str) -> Json:
    rest = value.copy()
    for name in names:
        rest.pop(name, None)
    return rest


def _task(task: Json, *omitted: str) -> Json:
    """Return the task without `omitted` fields, a default priority, and the fence, which is in its lease."""
    kept = _without(task, "fence", *omitted)
    if kept.get("priority") == PRIORITY_DEFAULT:
        del kept["priority"]
    if kept.get("lock"):
        kept["lock"] = _without(kept["lock"], "task_id")
    return kept


def _claimed(result: Json) -> Json:
    """Return a claim: the task, and the lease once. A renewal omits the task."""
    if result["task"] is None:
        return {"message": f"{result['message']}; {_WAIT}", **_only(result, ("paused",)), **_claim_extras(result)}
    lock = _only(result["lock"], (*_LEASE, "ttl_seconds"))
    if result["lock"].get("kind") == "review":
        lock["kind"] = "review"
    if result.get("renewed"):
        return {"task_id": result["task_id"], "lock": lock, "renewed": True, **_claim_extras(result)}
    task = _task(result["task"], "lock", *_WORKED, "ready", "why_not_ready", "updated_at")
    review = _only(result, ("review", "answer"))
    return {**review, "task": task, "lock": lock, **_claim_extras(result)}


def _claim_extras(result: Json) -> Json:
    """Return the parts of a claim other than the task and its lease."""
    extras = _only(result, ("notice", "handoff", "knowledge", "log_entries", "also_holding", "policy"))
    if result.get("submission"):
        extras["submission"] = _submission(result["submission"])
    return extras


def _submission(submission: Json) -> Json:
    """Return submitted work without the parts that a reviewer does not need."""
    return _without(submission, "id", "task_id", "fence", "created_at", "is_current")


def _renewed(result: Json) -> Json:
    """Return a renewed lease, or all of them. `renewed` is their number if not all are listed."""
    if "leases" in result:
        if not result["leases"]:
            return {"message": "you have no lease; call get_context"}
        return _only(result, ("leases", "renewed") if result["renewed"] > len(result["leases"]) else ("leases",))
    return {"task_id": result["task_id"], "lock": _only(result["lock"], _LEASE)}


def _changed_status(result: Json) -> Json:
    lock = result["lock"] and _only(result["lock"], _LEASE)
    return {**_only(result, ("task_id", "status", "previous_status")), "lock": lock}


def _asked(result: Json) -> Json:
    question = result["question"]
    return {**_only(result, ("task_id", "status")), "question": _only(question, ("id", "answer", "via"))}


def _reviewed(result: Json) -> Json:
    return _only(result, ("task_id", "status", "missing"))


def _released(result: Json) -> Json:
    return {"task_id": result["task_id"], **_only(result["task"], ("status", "attempts"))}


def _edited_task(result: Json) -> Json:
    lock = result["lock"] and _only(result["lock"], _LEASE)
    return {**_only(result, ("id", "version", "status", "assumptions")), "lock": lock}


def _created_tasks(result: Json) -> Json:
    """Return the ids by ref, and those of the tasks without a ref in the order of the call."""
    with_ref = {*result["ids"].values()}
    others = [task["id"] for task in result["items"] if task["id"] not in with_ref]
    return {"ids": result["ids"], "task_ids": others, "created": result["created"]}


def _details(result: Json) -> Json:
    """Return a task with its related tasks. They make some of its ids redundant."""
    task = _task(result["task"], "depends_on", "project_id", "epic_id", "worked_seconds")
    parts = {name: [_without(part, "task_id") for part in result[name]] for name in ("assumptions", "logs")}
    # The texts of the criteria are in the task.
    parts["criteria"] = [_without(criterion, "text") for criterion in result["criteria"] if criterion["evidence"]]
    submission = result["submission"] and _submission(result["submission"])
    return {**_without(result, "task_id"), "task": task, **parts, "submission": submission}


def _context(result: Json) -> Json:
    holding = [
        {
            **held,
            "task": _task(held["task"], "lock", *_WORKED, "ready", "why_not_ready"),
            "lock": _only(held["lock"], (*_LEASE, "ttl_seconds")),
            "logs": [_without(entry, "task_id") for entry in held["logs"]],
        }
        for held in result["holding"]
    ]
    return {**result, "holding": holding}


def _rows(result: Json) -> Json:
    return {**result, "items": [_row(row) for row in result["items"]]}


def _available_rows(result: Json) -> Json:
    return _rows({**result, "items": [_without(row, "worked_seconds") for row in result["items"]]})


def _row(row: Json) -> Json:
    """Return a row of a list of tasks. A fence that `fields` selects stays if the row has no lease.

    `worked_by` is omitted if it repeats the holder.
    """
    if row.get("worked_by") is not None and row.get("worked_by") == row.get("holder"):
        row = _without(row, "worked_by")
    return {**_task(row), **({} if row.get("lock") else _only(row, ("fence",)))}


def _described_rows(result: Json) -> Json:
    """Truncate the descriptions of the rows to equal parts of the space that remains in LIST_BYTES."""
    rows = result["items"]
    rest = sum(len(orjson.dumps(_without(row, "description"))) for row in rows)
    size = max(80, (LIST_BYTES - rest) // max(1, len(rows)))
    return {**result, "items": [{**row, "description": _cut(row["description"], size)} for row in rows]}


def _events(result: Json) -> Json:
    return {**result, "items": [_event(event) for event in result["items"]]}


def _event(event: Json) -> Json:
    """Truncate long texts of an event, name the fields of long changes, and omit fields that only operators see."""
    event = _without(event, "token_id", "request_id", "token", "tokens")
    changes = {name: event[name] for name in ("changes", "previous") if name in event}
    kept = {name: _cut(item, EVENT_TEXT_BYTES) if isinstance(item, str) else item for name, item in event.items()}
    if len(orjson.dumps(changes)) > EVENT_TEXT_BYTES:
        return {**_without(kept, *changes), "changed": list(event["changes"])}
    return kept


def _cut(text: str, size: int) -> str:
    """Return the text, truncated with an ellipsis if it has more than `size` bytes."""
    raw = text.encode()
    return text if len(raw) <= size else raw[: size - 3].decode(errors="ignore") + "…"


_SHAPES: Mapping[str, Shape] = {
    "claim_next_task": _claimed,
    "acquire_task_lock": _claimed,
    "renew_task_lock": _renewed,
    "update_task_status": _changed_status,
    "review_task": _reviewed,
    "ask": _asked,
    "release_task_lock": _released,
    "create_task": lambda result: _only(result, _WRITE_FIELDS),
    "create_tasks": _created_tasks,
    "update_task": _edited_task,
    "remember": lambda result: _only(result, ("knowledge_id", "operation", "version")),
    "add_task_log": lambda result: _only(result, ("id", "created_at")),
    "get_task_details": _details,
    "get_context": _context,
    "list_tasks": _rows,
    "get_available_tasks": _available_rows,
    "list_projects": _described_rows,
    "list_epics": _described_rows,
    "wait_for_events": _events,
}
