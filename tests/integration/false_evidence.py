"""False completions with missing, foreign or forged evidence."""

from project_manager.domain.actors import Actor, Role
from tests.integration.policy_world import (
    BOTH,
    CI,
    COMMIT,
    CRITERIA,
    EACH,
    EACH_CRITERION,
    FULL,
    OBSERVED,
    PERSON,
    World,
    false,
)

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
