"""Arguments of the predecessor's tools that have no effect here. Prompts for the predecessor still use them."""

from collections.abc import Mapping

Arguments = Mapping[str, object]

_TASK_ARGUMENTS = frozenset(
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
_OBSOLETE_ARGUMENTS: Mapping[str, frozenset[str]] = {
    "create_task": _TASK_ARGUMENTS,
    "update_task": _TASK_ARGUMENTS,
    "get_instructions": frozenset({"format"}),
}


def drop_obsolete(name: str, given: Arguments) -> Arguments:
    """Return the arguments without those that have no effect in this tool."""
    obsolete = _OBSOLETE_ARGUMENTS.get(name)
    if obsolete is None or obsolete.isdisjoint(given):
        return given
    return {word: value for word, value in given.items() if word not in obsolete}
