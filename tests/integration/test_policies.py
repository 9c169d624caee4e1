"""Policies of projects: false completions are refused over each interface, and honest ones need one more call."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from project_manager.catalogue import BY_NAME
from project_manager.domain.actors import LOCAL, Actor, Role
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
from project_manager.runtime.calls import Caller
from tests.integration.invariants import check
from tests.operations_client import Json, OperationsClient

PERSON = Actor("olga", "human", Role.OPERATOR, token_id=7)
CI = Actor("ci", "agent", Role.AGENT, True, 8, attests=True)
CRITERIA = ["tests pass", "documented"]
COMMIT = "abc1234"
FULL = "abc12345d0c3f1e2a4b69788796a5b4c3d2e1f00"
EACH: list[Json] = [
    {"criterion": 0, "command": "pytest -q", "exit_code": 0},
    {"criterion": 1, "url": "https://example.com/page"},
]
REVIEW = {"review": "required"}
EACH_CRITERION = {"evidence": "each_criterion"}
BOTH = {**REVIEW, **EACH_CRITERION}
OBSERVED = {"evidence": "observed_each_criterion"}
PERSON_REVIEWS = {**REVIEW, "reviewer": "person"}


class World:
    """A project with a policy and one task with two criteria, and the calls of agents and people."""

    def __init__(self, api: OperationsClient) -> None:
        self.api = api
        self.task = 0
        self.fence: int | None = None

    async def begin(self, policy: Json) -> None:
        await self.api.call("create_project", name="Garden", policy=policy)
        self.task = (await self.api.create_task(acceptance=CRITERIA))["id"]

    async def claim(self, agent: str = "ann") -> None:
        self.fence = (await self.api.claim(self.task, agent))["fence"]

    async def done(self, agent: str | None = "ann", **more: Any) -> Any:
        fence = {} if self.fence is None else {"fence": self.fence}
        return await self.api.set_status(self.task, "DONE", agent, **{**fence, **more})

    async def submit(self, agent: str | None = "ann", **more: Any) -> Json:
        fence = {} if self.fence is None else {"fence": self.fence}
        self.fence = None
        view = await self.api.set_status(self.task, "REVIEW", agent, **{**fence, "summary": "x", **more})
        submission: Json = view["submission"]
        return submission

    async def log(self, body: str = "see", agent: str = "ann", **more: Any) -> Any:
        fence = {} if self.fence is None else {"fence": self.fence}
        given = {"task_id": self.task, "body": body, "kind": "evidence", "agent_id": agent, **fence, **more}
        return await self.api.call("add_task_log", **given)

    async def log_of_ci(self, criterion: int, commit: str, **more: Any) -> None:
        given = {"task_id": self.task, "body": "passed", "kind": "evidence", "source": "ci", **more}
        await self.api.acting_as(CI).call("add_task_log", **given, criterion=criterion, commit=commit)

    async def review(self, submission: Json, agent: str = "bob", verdict: str = "approved", **more: Any) -> Any:
        given = {"task_id": self.task, "digest": submission["digest"], "verdict": verdict, "body": "ok", **more}
        return await self.api.call("review_task", agent_id=agent, **given)

    async def over_mcp(self, operation: str, actor: Actor = LOCAL, **raw: Any) -> Any:
        return await self.api.runtime.run(BY_NAME[operation], raw, Caller(actor, "mcp", "test"))


Scene = Callable[[World], Awaitable[Any]]
FALSE: dict[str, tuple[Json, Scene]] = {}
"""False completions by name: the policy, and the calls of which the last one claims that the task is DONE."""


def false(policy: Json) -> Callable[[Scene], Scene]:
    """Add a scene to the corpus."""

    def add(scene: Scene) -> Scene:
        FALSE[scene.__name__] = (policy, scene)
        return scene

    return add


# no evidence


@false(EACH_CRITERION)
async def no_evidence_at_all(world: World) -> None:
    await world.claim()
    await world.done()


@false(EACH_CRITERION)
async def no_evidence_without_a_lease(world: World) -> None:
    await world.done()


@false({"evidence": "any"})
async def no_evidence_where_any_would_do(world: World) -> None:
    await world.claim()
    await world.done(note="all done, tests pass")


@false(EACH_CRITERION)
async def evidence_for_one_criterion_of_two(world: World) -> None:
    await world.claim()
    await world.done(evidence=EACH[:1])


@false(EACH_CRITERION)
async def evidence_for_one_criterion_twice(world: World) -> None:
    await world.claim()
    await world.done(evidence=[EACH[0], EACH[0]])


@false(EACH_CRITERION)
async def evidence_without_a_criterion(world: World) -> None:
    await world.claim()
    await world.done(evidence=[{"command": "pytest", "exit_code": 0}])


@false(EACH_CRITERION)
async def evidence_in_words_only(world: World) -> None:
    await world.claim()
    await world.log("both criteria are met")
    await world.done()


@false(EACH_CRITERION)
async def a_failed_command(world: World) -> None:
    await world.claim()
    await world.done(evidence=[{**EACH[0], "exit_code": 1}, EACH[1]])


@false(EACH_CRITERION)
async def a_command_without_an_exit_code(world: World) -> None:
    await world.claim()
    await world.done(evidence=[{"criterion": 0, "command": "pytest"}, EACH[1]])


@false(EACH_CRITERION)
async def an_exit_code_without_a_command_that_failed(world: World) -> None:
    await world.claim()
    await world.done(evidence=[{"criterion": 0, "body": "ran it", "exit_code": 2}, EACH[1]])


@false(EACH_CRITERION)
async def empty_evidence(world: World) -> None:
    await world.claim()
    await world.done(evidence=[{"criterion": 0}, {"criterion": 1}])


@false(EACH_CRITERION)
async def evidence_for_a_criterion_that_does_not_exist(world: World) -> None:
    await world.claim()
    await world.done(evidence=[EACH[0], {"criterion": 2, "body": "x"}])


@false(EACH_CRITERION)
async def a_comment_instead_of_evidence(world: World) -> None:
    await world.claim()
    await world.api.call("add_task_log", task_id=world.task, body="done", kind="comment", agent_id="ann", criterion=0)
    await world.done()


# evidence of other work


@false(EACH_CRITERION)
async def evidence_of_another_fence(world: World) -> None:
    await world.claim()
    await world.log(criterion=0)
    await world.log(criterion=1)
    await world.api.release(world.task, "ann", fence=world.fence)
    await world.claim("bob")
    await world.done("bob")


@false(EACH_CRITERION)
async def own_evidence_of_an_earlier_lease(world: World) -> None:
    await world.claim()
    await world.log(criterion=0)
    await world.log(criterion=1)
    await world.api.release(world.task, "ann", fence=world.fence)
    await world.claim()
    await world.done()


@false(EACH_CRITERION)
async def evidence_recorded_without_a_lease(world: World) -> None:
    for criterion in (0, 1):
        await world.log(criterion=criterion)
    await world.done()


@false(EACH_CRITERION)
async def evidence_recorded_before_the_lease(world: World) -> None:
    for criterion in (0, 1):
        await world.log(criterion=criterion)
    await world.claim()
    await world.done()


@false(EACH_CRITERION)
async def evidence_of_another_agent_in_a_call_without_an_effect(world: World) -> None:
    await world.api.set_status(world.task, "TODO", "bob", evidence=EACH)
    await world.claim()
    await world.done()


@false(EACH_CRITERION)
async def evidence_of_another_task(world: World) -> None:
    other = await world.api.create_task("other", acceptance=CRITERIA)
    await world.api.set_status(other["id"], "DONE", "ann", evidence=EACH)
    await world.claim()
    await world.done()


@false(EACH_CRITERION)
async def evidence_for_a_criterion_that_has_changed_since(world: World) -> None:
    await world.claim()
    await world.log(criterion=0)
    await world.log(criterion=1)
    await world.api.update_task(world.task, "ann", fence=world.fence, acceptance=["tests pass", "translated"])
    await world.done()


@false(EACH_CRITERION)
async def evidence_for_criteria_that_changed_places(world: World) -> None:
    await world.claim()
    await world.log(criterion=0)
    await world.api.update_task(world.task, "ann", fence=world.fence, acceptance=["documented", "tests pass"])
    await world.log(criterion=1)
    await world.done()


@false(EACH_CRITERION)
async def evidence_before_one_more_criterion(world: World) -> None:
    await world.claim()
    await world.log(criterion=0)
    await world.log(criterion=1)
    await world.api.update_task(world.task, "ann", fence=world.fence, acceptance=[*CRITERIA, "fast"])
    await world.done()


@false(BOTH)
async def evidence_of_an_older_round(world: World) -> None:
    await world.claim()
    first = await world.submit(evidence=EACH)
    await world.review(first, verdict="changes_requested")
    await world.claim()
    second = await world.submit()
    await world.review(second)
    await world.done("bob")


@false(BOTH)
async def reported_evidence_that_comes_after_the_submission(world: World) -> None:
    await world.claim()
    submission = await world.submit(commit=COMMIT)
    await world.log(criterion=0, commit=COMMIT)
    await world.log(criterion=1, commit=COMMIT)
    await world.review(submission)
    await world.done("bob")


@false(BOTH)
async def reported_evidence_in_the_call_that_finishes_approved_work(world: World) -> None:
    await world.claim()
    await world.review(await world.submit())
    world.api = world.api.acting_as(Actor("worker", "human", Role.AGENT, token_id=5))
    await world.done(None, evidence=EACH)


@false({**BOTH, "evidence": "observed_each_criterion"})
async def observed_evidence_of_another_commit(world: World) -> None:
    await world.claim()
    submission = await world.submit(commit=COMMIT)
    await world.review(submission)
    for criterion in (0, 1):
        await world.log_of_ci(criterion, "def5678")
    await world.done("bob")


@false({**BOTH, "evidence": "observed_each_criterion"})
async def observed_evidence_of_a_commit_that_begins_in_the_same_way(world: World) -> None:
    await world.claim()
    submission = await world.submit(commit=FULL)
    await world.review(submission)
    for criterion, commit in enumerate((f"{FULL[:39]}0", f"{COMMIT}0")):
        await world.log_of_ci(criterion, commit)
    await world.done("bob")


# forged sources


@false(OBSERVED)
async def reported_evidence_where_observed_is_demanded(world: World) -> None:
    await world.claim()
    await world.done(evidence=EACH)


@false(OBSERVED)
async def a_forged_source_observed(world: World) -> None:
    await world.claim()
    await world.done(evidence=[{**entry, "source": "observed"} for entry in EACH])


@false(OBSERVED)
async def a_forged_source_ci(world: World) -> None:
    await world.claim()
    await world.done(evidence=[{**entry, "source": "ci"} for entry in EACH])


@false(OBSERVED)
async def a_forged_source_person(world: World) -> None:
    await world.claim()
    await world.done(evidence=[{**entry, "source": "person"} for entry in EACH])


@false(OBSERVED)
async def a_person_without_a_token(world: World) -> None:
    await world.done(None, evidence=[{**entry, "source": "person"} for entry in EACH])


@false(OBSERVED)
async def an_operators_token_with_an_agent_id_as_a_person(world: World) -> None:
    world.api = world.api.acting_as(PERSON)
    await world.done("ann", evidence=[{**entry, "source": "person"} for entry in EACH])


@false(OBSERVED)
async def a_forged_source_in_the_log(world: World) -> None:
    await world.claim()
    await world.log(criterion=0, source="observed")
    await world.done()


@false(OBSERVED)
async def an_unknown_source(world: World) -> None:
    await world.claim()
    await world.log(criterion=0, source="trusted")
    await world.done()


@false(OBSERVED)
async def observed_evidence_of_a_failed_command(world: World) -> None:
    bound = world.api.acting_as(CI)
    fence = (await bound.call("acquire_task_lock", task_id=world.task))["lock"]["fence"]
    evidence = [{**entry, "source": "observed", "command": "make", "exit_code": 1} for entry in EACH]
    await bound.call("update_task_status", task_id=world.task, status="DONE", fence=fence, evidence=evidence)


# no approval


@false(REVIEW)
async def done_without_a_review(world: World) -> None:
    await world.claim()
    await world.done()


@false(REVIEW)
async def done_by_a_person_without_a_review(world: World) -> None:
    await world.done(None)


@false(REVIEW)
async def done_from_review_without_a_verdict(world: World) -> None:
    await world.claim()
    await world.submit()
    await world.done("ann")


@false(REVIEW)
async def done_from_review_by_another_agent_without_a_verdict(world: World) -> None:
    await world.claim()
    await world.submit()
    await world.done("bob")


@false(REVIEW)
async def own_approval(world: World) -> None:
    await world.claim()
    submission = await world.submit()
    await world.review(submission, "ann")


@false(REVIEW)
async def own_approval_under_a_look_alike_case(world: World) -> None:
    await world.claim()
    submission = await world.submit()
    await world.review(submission, "ANN")


@false(REVIEW)
async def own_approval_with_the_same_token(world: World) -> None:
    operator = world.api.acting_as(PERSON)
    view = await operator.set_status(world.task, "REVIEW", "ann", summary="x")
    await operator.call(
        "review_task", task_id=world.task, digest=view["submission"]["digest"], verdict="approved", agent_id="bob"
    )


@false(REVIEW)
async def own_approval_by_a_review_lease(world: World) -> None:
    await world.claim()
    await world.submit()
    claimed = await world.api.claim_next("ann", kind="review")
    assert claimed["task"] is None
    await world.done("ann")


@false(REVIEW)
async def done_by_the_holder_of_a_review_lease(world: World) -> None:
    await world.claim()
    await world.submit()
    world.fence = (await world.api.claim_next("bob", kind="review"))["lock"]["fence"]
    await world.done("bob")


@false(REVIEW)
async def approval_of_an_older_submission(world: World) -> None:
    await world.claim()
    first = await world.submit()
    await world.api.set_status(world.task, "TODO")
    await world.claim()
    await world.submit(summary="other")
    await world.review(first)


@false(REVIEW)
async def approval_of_a_resubmission_by_its_old_digest(world: World) -> None:
    await world.claim()
    first = await world.submit()
    await world.submit(summary="something else")
    await world.review(first)


@false(REVIEW)
async def approval_with_a_made_up_digest(world: World) -> None:
    await world.claim()
    await world.submit()
    await world.review({"digest": "f" * 64})


@false(REVIEW)
async def approval_after_the_criteria_changed(world: World) -> None:
    await world.claim()
    submission = await world.submit()
    await world.api.update_task(world.task, acceptance=["nothing"])
    await world.review(submission)


@false(REVIEW)
async def approval_after_the_description_changed(world: World) -> None:
    await world.claim()
    submission = await world.submit()
    await world.api.update_task(world.task, description="much less")
    await world.review(submission)


@false({**BOTH, "evidence": "observed_each_criterion"})
async def an_approval_that_an_edit_made_void(world: World) -> None:
    await world.claim()
    submission = await world.submit(commit=COMMIT)
    await world.review(submission)
    await world.api.update_task(world.task, acceptance=["nothing"])
    await world.log_of_ci(0, COMMIT)
    await world.done("bob")


@false(REVIEW)
async def a_task_that_was_reopened(world: World) -> None:
    await world.claim()
    await world.review(await world.submit())
    await world.api.set_status(world.task, "TODO", reopen=True)
    await world.done("bob")


@false(REVIEW)
async def a_task_that_was_reopened_into_review(world: World) -> None:
    await world.claim()
    await world.review(await world.submit())
    await world.api.set_status(world.task, "REVIEW", reopen=True)
    await world.done("bob")


@false(REVIEW)
async def an_approval_of_work_that_was_taken_up_again(world: World) -> None:
    await world.claim()
    submission = await world.submit()
    await world.claim("bob")
    await world.review(submission, "cid")


@false({**BOTH, "evidence": "observed_each_criterion"})
async def an_approval_of_work_that_another_agent_claims_and_finishes(world: World) -> None:
    await world.claim()
    await world.review(await world.submit(commit=COMMIT))
    await world.claim("cid")
    await world.done("cid", evidence=EACH, commit=COMMIT)


@false(REVIEW)
async def done_after_changes_were_requested(world: World) -> None:
    await world.claim()
    submission = await world.submit()
    await world.review(submission, verdict="changes_requested")
    await world.claim()
    await world.done()


@false({**REVIEW, "max_review_rounds": 1})
async def done_after_too_many_rounds(world: World) -> None:
    await world.claim()
    submission = await world.submit()
    await world.review(submission, verdict="changes_requested")
    await world.done("bob")


@false(BOTH)
async def an_approval_without_evidence(world: World) -> None:
    await world.claim()
    await world.review(await world.submit())
    await world.done("bob")


@false(REVIEW)
async def done_through_an_edit(world: World) -> None:
    await world.claim()
    await world.api.update_task(world.task, "ann", fence=world.fence, status="DONE")


@false(REVIEW)
async def done_over_mcp(world: World) -> None:
    await world.over_mcp("update_task_status", task_id=world.task, status="DONE", agent_id="ann")


@false(REVIEW)
async def done_by_force_over_mcp(world: World) -> None:
    await world.over_mcp("update_task_status", task_id=world.task, status="DONE", agent_id="ann", force=True)


@false(REVIEW)
async def done_by_force_with_an_agents_token(world: World) -> None:
    bound = world.api.acting_as(Actor("ann", "agent", Role.AGENT, True, 3))
    await bound.call("update_task_status", task_id=world.task, status="DONE", force=True)


# a person is demanded


@false(PERSON_REVIEWS)
async def an_agent_approves_where_a_person_is_demanded(world: World) -> None:
    await world.claim()
    await world.review(await world.submit())
    await world.done("bob")


@false(PERSON_REVIEWS)
async def somebody_approves_without_tokens_where_a_person_is_demanded(world: World) -> None:
    await world.claim()
    submission = await world.submit()
    await world.api.call("review_task", task_id=world.task, digest=submission["digest"], verdict="approved")
    await world.done(None)


@false(PERSON_REVIEWS)
async def a_call_over_mcp_claims_to_be_a_person(world: World) -> None:
    await world.claim()
    submission = await world.submit()
    raw = {"task_id": world.task, "digest": submission["digest"], "verdict": "approved", "agent_id": "olga"}
    await world.over_mcp("review_task", PERSON, **raw)
    await world.done("bob")


@false(PERSON_REVIEWS)
async def a_viewer_approves(world: World) -> None:
    await world.claim()
    submission = await world.submit()
    viewer = world.api.acting_as(Actor("vera", "human", Role.VIEWER, token_id=5))
    await viewer.call("review_task", task_id=world.task, digest=submission["digest"], verdict="approved")


@false(PERSON_REVIEWS)
async def an_operators_token_with_an_agent_id_approves(world: World) -> None:
    await world.claim()
    submission = await world.submit()
    operator = world.api.acting_as(PERSON)
    await operator.call(
        "review_task", task_id=world.task, digest=submission["digest"], verdict="approved", agent_id="bob"
    )
    await world.done("bob")


# other ways to DONE


@false(EACH_CRITERION)
async def a_new_task_that_is_done(world: World) -> None:
    await world.api.create_task("new", status="DONE")


@false(EACH_CRITERION)
async def many_new_tasks_that_are_done(world: World) -> None:
    await world.api.call("create_tasks", project_name="Garden", tasks=[{"name": "new", "status": "DONE"}])


@false(REVIEW)
async def an_import_that_moves_a_task_to_done(world: World) -> None:
    document = "projects: [{name: Garden, tasks: [{name: Paint the fence, status: DONE}]}]"
    await world.api.call("import_plan", document=document, status="overwrite")


@false(EACH_CRITERION)
async def imported_evidence(world: World) -> None:
    entry = "{author: ci, kind: evidence, at: 2026-11-01T00:00:00Z, body: x, evidence: {source: ci, criterion: %d}}"
    log = ", ".join(entry % number for number in (0, 1))
    task = f"{{name: Brought, acceptance: [tests pass, documented], log: [{log}]}}"
    await world.api.call("import_plan", document=f"projects: [{{name: Garden, tasks: [{task}]}}]")
    (found,) = (await world.api.call("list_tasks", q="Brought"))["items"]
    world.task = found["id"]
    await world.claim()
    await world.done()


@false(REVIEW)
async def an_agent_relaxes_the_policy(world: World) -> None:
    bound = world.api.acting_as(Actor("ann", "agent", Role.AGENT, True, 3))
    await bound.call("update_project", project_id=1, policy={"review": "none"})
    await world.done()


@false(EACH_CRITERION)
async def the_criteria_are_removed_without_evidence(world: World) -> None:
    await world.claim()
    await world.api.update_task(world.task, "ann", fence=world.fence, acceptance=[])
    await world.done()


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


def test_the_corpus_has_at_least_sixty_false_completions() -> None:
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
