"""The tutorial with three agents and a person, run as written over REST."""

import json

from tests.e2e import team_tutorial
from tests.e2e.conftest import Start
from tests.e2e.team_tutorial import AGENTS, QUESTION, REASON, REWORK, STEER, Team, blocks


def test_three_agents_and_a_person_finish_the_project(start_service: Start) -> None:
    service = start_service()
    for block in blocks("1"):
        team_tutorial.run(service, block)
    [start], [steer], [answer], [read] = (blocks(section) for section in "2345")
    team = Team(service, start)
    try:
        for agent in AGENTS:
            team.wait_for(f"{agent}: waits, paused: {REASON}")
        team_tutorial.run(service, steer)
        team.wait_for(f"codex: got a steer from local: {STEER}")
        team.wait_for(f"asked about '{QUESTION}'")
        team_tutorial.run(service, answer)
        team.wait_for_end()
    finally:
        team.stop()
    found = "\n".join(team_tutorial.run(service, read)).replace("}{", "}\n{").splitlines()
    tasks, rounds, messages = (json.loads(line)["items"] for line in found)
    assert [(task["status"], task["completed_by"]) for task in tasks] == [("DONE", "review")] * 12
    assert [one["review"]["verdict"] for one in rounds] == ["approved", "changes_requested"]
    assert [(message["kind"], message["state"]) for message in messages] == [("steer", "acknowledged")]
    assert any(f"reworks '{REWORK}'" in line for line in team.lines)
    with service.http() as http:
        team_tutorial.check_record(http)
