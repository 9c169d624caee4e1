"""Errors of a plan with their positions, and the exception that lists them."""

from dataclasses import dataclass

from project_manager.domain.errors import Invalid
from project_manager.plans.yaml_tree import Position

MAX_DIAGNOSTICS = 500
_SHOWN = 10
_CHARACTERS = 1_000
"""Length after which a message or a path is truncated. Both can repeat keys, which have no other length limit."""


@dataclass(slots=True)
class Diagnostic:
    """An error in a plan, with its position and the path of keys to it."""

    position: Position
    field: str
    message: str
    hint: str = ""


def plan_error(source: str, found: list[Diagnostic]) -> Invalid:
    """Return the exception with the first `MAX_DIAGNOSTICS` errors in document order."""
    found = sorted(found, key=lambda diagnostic: diagnostic.position)
    errors = [
        {
            "field": _truncated(diagnostic.field),
            "message": _truncated(diagnostic.message),
            "hint": diagnostic.hint,
            "source": source,
            "line": diagnostic.position.line,
            "column": diagnostic.position.column,
        }
        for diagnostic in found[:MAX_DIAGNOSTICS]
    ]
    lines = [f"{source}:{error['line']}:{error['column']}: {error['message']}" for error in errors[:_SHOWN]]
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    hints = dict.fromkeys(diagnostic.hint for diagnostic in found[:_SHOWN] if diagnostic.hint)
    hint = "Nothing was written. " + " ".join(hints)
    return Invalid("; ".join(lines) + more, hint=hint, errors=errors, total=len(found))


def _truncated(text: str) -> str:
    return text if len(text) <= _CHARACTERS else f"{text[:_CHARACTERS]}.."
