import re

import pytest

from project_manager.catalogue import BY_NAME, OPERATIONS
from project_manager.domain import errors
from project_manager.domain.errors import ProjectManagerError
from project_manager.operations.definition import Operation
from tests.architecture.tree import files

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
    codes = [(error.__name__, error("x").code) for error in every_error() if error.__module__ == errors.__name__]
    for name, code in codes:
        assert code == re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    assert len({code for _, code in codes}) == len(codes)
