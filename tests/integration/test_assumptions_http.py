"""Assumptions over REST."""

from tests.served import Served


async def test_an_assumption_is_posted_judged_and_read_with_its_history(served: Served) -> None:
    task = (await served.ok("POST", "/api/tasks", {"name": "Paint"}))["id"]
    path = f"/api/tasks/{task}/assumptions"
    posted = await served.send("POST", path, {"text": "#ASSUMPTION: dry", "file_path": "a.py", "line_number": 3})
    assert posted.status_code == 201
    item = posted.json()["ra_tag_id"]
    for verdict in ("validated", "rejected"):
        given = {"outcome": verdict, "reason": "looked", "reviewer_agent_id": "rev"}
        answer = await served.send("POST", f"{path}/{item}/verdicts", given)
        assert answer.status_code == 201, answer.text
    found = await served.ok("GET", f"{path}/{item}")
    assert [verdict["verdict"] for verdict in found["history"]] == ["rejected", "validated"]
    assert (await served.ok("GET", f"{path}?verdict=rejected"))["total"] == 1
    assert (await served.ok("GET", f"{path}?verdict=open"))["items"] == []
    details = await served.ok("GET", f"/api/tasks/{task}/details")
    assert details["assumptions"] == [found["assumption"]]


async def test_refusals_have_the_one_error_body(served: Served) -> None:
    task = (await served.ok("POST", "/api/tasks", {"name": "Paint"}))["id"]
    path = f"/api/tasks/{task}/assumptions"
    assert (await served.refused(422, "POST", path, {"text": "dry"}))["details"]["faults"][0]["field"] == "text"
    assert (await served.refused(422, "GET", f"{path}?verdict=maybe"))["code"] == "invalid"
    assert (await served.refused(404, "GET", f"{path}/9"))["code"] == "assumption_not_found"
    assert (await served.refused(404, "GET", "/api/tasks/99/assumptions"))["code"] == "task_not_found"
    await served.ok("POST", f"/api/tasks/{task}/lock", {"agent_id": "ann"})
    error = await served.refused(409, "POST", path, {"text": "#A: b", "agent_id": "bob"})
    assert (error["code"], error["details"]["holder"]) == ("lock_held", "ann")
