"""The catalogue of operations. Route, API description, tool, metric and log action follow from each row.
"""

from collections.abc import Mapping

from project_manager.operations.definition import Operation
from project_manager.operations.knowledge import ASSUMPTIONS, KNOWLEDGE
from project_manager.operations.leases import LEASES
from project_manager.operations.operating import OPERATING
from project_manager.operations.projects import EPICS, PROJECTS
from project_manager.operations.tasks import TASKS
from project_manager.operations.watching import WATCHING

OPERATIONS: tuple[Operation, ...] = (
    *LEASES,
    *TASKS,
    *PROJECTS,
    *EPICS,
    *WATCHING,
    *KNOWLEDGE,
    *ASSUMPTIONS,
    *OPERATING,
)
BY_NAME: Mapping[str, Operation] = {operation.name: operation for operation in OPERATIONS}
