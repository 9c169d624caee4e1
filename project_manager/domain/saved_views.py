"""Saved views of the dashboard: the parameters of an address that a view may contain."""

from urllib.parse import parse_qsl, urlencode

VIEWS = ("board", "table", "needs", "agents", "activity", "graph", "flow", "projects")
"""The values of the parameter `view`. `views/views.js` has the same ones."""
PARAMETERS = (
    *("view", "project", "epic", "label", "priority", "holder", "worked_by", "created_by", "changed"),
    *("completed_since", "completed_until", "ready", "q", "sort", "group"),
)
"""The parameters of the address of the dashboard that choose a view, its filters, its order and its groups.

`state/route.js` has the same ones.
"""
VALUES = 128
"""Maximum number of values in a query."""


def normalized(query: str) -> str:
    """Return the query of an address in one form for equal ones. Raises ValueError for another parameter or view."""
    text = query.strip().removeprefix("/").removeprefix("?")
    try:
        pairs = parse_qsl(text, strict_parsing=bool(text), max_num_fields=VALUES, errors="strict")
    except ValueError as error:
        raise ValueError("is not the query of an address, such as view=table&label=api") from error
    unknown = next((name for name, _ in pairs if name not in PARAMETERS), None)
    if unknown is not None:
        raise ValueError(f"has the unknown parameter {unknown[:40]!r}; a view has {', '.join(PARAMETERS)}")
    view = next((value for name, value in pairs if name == "view" and value not in VIEWS), None)
    if view is not None:
        raise ValueError(f"has the unknown view {view[:40]!r}; the views are {', '.join(VIEWS)}")
    return urlencode(sorted(pairs, key=lambda pair: PARAMETERS.index(pair[0])))
