"""Submissions, reviews and offers: from REVIEW to DONE, or back to the author."""

from functools import partial
from typing import Any

import anyio
import anyio.to_thread
import pytest

from project_manager.domain.actors import Actor, Role
from project_manager.domain.errors import (
    AlreadyReviewed,
    BoundTokenRequired,
    Invalid,
    LeaseForReview,
    LockHeld,
    NotInReview,
    NotReady,
    OwnReview,
    StaleSubmission,
)
from tests.integration.invariants import check
from tests.operations_client import Json, OperationsClient

PERSON = Actor("olga", "human", Role.OPERATOR, token_id=7)
REQUIRED = {"review": "required"}


async def project(api: OperationsClient, **policy: Any) -> int:
    made = await api.call("create_project", name="Garden", policy=policy)
    return int(made["id"])


async def submit(api: OperationsClient, task_id: int, agent: str = "ann", **more: Any) -> Json:
    """Claim the task, submit its work, and return the submission."""
    fence = (await api.claim(task_id, agent))["fence"]
    done = await api.set_status(task_id, "REVIEW", agent, fence=fence, **{"summary": "painted", **more})
    submission: Json = done["submission"]
    return submission


async def review(api: OperationsClient, submission: Json, verdict: str = "approved", **more: Any) -> Json:
    given = {"agent_id": "bob", "body": "see above", "digest": submission["digest"], "verdict": verdict, **more}
    view: Json = await api.call("review_task", task_id=submission["task_id"], **given)
    return view


async def test_approved_work_is_done(api: OperationsClient) -> None:
    await project(api, **REQUIRED)
    task = await api.create_task()
    submission = await submit(api, task["id"])
    assert (submission["round"], submission["author"], submission["review"]) == (1, "ann", None)
    since = await api.last_seq()
    view = await review(api, submission)
    assert (view["status"], view["missing"]) == ("DONE", [])
    assert view["submission"]["review"]["reviewer"] == "bob"
    done = await api.get_task(task["id"])
    assert (done["status"], done["completed_by"]) == ("DONE", "review")
    types = [event["type"] for event in await api.events(since)]
    assert types == ["task.status_changed", "task.reviewed"]
    approvals = partial(api.runtime.metrics.value, "project_manager_reviews_total", verdict="approved")
    assert await anyio.to_thread.run_sync(approvals) == 1
    check(api)


async def test_the_digest_identifies_the_submitted_work(api: OperationsClient) -> None:
    task = await api.create_task(acceptance=["even"])
    first = await submit(api, task["id"])
    await api.set_status(task["id"], "TODO")
    second = await submit(api, task["id"])
    assert first["digest"] != second["digest"]
    assert len(first["digest"]) == 64


async def test_the_author_cannot_review_its_own_work_under_any_spelling(api: OperationsClient) -> None:
    task = await api.create_task()
    submission = await submit(api, task["id"])
    for name in ("ann", "Ann", "ANN"):
        await api.call_error(
            OwnReview, "review_task", task_id=task["id"], agent_id=name, digest=submission["digest"], verdict="approved"
        )
    assert (await api.get_task(task["id"]))["status"] == "REVIEW"


async def test_the_token_that_submitted_cannot_review_even_with_a_wrong_digest(api: OperationsClient) -> None:
    task = await api.create_task()
    await submit(api.acting_as(PERSON), task["id"])
    given = {"task_id": task["id"], "digest": "0" * 64, "verdict": "approved"}
    refused = await api.acting_as(PERSON).call_error(OwnReview, "review_task", **given)
    assert refused.message.startswith("ann, with your token, submitted this work")


async def test_an_agent_with_an_unbound_token_cannot_review(api: OperationsClient) -> None:
    task = await api.create_task()
    submission = await submit(api, task["id"])
    given = {"task_id": task["id"], "digest": submission["digest"], "verdict": "approved", "agent_id": "bob"}
    unbound = api.acting_as(Actor("worker", "agent", Role.AGENT, token_id=3))
    await unbound.call_error(BoundTokenRequired, "review_task", **given)
    await unbound.call_error(BoundTokenRequired, "claim_next_task", agent_id="bob", kind="review")
    bound = api.acting_as(Actor("bob", "agent", Role.AGENT, True, 4))
    assert (await bound.call("review_task", **given))["status"] == "DONE"


