"""The beginning of descriptions, for lists that are too large with whole descriptions."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement

from project_manager.domain.limits import EXCERPT_CHARACTERS
from project_manager.store.functions import Substring


def with_excerpt(columns: Sequence[ColumnElement[Any]]) -> list[ColumnElement[Any]]:
    """Return the columns with `description` cut to EXCERPT_CHARACTERS + 1.

    The extra character shows that the description is longer.
    """
    return [
        Substring(column, 1, EXCERPT_CHARACTERS + 1).label("description") if column.name == "description" else column
        for column in columns
    ]
