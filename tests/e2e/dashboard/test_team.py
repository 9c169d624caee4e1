"""The tutorial with three agents and a person, who acts on the dashboard as a signed-in operator."""

from collections import Counter

from playwright.sync_api import Browser, expect

from tests.e2e import team_tutorial
from tests.e2e.dashboard import person
from tests.e2e.dashboard.browser import Dashboard, dashboard
from tests.e2e.dashboard.person import PERSON, VERDICTS
from tests.e2e.service import Service
from tests.e2e.team_tutorial import AGENTS, CART, REASON, Team, blocks

STEPS = {
    "pause.started": 1,
    "message.sent": 1,
    "pause.ended": 1,
    "task.question_answered": 1,
    "task.reviewed": VERDICTS,
}
"""The events of the person's steps."""


def test_a_signed_in_operator_takes_a_project_to_its_end_on_the_dashboard(service: Service, browser: Browser) -> None:
    prepare, start = blocks("6")
    with dashboard(service, browser) as tab:
        tab.open()
        *_, secret = team_tutorial.run(service, prepare)
        person.sign_in(tab, secret)
        person.pause(tab)
        team = Team(service, start, seconds=0.5, stop_at=f"begins '{cart(service, secret)}'")
        try:
            for agent in AGENTS:
                team.wait_for(f"{agent}: waits, paused: {REASON}")
            person.send_steer(tab, team)
            person.resume(tab)
            person.see_the_path_conflict(tab, team)
            person.answer(tab, team)
            person.judge(tab)
            team.wait_for_end()
        finally:
            team.stop()
        see_the_end(tab)
    check_names(service, secret)


def cart(service: Service, secret: str) -> str:
    """Return the name of the task with the paths that another task needs."""
    with service.http(Authorization=f"Bearer {secret}") as http:
        return str(http.get(f"/api/tasks/{CART}").json()["name"])


def see_the_end(tab: Dashboard) -> None:
    """Read on the dashboard that the project is done, and the name of the reviewer."""
    tab.page.get_by_test_id("nav-projects").click()
    expect(tab.page.get_by_test_id("project")).to_contain_text("12 of 12 done")
    tab.page.get_by_test_id("nav-board").click()
    tab.card(CART).click()
    expect(tab.page.get_by_test_id("verdict")).to_contain_text(f"Approved by {PERSON} (person)")
    expect(tab.page.get_by_test_id("verified")).to_have_text("by a review")


def check_names(service: Service, secret: str) -> None:
    """Check that the record names the person in each of their steps."""
    with service.http(Authorization=f"Bearer {secret}") as http:
        team_tutorial.check_record(http)
        events = http.get("/api/events", params={"types": ",".join(STEPS), "limit": 500}).json()["items"]
        [question] = http.get("/api/questions").json()["items"]
        [message] = http.get("/api/messages").json()["items"]
        reviews = [http.get(f"/api/tasks/{task}/submissions").json()["items"][0]["review"] for task in range(1, 13)]
    assert Counter((event["type"], event["actor"]["id"]) for event in events) == {
        (kind, PERSON): times for kind, times in STEPS.items()
    }
    assert (question["answered_by"], question["via"]) == (PERSON, "person")
    assert (message["sender"], message["state"]) == (PERSON, "acknowledged")
    assert [(review["reviewer"], review["reviewer_kind"]) for review in reviews] == [(PERSON, "person")] * 12
