"""Imports of plans into a real database: the changes, and the data that stays."""

from pathlib import Path
from shutil import copyfile

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from project_manager.catalogue import BY_NAME
from project_manager.domain.actors import LOCAL, Actor, Role
from project_manager.domain.errors import Invalid, RoleRequired
from project_manager.plans import apply, progress
from project_manager.schemas.plans import ImportPlan
from project_manager.store import bulk
from project_manager.store.sqlite import driver
from project_manager.store.transaction import Tx
from tests.desk import Desk
from tests.integration.planning import EXAMPLES, PLAN, bring, export, happened, named, refused, seq


async def test_a_plan_becomes_projects_epics_and_tasks_with_their_links(desk: Desk) -> None:
    view = await bring(desk, PLAN)
    assert (view["created"], view["changed"], view["unchanged"], view["deleted"]) == (5, 0, 0, 0)
    buy, paint = await named(desk, "Buy paint"), await named(desk, "Paint")
    assert paint["depends_on"] == [buy["id"]]
    assert (buy["ready"], buy["labels"], buy["unblocks"]) == (True, ["shop"], 1)
    assert paint["why_not_ready"] == [f"depends on unfinished task #{buy['id']}"]


async def test_each_change_makes_its_event_and_the_import_the_last_one(desk: Desk) -> None:
    await bring(desk, PLAN)
    types = [event["type"] for event in await happened(desk, 0)]
    assert types == ["project.created", "epic.created", *["task.created"] * 3, "import.finished"]
    last = (await happened(desk, 0))[-1]
    assert {name: last[name] for name in ("source", "created", "unchanged")} == {
        "source": "plan.yaml",
        "created": 5,
        "unchanged": 0,
    }


async def test_importing_the_same_again_changes_nothing(desk: Desk) -> None:
    await bring(desk, PLAN)
    before, since = await export(desk), await seq(desk)
    view = await bring(desk, PLAN)
    assert (view["created"], view["changed"], view["unchanged"]) == (0, 0, 5)
    assert await export(desk) == before
    assert [event["type"] for event in await happened(desk, since)] == ["import.finished"]


async def test_a_dry_run_lists_the_changes_by_name_and_writes_nothing(desk: Desk) -> None:
    await bring(desk, PLAN)
    since = await seq(desk)
    changed = PLAN.replace("White.", "Green.").replace("Admire", "Sit down")
    view = await bring(desk, changed, dry_run=True)
    told = {(change["change"], change["kind"], change["name"], *change["fields"]) for change in view["changes"]}
    assert told == {
        ("unchanged", "project", "Garden"),
        ("unchanged", "epic", "Garden / Fence"),
        ("unchanged", "task", "Garden / Fence / Buy paint"),
        ("changed", "task", "Garden / Fence / Paint", "description"),
        ("created", "task", "Garden / Fence / Sit down"),
    }
    assert await seq(desk) == since
    assert (await named(desk, "Paint"))["description"] == "White."


async def test_only_the_fields_that_the_plan_names_change(desk: Desk) -> None:
    await bring(desk, PLAN)
    paint = await named(desk, "Paint")
    await desk.do("update_task", task_id=paint["id"], priority=0, labels=["outside"], estimate_minutes=30)
    since = await seq(desk)
    await bring(desk, PLAN.replace("White.", "Green."))
    after = await named(desk, "Paint")
    assert (after["description"], after["priority"], after["labels"], after["estimate_minutes"]) == (
        "Green.",
        0,
        ["outside"],
        30,
    )
    told = (await happened(desk, since))[0]
    assert (told["type"], told["changes"], told["previous"]) == (
        "task.updated",
        {"description": "Green."},
        {"description": "White."},
    )


@pytest.mark.promise("plan:keeps-work")
async def test_importing_again_keeps_the_work_of_agents(desk: Desk) -> None:
    await bring(desk, PLAN.replace("- name: Buy paint", "- name: Buy paint\n            status: TODO"))
    buy = await named(desk, "Buy paint")
    await desk.do("update_task_status", task_id=buy["id"], status="DONE", agent_id="ada", note="Forty litres.")
    await bring(desk, PLAN.replace("- name: Buy paint", "- name: Buy paint\n            status: TODO"))
    assert (await named(desk, "Buy paint"))["status"] == "DONE"
    assert (await desk.do("list_task_logs", task_id=buy["id"]))["items"][0]["body"] == "Forty litres."


