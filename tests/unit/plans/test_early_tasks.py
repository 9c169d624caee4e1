"""Tasks are read while their document is parsed, with the same result as from the complete tree."""

import gc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from project_manager.plans import reader
from project_manager.plans.reader import Plan
from project_manager.plans.yaml_tree import Mapping, Node, compose

TASKS = 5_000
EVERY_PLACE = """
projects:
- name: House
  epics:
  - {name: Roof, tasks: [{name: Tiles, labels: [a], depends_on: [Beams]}, {name: Beams}]}
  tasks:
  - &shared {name: Paint, priority: 1}
  - <<: *shared
    name: Second coat
  - *shared
  - - {name: In a list}
  - {name: Twice, priority: 9, nam: x, priority: 8}
- epics: &epics
  - name: Cellar
    tasks: [{name: Dig, conflicts_with: Paint}]
- {name: Barn, epics: *epics}
standalone_tasks:
- {name: Alone, project: House, status: no}
- {}
- text
"""


def pieces() -> st.SearchStrategy[str]:
    values = ["x", "1", "[a, b]", "[a, ~]", "", "{name: y}", "9", "done", "&a z", "*a"]
    entry = st.tuples(
        st.sampled_from(["name", "priority", "labels", "status", "depends_on", "nam"]), st.sampled_from(values)
    )
    task = st.lists(entry, min_size=1, max_size=4).map(lambda pairs: [f"{key}: {value}" for key, value in pairs])
    return st.lists(task, max_size=4).map(
        lambda tasks: "standalone_tasks:\n" + "".join("- " + "\n  ".join(lines) + "\n" for lines in tasks)
    )


def read_from_tree(document: str) -> Plan:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader._EarlyTasks, "_KINDS", {})
        return reader.read(document, "plan.yaml")


def contents(plan: Plan) -> list[object]:
    """Return everything in the plan. Tasks compare by identity, so their fields are listed."""
    tasks = [[getattr(task, name) for name in task.__slots__] for task in plan.tasks]
    return [tasks, plan.diagnostics, plan.projects, plan.epics]


def test_a_task_at_every_place_is_read_as_from_the_tree() -> None:
    found = reader.read(EVERY_PLACE, "plan.yaml")
    assert contents(found) == contents(read_from_tree(EVERY_PLACE))
    assert [(task.project, task.epic, task.name) for task in found.tasks][:2] == [
        ("House", "Roof", "Tiles"),
        ("House", "Roof", "Beams"),
    ]


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(pieces())
def test_any_document_is_read_as_from_the_tree(document: str) -> None:
    assert contents(reader.read(document, "plan.yaml")) == contents(read_from_tree(document))


def test_reading_stops_at_the_same_error_as_from_the_tree() -> None:
    document = "standalone_tasks:\n" + "- {}\n" * (reader.MAX_DIAGNOSTICS + 100)
    found, expected = reader.read(document, "plan.yaml"), read_from_tree(document)
    assert [(fault.position, fault.field) for fault in found.diagnostics] == [
        (fault.position, fault.field) for fault in expected.diagnostics
    ]


def test_a_long_key_is_not_copied_for_each_mapping_below_it() -> None:
    found: list[tuple[str, ...]] = []

    def convert(_keys: tuple[str, ...], path: tuple[str, ...], node: Mapping) -> Node:
        found.append(path)
        return node

    compose(f"? {'k' * 100_000}\n:\n- {{}}\n- {{}}\n", convert=convert)
    assert [path[1:] for path in found] == [("0",), ("1",)]
    assert found[0][0] is found[1][0]


def test_the_tree_never_contains_all_tasks_of_a_large_plan() -> None:
    numbers: list[int] = []

    def count(_line: int) -> None:
        numbers.append(sum(isinstance(each, Mapping) for each in gc.get_objects()))

    count(0)
    of_other_tests = numbers.pop()
    document = "standalone_tasks:\n" + "".join(f"- name: Task {number}\n  labels: [a]\n" for number in range(TASKS))
    plan = reader.read(document, "plan.yaml", count)
    assert (len(plan.tasks), plan.diagnostics) == (TASKS, [])
    assert len(numbers) > 2
    assert max(numbers) < of_other_tests + 10
