"""Knowledge and assumptions in plans survive export and import."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import yaml

from project_manager.domain.errors import Invalid
from project_manager.runtime.open import open_runtime
from tests.operations_client import Json, MovableClock, OperationsClient
from tests.stored_rows import Address, settings_of

KNOWN = """\
projects:
  - name: Garden
    epics:
      - name: Fence
        tasks:
          - name: Paint
            assumptions:
              - "#ASSUMPTION: the wood is dry"
              - text: "#PATTERN: as next door"
                file_path: fence.md
                line_number: 3
                verdicts:
                  - {verdict: rejected, confidence: 5, reason: looked, reviewer: bob, at: 2026-01-01T00:00:00Z}
                  - {verdict: validated, confidence: 90, reason: again, reviewer: ada, at: 2026-01-02T00:00:00Z}
    knowledge:
      - title: Colours
        parent: Rules
        content: White only.
        epic: Fence
        task: Paint
        tags: [paint]
        priority: 3
      - title: Rules
        content: What holds for all.
"""


@pytest.fixture
async def other(other_database: Address, clock: MovableClock) -> AsyncIterator[OperationsClient]:
    """Return a service on a second, empty database."""
    async with open_runtime(settings_of(other_database), clock=clock) as runtime:
        yield OperationsClient(runtime, clock)


async def bring(api: OperationsClient, document: str, **more: Any) -> Json:
    done: Json = await api.call("import_plan", document=document, source="plan.yaml", **more)
    return done


async def refused(api: OperationsClient, document: str) -> list[str]:
    """Import an invalid plan and return its field errors with their places. Assert that nothing is written."""
    head = await api.last_seq()
    error = await api.call_error(Invalid, "import_plan", document=document, source="plan.yaml")
    assert await api.last_seq() == head
    faults: Any = error.details["errors"]
    return [f"{fault['line']}:{fault['column']} {fault['field']}: {fault['message']}" for fault in faults]


async def known(api: OperationsClient, project_id: int = 1) -> list[Json]:
    found: list[Json] = (await api.call("get_knowledge", project_id=project_id, include_inactive=True))["items"]
    return sorted(found, key=lambda item: int(item["id"]))


async def test_a_plan_brings_knowledge_with_its_links_and_assumptions_with_their_verdicts(
    api: OperationsClient,
) -> None:
    view = await bring(api, KNOWN)
    made = [(change["kind"], change["name"]) for change in view["changes"] if change["change"] == "created"]
    assert made[-2:] == [("knowledge", "Garden / Fence / Colours"), ("knowledge", "Garden / Rules")]
    colours, rules = await known(api)
    assert (colours["epic_id"], colours["task_id"], colours["parent_id"]) == (1, 1, rules["id"])
    assert (colours["tags"], colours["priority"], colours["version"]) == (["paint"], 3, 1)
    versions = (await api.call("list_knowledge_versions", knowledge_id=colours["id"]))["items"]
    assert [(version["version"], version["parent_id"]) for version in versions] == [(1, rules["id"])]
    pattern, dry = (await api.call("list_assumptions", task_id=1))["items"]
    assert (dry["text"], dry["author"], dry["verdict"]) == ("the wood is dry", "local", None)
    assert (pattern["file_path"], pattern["line_number"], pattern["verdicts"]) == ("fence.md", 3, 2)
    assert (pattern["verdict"]["verdict"], pattern["verdict"]["reviewer"]) == ("validated", "ada")
    ids = [event["knowledge_id"] for event in await api.events(0, "knowledge.created")]
    assert ids == [colours["id"], rules["id"]]


async def test_importing_knowledge_again_changes_nothing(api: OperationsClient) -> None:
    await bring(api, KNOWN)
    view = await bring(api, KNOWN)
    assert (view["created"], view["changed"]) == (0, 0)
    assert len(await known(api)) == 2
    assert (await api.call("list_assumptions", task_id=1))["total"] == 2


async def test_only_the_fields_in_the_plan_change_an_item_and_create_a_version(api: OperationsClient) -> None:
    await bring(api, KNOWN)
    changed = KNOWN.replace("White only.", "Red too.").replace("        tags: [paint]\n", "")
    dry = await bring(api, changed, dry_run=True)
    assert [(c["name"], c["fields"]) for c in dry["changes"] if c["change"] == "changed"] == [
        ("Garden / Fence / Colours", ["content"])
    ]
    assert (await known(api))[0]["version"] == 1
    await bring(api, changed)
    colours, rules = await known(api)
    assert (colours["content"], colours["tags"], colours["version"]) == ("Red too.", ["paint"], 2)
    assert (colours["parent_id"], rules["version"]) == (rules["id"], 1)
    await bring(api, changed.replace("parent: Rules", "parent:").replace("task: Paint", "task:"))
    colours = (await known(api))[0]
    assert (colours["parent_id"], colours["task_id"], colours["version"]) == (None, None, 3)


async def test_invalid_references_of_an_item_are_refused_together_with_their_places(api: OperationsClient) -> None:
    await api.create_task("Elsewhere", project_name="House")
    document = """\
projects:
  - name: Garden
    knowledge:
      - {title: A, content: a, epic: Nowhere}
      - {title: B, content: b, task: House / Elsewhere}
      - {title: C, content: c, task: Nothing}
      - {title: D, content: d, parent: "#9"}
      - {title: E, content: e, parent: F}
      - {title: F, content: f, parent: E}
      - {title: F, content: g}
      - {title: G, contents: g}
