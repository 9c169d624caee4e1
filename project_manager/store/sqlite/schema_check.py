"""Comparison of the schema of a database with the schema that the migrations create in a temporary database.

Spacing, quotes, letter case, and the order of columns and constraints depend on past migrations, and are ignored.
"""

import re
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from project_manager.store.sqlite import driver

Schema = dict[tuple[str, str], tuple[str, ...]]

_OBJECTS = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY type, name"
_NOISE = re.compile(r"[\s\"`\[\]]+")


def differences(connection: Any, revision: str) -> list[str]:
    """Return one sentence per table, index or trigger that differs from the schema of the revision."""
    found, expected = _read(connection), _expected(revision)
    missing = [f"the {kind} {name} is missing" for kind, name in expected if (kind, name) not in found]
    unexpected = [
        f"the {kind} {name} is not part of the schema" for kind, name in found if (kind, name) not in expected
    ]
    changed = [
        f"the {kind} {name} differs from the schema"
        for (kind, name), definition in found.items()
        if expected.get((kind, name), definition) != definition
    ]
    return [*missing, *unexpected, *changed]


@cache
def _expected(revision: str) -> Schema:
    # Import Alembic only here: its import takes longer than most commands.
    from project_manager.store.migrations import upgrade  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="project-manager-") as folder:
        path = Path(folder) / "schema.db"
        upgrade(str(path), revision)
        connection = driver.connect(str(path))
        try:
            return _read(connection)
        finally:
            connection.close()


def _read(connection: Any) -> Schema:
    return {(kind, name): _parts(sql or "") for kind, name, sql in connection.execute(_OBJECTS).fetchall()}


def _parts(sql: str) -> tuple[str, ...]:
    """Return the text before the outermost parentheses, the sorted parts inside, and the text after them."""
    first, last = sql.find("("), sql.rfind(")")
    if not re.match(r"\s*CREATE\s+TABLE", sql, re.IGNORECASE) or first < 0:
        return (_plain(sql),)
    return (
        _plain(sql[:first]),
        *sorted(_plain(part) for part in _split(sql[first + 1 : last])),
        _plain(sql[last + 1 :]),
    )


def _split(text: str) -> list[str]:
    """Split at the commas outside parentheses and text literals."""
    parts, depth, quoted, start = [], 0, False, 0
    for place, letter in enumerate(text):
        if letter == "'":
            quoted = not quoted
        elif not quoted and letter in "()":
            depth += 1 if letter == "(" else -1
        elif not quoted and letter == "," and depth == 0:
            parts.append(text[start:place])
            start = place + 1
    return [*parts, text[start:]]


def _plain(text: str) -> str:
    return _NOISE.sub("", text).casefold()
