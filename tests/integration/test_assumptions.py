"""Assumptions on tasks: workers record them, reviewers judge them, and every verdict is kept."""

from pathlib import Path
from typing import Any

import pytest

from project_manager.domain import limits
from project_manager.domain.actors import Actor, Role
from project_manager.domain.assumptions import family_of, parse_tag
from project_manager.domain.errors import (
    AssumptionNotFound,
    FenceRequired,
    Invalid,
    LockHeld,
    NotFound,
    RoleRequired,
    StaleFence,
    TaskNotFound,
)
from tests.operations_client import Json, OperationsClient

TAG = "#ASSUMPTION: the list is sorted"


async def assumed(api: OperationsClient, task_id: int, **given: Any) -> int:
    """Record a new assumption and return its id."""
    recorded = await api.call("add_ra_tag", **{"task_id": task_id, "text": TAG, **given})
    made: int = recorded["ra_tag_id"]
    return made


async def judged(api: OperationsClient, task_id: int, assumption_id: int, verdict: str, **given: Any) -> Json:
    words = {"verdict": verdict, "reason": "I looked", **given}
    done: Json = await api.call("capture_assumption_validation", task_id=task_id, assumption_id=assumption_id, **words)
    return done


async def listed(api: OperationsClient, task_id: int, verdict: str | None = None) -> list[int]:
    return [item["id"] for item in (await api.call("list_assumptions", task_id=task_id, verdict=verdict))["items"]]


# Recording


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ([TAG, "#PATTERN: as elsewhere"], [("ASSUMPTION", "the list is sorted"), ("PATTERN", "as elsewhere")]),
        ('["#PLAN: first this, then that"]', [("PLAN", "first this, then that")]),
        ("#PLAN: first this, then that", [("PLAN", "first this, then that")]),
        (["auth", "#hot"], [("TAG", "auth"), ("TAG", "hot")]),
    ],
)
@pytest.mark.parametrize("word", ["assumptions", "ra_tags"])
async def test_assumptions_are_recorded_with_the_task_and_reported_in_the_response(
    api: OperationsClient, word: str, sent: Any, kept: list[tuple[str, str]]
) -> None:
    task = await api.create_task(**{word: sent}, agent_id="ann")
    noted = task["assumptions"]
    assert [(item["type"], item["text"]) for item in noted] == kept
    found = (await api.call("list_assumptions", task_id=task["id"]))["items"]
    assert [(item["id"], item["author"], item["file_path"]) for item in reversed(found)] == [
        (item["id"], "ann", None) for item in noted
    ]
    events = await api.events(0, "assumption.recorded")
    assert [event["assumption_id"] for event in events] == [item["id"] for item in noted]


async def test_a_task_without_assumptions_has_the_same_response_as_before(api: OperationsClient) -> None:
    await api.call("create_project", name="Garden")
    made = await api.create_task()
    assert made == await api.get_task(made["id"])
    assert "assumptions" not in await api.update_task(made["id"], priority=1)


async def test_an_edit_records_assumptions_too_and_may_do_nothing_else(api: OperationsClient) -> None:
    task = await api.create_task(assumptions=[TAG])
    edited = await api.update_task(task["id"], ra_tags='["#PATTERN: as elsewhere"]')
    assert [item["type"] for item in edited["assumptions"]] == ["PATTERN"]
    assert len(await listed(api, task["id"])) == 2


async def test_an_edit_by_another_agent_records_no_assumption(api: OperationsClient) -> None:
    task = await api.create_task()
    await api.claim(task["id"], "ann")
    await api.call_error(LockHeld, "update_task", task_id=task["id"], agent_id="bob", assumptions=[TAG])
    assert await listed(api, task["id"]) == []


@pytest.mark.parametrize("sent", [[7], [{"text": "x"}], "[not json", ["#"], [" "], ["x"] * (limits.LABELS + 1)])
async def test_an_invalid_tag_is_refused_and_no_task_is_created(api: OperationsClient, sent: Any) -> None:
    error = await api.call_error(Invalid, "create_task", name="x", project_name="Garden", ra_tags=sent)
    assert "assumptions" in str(error.details) or "ra_tags" in str(error.details)
    assert (await api.call("list_tasks"))["total"] == 0


