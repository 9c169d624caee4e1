"""Imports of plans into a real database: the changes, and the data that stays."""

from contextlib import suppress
from itertools import pairwise

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from project_manager.catalogue import BY_NAME
from project_manager.domain.actors import LOCAL, Actor, Role
from project_manager.domain.errors import Invalid, PreviewOutdated, RoleRequired
from project_manager.plans import apply, progress
from project_manager.schemas.plans import ImportPlan
from project_manager.store import bulk
from project_manager.store.transaction import Tx, savepoint
from tests.integration.plan_helpers import (
    EXAMPLES,
    PLAN,
    events_since,
    export,
    import_errors,
    import_plan,
    seq,
    task_by_name,
)
from tests.operations_client import OperationsClient
from tests.stored_rows import Address, rolled_back


async def test_a_plan_becomes_projects_epics_and_tasks_with_their_links(api: OperationsClient) -> None:
    view = await import_plan(api, PLAN)
    assert (view["created"], view["changed"], view["unchanged"], view["deleted"]) == (5, 0, 0, 0)
    buy, paint = await task_by_name(api, "Buy paint"), await task_by_name(api, "Paint")
    assert paint["depends_on"] == [buy["id"]]
    assert (buy["ready"], buy["labels"], buy["unblocks"]) == (True, ["shop"], 1)
    assert paint["why_not_ready"] == [f"depends on unfinished task #{buy['id']}"]


async def test_each_change_makes_its_event_and_the_import_the_last_one(api: OperationsClient) -> None:
    await import_plan(api, PLAN)
    types = [event["type"] for event in await events_since(api, 0)]
    assert types == ["project.created", "epic.created", *["task.created"] * 3, "import.finished"]
    last = (await events_since(api, 0))[-1]
    assert {name: last[name] for name in ("source", "created", "unchanged")} == {
        "source": "plan.yaml",
        "created": 5,
        "unchanged": 0,
    }


async def test_importing_the_same_again_changes_nothing(api: OperationsClient) -> None:
    await import_plan(api, PLAN)
    before, since = await export(api), await seq(api)
    view = await import_plan(api, PLAN)
    assert (view["created"], view["changed"], view["unchanged"]) == (0, 0, 5)
    assert await export(api) == before
    assert [event["type"] for event in await events_since(api, since)] == ["import.finished"]


async def test_a_dry_run_lists_the_changes_by_name_and_writes_nothing(api: OperationsClient) -> None:
    await import_plan(api, PLAN)
    since = await seq(api)
    changed = PLAN.replace("White.", "Green.").replace("Admire", "Sit down")
    view = await import_plan(api, changed, dry_run=True)
    changes = {(change["change"], change["kind"], change["name"], *change["fields"]) for change in view["changes"]}
    assert changes == {
        ("unchanged", "project", "Garden"),
        ("unchanged", "epic", "Garden / Fence"),
        ("unchanged", "task", "Garden / Fence / Buy paint"),
        ("changed", "task", "Garden / Fence / Paint", "description"),
        ("created", "task", "Garden / Fence / Sit down"),
    }
    assert await seq(api) == since
    assert (await task_by_name(api, "Paint"))["description"] == "White."


async def test_only_the_fields_that_the_plan_names_change(api: OperationsClient) -> None:
    await import_plan(api, PLAN)
    paint = await task_by_name(api, "Paint")
    await api.call("update_task", task_id=paint["id"], priority=0, labels=["outside"], estimate_minutes=30)
    since = await seq(api)
    await import_plan(api, PLAN.replace("White.", "Green."))
    after = await task_by_name(api, "Paint")
    assert (after["description"], after["priority"], after["labels"], after["estimate_minutes"]) == (
        "Green.",
        0,
        ["outside"],
        30,
    )
    event = (await events_since(api, since))[0]
    assert (event["type"], event["changes"], event["previous"]) == (
        "task.updated",
        {"description": "Green."},
        {"description": "White."},
    )


@pytest.mark.promise("plan:keeps-work")
async def test_importing_again_keeps_the_work_of_agents(api: OperationsClient) -> None:
    await import_plan(api, PLAN.replace("- name: Buy paint", "- name: Buy paint\n            status: TODO"))
    buy = await task_by_name(api, "Buy paint")
    await api.call("update_task_status", task_id=buy["id"], status="DONE", agent_id="ada", note="Forty litres.")
    await import_plan(api, PLAN.replace("- name: Buy paint", "- name: Buy paint\n            status: TODO"))
    assert (await task_by_name(api, "Buy paint"))["status"] == "DONE"
    assert (await api.call("list_task_logs", task_id=buy["id"]))["items"][0]["body"] == "Forty litres."