async def test_overwriting_sets_statuses_and_derived_values(desk: Desk) -> None:
    await bring(desk, PLAN)
    since = await seq(desk)
    done = PLAN.replace("- name: Buy paint", "- name: Buy paint\n            status: done")
    view = await bring(desk, done, status="overwrite")
    assert [change for change in view["changes"] if change["change"] == "changed"] == [
        {"change": "changed", "kind": "task", "name": "Garden / Fence / Buy paint", "fields": ["status"]}
    ]
    assert (await named(desk, "Buy paint"))["status"] == "DONE"
    assert (await named(desk, "Paint"))["ready"]
    types = [event["type"] for event in await happened(desk, since)]
    assert types == ["task.status_changed", "task.ready", "import.finished"]
    await bring(desk, done.replace("status: done", "status: todo"), status="overwrite")
    assert not (await named(desk, "Paint"))["ready"]


@pytest.mark.promise("plan:keeps-work")
async def test_a_task_that_an_agent_holds_keeps_its_status_and_its_lease_even_when_overwriting(desk: Desk) -> None:
    await bring(desk, PLAN)
    buy = await named(desk, "Buy paint")
    lock = await desk.claim(buy["id"], "ada")
    overwriting = PLAN.replace(
        "- name: Buy paint", "- name: Buy paint\n            status: DONE\n            priority: 0"
    )
    await bring(desk, overwriting, status="overwrite")
    after = await named(desk, "Buy paint")
    assert (after["status"], after["priority"], after["lock"]) == ("IN_PROGRESS", 0, lock)


async def test_tasks_are_imported_with_the_status_in_the_plan(desk: Desk) -> None:
    words = ["backlog", "TODO", "in progress", "Review", "blocked", "completed", "canceled", "pending"]
    await bring(desk, yaml.safe_dump({"standalone_tasks": [{"name": word, "status": word} for word in words]}))
    tasks = {task["name"]: task for task in (await desk.do("list_tasks"))["items"]}
    assert [tasks[word]["status"] for word in words] == [
        *("BACKLOG", "TODO", "IN_PROGRESS", "REVIEW", "BLOCKED", "DONE", "CANCELLED", "TODO")
    ]
    assert tasks["completed"]["completed_at"] is not None
    assert tasks["in progress"]["lock"] is None


async def test_nothing_is_deleted_unless_it_is_asked_for(desk: Desk) -> None:
    await bring(desk, PLAN)
    await desk.task("Found by an agent", project_name="Garden", epic_name="Weeds")
    await desk.task("Elsewhere", project_name="House")
    view = await bring(desk, PLAN)
    assert view["deleted"] == 0
    view = await bring(desk, PLAN, prune=True, dry_run=True)
    assert {change["name"] for change in view["changes"] if change["change"] == "deleted"} == {
        "Garden / Found by an agent",
        "Garden / Weeds",
    }
    since = await seq(desk)
    assert (await bring(desk, PLAN, prune=True))["deleted"] == 2
    types = [event["type"] for event in await happened(desk, since)]
    assert types == ["task.deleted", "epic.deleted", "import.finished"]
    await named(desk, "Elsewhere")
    assert len((await desk.do("list_epics"))["items"]) == 1


async def test_pruning_is_refused_while_an_agent_holds_the_task_or_open_work_waits_for_it(desk: Desk) -> None:
    await bring(desk, PLAN)
    held = await desk.task("Held", project_name="Garden")
    await desk.claim(held["id"], "ada")
    needed = await desk.task("Needed", project_name="Garden")
    await desk.task("Waiting", project_name="House", depends_on=[needed["id"]])
    faults = await refused(desk, PLAN, prune=True)
    assert [fault["line"] for fault in faults] == [2, 2]
    assert "locked by ada until" in faults[0]["message"] + faults[1]["message"]
    assert "depends on" in faults[0]["message"] + faults[1]["message"]


async def test_tasks_are_recognised_by_their_key_when_they_are_renamed_or_moved(desk: Desk) -> None:
    first = "projects:\n- name: P\n  epics:\n  - {name: A, tasks: [{name: Old, external_key: K-1}]}\n  - name: B\n"
    later = "projects:\n- name: P\n  epics:\n  - name: A\n  - {name: B, tasks: [{name: New, external_key: K-1}]}\n"
    await bring(desk, first)
    before = await named(desk, "Old")
    view = await bring(desk, later, prune=True)
    after = await named(desk, "New")
    assert (after["id"], view["created"], view["deleted"]) == (before["id"], 0, 0)
    assert after["epic_id"] != before["epic_id"]


async def test_a_task_that_gets_a_key_later_is_still_the_same_task(desk: Desk) -> None:
    await bring(desk, PLAN)
    before = await named(desk, "Paint")
    view = await bring(desk, PLAN.replace("- name: Paint\n", "- name: Paint\n            external_key: P-1\n"))
    assert view["created"] == 0
    assert ((await named(desk, "Paint"))["id"], (await named(desk, "Paint"))["external_key"]) == (before["id"], "P-1")


