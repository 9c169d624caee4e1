"""The statements that a connection sends to the server with the next one, in one round trip."""

from collections.abc import Sequence
from typing import Any, NamedTuple

CHANGES = ("INSERT", "UPDATE", "DELETE")


class PostponedStatement(NamedTuple):
    """A statement for the next round trip.

    `changes` is the number of rows that it must change, or None for any. `counted` is the number of rows that count as
    changed while it waits.
    """

    sql: str
    parameters: Sequence[Any] = ()
    changes: int | None = None
    counted: int = 0


class Postponed:
    """A list of statements. `changes` is the number of those that may change a row."""

    def __init__(self) -> None:
        self._statements: list[PostponedStatement] = []
        self.changes = 0

    def __len__(self) -> int:
        return len(self._statements)

    def add(self, statement: PostponedStatement) -> None:
        counted = int(statement.sql.startswith(CHANGES))
        self._statements.append(statement._replace(counted=counted))
        self.changes += counted

    def take(self) -> list[PostponedStatement]:
        """Remove all statements and return them."""
        taken, self._statements, self.changes = self._statements, [], 0
        return taken

    def forget_since(self, savepoint: str) -> None:
        """Discard the statements that a rollback to this savepoint would undo."""
        for statement in self.take():
            self.add(statement)
            if statement.sql == f"SAVEPOINT {savepoint}":
                return
        self.take()
