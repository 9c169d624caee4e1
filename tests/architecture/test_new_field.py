"""A plain field of a task is added in four places. The rest of the service derives from them."""

import subprocess
import sys
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest

from project_manager.domain.task_fields import EDITABLE, PLAIN, REQUIRED, TASK_FIELDS, Field
from project_manager.schemas.tasks import CreateTask, PlainFields, TaskView, UpdateTask
from project_manager.store.revisions import head
from project_manager.store.tables import tasks
from tests.architecture.tree import CHECKOUT

LAST = head()
NEXT = f"{int(LAST) + 1:04}"
MIGRATION = f'''"""Add a milestone to tasks."""

import sqlalchemy as sa
from alembic import op

revision = "{NEXT}"
down_revision = "{LAST}"
branch_labels = None
depends_on = None
oldest_release = "{LAST}"


def upgrade() -> None:
    op.add_column("tasks", sa.Column("milestone", sa.Text()))
'''
NEW_ROW = '    _written("milestone", Kind.LINE, "Milestone"),\n'
NEW_ARGUMENT = "    milestone: fields.Key | None = None\n"
ADDITIONS = (
    ("store/tables.py", '    Column("external_key", OrderedText),\n', '    Column("milestone", OrderedText),\n'),
    ("domain/task_fields.py", '    Field("version", Kind.INTEGER),\n', NEW_ROW),
    ("schemas/tasks.py", "    estimate_minutes: fields.Minutes | None = None\n", NEW_ARGUMENT),
    ("schemas/tasks.py", "    estimate_minutes: int | None\n", "    milestone: str | None\n"),
)
"""Files of the package, with a line of each and the line to add before it."""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of the package and of the fixtures of its tests, with the field `milestone`."""
    for folder in ("project_manager", "migrations"):
        copytree(CHECKOUT / folder, tmp_path / folder, ignore=ignore_patterns("__pycache__"))
    modules = ("conftest", "http_service", "operations_client", "postgres_server", "stored_rows")
    for name in ("setup.cfg", *[f"tests/{module}.py" for module in modules]):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text((CHECKOUT / name).read_text())
    (tmp_path / "tests/test_milestone.py").write_text((CHECKOUT / "tests/architecture/milestone.py").read_text())
    (tmp_path / f"migrations/versions/{NEXT}_milestone.py").write_text(MIGRATION)
    for name, line, addition in ADDITIONS:
        path = tmp_path / "project_manager" / name
        text = path.read_text()
        assert text.count(line) == 1
        path.write_text(text.replace(line, addition + line))
    return tmp_path


@pytest.mark.slow
def test_a_new_field_is_known_to_every_interface_and_to_plans(copy: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_milestone.py"]
    run = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_field_of_the_table_is_where_its_marks_say() -> None:
    names = {field.name for field in TASK_FIELDS}
    assert set(TaskView.__annotations__) == names - {"holder", "expires_at"}
    assert {field.name for field in TASK_FIELDS if field.column} <= set(tasks.c.keys())
    assert set(PlainFields.model_fields) == {field.name for field in PLAIN}
    assert set(EDITABLE) <= set(UpdateTask.model_fields)


@pytest.mark.parametrize("field", [field for field in TASK_FIELDS if field.name in CreateTask.model_fields])
def test_a_command_has_the_default_of_the_table(field: Field) -> None:
    info = CreateTask.model_fields[field.name]
    default = REQUIRED if info.is_required() else info.get_default(call_default_factory=True)
    assert default == field.default
