"""What prompts written for the predecessor still say: its tools, and arguments without a meaning here."""

from collections.abc import Callable, Mapping

import orjson

from project_manager.mcp.instructions import INSTRUCTIONS
from project_manager.mcp.outcome import Outcome

Arguments = Mapping[str, object]

INSTRUCTIONS_TOOL = "get_instructions"

_WITHOUT_MEANING = frozenset(
    {
        "client_session_id",
        "parallel_eligible",
        "parallel_group",
        "prompt_snapshot",
        "ra_metadata",
        "ra_metadata_mode",
        "ra_mode",
        "ra_score",
        "ra_tags",
        "ra_tags_mode",
    }
)
_TOOLS_WITH_THEM = frozenset({"create_task", "update_task"})


def translated(name: str, given: Arguments) -> tuple[str, Arguments]:
    """The tool and arguments that a call means. Calls in today's words come back as they are."""
    if name in _TOOLS_WITH_THEM and not _WITHOUT_MEANING.isdisjoint(given):
        return name, {word: value for word, value in given.items() if word not in _WITHOUT_MEANING}
    translate = _TRANSLATIONS.get(name)
    return translate(given) if translate is not None else (name, given)


def instructions() -> Outcome:
    """The predecessor's tool that teaches the loop."""
    body = orjson.dumps({"instructions": INSTRUCTIONS})
    return Outcome(body.decode(), body)


def _tag(given: Arguments) -> tuple[str, Arguments]:
    """A tag on a task was a remark about a place in the code."""
    place = ":".join(str(given[word]) for word in ("file_path", "line_number") if given.get(word) is not None)
    lines = [str(given.get("ra_tag_text", "")), place and f"at {place}", _quoted(given.get("code_snippet"))]
    return _entry(given, "comment", "\n\n".join(line for line in lines if line), "agent_id")


def _verdict(given: Arguments) -> tuple[str, Arguments]:
    """A verdict on an assumption is evidence."""
    words = f"{given.get('outcome', '')} {given.get('ra_tag_id', '')}: {given.get('reason', '')}"
    confidence = f" (confidence {given['confidence']} %)" if given.get("confidence") is not None else ""
    return _entry(given, "evidence", f"Assumption {words}{confidence}", "reviewer_agent_id")


def _entry(given: Arguments, kind: str, body: str, author: str) -> tuple[str, Arguments]:
    entry = {"task_id": given.get("task_id"), "kind": kind, "body": body, "agent_id": given.get(author)}
    return "add_task_log", {word: value for word, value in entry.items() if value is not None}


def _quoted(snippet: object) -> str:
    return f"```\n{snippet}\n```" if snippet else ""


_TRANSLATIONS: Mapping[str, Callable[[Arguments], tuple[str, Arguments]]] = {
    "add_ra_tag": _tag,
    "capture_assumption_validation": _verdict,
}
