"""Faults of a plan, each with its place, and the error that lists them."""

from dataclasses import dataclass

from project_manager.domain.errors import Invalid
from project_manager.plans.yaml_tree import Place

REPORTED = 500
_SHOWN = 10
_CHARACTERS = 1_000
"""Length of a message and of a path. Both can repeat keys of the document, whose length has no other bound."""


@dataclass(slots=True)
class Fault:
    """Something wrong, with its place and the path of keys that leads there."""

    place: Place
    field: str
    message: str
    hint: str = ""


def refused(source: str, found: list[Fault]) -> Invalid:
    """Return the error that lists these faults in the order of the document."""
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