async def test_an_assumption_is_recorded_with_its_place(api: OperationsClient) -> None:
    task = await api.create_task()
    recorded = await api.call(
        "add_ra_tag",
        task_id=task["id"],
        ra_tag_text="#COMPLETION_DRIVE-IMPL:  ids are unique\nand never reused ",
        file_path="src/app.py",
        line_number="12",
        code_snippet="ids = {}",
        agent_id="ann",
    )
    assert (recorded["success"], recorded["task_id"]) == (True, task["id"])
    assert recorded["assumption"] == {
        "id": recorded["ra_tag_id"],
        "task_id": task["id"],
        "type": "COMPLETION_DRIVE_IMPL",
        "family": "assumption",
        "text": "ids are unique\nand never reused",
        "file_path": "src/app.py",
        "line_number": 12,
        "code_snippet": "ids = {}",
        "author": "ann",
        "created_at": api.clock.later(0),
        "verdict": None,
        "verdicts": 0,
    }


async def test_a_path_is_kept_as_text_and_no_file_is_opened(api: OperationsClient, tmp_path: Path) -> None:
    task = await api.create_task()
    secret = tmp_path / "secret.py"
    secret.write_text("SECRET = 1\n")
    for path in (str(secret), "/nowhere/at/all", "../../etc/passwd", "https://example.org/x"):
        recorded = await api.call("add_ra_tag", task_id=task["id"], text=TAG, file_path=path, line_number=1)
        assert recorded["assumption"]["file_path"] == path
        assert "SECRET" not in str(recorded)


@pytest.mark.parametrize(
    ("written", "family"),
    [
        ("#ASSUMPTION: x", "assumption"),
        ("#completion_drive: x", "assumption"),
        ("#SUGGEST_VALIDATION: x", "suggestion"),
        ("#Pattern-Momentum: x", "pattern"),
        ("#CONTEXT_DEGRADED: x", "context"),
        ("#PLAN_UNCERTAINTY: x", "planning"),
        ("#WONDER: x", "other"),
    ],
)
def test_a_tag_belongs_to_a_family(written: str, family: str) -> None:
    assert family_of(parse_tag(written)[0]) == family


@pytest.mark.parametrize("written", ["", "x", "ASSUMPTION: x", "#: x", "#A:", "#A: ", "#A x", "#1: x", "# : x"])
async def test_a_tag_of_another_form_is_refused_with_an_example(api: OperationsClient, written: str) -> None:
    task = await api.create_task()
    refusal = await api.call_error(Invalid, "add_ra_tag", task_id=task["id"], text=written)
    assert "#ASSUMPTION: the list is sorted" in refusal.message
    assert await listed(api, task["id"]) == []


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("text", "#" + "A" * (limits.TAG_TYPE_CHARACTERS + 1) + ": x", "longer than 64 characters"),
        ("text", "#A: " + "x" * limits.DESCRIPTION_BYTES, "the limit is 65536"),
        ("file_path", "x" * (limits.PATH_CHARACTERS + 1), "more than 1024 characters"),
        ("file_path", "a\nb", "line break"),
        ("line_number", 0, "at least 1"),
        ("code_snippet", "x" * (limits.SNIPPET_BYTES + 1), "the limit is 8192"),
        ("code_snippet", "\x00", "NUL"),
    ],
)
async def test_a_value_out_of_bounds_is_refused_by_name(
    api: OperationsClient, field: str, value: Any, words: str
) -> None:
    task = await api.create_task()
    refusal = await api.call_error(Invalid, "add_ra_tag", **{"task_id": task["id"], "text": TAG, field: value})
    assert f"`{field}`" in refusal.message
    assert words in refusal.message


async def test_while_an_agent_holds_the_task_only_it_and_people_record(api: OperationsClient) -> None:
    task = await api.create_task()
    lock = await api.claim(task["id"], "ann")
    await api.call_error(LockHeld, "add_ra_tag", task_id=task["id"], text=TAG, agent_id="bob")
    await api.call_error(
        StaleFence, "add_ra_tag", task_id=task["id"], text=TAG, agent_id="ann", fence=lock["fence"] + 1
    )
    await assumed(api, task["id"], agent_id="ann", fence=lock["fence"])
    await api.call_error(FenceRequired, "add_ra_tag", task_id=task["id"], text=TAG, agent_id="ann")
    await assumed(api, task["id"])
    assert len(await listed(api, task["id"])) == 2


async def test_the_holders_record_renews_its_lease(api: OperationsClient) -> None:
    task = await api.create_task()
    lock = await api.claim(task["id"], "ann", ttl_seconds=100)
    api.clock.advance(90)
    await assumed(api, task["id"], agent_id="ann", fence=lock["fence"])
    assert (await api.get_task(task["id"]))["lock"]["expires_at"] == api.clock.later(100)