async def test_references_mean_keys_names_and_paths_in_the_plan_and_in_the_database(desk: Desk) -> None:
    there = await desk.task("There already", project_name="Garden")
    far = await desk.task("Far", project_name="House", epic_name="Roof")
    await bring(
        desk,
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
    same = [task["id"] for task in (await desk.do("list_tasks", q="Same"))["items"]]
    assert (await named(desk, "All"))["depends_on"] == sorted([*same, there["id"], far["id"]])
    assert (await named(desk, "Also"))["depends_on"] == [far["id"]]


async def test_unknown_and_ambiguous_references_are_refused_all_at_once(desk: Desk) -> None:
    faults = await refused(
        desk,
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
    assert "did you mean 'Paint'?" in faults[0]["message"]
    assert "2 tasks match" in faults[1]["message"]
    assert "Epic / Task" in faults[1]["hint"]
    assert "cannot conflict with itself" in faults[2]["message"]


async def test_a_cycle_is_refused_with_its_names_and_the_line_of_a_reference_in_it(desk: Desk) -> None:
    (fault,) = await refused(desk, PLAN.replace("labels: [shop]", "depends_on: [Admire]"))
    assert fault["line"] == 7
    assert "'Buy paint' -> 'Admire' -> 'Paint' -> 'Buy paint'" in fault["message"]


async def test_a_cycle_is_reported_together_with_the_other_field_errors(desk: Desk) -> None:
    plan = "standalone_tasks:\n- {name: A, depends_on: [B, Nobody]}\n- {name: B, depends_on: A, statuss: x}\n"
    misspelt, cycle, unknown = sorted(await refused(desk, plan), key=lambda fault: str(fault["message"]), reverse=True)
    assert "statuss" in misspelt["message"]
    assert "dependency cycle" in cycle["message"]
    assert "'Nobody'" in unknown["message"]


async def test_a_dependency_that_the_plan_replaces_makes_no_cycle_despite_other_errors(desk: Desk) -> None:
    await bring(desk, "standalone_tasks:\n- {name: A, depends_on: B}\n- {name: B}\n")
    plan = "standalone_tasks:\n- {name: A, depends_on: {x: 1}}\n- {name: B, depends_on: A}\n"
    (fault,) = await refused(desk, plan)
    assert "depends_on" in fault["field"]


async def test_a_cycle_through_tasks_that_are_in_the_database_only_is_refused_too(desk: Desk) -> None:
    await bring(desk, PLAN)
    admire = await named(desk, "Admire")
    last = await desk.task("Sell", project_name="Garden", depends_on=[admire["id"]])
    (fault,) = await refused(desk, PLAN.replace("labels: [shop]", "depends_on: Sell"))
    assert "'Sell'" in fault["message"]
    assert last["depends_on"] == [admire["id"]]


async def test_a_dependency_can_be_reversed_in_one_import(desk: Desk) -> None:
    await bring(desk, "standalone_tasks:\n- {name: A, depends_on: B}\n- {name: B}\n")
    await bring(desk, "standalone_tasks:\n- {name: A, depends_on: []}\n- {name: B, depends_on: A}\n")
    a, b = await named(desk, "A"), await named(desk, "B")
    assert (a["depends_on"], b["depends_on"], a["ready"], b["ready"]) == ([], [a["id"]], True, False)


async def test_a_conflict_stays_until_a_task_with_conflicts_omits_it(desk: Desk) -> None:
    await bring(
        desk, "standalone_tasks:\n- {name: A, conflicts_with: B}\n- {name: B}\n- {name: C, conflicts_with: [A]}\n"
    )
    a, b, c = [await named(desk, name) for name in "ABC"]
    assert (a["conflicts_with"], b["conflicts_with"], c["conflicts_with"]) == ([b["id"], c["id"]], [a["id"]], [a["id"]])
    await bring(desk, "standalone_tasks:\n- {name: A}\n- {name: B}\n- {name: C, conflicts_with: []}\n")
    assert (await named(desk, "A"))["conflicts_with"] == [b["id"]]
    view = await bring(desk, "standalone_tasks:\n- {name: A, conflicts_with: []}\n- {name: B, conflicts_with: A}\n")
    assert view["changed"] == 0


async def test_a_plan_can_archive_a_project_and_its_tasks_are_not_offered(desk: Desk) -> None:
    await bring(desk, PLAN)
    await bring(desk, PLAN.replace("- name: Garden", "- name: Garden\n    archived: true"))
    assert not (await named(desk, "Buy paint"))["ready"]
    await bring(desk, PLAN.replace("- name: Garden", "- name: Garden\n    archived: false"))
    assert (await named(desk, "Buy paint"))["ready"]


@pytest.mark.parametrize("said", ["", "\n    archived: true"])
async def test_an_archived_project_accepts_nothing_from_a_plan_that_does_not_unarchive_it(
    desk: Desk, said: str
) -> None:
    await bring(desk, PLAN.replace("- name: Garden", "- name: Garden\n    archived: true"))
    assert (await bring(desk, PLAN.replace("- name: Garden", f"- name: Garden{said}")))["created"] == 0
    for more in ("    tasks:\n    - name: New\n", "    epics:\n    - name: New\n"):
        plan = f"projects:\n  - name: Garden{said}\n{more}"
        (fault,) = await refused(desk, plan)
        assert "project 'Garden' is archived; no epics or tasks can be added" in fault["message"]
        assert (fault["line"], fault["hint"]) == (
            plan.splitlines().index("    - name: New") + 1,
            "Set `archived: false` to unarchive it.",
        )
    taken = await bring(desk, "projects:\n  - name: Garden\n    archived: false\n    tasks:\n    - name: New\n")
    assert taken["created"] == 1
    assert (await named(desk, "New"))["ready"]


async def test_a_plan_for_a_new_archived_project_makes_no_task_ready(desk: Desk) -> None:
    await bring(desk, PLAN.replace("- name: Garden", "- name: Garden\n    archived: yes"))
    assert (await desk.do("get_available_tasks"))["items"] == []


@pytest.mark.promise("plan:all-errors")
async def test_errors_of_form_and_of_reference_are_reported_together(desk: Desk) -> None:
    faults = await refused(desk, PLAN.replace("White.", "White.\n            priority: 9").replace("[Paint]", "[Pain]"))
    assert [fault["line"] for fault in faults] == [10, 13]


async def test_an_import_is_for_operators(desk: Desk) -> None:
    agent = desk.used_by(Actor("ada", "agent", Role.AGENT))
    await agent.refused(RoleRequired, "import_plan", document=PLAN)


async def test_the_same_key_imports_once(desk: Desk) -> None:
    first = await bring(desk, PLAN, key="once")
    since = await seq(desk)
    assert await bring(desk, PLAN, key="once") == first
    assert await seq(desk) == since


@pytest.mark.parametrize("example", EXAMPLES)
async def test_an_example_comes_in_and_work_can_begin(desk: Desk, example: str) -> None:
    view = await bring(desk, EXAMPLES[example])
    assert view["created"] == len(view["changes"])
    assert (await desk.do("get_available_tasks"))["items"] != []
    claimed = await desk.do("claim_next_task", agent_id="ada")
    assert claimed["task"]["status"] == "IN_PROGRESS"


async def test_subscribers_receive_the_progress_of_an_import(desk: Desk) -> None:
    heard: list[tuple[str, int, int]] = []
    with progress.report_to("test", lambda *said: heard.append(said)):
        await bring(desk, PLAN)
    assert heard[0][0] == "Reading"
    assert heard[-1] == ("Writing", 3, 3)
    before = len(heard)
    await bring(desk, PLAN)
    assert len(heard) == before


names = st.sampled_from(["A", "B", "C", "D"])
planned = st.builds(
    lambda rows: yaml.safe_dump({"projects": [{"name": "P", "tasks": rows}]}),
    st.lists(
        st.fixed_dictionaries(
            {"name": names},
            optional={
                "status": st.sampled_from(["TODO", "DONE", "CANCELLED", "REVIEW"]),
                "depends_on": st.lists(names, max_size=2),
                "conflicts_with": st.lists(names, max_size=2),
                "priority": st.integers(0, 4),
            },
        ),
        max_size=4,
        unique_by=lambda row: row["name"],
    ),
)


@pytest.mark.promise("graph:counters")
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(plans=st.lists(st.tuples(planned, st.booleans(), st.booleans()), min_size=1, max_size=5))
def test_imports_in_any_order_keep_counters_right_and_importing_again_changes_nothing(
    template: Path, tmp_path: Path, plans: list[tuple[str, bool, bool]]
) -> None:
    path = copyfile(template, tmp_path / "random.db")
    connection = driver.connect(str(path))
    try:
        for number, (document, overwrite, prune) in enumerate(plans):
            raw = {"document": document, "status": "overwrite" if overwrite else "keep", "prune": prune}
            connection.execute(driver.BEGIN_WRITE)
            tx = Tx(connection.execute, 1_763_892_000_000 + number, LOCAL, "", 5)
            command = ImportPlan.model_validate(raw)
            try:
                apply.import_plan(tx, command, apply.read_plan(command, ""))
                again = apply.import_plan(tx, command, apply.read_plan(command, ""))
                assert (again.created, again.changed, again.deleted) == (0, 0, 0)
            except Invalid:
                connection.execute("ROLLBACK")
                continue
            assert bulk.find_wrong_counters(tx, 100) == []
            connection.execute("COMMIT")
    finally:
        connection.close()
        path.unlink()


def test_import_and_export_are_operations_of_every_interface() -> None:
    assert BY_NAME["import_plan"].http == "POST /api/import"
    assert BY_NAME["export_plan"].http == "GET /api/export"
