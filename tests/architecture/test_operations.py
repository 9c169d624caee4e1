import ast
import re
from pathlib import Path

import pytest

from project_manager.catalogue import BY_NAME, OPERATIONS
from project_manager.domain import errors, service_errors
from project_manager.domain.errors import ProjectManagerError
from project_manager.operations.definition import Operation
from tests.architecture.tree import PACKAGE, files, name_of, nodes

GENERIC_CODE = [
    *(
        PACKAGE / "runtime" / f"{name}.py"
        for name in ("dispatch", "execution", "authorization", "idempotency", "calls")
    ),
    *(PACKAGE / "web" / f"{name}.py" for name in ("endpoint", "streaming", "representations")),
    PACKAGE / "mcp" / "tools.py",
]
"""The modules that run every operation. They know the rows of the catalogue, not the operations."""

each_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)


def every_error(root: type[ProjectManagerError] = ProjectManagerError) -> list[type[ProjectManagerError]]:
    return [root, *(error for child in root.__subclasses__() for error in every_error(child))]


def test_a_name_and_a_route_belong_to_one_operation() -> None:
    routes = [operation.http for operation in OPERATIONS if operation.http]
    assert sorted(routes) == sorted(set(routes))
    assert len(BY_NAME) == len(OPERATIONS)


@each_operation
def test_an_operation_has_a_description(operation: Operation) -> None:
    assert re.fullmatch(r"[A-Z].*\.", operation.summary)


@each_operation
def test_an_operation_is_documented(operation: Operation) -> None:
    pages = "\n".join(path.read_text() for path in files("README.md", "docs/*.md"))
    assert f"`{operation.name}`" in pages


def test_the_code_of_an_error_is_its_name_and_belongs_to_it_alone() -> None:
    modules = (errors.__name__, service_errors.__name__)
    codes = [(error.__name__, error("x").code) for error in every_error() if error.__module__ in modules]
    for name, code in codes:
        assert code == re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    assert len({code for _, code in codes}) == len(codes)


@each_operation
def test_the_declarations_of_an_operation_name_fields_of_its_command(operation: Operation) -> None:
    tool = operation.tool
    declared = {operation.acts_as} - {""}
    declared |= {operation.waits.field} if operation.waits else set()
    declared |= {operation.accepts.field} if operation.accepts else set()
    declared |= {*tool.required, *tool.named_for, *tool.operator_only} if tool else set()
    assert declared <= operation.command.model_fields.keys()


@each_operation
def test_an_agent_needs_the_token_of_an_operator_to_force(operation: Operation) -> None:
    if operation.tool is not None and "force" in operation.command.model_fields:
        assert "force" in operation.tool.operator_only


@each_operation
def test_your_agent_id_is_the_agent_that_the_call_acts_as(operation: Operation) -> None:
    described = operation.command.model_fields.get("agent_id")
    if described is not None and described.description == "your agent id":
        assert operation.acts_as == "agent_id"


@pytest.mark.parametrize("path", GENERIC_CODE, ids=name_of)
def test_code_for_all_operations_names_no_command_and_no_field_of_an_identity(path: Path) -> None:
    """The row of an operation in the catalogue declares all that is special about it."""
    tree = nodes(path)
    commands = {operation.command.__name__ for operation in OPERATIONS}
    assert {node.id for node in tree if isinstance(node, ast.Name)} & commands == set()
    assert [node.lineno for node in tree if isinstance(node, ast.Constant) and node.value == "agent_id"] == []
    assert [node.lineno for node in tree if isinstance(node, ast.Attribute) and node.attr == "agent_id"] == []