async def test_overwriting_sets_statuses_and_derived_values(api: OperationsClient) -> None:
    await import_plan(api, PLAN)
    since = await seq(api)
    done = PLAN.replace("- name: Buy paint", "- name: Buy paint\n            status: done")
    view = await import_plan(api, done, status="overwrite")
    (change,) = [change for change in view["changes"] if change["change"] == "changed"]
    assert (change["kind"], change["name"], change["fields"]) == ("task", "Garden / Fence / Buy paint", ["status"])
    assert change["values"] == [{"field": "status", "old": "TODO", "new": "DONE"}]
    assert (await task_by_name(api, "Buy paint"))["status"] == "DONE"
    assert (await task_by_name(api, "Paint"))["ready"]
    types = [event["type"] for event in await events_since(api, since)]
    assert types == ["task.status_changed", "task.ready", "import.finished"]
    await import_plan(api, done.replace("status: done", "status: todo"), status="overwrite")
    assert not (await task_by_name(api, "Paint"))["ready"]


@pytest.mark.promise("plan:keeps-work")
async def test_a_task_that_an_agent_holds_keeps_its_status_and_its_lease_even_when_overwriting(
    api: OperationsClient,
) -> None:
    await import_plan(api, PLAN)
    buy = await task_by_name(api, "Buy paint")
    lock = await api.claim(buy["id"], "ada")
    overwriting = PLAN.replace(
        "- name: Buy paint", "- name: Buy paint\n            status: DONE\n            priority: 0"
    )
    await import_plan(api, overwriting, status="overwrite")
    after = await task_by_name(api, "Buy paint")
    assert (after["status"], after["priority"], after["lock"]) == ("IN_PROGRESS", 0, lock)


async def test_tasks_are_imported_with_the_status_in_the_plan(api: OperationsClient) -> None:
    words = ["backlog", "TODO", "in progress", "Review", "blocked", "completed", "canceled", "pending"]
    await import_plan(api, yaml.safe_dump({"standalone_tasks": [{"name": word, "status": word} for word in words]}))
    tasks = {task["name"]: task for task in (await api.call("list_tasks"))["items"]}
    assert [tasks[word]["status"] for word in words] == [
        *("BACKLOG", "TODO", "IN_PROGRESS", "REVIEW", "BLOCKED", "DONE", "CANCELLED", "TODO")
    ]
    assert tasks["completed"]["completed_at"] is not None
    assert tasks["in progress"]["lock"] is None


async def test_nothing_is_deleted_unless_it_is_asked_for(api: OperationsClient) -> None:
    await import_plan(api, PLAN)
    await api.create_task("Found by an agent", project_name="Garden", epic_name="Weeds")
    await api.create_task("Elsewhere", project_name="House")
    view = await import_plan(api, PLAN)
    assert view["deleted"] == 0
    view = await import_plan(api, PLAN, prune=True, dry_run=True)
    assert {change["name"] for change in view["changes"] if change["change"] == "deleted"} == {
        "Garden / Found by an agent",
        "Garden / Weeds",
    }
    since = await seq(api)
    assert (await import_plan(api, PLAN, prune=True))["deleted"] == 2
    types = [event["type"] for event in await events_since(api, since)]
    assert types == ["task.deleted", "epic.deleted", "import.finished"]
    await task_by_name(api, "Elsewhere")
    assert len((await api.call("list_epics"))["items"]) == 1


async def test_pruning_is_refused_while_an_agent_holds_the_task_or_open_work_waits_for_it(
    api: OperationsClient,
) -> None:
    await import_plan(api, PLAN)
    held = await api.create_task("Held", project_name="Garden")
    await api.claim(held["id"], "ada")
    needed = await api.create_task("Needed", project_name="Garden")
    await api.create_task("Waiting", project_name="House", depends_on=[needed["id"]])
    faults = await import_errors(api, PLAN, prune=True)
    assert [fault["line"] for fault in faults] == [2, 2]
    assert "locked by ada until" in faults[0]["message"] + faults[1]["message"]
    assert "depends on" in faults[0]["message"] + faults[1]["message"]


