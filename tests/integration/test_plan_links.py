"""References, dependencies and conflicts in imports of plans."""

from project_manager.domain.limits import LINKS
from tests.integration.plan_helpers import PLAN, import_errors, import_plan, task_by_name
from tests.operations_client import OperationsClient


async def test_references_mean_keys_names_and_paths_in_the_plan_and_in_the_database(api: OperationsClient) -> None:
    there = await api.create_task("There already", project_name="Garden")
    far = await api.create_task("Far", project_name="House", epic_name="Roof")
    await import_plan(
        api,
        """\
projects:
  - name: Garden
    epics:
      - {name: One, tasks: [{name: Same, external_key: S-1}]}
      - name: Two
        tasks:
          - name: Same
          - name: All
            depends_on: [S-1, Two/Same, There already, House / Roof / Far]
          - {name: Also, depends_on: House/Far}
""",
    )
    same = [task["id"] for task in (await api.call("list_tasks", q="Same"))["items"]]
    assert (await task_by_name(api, "All"))["depends_on"] == sorted([*same, there["id"], far["id"]])
    assert (await task_by_name(api, "Also"))["depends_on"] == [far["id"]]


async def test_unknown_and_ambiguous_references_are_refused_all_at_once(api: OperationsClient) -> None:
    faults = await import_errors(
        api,
        """\
projects:
  - name: Garden
    epics:
      - {name: One, tasks: [{name: Same}, {name: Paint}]}
      - name: Two
        tasks:
          - name: Same
            depends_on: [Pant, Same]
          - {name: Alone, conflicts_with: Alone, priority: 5}
""",
    )
    assert [(fault["line"], fault["column"]) for fault in faults] == [(8, 26), (8, 32), (9, 43), (9, 60)]
    assert "did you mean `Paint`?" in faults[0]["message"]
    assert "2 tasks match" in faults[1]["message"]
    assert "Epic / Task" in faults[1]["hint"]
    assert "cannot conflict with itself" in faults[2]["message"]


async def test_a_task_with_too_many_conflicts_is_refused_by_name_also_in_a_dry_run(api: OperationsClient) -> None:
    others = [f"- {{name: T{number}, conflicts_with: A}}\n" for number in range(LINKS + 1)]
    plan = "".join(["standalone_tasks:\n- {name: A}\n", *others])
    for flags in ({}, {"dry_run": True}):
        (fault,) = await import_errors(api, plan, **flags)
        assert fault["line"] == LINKS + 3
        assert "'A' would conflict with more than 256 tasks" in fault["message"]


async def test_the_limit_of_conflicts_counts_those_that_stay(api: OperationsClient) -> None:
    others = [f"- {{name: T{number}, conflicts_with: A}}\n" for number in range(LINKS + 1)]
    head = "standalone_tasks:\n- {name: A}\n"
    await import_plan(api, "".join([head, *others[:-1]]))
    (fault,) = await import_errors(api, head + others[-1])
    assert (fault["line"], "'A'" in fault["message"]) == (3, True)
    await import_plan(api, head + others[-1] + "- {name: T0, conflicts_with: []}\n")
    assert len((await task_by_name(api, "A"))["conflicts_with"]) == LINKS


async def test_a_cycle_is_refused_with_its_names_and_the_line_of_a_reference_in_it(api: OperationsClient) -> None:
    (fault,) = await import_errors(api, PLAN.replace("labels: [shop]", "depends_on: [Admire]"))
    assert fault["line"] == 7
    assert "'Buy paint' -> 'Admire' -> 'Paint' -> 'Buy paint'" in fault["message"]


async def test_a_cycle_is_reported_together_with_the_other_field_errors(api: OperationsClient) -> None:
    plan = "standalone_tasks:\n- {name: A, depends_on: [B, Nobody]}\n- {name: B, depends_on: A, statuss: x}\n"
    misspelt, cycle, unknown = sorted(
        await import_errors(api, plan), key=lambda fault: str(fault["message"]), reverse=True
    )
    assert "statuss" in misspelt["message"]
    assert "dependency cycle" in cycle["message"]
    assert "'Nobody'" in unknown["message"]


async def test_a_dependency_that_the_plan_replaces_makes_no_cycle_despite_other_errors(api: OperationsClient) -> None:
    await import_plan(api, "standalone_tasks:\n- {name: A, depends_on: B}\n- {name: B}\n")
    plan = "standalone_tasks:\n- {name: A, depends_on: {x: 1}}\n- {name: B, depends_on: A}\n"
    (fault,) = await import_errors(api, plan)
    assert "depends_on" in fault["field"]


async def test_a_cycle_through_tasks_that_are_in_the_database_only_is_refused_too(api: OperationsClient) -> None:
    await import_plan(api, PLAN)
    admire = await task_by_name(api, "Admire")
    last = await api.create_task("Sell", project_name="Garden", depends_on=[admire["id"]])
    (fault,) = await import_errors(api, PLAN.replace("labels: [shop]", "depends_on: Sell"))
    assert "'Sell'" in fault["message"]
    assert last["depends_on"] == [admire["id"]]


async def test_a_dependency_can_be_reversed_in_one_import(api: OperationsClient) -> None:
    await import_plan(api, "standalone_tasks:\n- {name: A, depends_on: B}\n- {name: B}\n")
    await import_plan(api, "standalone_tasks:\n- {name: A, depends_on: []}\n- {name: B, depends_on: A}\n")
    a, b = await task_by_name(api, "A"), await task_by_name(api, "B")
    assert (a["depends_on"], b["depends_on"], a["ready"], b["ready"]) == ([], [a["id"]], True, False)


async def test_a_conflict_stays_until_a_task_with_conflicts_omits_it(api: OperationsClient) -> None:
    await import_plan(
        api, "standalone_tasks:\n- {name: A, conflicts_with: B}\n- {name: B}\n- {name: C, conflicts_with: [A]}\n"
    )
    a, b, c = [await task_by_name(api, name) for name in "ABC"]
    assert (a["conflicts_with"], b["conflicts_with"], c["conflicts_with"]) == ([b["id"], c["id"]], [a["id"]], [a["id"]])
    await import_plan(api, "standalone_tasks:\n- {name: A}\n- {name: B}\n- {name: C, conflicts_with: []}\n")
    assert (await task_by_name(api, "A"))["conflicts_with"] == [b["id"]]
    view = await import_plan(
        api, "standalone_tasks:\n- {name: A, conflicts_with: []}\n- {name: B, conflicts_with: A}\n"
    )
    assert view["changed"] == 0
