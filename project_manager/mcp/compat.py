"""Arguments of the predecessor's tools that have no effect here. Prompts for the predecessor still use them."""

from collections.abc import Mapping

Arguments = Mapping[str, object]

_OF_A_TASK = frozenset(
    {
        "client_session_id",
        "parallel_eligible",
        "parallel_group",
        "prompt_snapshot",
        "ra_metadata",
        "ra_metadata_mode",
        "ra_mode",
        "ra_score",
        "ra_tags_mode",
    }
)
_WITHOUT_MEANING: Mapping[str, frozenset[str]] = {
    "create_task": _OF_A_TASK,
    "update_task": _OF_A_TASK,
    "get_instructions": frozenset({"format"}),
}


def with_meaning(name: str, given: Arguments) -> Arguments:
    """Return the arguments without those that have no effect in this tool."""
    idle = _WITHOUT_MEANING.get(name)
    if idle is None or idle.isdisjoint(given):
        return given
    return {word: value for word, value in given.items() if word not in idle}
