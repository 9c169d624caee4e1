"""Events of imports."""

from typing import Annotated

from project_manager.domain.events.event import ACTOR, BOARD, Event


class ImportFinished(Event):
    """An import of a plan ended. It is the last event of the import."""

    type = "import.finished"
    touches = (BOARD, ACTOR)
    source: Annotated[str, "name of the plan"]
    created: int
    changed: int
    unchanged: int
    deleted: int
