"""Everything that a user can do, one row each.

The row gives the route, the API description, the tool, the metric and the log word. A module here is a part of that
one list and holds rows only.
"""

from collections.abc import Mapping

from project_manager.catalogue.knowledge import ASSUMPTIONS, KNOWLEDGE
from project_manager.catalogue.leases import LEASES
from project_manager.catalogue.operating import OPERATING
from project_manager.catalogue.projects import EPICS, PROJECTS
from project_manager.catalogue.tasks import TASKS
from project_manager.catalogue.watching import WATCHING
from project_manager.operation import Operation

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
