"""Events of pauses."""

from typing import Annotated

from project_manager.domain.events.event import ACTOR, BOARD, HOLDER, TASK, Event
from project_manager.domain.pauses import PauseScope


class PauseStarted(Event):
    """Claims were paused: of a task, of the tasks of a project, of all tasks, or by an agent.

    Each task that was ready has its own `task.not_ready`. Present leases continue.
    """

    type = "pause.started"
    touches = (TASK, BOARD, HOLDER, ACTOR)
    pause_id: int
    scope: Annotated[str, PauseScope]
    agent_id: Annotated[str | None, "the paused agent"]
    reason: str
    author: Annotated[str, "actor that started the pause"]
    stopped: Annotated[bool, "whether the agent is stopped, so that its writes are rejected"] = False


class PauseEnded(PauseStarted):
    """A pause ended. Each task that is ready now has its own `task.ready`. Deletion of its task or project ends it."""

    type = "pause.ended"