async def test_requested_changes_return_the_task_to_its_author_with_the_review(api: OperationsClient) -> None:
    await project(api, **REQUIRED)
    task = await api.create_task()
    submission = await submit(api, task["id"])
    assert (await review(api, submission, "changes_requested", body="Two boards are bare."))["status"] == "TODO"
    returned = await api.get_task(task["id"])
    assert returned["offered_to"] == {"agent": "ann", "until": api.clock.later(600), "reason": "rework"}
    assert (returned["ready"], returned["why_not_ready"]) == (False, ["it is offered to ann"])
    assert (await api.claim_next("cid"))["task"] is None
    refusal = await api.call_error(NotReady, "acquire_task_lock", task_id=task["id"], agent_id="cid")
    assert "offered to ann" in refusal.message
    claimed = await api.claim_next("ann")
    assert claimed["task"]["id"] == task["id"]
    assert claimed["review"] == {"reviewer": "bob", "body": "Two boards are bare.", "round": 1}
    assert claimed["task"]["offered_to"] is None
    check(api)


async def test_an_offered_task_comes_before_more_urgent_ones_and_within_the_filters(api: OperationsClient) -> None:
    task = await api.create_task(labels=["paint"])
    await review(api, await submit(api, task["id"]), "changes_requested")
    urgent = await api.create_task("Urgent", priority=0)
    assert (await api.claim_next("ann", priority=1))["task"]["id"] == urgent["id"]
    assert (await api.claim_next("ann", labels=["paint"]))["task"]["id"] == task["id"]


@pytest.mark.parametrize("seconds", [120, 600])
async def test_an_offer_ends_when_its_agent_is_away_or_takes_too_long(api: OperationsClient, seconds: int) -> None:
    task = await api.create_task()
    await review(api, await submit(api, task["id"]), "changes_requested")
    since = await api.last_seq()
    if seconds == 600:
        for _ in range(5):
            await api.advance(110)
            await api.call("add_task_log", task_id=task["id"], body="still here", kind="comment", agent_id="ann")
            assert (await api.get_task(task["id"]))["offered_to"] is not None
        await api.advance(50)
    else:
        await api.advance(119.999)
        assert (await api.get_task(task["id"]))["offered_to"] is not None
        await api.advance(0.001)
    types = [event["type"] for event in await api.events(since, "task.offer_ended", "task.ready")]
    assert types == ["task.offer_ended", "task.ready"]
    assert (await api.claim_next("cid"))["task"]["id"] == task["id"]
    check(api)


async def test_an_agent_that_is_away_gets_no_offer(api: OperationsClient) -> None:
    task = await api.create_task()
    submission = await submit(api, task["id"])
    await api.advance(180)
    await review(api, submission, "changes_requested")
    assert (await api.get_task(task["id"]))["ready"]
    check(api)


async def test_a_declined_offer_makes_the_task_ready_for_others(api: OperationsClient) -> None:
    task = await api.create_task()
    await review(api, await submit(api, task["id"]), "changes_requested")
    declined = await api.release(task["id"], "ann")
    assert "no longer offered to you" in declined["message"]
    assert (await api.claim_next("cid"))["task"]["id"] == task["id"]
    check(api)


async def test_an_operator_takes_an_offered_task_by_force(api: OperationsClient) -> None:
    task = await api.create_task()
    await review(api, await submit(api, task["id"]), "changes_requested")
    taken = await api.claim(task["id"], "cid", force=True)
    assert taken["holder"] == "cid"
    check(api)


async def test_too_many_rounds_make_the_task_blocked_for_a_person(api: OperationsClient) -> None:
    await project(api, **REQUIRED, max_review_rounds=2)
    task = await api.create_task()
    for status in ("TODO", "BLOCKED"):
        submission = await submit(api, task["id"])
        assert (await review(api, submission, "changes_requested"))["status"] == status
    blocked = await api.get_task(task["id"])
    assert blocked["blocked_by"] == "review_rounds"
    assert "BLOCKED until a person decides" in (await api.logs(task["id"]))[-1]["body"]
    check(api)


async def test_only_the_first_verdict_on_a_submission_counts(api: OperationsClient) -> None:
    task = await api.create_task()
    submission = await submit(api, task["id"])
    await review(api, submission)
    given = {"task_id": task["id"], "agent_id": "cid", "digest": submission["digest"], "body": "no"}
    refusal = await api.call_error(AlreadyReviewed, "review_task", **given, verdict="changes_requested")
    assert refusal.details["reviewer"] == "bob"
    assert (await api.get_task(task["id"]))["status"] == "DONE"