async def test_a_repeated_record_is_made_once(api: OperationsClient) -> None:
    task = await api.create_task()
    assert await assumed(api, task["id"], request_id="r") == await assumed(api, task["id"], request_id="r")
    assert len(await listed(api, task["id"])) == 1


# Judging


async def test_a_later_verdict_supersedes_and_the_earlier_ones_stay(api: OperationsClient) -> None:
    task = await api.create_task()
    item = await assumed(api, task["id"])
    for seconds, verdict in ((0, "validated"), (5, "rejected"), (60, "rejected"), (3600, "partial"), (1, "validated")):
        api.clock.advance(seconds)
        answer = await judged(api, task["id"], item, verdict, agent_id="rev")
        assert (answer["outcome"], answer["assumption"]["verdict"]["verdict"]) == (verdict, verdict)
    found = await api.call("get_assumption", task_id=task["id"], assumption_id=item)
    assert [verdict["verdict"] for verdict in found["history"]] == [
        "validated",
        "partial",
        "rejected",
        "rejected",
        "validated",
    ]
    assert found["assumption"]["verdict"] == found["history"][0]
    assert found["assumption"]["verdicts"] == 5


async def test_reviewers_judge_with_any_lease_holder_and_in_any_status(api: OperationsClient) -> None:
    task = await api.create_task()
    item = await assumed(api, task["id"])
    lock = await api.claim(task["id"], "ann")
    await judged(api, task["id"], item, "rejected", agent_id="bob")
    assert (await api.get_task(task["id"]))["lock"]["holder"] == "ann"
    await api.set_status(task["id"], "DONE", "ann", fence=lock["fence"])
    answer = await judged(api, task["id"], item, "validated", reviewer_agent_id="cid")
    assert answer["assumption"]["verdict"]["reviewer"] == "cid"
    assert (await api.get_task(task["id"]))["status"] == "DONE"


@pytest.mark.parametrize(("word", "verdict", "usual"), [("Validated", "validated", 90), ("REJECTED", "rejected", 10)])
async def test_a_verdict_is_read_in_any_case_and_has_a_usual_confidence(
    api: OperationsClient, word: str, verdict: str, usual: int
) -> None:
    task = await api.create_task()
    item = await assumed(api, task["id"])
    given = (await judged(api, task["id"], item, word))["assumption"]["verdict"]
    assert (given["verdict"], given["confidence"]) == (verdict, usual)
    sure = await judged(api, task["id"], item, "partial", confidence="33")
    assert sure["assumption"]["verdict"]["confidence"] == 33


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("verdict", "validate", "is not a verdict; did you mean `validated`?"),
        ("verdict", "open", "use one of validated, rejected, partial"),
        ("confidence", 101, "at most 100"),
        ("confidence", -1, "at least 0"),
        ("reason", "", "is empty"),
    ],
)
async def test_a_verdict_out_of_bounds_is_refused_by_name(
    api: OperationsClient, field: str, value: Any, words: str
) -> None:
    task = await api.create_task()
    item = await assumed(api, task["id"])
    given = {"task_id": task["id"], "assumption_id": item, "verdict": "validated", "reason": "x", field: value}
    refusal = await api.call_error(Invalid, "capture_assumption_validation", **given)
    assert words in refusal.message
    assert await listed(api, task["id"], "open") == [item]


async def test_assumptions_are_listed_by_how_they_stand(api: OperationsClient) -> None:
    task = await api.create_task()
    items = [await assumed(api, task["id"]) for _ in range(4)]
    await judged(api, task["id"], items[0], "rejected")
    await judged(api, task["id"], items[0], "validated")
    await judged(api, task["id"], items[1], "rejected")
    assert await listed(api, task["id"]) == list(reversed(items))
    assert await listed(api, task["id"], "open") == [items[3], items[2]]
    assert await listed(api, task["id"], "validated") == [items[0]]
    assert await listed(api, task["id"], "rejected") == [items[1]]
    assert await listed(api, task["id"], "partial") == []


async def test_assumptions_are_read_page_by_page(api: OperationsClient) -> None:
    task = await api.create_task()
    items = [await assumed(api, task["id"]) for _ in range(5)]
    read, cursor = [], None
    while True:
        page = await api.call("list_assumptions", task_id=task["id"], limit=2, cursor=cursor)
        read += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert (read, page["total"]) == (list(reversed(items)), 5)


