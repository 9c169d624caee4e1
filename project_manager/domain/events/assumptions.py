"""Events of assumptions."""

from typing import Annotated

from project_manager.domain.assumptions import Verdict
from project_manager.domain.events.event import ACTOR, TASK, Event


class AssumptionRecorded(Event):
    """An assumption about a task was recorded."""

    type = "assumption.recorded"
    touches = (TASK, ACTOR)
    assumption_id: int
    assumption_type: str
    author: str


class AssumptionValidated(Event):
    """A reviewer gave a verdict on an assumption."""

    type = "assumption.validated"
    touches = (TASK, ACTOR)
    assumption_id: int
    verdict: Annotated[str, Verdict]
    previous_verdict: str | None
    confidence: int
    reviewer: str
