"""The catalogue of operations. Route, API description, tool, metric and log action are derived from each row."""

import re
from collections.abc import Mapping
from functools import cache

from project_manager.operations.agents import AGENTS
from project_manager.operations.assumptions import ASSUMPTIONS
from project_manager.operations.board import BOARD
from project_manager.operations.bulk_edits import BULK_EDITS
from project_manager.operations.definition import Operation
from project_manager.operations.demo import DEMO
from project_manager.operations.epics import EPICS
from project_manager.operations.events import EVENTS
from project_manager.operations.flow import FLOW
from project_manager.operations.knowledge import KNOWLEDGE
from project_manager.operations.leases import LEASES
from project_manager.operations.logs import LOGS
from project_manager.operations.messages import MESSAGES
from project_manager.operations.pauses import PAUSES
from project_manager.operations.plans import PLANS
from project_manager.operations.projects import PROJECTS
from project_manager.operations.questions import QUESTIONS
from project_manager.operations.reviews import REVIEWS
from project_manager.operations.saved_views import SAVED_VIEWS
from project_manager.operations.tasks import TASKS
from project_manager.operations.tokens import TOKENS

OPERATIONS: tuple[Operation, ...] = (
    *LEASES,
    *TASKS,
    *BULK_EDITS,
    *LOGS,
    *MESSAGES,
    *PAUSES,
    *QUESTIONS,
    *REVIEWS,
    *PROJECTS,
    *EPICS,
    *BOARD,
    *EVENTS,
    *AGENTS,
    *FLOW,
    *SAVED_VIEWS,
    *KNOWLEDGE,
    *ASSUMPTIONS,
    *PLANS,
    *TOKENS,
    *DEMO,
)
BY_NAME: Mapping[str, Operation] = {operation.name: operation for operation in OPERATIONS}


def operation_at(method: str, path: str) -> tuple[Operation, dict[str, str]]:
    """Return the operation of a route, and the arguments in its path. Raises LookupError."""
    for known, pattern, operation in _routes():
        if known == method and (match := pattern.fullmatch(path)):
            return operation, match.groupdict()
    raise LookupError(f"no operation has the route {method} {path}")


@cache
def _routes() -> list[tuple[str, re.Pattern[str], Operation]]:
    """Return method, pattern and operation of each route."""
    found = []
    for operation in OPERATIONS:
        if operation.http:
            method, path = operation.http.split()
            found.append((method, re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path)), operation))
    return found