@pytest.mark.parametrize(
    "edit", [{"name": "Other"}, {"description": "x"}, {"acceptance": ["even"]}, {"paths": ["gate/**"]}]
)
async def test_an_edit_of_submitted_work_voids_the_submission(api: OperationsClient, edit: Json) -> None:
    task = await api.create_task()
    submission = await submit(api, task["id"])
    await api.update_task(task["id"], **edit)
    given = {"task_id": task["id"], "agent_id": "bob", "digest": submission["digest"], "verdict": "approved"}
    refusal = await api.call_error(StaleSubmission, "review_task", **given)
    assert "has changed since" in refusal.message
    assert (await api.claim_next("bob", kind="review"))["task"] is None
    again = await api.set_status(task["id"], "REVIEW", "ann")
    assert (await review(api, again["submission"]))["status"] == "DONE"


async def test_other_edits_keep_the_submission(api: OperationsClient) -> None:
    task = await api.create_task()
    submission = await submit(api, task["id"])
    await api.update_task(task["id"], priority=0, labels=["a"])
    assert (await review(api, submission))["status"] == "DONE"


async def test_a_verdict_on_a_task_that_moved_on_is_refused(api: OperationsClient) -> None:
    task = await api.create_task()
    submission = await submit(api, task["id"])
    await api.set_status(task["id"], "BLOCKED")
    given = {"task_id": task["id"], "agent_id": "bob", "verdict": "approved"}
    await api.call_error(NotInReview, "review_task", **given, digest=submission["digest"])
    fresh = await api.set_status(task["id"], "REVIEW")
    await api.call_error(StaleSubmission, "review_task", **given, digest=submission["digest"])
    assert (await review(api, fresh["submission"]))["status"] == "DONE"


@pytest.mark.parametrize("end", ["release", "expiry"])
async def test_submitted_work_that_was_claimed_by_name_waits_for_its_review_again(
    api: OperationsClient, end: str
) -> None:
    task = await api.create_task()
    submission = await submit(api, task["id"])
    await api.claim(task["id"], "cid", ttl_seconds=60)
    given = {"task_id": task["id"], "agent_id": "bob", "verdict": "approved", "digest": submission["digest"]}
    await api.call_error(NotInReview, "review_task", **given)
    if end == "expiry":
        await api.advance(60)
    else:
        await api.release(task["id"], "cid")
    assert (await api.claim_next("bob", kind="review"))["submission"]["digest"] == submission["digest"]
    assert (await review(api, submission))["status"] == "DONE"
    check(api)


async def test_changes_are_requested_with_a_reason(api: OperationsClient) -> None:
    task = await api.create_task()
    submission = await submit(api, task["id"])
    given = {"task_id": task["id"], "agent_id": "bob", "digest": submission["digest"]}
    refusal = await api.call_error(Invalid, "review_task", **given, verdict="changes_requested", body=" ")
    assert "`body` is required" in refusal.message


async def test_an_agent_claims_submitted_work_and_reviews_it(api: OperationsClient) -> None:
    task = await api.create_task()
    submission = await submit(api, task["id"], commit="abc1234")
    assert (await api.claim_next("ann", kind="review"))["task"] is None
    claimed = await api.claim_next("bob", kind="review")
    assert (claimed["task"]["status"], claimed["lock"]["kind"]) == ("REVIEW", "review")
    assert claimed["lock"]["fence"] == submission["fence"] + 1
    assert claimed["submission"]["digest"] == submission["digest"]
    assert (await api.claim_next("cid", kind="review"))["task"] is None
    refusal = await api.call_error(
        LockHeld, "review_task", task_id=task["id"], agent_id="cid", digest=submission["digest"], verdict="approved"
    )
    assert "bob" in refusal.message
    await api.call_error(
        LeaseForReview, "update_task_status", task_id=task["id"], agent_id="bob", status="DONE", fence=2
    )
    view = await review(api, submission, fence=claimed["lock"]["fence"])
    assert view["status"] == "DONE"
    check(api)


@pytest.mark.parametrize("end", ["release", "failed", "expiry"])
async def test_a_review_lease_ends_without_an_attempt_and_leaves_the_work_in_review(
    api: OperationsClient, end: str
) -> None:
    task = await api.create_task()
    await submit(api, task["id"])
    claimed = await api.claim_next("bob", kind="review", ttl_seconds=60)
    if end == "expiry":
        await api.advance(60)
    else:
        await api.release(task["id"], "bob", fence=claimed["lock"]["fence"], failed=end == "failed")
    left = await api.get_task(task["id"])
    assert (left["status"], left["attempts"], left["lock"]) == ("REVIEW", 0, None)
    assert (await api.claim_next("cid", kind="review"))["task"]["id"] == task["id"]
    check(api)


