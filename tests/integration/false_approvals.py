"""False completions without the approval that the policy demands, and other ways to DONE."""

from project_manager.domain.actors import Actor, Role
from tests.integration.policy_world import (
    BOTH,
    COMMIT,
    EACH,
    EACH_CRITERION,
    PERSON,
    PERSON_REVIEWS,
    REVIEW,
    World,
    false,
)

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
