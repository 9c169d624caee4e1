"""Policies of projects: false completions are refused over each interface, and honest ones need one more call."""

import pytest

from project_manager.domain.errors import (
    AttestationRequired,
    BoundTokenRequired,
    Invalid,
    LeaseForReview,
    LockRequired,
    NotInReview,
    OwnReview,
    PersonRequired,
    PolicyUnmet,
    RoleRequired,
    StaleSubmission,
)
from tests.integration import false_approvals, false_evidence
from tests.integration.invariants import check
from tests.integration.policy_world import (
    BOTH,
    COMMIT,
    CRITERIA,
    EACH,
    EACH_CRITERION,
    FALSE,
    FULL,
    OBSERVED,
    PERSON,
    PERSON_REVIEWS,
    REVIEW,
    World,
)
from tests.operations_client import Json, OperationsClient

REFUSALS = (
    *(PolicyUnmet, AttestationRequired, LockRequired, RoleRequired, LeaseForReview, OwnReview, PersonRequired),
    *(StaleSubmission, NotInReview, BoundTokenRequired),
)
INVALID = {
    "empty_evidence",
    "evidence_for_a_criterion_that_does_not_exist",
    "a_comment_instead_of_evidence",
    "an_unknown_source",
    "an_import_that_moves_a_task_to_done",
}
"""The false completions with an invalid input."""


CORPUS = (false_evidence, false_approvals)
"""The modules that add false completions to FALSE."""


def test_the_corpus_has_at_least_sixty_false_completions() -> None:
    assert all(any(scene.__module__ == module.__name__ for _, scene in FALSE.values()) for module in CORPUS)
    assert len(FALSE) >= 60


@pytest.mark.parametrize("name", FALSE)
async def test_a_false_completion_is_refused(api: OperationsClient, name: str) -> None:
    policy, scene = FALSE[name]
    world = World(api)
    await world.begin(policy)
    with pytest.raises(Invalid if name in INVALID else REFUSALS):
        await scene(world)
    assert (await api.get_task(world.task))["status"] != "DONE"
    check(api)


# honest completions


async def test_each_criterion_is_shown_in_the_call_that_finishes_the_work(api: OperationsClient) -> None:
    world = World(api)
    await world.begin(EACH_CRITERION)
    await world.claim()
    done = await world.done(evidence=EACH)
    assert (done["status"], done["task"]["completed_by"]) == ("DONE", "evidence")
    check(api)


async def test_work_without_a_lease_is_shown_and_finished_in_one_call(api: OperationsClient) -> None:
    world = World(api)
    await world.begin(EACH_CRITERION)
    assert (await world.done(evidence=EACH))["status"] == "DONE"


async def test_submitted_work_needs_one_more_call_of_its_reviewer(api: OperationsClient) -> None:
    world = World(api)
    await world.begin(BOTH)
    await world.claim()
    submission = await world.submit(evidence=EACH)
    assert len(submission["evidence"]) == 2
    assert (await world.review(submission))["status"] == "DONE"


async def test_a_refusal_names_everything_that_is_missing(api: OperationsClient) -> None:
    world = World(api)
    await world.begin(BOTH)
    await world.claim()
    with pytest.raises(PolicyUnmet) as caught:
        await world.done(evidence=EACH[:1])
    assert caught.value.details["missing"] == [
        "evidence for criterion 1: documented",
        "approval by another agent or a person",
    ]
    assert "status REVIEW" in caught.value.hint
    assert await api.logs(world.task) == []


async def test_a_new_task_that_is_done_is_refused_with_everything_that_is_missing(api: OperationsClient) -> None:
    await World(api).begin({**PERSON_REVIEWS, **EACH_CRITERION})
    done: Json = {"name": "new", "status": "DONE", "acceptance": CRITERIA}
    parts = ["evidence for criterion 0: tests pass", "evidence for criterion 1: documented", "approval by a person"]
    refusals = [
        await api.call_error(PolicyUnmet, "create_task", project_name="Garden", **done),
        await api.call_error(PolicyUnmet, "create_tasks", project_name="Garden", tasks=[{"name": "old"}, done]),
    ]
    for refusal in refusals:
        assert refusal.details == {"name": "new", "missing": parts}
        assert "; ".join(parts) in refusal.message
        assert "TODO" in refusal.hint
    assert (await api.call("list_tasks", q="old"))["items"] == []


async def test_an_import_that_sets_done_is_refused_with_everything_that_is_missing(api: OperationsClient) -> None:
    await World(api).begin(BOTH)
    document = "projects: [{name: Garden, tasks: [{name: Paint the fence, status: DONE}]}]"
    refusal = await api.call_error(Invalid, "import_plan", document=document, status="overwrite")
    for part in ("evidence for criterion 0: tests pass", "evidence for criterion 1", "approval by another agent"):
        assert part in refusal.message


@pytest.mark.parametrize(
    ("policy", "is_approved", "step"),
    [
        (EACH_CRITERION, False, "Send evidence with update_task_status"),
        (OBSERVED, False, "Only a person, or a token made with --attest"),
        (BOTH, False, "Submit it"),
        ({**REVIEW, **OBSERVED}, True, "with the commit of the submission"),
        ({**PERSON_REVIEWS, **OBSERVED}, False, "Submit it"),
    ],
)
async def test_a_refusal_names_the_next_step(api: OperationsClient, policy: Json, is_approved: bool, step: str) -> None:
    world = World(api)
    await world.begin(policy)
    await world.claim()
    if is_approved:
        await world.review(await world.submit(commit=COMMIT))
    with pytest.raises(PolicyUnmet) as caught:
        await world.done(None if is_approved else "ann")
    assert step in caught.value.hint