async def test_a_review_lease_does_not_block_conflicting_work(api: OperationsClient) -> None:
    task = await api.create_task()
    other = await api.create_task("beside", conflicts_with=[task["id"]])
    await submit(api, task["id"])
    await api.claim_next("bob", kind="review")
    assert (await api.get_task(other["id"]))["ready"]
    assert (await api.claim_next("cid"))["task"]["id"] == other["id"]
    check(api)


async def test_a_person_gives_a_verdict_while_an_agent_reviews(api: OperationsClient) -> None:
    task = await api.create_task()
    submission = await submit(api, task["id"])
    await api.claim_next("bob", kind="review")
    view = await api.acting_as(PERSON).call(
        "review_task", task_id=task["id"], digest=submission["digest"], verdict="approved"
    )
    assert (view["status"], view["submission"]["review"]["reviewer_kind"]) == ("DONE", "person")
    assert (await api.get_task(task["id"]))["lock"] is None
    check(api)


async def test_submissions_are_listed_with_their_reviews(api: OperationsClient) -> None:
    task = await api.create_task()
    await review(api, await submit(api, task["id"]), "changes_requested", body="again")
    await submit(api, task["id"], summary="painted twice")
    listed = (await api.call("list_submissions", task_id=task["id"]))["items"]
    assert [(item["round"], item["is_current"]) for item in listed] == [(2, True), (1, False)]
    assert listed[1]["review"]["body"] == "again"
    details = await api.call("get_task_details", task_id=task["id"])
    assert details["submission"]["round"] == 2


async def test_a_reopened_task_has_no_approval(api: OperationsClient) -> None:
    await project(api, **REQUIRED)
    task = await api.create_task()
    await review(api, await submit(api, task["id"]))
    await api.set_status(task["id"], "REVIEW", reopen=True)
    details = await api.call("get_task_details", task_id=task["id"])
    assert details["missing"] == ["approval by another agent or a person"]


async def test_a_claim_for_review_waits_until_a_pause_ends(api: OperationsClient) -> None:
    task = await api.create_task()
    await submit(api, task["id"])
    operator = api.acting_as(PERSON)
    pause = await operator.call("start_pause", scope="task", id=task["id"])
    found: list[Json] = []

    async def claim() -> None:
        found.append(await api.claim_next("bob", kind="review", wait_seconds=5))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(claim)
        await subscribers(api, 1)
        await operator.call("end_pause", pause_id=pause["id"])
    assert found[0]["task"]["id"] == task["id"]


async def test_a_waiting_claim_for_review_notices_work_that_is_submitted_during_its_first_search(
    api: OperationsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = await api.create_task()
    long_polls = api.runtime.long_polls
    search = long_polls._search

    async def search_and_submit(call: Any, claim: Any) -> Any:
        result = await search(call, claim)
        monkeypatch.setattr(long_polls, "_search", search)
        await submit(api, task["id"])
        with anyio.fail_after(10):
            while long_polls._hub.head < await api.last_seq():
                await anyio.lowlevel.checkpoint()
        return result

    monkeypatch.setattr(long_polls, "_search", search_and_submit)
    claimed = await api.claim_next("bob", kind="review", wait_seconds=5)
    assert claimed["task"]["id"] == task["id"]


async def subscribers(api: OperationsClient, number: int) -> None:
    """Wait until the event hub has this number of subscribers."""
    with anyio.fail_after(10):
        while api.runtime.long_polls._hub.subscribers != number:
            await anyio.lowlevel.checkpoint()


async def test_work_with_paths_of_a_leased_task_is_claimed_for_review(api: OperationsClient) -> None:
    other = await api.create_task("other", paths=["gate/**"])
    task = await api.create_task(paths=["gate/left"])
    await api.claim(other["id"], "ann")
    assert (await api.claim_next("cid"))["task"] is None  # the search withholds the task
    await api.set_status(task["id"], "REVIEW", None, summary="painted")
    assert (await api.claim_next("bob", kind="review"))["task"]["id"] == task["id"]
    check(api)


async def test_a_reviewer_adds_no_paths_to_the_work(api: OperationsClient) -> None:
    task = await api.create_task(paths=["gate/**"])
    submission = await submit(api, task["id"])
    fence = (await api.claim_next("bob", kind="review"))["lock"]["fence"]
    given = {"task_id": task["id"], "agent_id": "bob", "fence": fence, "paths": ["fence/**"]}
    await api.call_error(LeaseForReview, "renew_task_lock", **given)
    assert (await review(api, submission, fence=fence))["status"] == "DONE"