"""
    faults = await refused(api, document)
    assert [fault.split(" ", 1)[1].partition(":")[0] for fault in faults] == [
        "projects.0.knowledge.0.epic",
        "projects.0.knowledge.1.task",
        "projects.0.knowledge.2.task",
        "projects.0.knowledge.3.parent",
        "projects.0.knowledge.4.parent",
        "projects.0.knowledge.7.content",
        "projects.0.knowledge.7.contents",
    ]
    assert "did you mean `content`?" in " ".join(faults)
    assert "2 items match" in " ".join(faults)


@pytest.mark.parametrize("again", [False, True])
async def test_an_item_that_is_its_own_ancestor_is_refused(api: OperationsClient, again: bool) -> None:
    if again:
        await bring(
            api, "projects: [{name: Garden, knowledge: [{title: A, content: a}, {title: B, content: b, parent: A}]}]"
        )
        circle = "projects: [{name: Garden, knowledge: [{title: A, content: a, parent: B}]}]"
    else:
        circle = """{projects: [{name: Garden, knowledge: [
            {title: A, content: a, parent: B}, {title: B, content: b, parent: A}]}]}"""
    (fault,) = await refused(api, circle)
    assert "'A' would become its own ancestor" in fault


async def leave_a_past(api: OperationsClient) -> None:
    """Create duplicates, odd titles, changed and retired items, logs, links and verdicts."""
    task = await api.create_task("Paint", epic_name="Fence", assumptions=["#PLAN: two\n\n  coats\x07", "bare"])
    twins = [await api.create_task("Twin", epic_name="Fence") for _ in range(2)]
    for verdict in ("partial", "validated"):
        api.clock.advance(1.5)
        raw: Json = {"task_id": task["id"], "assumption_id": 1, "verdict": verdict, "reason": '"why"\n# not\n'}
        await api.call("capture_assumption_validation", **raw, agent_id=f"by {verdict}")
    add = {
        "task_id": task["id"],
        "text": "#X: y",
        "file_path": "a: b.py",
        "line_number": 1,
        "code_snippet": "\tx = 1\n",
    }
    await api.call("add_ra_tag", **add)
    items: list[Json] = [
        {"title": "#2", "content": " odd\n", "metadata": {"n": 1.5, "s": ["1", None, True], "é": {}}},
        {"title": "Twin", "content": "one", "category": "null", "tags": ["yes", "b c"], "priority": 5},
        {"title": "Twin", "content": "two", "epic_id": 1, "task_id": twins[1]["id"]},
        {"title": "Under", "content": "three", "task_id": task["id"]},
    ]
    for item in items:
        api.clock.advance(0.25)
        await api.call("upsert_knowledge", project_id=1, agent_id="ada", **item)
    for lower, upper in ((1, 3), (4, 1), (3, 2)):
        await api.call("upsert_knowledge", knowledge_id=lower, parent_id=upper, agent_id="bob")
    await api.call("append_knowledge_log", knowledge_id=2, action_type="used", metadata={"a": 1}, agent_id="bob")
    await api.call("append_knowledge_log", knowledge_id=2, action_type="found wrong", change_reason="it\nis")
    await api.call("retire_knowledge", knowledge_id=4)


@pytest.mark.promise("plan:round-trip")
@pytest.mark.parametrize("form", ["yaml", "json"])
async def test_knowledge_and_assumptions_survive_export_and_import(
    api: OperationsClient, other: OperationsClient, form: str
) -> None:
    await leave_a_past(api)
    document = await api.stream_text("export_plan", format=form)
    await bring(other, document)
    assert await other.stream_text("export_plan", format=form) == document
    view = await bring(other, document)
    assert (view["created"], view["changed"]) == (0, 0)
    without = {"version", "id", "task_id", "parent_id"}
    here, there = await known(api), await known(other)
    for one, same in zip(here, there, strict=True):
        assert {name: one[name] for name in one.keys() - without} == {
            name: same[name] for name in same.keys() - without
        }
    parents = [
        [item["parent_id"] and found.index(next(i for i in found if i["id"] == item["parent_id"])) for item in found]
        for found in (here, there)
    ]
    assert parents[0] == parents[1] == [2, None, 1, 0]
    said = yaml.safe_load(document)["projects"][0]["knowledge"]
    assert [item.get("parent") for item in said] == ["#3", None, "#2", "#1"]


async def test_the_first_export_names_items_by_title_where_that_is_clear(api: OperationsClient) -> None:
    await bring(api, KNOWN)
    said = yaml.safe_load(await api.stream_text("export_plan"))["projects"][0]["knowledge"]
    assert [(item["title"], item.get("parent"), item.get("task"), item.get("epic")) for item in said] == [
        ("Colours", "Rules", "Paint", "Fence"),
        ("Rules", None, None, None),
    ]


async def test_entries_of_an_author_with_a_long_name_can_be_imported(
    api: OperationsClient, other: OperationsClient
) -> None:
    plan = f"projects: [{{name: P, tasks: [{{name: T, created_by: {'x' * 200}}}]}}]"
    await bring(api, plan)
    document = await api.stream_text("export_plan")
    await bring(other, document)
    assert await other.stream_text("export_plan") == document
