"""The operation that starts the demo."""

from project_manager.domain.errors import NameTaken, NotEmpty
from project_manager.operations.definition import Operation
from project_manager.schemas.demo import StartDemo
from project_manager.schemas.projects import ProjectView
from project_manager.services import demo

DEMO_AGENTS = "demo"
"""The name of the background job with the agents."""

DEMO = (
    Operation(
        "start_demo",
        demo.start,
        StartDemo,
        ProjectView,
        http="POST /api/demo",
        needs_operator=True,
        raises=(NotEmpty, NameTaken),
        status=201,
        starts=DEMO_AGENTS,
    ),
)
