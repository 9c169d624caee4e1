"""Assumptions over REST."""

from tests.http_service import HttpService


async def test_an_assumption_is_posted_judged_and_read_with_its_history(service: HttpService) -> None:
    task = (await service.ok("POST", "/api/tasks", {"name": "Paint"}))["id"]
    path = f"/api/tasks/{task}/assumptions"
    posted = await service.send("POST", path, {"text": "#ASSUMPTION: dry", "file_path": "a.py", "line_number": 3})
    assert posted.status_code == 201
    item = posted.json()["ra_tag_id"]
    for verdict in ("validated", "rejected"):
        given = {"outcome": verdict, "reason": "looked", "reviewer_agent_id": "rev"}
        answer = await service.send("POST", f"{path}/{item}/verdicts", given)
        assert answer.status_code == 201, answer.text
    found = await service.ok("GET", f"{path}/{item}")
    assert [verdict["verdict"] for verdict in found["history"]] == ["rejected", "validated"]
    assert (await service.ok("GET", f"{path}?verdict=rejected"))["total"] == 1
    assert (await service.ok("GET", f"{path}?verdict=open"))["items"] == []
    details = await service.ok("GET", f"/api/tasks/{task}/details")
    assert details["assumptions"] == [found["assumption"]]


async def test_refusals_have_the_one_error_body(service: HttpService) -> None:
    task = (await service.ok("POST", "/api/tasks", {"name": "Paint"}))["id"]
    path = f"/api/tasks/{task}/assumptions"
    assert (await service.error(422, "POST", path, {"text": "dry"}))["details"]["errors"][0]["field"] == "text"
    assert (await service.error(422, "GET", f"{path}?verdict=maybe"))["code"] == "invalid"
    assert (await service.error(404, "GET", f"{path}/9"))["code"] == "assumption_not_found"
    assert (await service.error(404, "GET", "/api/tasks/99/assumptions"))["code"] == "task_not_found"
    await service.ok("POST", f"/api/tasks/{task}/lock", {"agent_id": "ann"})
    error = await service.error(409, "POST", path, {"text": "#A: b", "agent_id": "bob"})
    assert (error["code"], error["details"]["holder"]) == ("lock_held", "ann")