@pytest.mark.parametrize(
    ("error", "operation", "arguments"),
    [
        (TaskNotFound, "add_ra_tag", {"task_id": 99, "text": TAG}),
        (TaskNotFound, "list_assumptions", {"task_id": 99}),
        (TaskNotFound, "get_assumption", {"task_id": 99, "assumption_id": 1}),
        (AssumptionNotFound, "get_assumption", {"task_id": 1, "assumption_id": 99}),
        (
            AssumptionNotFound,
            "capture_assumption_validation",
            {"task_id": 1, "assumption_id": 99, "verdict": "partial", "reason": "x"},
        ),
    ],
)
async def test_unknown_ids_are_refused_as_not_found(
    api: OperationsClient, error: type[NotFound], operation: str, arguments: Json
) -> None:
    await api.create_task()
    assert "99" in (await api.call_error(error, operation, **arguments)).message


async def test_an_assumption_of_another_task_is_not_found_under_this_one(api: OperationsClient) -> None:
    mine, other = await api.create_task(), await api.create_task()
    item = await assumed(api, other["id"])
    await api.call_error(AssumptionNotFound, "get_assumption", task_id=mine["id"], assumption_id=item)
    with pytest.raises(AssumptionNotFound):
        await judged(api, mine["id"], item, "rejected")


async def test_a_viewer_neither_records_nor_judges(api: OperationsClient) -> None:
    task = await api.create_task()
    item = await assumed(api, task["id"])
    viewer = api.acting_as(Actor("vic", "human", Role.VIEWER))
    assert await listed(viewer, task["id"]) == [item]
    await viewer.call_error(RoleRequired, "add_ra_tag", task_id=task["id"], text=TAG)
    with pytest.raises(RoleRequired):
        await judged(viewer, task["id"], item, "rejected")


# Together with the task


async def test_a_task_in_full_shows_its_newest_assumptions_and_how_many_there_are(api: OperationsClient) -> None:
    task = await api.create_task()
    assert (await api.call("get_task_details", task_id=task["id"]))["assumptions"] == []
    items = [await assumed(api, task["id"]) for _ in range(25)]
    await judged(api, task["id"], items[-1], "rejected")
    details = await api.call("get_task_details", task_id=task["id"])
    assert [item["id"] for item in details["assumptions"]] == list(reversed(items))[:20]
    assert details["assumptions"][0]["verdict"]["verdict"] == "rejected"
    assert details["assumptions_total"] == 25


async def test_a_budget_shortens_the_assumptions_of_a_task_too(api: OperationsClient) -> None:
    task = await api.create_task()
    for _ in range(10):
        await assumed(api, task["id"], code_snippet="x" * 4000)
    details = await api.call("get_task_details", task_id=task["id"], budget_tokens=3000)
    assert (len(details["assumptions"]), details["assumptions_total"]) == (1, 10)


async def test_assumptions_go_with_their_task(api: OperationsClient) -> None:
    task = await api.create_task()
    item = await assumed(api, task["id"])
    await judged(api, task["id"], item, "rejected")
    await api.call("delete_task", task_id=task["id"])
    counts = await api.runtime.read("left", rows_left)
    assert counts == [0, 0]


def rows_left(tx: Any) -> list[int]:
    tables = ("assumptions", "assumption_verdicts")
    return [tx.connection.execute(f"SELECT count(*) FROM {name}", {}).fetchone()[0] for name in tables]


async def test_assumptions_and_verdicts_emit_events(api: OperationsClient) -> None:
    task = await api.create_task()
    since = await api.last_seq()
    item = await assumed(api, task["id"], agent_id="ann")
    await judged(api, task["id"], item, "validated", agent_id="rev")
    await judged(api, task["id"], item, "rejected", agent_id="rev")
    recorded, first, second = await api.events(since)
    assert [event["type"] for event in (recorded, first, second)] == [
        "assumption.recorded",
        "assumption.validated",
        "assumption.validated",
    ]
    assert {event["task_id"] for event in (recorded, first, second)} == {task["id"]}
    assert (recorded["assumption_id"], recorded["assumption_type"], recorded["author"]) == (item, "ASSUMPTION", "ann")
    assert (first["verdict"], first["previous_verdict"]) == ("validated", None)
    assert (second["verdict"], second["previous_verdict"], second["confidence"]) == ("rejected", "validated", 10)
