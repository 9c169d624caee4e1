"""Errors of a plan with their positions, and the exception that lists them."""

from dataclasses import dataclass

from project_manager.domain.errors import Invalid
from project_manager.plans.yaml_tree import Place

REPORTED = 500
_SHOWN = 10
_CHARACTERS = 1_000
"""Maximum length of a message and of a path. Both can repeat document keys, which have no other length limit."""


@dataclass(slots=True)
class Fault:
    """An error in a plan, with its position and the path of keys to it."""

    place: Place
    field: str
    message: str
    hint: str = ""


def refused(source: str, found: list[Fault]) -> Invalid:
    """Return the exception that lists these errors in document order."""
    found = sorted(found, key=lambda fault: fault.place)
    lines = [f"{source}:{fault.place.line}:{fault.place.column}: {_cut(fault.message)}" for fault in found[:_SHOWN]]
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return Invalid(
        "; ".join(lines) + more,
        hint="Nothing was written. " + " ".join(dict.fromkeys(fault.hint for fault in found[:_SHOWN] if fault.hint)),
        faults=[_shown(source, fault) for fault in found[:REPORTED]],
        total=len(found),
    )


def _shown(source: str, fault: Fault) -> dict[str, object]:
    return {
        "field": _cut(fault.field),
        "message": _cut(fault.message),
        "hint": fault.hint,
        "source": source,
        "line": fault.place.line,
        "column": fault.place.column,
    }


def _cut(text: str) -> str:
    return text if len(text) <= _CHARACTERS else f"{text[:_CHARACTERS]}.."