@pytest.mark.parametrize(("submitted", "shown"), [(COMMIT, COMMIT), (FULL, COMMIT), (COMMIT, FULL)])
async def test_evidence_of_ci_completes_approved_work_when_it_arrives(
    api: OperationsClient, submitted: str, shown: str
) -> None:
    world = World(api)
    await world.begin({**REVIEW, **OBSERVED})
    await world.claim()
    submission = await world.submit(commit=submitted)
    view = await world.review(submission)
    assert (view["status"], len(view["missing"])) == ("REVIEW", 2)
    for criterion, status in ((0, "REVIEW"), (1, "DONE")):
        await world.log_of_ci(criterion, shown, command="make test", exit_code=0)
        assert (await api.get_task(world.task))["status"] == status
    check(api)


async def test_evidence_of_ci_that_arrived_before_the_submission_belongs_to_it_by_a_short_commit(
    api: OperationsClient,
) -> None:
    world = World(api)
    await world.begin({**REVIEW, **OBSERVED})
    for criterion in (0, 1):
        await world.log_of_ci(criterion, FULL)
    await world.claim()
    submission = await world.submit(commit=COMMIT)
    assert len(submission["evidence"]) == 2
    assert (await world.review(submission))["status"] == "DONE"
    check(api)


async def test_a_person_completes_approved_work_with_evidence_in_the_call_that_finishes_it(
    api: OperationsClient,
) -> None:
    world = World(api)
    await world.begin({**REVIEW, **OBSERVED})
    await world.claim()
    await world.review(await world.submit())
    seen = [{"criterion": number, "body": "I have seen it"} for number in range(2)]
    done = await api.acting_as(PERSON).set_status(world.task, "DONE", evidence=seen)
    assert (done["status"], done["task"]["completed_by"]) == ("DONE", "review")
    check(api)


async def test_a_person_approves_where_a_person_is_demanded(api: OperationsClient) -> None:
    world = World(api)
    await world.begin(PERSON_REVIEWS)
    await world.claim()
    submission = await world.submit()
    assert (await api.claim_next("bob", kind="review"))["task"] is None
    view = await api.acting_as(PERSON).call(
        "review_task", task_id=world.task, digest=submission["digest"], verdict="approved"
    )
    assert (view["status"], view["submission"]["review"]["reviewer_kind"]) == ("DONE", "person")


async def test_the_force_of_an_operator_is_recorded(api: OperationsClient) -> None:
    world = World(api)
    await world.begin(BOTH)
    done = await api.set_status(world.task, "DONE", force=True)
    assert done["task"]["completed_by"] == "force"
    text = (await api.logs(world.task))[-1]["body"]
    assert text.startswith("local sets DONE by force; missing: evidence for criterion 0")
    check(api)


async def test_an_import_of_finished_tasks_is_marked_as_such(api: OperationsClient) -> None:
    world = World(api)
    await world.begin(REVIEW)
    await api.call("import_plan", document="projects: [{name: Garden, tasks: [{name: Old, status: DONE}]}]")
    (found,) = (await api.call("list_tasks", q="Old"))["items"]
    assert (found["status"], found["completed_by"]) == ("DONE", "import")


async def test_a_policy_that_changes_during_a_review_decides_at_the_verdict(api: OperationsClient) -> None:
    world = World(api)
    await world.begin(REVIEW)
    await world.claim()
    submission = await world.submit()
    await api.call("update_project", project_id=1, policy=BOTH)
    view = await world.review(submission)
    assert (view["status"], len(view["missing"])) == ("REVIEW", 2)
    await api.call("update_project", project_id=1, policy=None)
    assert (await world.done("bob"))["status"] == "DONE"


async def test_the_policy_of_a_project_is_read_and_replaced_as_a_whole(api: OperationsClient) -> None:
    world = World(api)
    await world.begin({**REVIEW, "checks": ["unit"]})
    found = await api.call("update_project", project_id=1, policy=EACH_CRITERION)
    assert found["policy"] == {
        "review": "none",
        "reviewer": "other_agent",
        "evidence": "each_criterion",
        "max_review_rounds": 3,
        "merge_completes": False,
        "checks": [],
    }
    check(api)


async def test_a_claim_says_what_the_policy_demands(api: OperationsClient) -> None:
    world = World(api)
    await world.begin(BOTH)
    assert (await api.claim_next("ann"))["policy"] == {"review": "required", "evidence": "each_criterion"}


async def test_a_person_replaces_the_approval_of_an_agent_that_no_longer_counts(api: OperationsClient) -> None:
    world = World(api)
    await world.begin(BOTH)
    await world.claim()
    submission = await world.submit(evidence=EACH[:1])
    await world.review(submission)
    await api.call("update_project", project_id=1, policy=PERSON_REVIEWS)
    person = api.acting_as(PERSON)
    view = await person.call("review_task", task_id=world.task, digest=submission["digest"], verdict="approved")
    assert view["status"] == "DONE"
    check(api)


async def test_policies_evidence_and_submissions_survive_an_export_and_an_import(api: OperationsClient) -> None:
    world = World(api)
    await world.begin({**BOTH, "checks": ["unit"]})
    await world.claim()
    submission = await world.submit(evidence=EACH, commit=COMMIT)
    await world.review(submission, verdict="changes_requested")
    first = await api.stream_text("export_plan", project="Garden")
    await api.call("delete_project", project_id=1, force=True)
    await api.call("import_plan", document=first)
    assert await api.stream_text("export_plan", project="Garden") == first
    (task,) = (await api.call("list_tasks"))["items"]
    listed = (await api.call("list_submissions", task_id=task["id"]))["items"]
    assert [(item["round"], item["digest"], item["is_current"]) for item in listed] == [
        (1, submission["digest"], False)
    ]
    check(api)
