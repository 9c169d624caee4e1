"""The beginning of descriptions, for lists that would be too large with all of them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, func

from project_manager.domain.limits import LEAD_CHARACTERS


def with_lead(columns: Sequence[ColumnElement[Any]]) -> list[ColumnElement[Any]]:
    """The columns, `description` cut to LEAD_CHARACTERS, and one more when there is more."""
    return [
        func.substr(column, 1, LEAD_CHARACTERS + 1).label("description") if column.name == "description" else column
        for column in columns
    ]