async def test_tasks_are_recognised_by_their_key_when_they_are_renamed_or_moved(api: OperationsClient) -> None:
    first = "projects:\n- name: P\n  epics:\n  - {name: A, tasks: [{name: Old, external_key: K-1}]}\n  - name: B\n"
    later = "projects:\n- name: P\n  epics:\n  - name: A\n  - {name: B, tasks: [{name: New, external_key: K-1}]}\n"
    await import_plan(api, first)
    before = await task_by_name(api, "Old")
    view = await import_plan(api, later, prune=True)
    after = await task_by_name(api, "New")
    assert (after["id"], view["created"], view["deleted"]) == (before["id"], 0, 0)
    assert after["epic_id"] != before["epic_id"]


async def test_a_task_that_gets_a_key_later_is_still_the_same_task(api: OperationsClient) -> None:
    await import_plan(api, PLAN)
    before = await task_by_name(api, "Paint")
    view = await import_plan(api, PLAN.replace("- name: Paint\n", "- name: Paint\n            external_key: P-1\n"))
    assert view["created"] == 0
    assert ((await task_by_name(api, "Paint"))["id"], (await task_by_name(api, "Paint"))["external_key"]) == (
        before["id"],
        "P-1",
    )


async def test_a_plan_can_archive_a_project_and_its_tasks_are_not_offered(api: OperationsClient) -> None:
    await import_plan(api, PLAN)
    await import_plan(api, PLAN.replace("- name: Garden", "- name: Garden\n    archived: true"))
    assert not (await task_by_name(api, "Buy paint"))["ready"]
    await import_plan(api, PLAN.replace("- name: Garden", "- name: Garden\n    archived: false"))
    assert (await task_by_name(api, "Buy paint"))["ready"]


@pytest.mark.parametrize("said", ["", "\n    archived: true"])
async def test_an_archived_project_accepts_nothing_from_a_plan_that_does_not_unarchive_it(
    api: OperationsClient, said: str
) -> None:
    await import_plan(api, PLAN.replace("- name: Garden", "- name: Garden\n    archived: true"))
    assert (await import_plan(api, PLAN.replace("- name: Garden", f"- name: Garden{said}")))["created"] == 0
    for more in ("    tasks:\n    - name: New\n", "    epics:\n    - name: New\n"):
        plan = f"projects:\n  - name: Garden{said}\n{more}"
        (fault,) = await import_errors(api, plan)
        assert "project 'Garden' is archived; no epics or tasks can be added" in fault["message"]
        assert (fault["line"], fault["hint"]) == (
            plan.splitlines().index("    - name: New") + 1,
            "Set `archived: false` to unarchive it.",
        )
    taken = await import_plan(api, "projects:\n  - name: Garden\n    archived: false\n    tasks:\n    - name: New\n")
    assert taken["created"] == 1
    assert (await task_by_name(api, "New"))["ready"]


async def test_a_plan_for_a_new_archived_project_makes_no_task_ready(api: OperationsClient) -> None:
    await import_plan(api, PLAN.replace("- name: Garden", "- name: Garden\n    archived: yes"))
    assert (await api.call("get_available_tasks"))["items"] == []


@pytest.mark.promise("plan:all-errors")
async def test_errors_of_form_and_of_reference_are_reported_together(api: OperationsClient) -> None:
    faults = await import_errors(
        api, PLAN.replace("White.", "White.\n            priority: 9").replace("[Paint]", "[Pain]")
    )
    assert [fault["line"] for fault in faults] == [10, 13]


async def test_an_import_is_for_operators(api: OperationsClient) -> None:
    agent = api.acting_as(Actor("ada", "agent", Role.AGENT))
    await agent.call_error(RoleRequired, "import_plan", document=PLAN)


async def test_the_same_key_imports_once(api: OperationsClient) -> None:
    first = await import_plan(api, PLAN, key="once")
    since = await seq(api)
    assert await import_plan(api, PLAN, key="once") == first
    assert await seq(api) == since


@pytest.mark.parametrize("example", EXAMPLES)
async def test_an_example_comes_in_and_work_can_begin(api: OperationsClient, example: str) -> None:
    view = await import_plan(api, EXAMPLES[example])
    assert view["created"] == len(view["changes"])
    assert (await api.call("get_available_tasks"))["items"] != []
    claimed = await api.call("claim_next_task", agent_id="ada")
    assert claimed["task"]["status"] == "IN_PROGRESS"


