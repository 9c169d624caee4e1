"""Pauses: their scopes, the flags of the tasks that they withhold, and the errors of claims that they reject."""

from dataclasses import dataclass
from enum import StrEnum

from project_manager.domain.errors import Paused, Stopped
from project_manager.domain.readiness import Withheld


class PauseScope(StrEnum):
    """The tasks or the agent that a pause concerns."""

    ALL = "all"
    PROJECT = "project"
    TASK = "task"
    AGENT = "agent"


FLAGS = {
    PauseScope.TASK: Withheld.TASK_PAUSED,
    PauseScope.PROJECT: Withheld.PROJECT_PAUSED,
    PauseScope.ALL: Withheld.ALL_PAUSED,
}
"""The flag of the tasks of a paused scope. The pause of an agent has no flag: the claims of the agent check it."""
PAUSED_FLAGS = Withheld.TASK_PAUSED | Withheld.PROJECT_PAUSED | Withheld.ALL_PAUSED
_SUBJECTS = {
    PauseScope.ALL: "all work is paused",
    PauseScope.PROJECT: "the project is paused",
    PauseScope.TASK: "the task is paused",
    PauseScope.AGENT: "you are paused",
}


# orjson encodes a dataclass without slots three times as fast.
@dataclass
class PausedView:
    """The pause that prevents a claim, with its author, and its beginning as `since`."""

    scope: str
    reason: str
    author: str
    since: str
    stopped: bool = False


def describe(pause: PausedView) -> str:
    """Return a sentence about the pause for the agent that wants to claim."""
    if pause.stopped:
        return f"you are stopped by {pause.author}"
    reason = f": {pause.reason}" if pause.reason else ""
    return f"{_SUBJECTS[PauseScope(pause.scope)]} by {pause.author}{reason}"


def stopped_error(pause: PausedView) -> Stopped:
    """Return the error for a write of a stopped agent."""
    return Stopped(describe(pause), author=pause.author, since=pause.since)


def paused_error(pause: PausedView, task_id: int) -> Paused:
    """Return the error for a claim that the pause prevents."""
    return Paused(describe(pause), hint="", task_id=task_id, **vars(pause))
