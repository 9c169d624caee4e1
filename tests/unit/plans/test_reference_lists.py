"""Lists of references in a plan: an invalid entry is an error of the document with its position."""

import pytest

from project_manager.plans import reader


@pytest.mark.parametrize("key", ["depends_on", "dependencies", "conflicts_with"])
@pytest.mark.parametrize("entry", ["{a: b}", "[b]", "~", "''"])
def test_an_invalid_reference_is_reported_where_it_is(key: str, entry: str) -> None:
    plan = reader.read(f"standalone_tasks:\n- name: Paint\n  {key}:\n  - Tiles\n  - {entry}\n", "plan.yaml")
    (found,) = plan.diagnostics
    assert (found.position.line, found.position.column) == (5, 5)
    assert found.field == f"standalone_tasks.0.{key}.1"


def test_a_list_with_both_of_its_names_is_reported_although_one_is_invalid() -> None:
    plan = reader.read("standalone_tasks:\n- name: Paint\n  depends_on: [~]\n  dependencies: [a, b]\n", "plan.yaml")
    assert {found.position.line for found in plan.diagnostics} == {3, 4}