async def test_subscribers_receive_the_progress_of_an_import(api: OperationsClient) -> None:
    heard: list[tuple[str, int, int]] = []
    with progress.report_to("test", lambda *said: heard.append(said)):
        await import_plan(api, PLAN)
    assert list(dict.fromkeys(step for step, _, _ in heard)) == ["Reading", "Comparing", "Writing"]
    assert [(done, of) for step, done, of in heard if step != "Reading"] == [(0, 3), (3, 3), (6, 6)]
    before = len(heard)
    await import_plan(api, PLAN)
    assert len(heard) == before


async def test_each_phase_of_a_large_import_reports_its_progress_in_equal_steps(api: OperationsClient) -> None:
    heard: list[tuple[str, int, int]] = []
    tasks = "".join(f"- name: Task {number}\n  labels: [a, b]\n" for number in range(3_000))
    with progress.report_to("test", lambda *said: heard.append(said)):
        await import_plan(api, f"standalone_tasks:\n{tasks}")
    for phase in ("Reading", "Comparing", "Writing"):
        shares = [done / of for step, done, of in heard if step == phase]
        assert shares == sorted(shares)
        steps = [after - before for before, after in pairwise([0.0, *shares, 1.0])]
        assert max(steps) < 0.5


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


@pytest.mark.slow
@pytest.mark.promise("graph:counters")
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(plans=st.lists(st.tuples(planned, st.booleans(), st.booleans()), min_size=1, max_size=5))
def test_imports_in_any_order_keep_counters_right_and_importing_again_changes_nothing(
    database: Address, plans: list[tuple[str, bool, bool]]
) -> None:
    with rolled_back(database) as opened:
        for number, (document, overwrite, prune) in enumerate(plans):
            raw = {"document": document, "status": "overwrite" if overwrite else "keep", "prune": prune}
            tx = Tx(opened.connection, 1_763_892_000_000 + number, LOCAL, "", 5)
            command = ImportPlan.model_validate(raw)
            with suppress(Invalid), savepoint(tx):
                apply.import_plan(tx, command, apply.read_plan(command, ""))
                again = apply.import_plan(tx, command, apply.read_plan(command, ""))
                assert (again.created, again.changed, again.deleted) == (0, 0, 0)
            assert bulk.find_wrong_counters(tx, 100) == []


def test_import_and_export_are_operations_of_every_interface() -> None:
    assert BY_NAME["import_plan"].http == "POST /api/import"
    assert BY_NAME["export_plan"].http == "GET /api/export"


async def test_a_dry_run_shows_old_and_new_values_under_their_project_and_epic(api: OperationsClient) -> None:
    await import_plan(api, PLAN)
    plan = PLAN.replace("White.", "G" * 200).replace("depends_on: Buy paint", "depends_on: Admire, due_at: 2027-03-01")
    plan = plan.replace("depends_on: Admire, due_at", "depends_on: []\n            due_at").replace("[shop]", "[a, b]")
    view = await import_plan(api, plan, dry_run=True)
    changed = {change["name"]: change for change in view["changes"] if change["change"] == "changed"}
    assert [(row["field"], row["old"], row["new"]) for row in changed["Garden / Fence / Paint"]["values"]] == [
        ("description", "White.", "G" * 160 + "…"),
        ("due_at", "", "2027-03-01T00:00:00.000Z"),
        ("depends_on", "Buy paint", ""),
    ]
    assert changed["Garden / Fence / Buy paint"]["values"] == [{"field": "labels", "old": "shop", "new": "a, b"}]
    assert {(change["project"], change["epic"]) for change in changed.values()} == {("Garden", "Fence")}


async def test_a_confirmed_import_writes_exactly_what_its_dry_run_showed(api: OperationsClient) -> None:
    await import_plan(api, PLAN)
    changed = PLAN.replace("White.", "Green.")
    shown = await import_plan(api, changed, dry_run=True)
    paint = await task_by_name(api, "Paint")
    await api.call("update_task", task_id=paint["id"], description="Blue.", version=paint["version"])
    since = await seq(api)
    await api.call_error(PreviewOutdated, "import_plan", document=changed, source="plan.yaml", expected=shown["digest"])
    assert await seq(api) == since
    again = await import_plan(api, changed, dry_run=True)
    other = changed.replace("name: Garden", "name: Park")
    new = await import_plan(api, other, dry_run=True)
    refused = other.replace("Green.", "Red.")
    await api.call_error(PreviewOutdated, "import_plan", document=refused, source="plan.yaml", expected=new["digest"])
    assert (await import_plan(api, changed, expected=again["digest"]))["changed"] == 1
    assert (await task_by_name(api, "Paint"))["description"] == "Green."
