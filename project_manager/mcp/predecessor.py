"""What prompts written for the predecessor still say: the tool that teaches, and arguments without a meaning here."""

from collections.abc import Mapping

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


def with_meaning(name: str, given: Arguments) -> Arguments:
    """The arguments that still mean something to this tool."""
    if name not in _TOOLS_WITH_THEM or _WITHOUT_MEANING.isdisjoint(given):
        return given
    return {word: value for word, value in given.items() if word not in _WITHOUT_MEANING}


def instructions() -> Outcome:
    """The predecessor's tool that teaches the loop."""
    body = orjson.dumps({"instructions": INSTRUCTIONS})
    return Outcome(body.decode(), body)
