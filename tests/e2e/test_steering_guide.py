"""The commands of the guide to steering, run as written."""

import json
import re

import pytest

from tests.e2e import test_readme
from tests.e2e.conftest import Start
from tests.e2e.service import Service

GUIDE = test_readme.CHECKOUT / "docs" / "steering.md"


def blocks(heading: str) -> list[str]:
    """Return the shell blocks of a section of the guide."""
    section = GUIDE.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"```bash\n(.*?)```", section, re.DOTALL)


@pytest.fixture
def garden(start_service: Start) -> Service:
    """Return a server with a project and a task."""
    service = start_service()
    with service.http() as http:
        http.post("/api/tasks", json={"name": "Paint the fence", "project_name": "Garden"}).raise_for_status()
    return service


def test_a_project_is_paused_and_resumed(garden: Service) -> None:
    start, end = blocks("Pause claims")
    [started] = test_readme.run_block(garden, start)
    pause = json.loads(started)
    assert (pause["scope"], pause["project_id"], pause["reason"]) == ("project", 1, "The build is broken")
    with garden.http() as http:
        assert http.post("/api/tasks/claim", json={"agent_id": "codex"}).json()["paused"]["scope"] == "project"
        listed, ended = "\n".join(test_readme.run_block(garden, end)).replace("}{", "}\n{").splitlines()
        assert json.loads(listed)["items"] == [json.loads(ended)]
        assert http.post("/api/tasks/claim", json={"agent_id": "codex"}).json()["task"]["id"] == 1


def test_a_steer_is_delivered_acknowledged_and_listed(garden: Service) -> None:
    with garden.http() as http:
        http.post("/api/tasks/1/lock", json={"agent_id": "codex"}).raise_for_status()
    [send] = blocks("Send a message")
    [sent] = test_readme.run_block(garden, send)
    assert json.loads(sent)["state"] == "sent"
    [deliver] = blocks("How an agent gets its messages")
    context, entry = "\n".join(test_readme.run_block(garden, deliver)).replace("}{", "}\n{").splitlines()
    [message] = json.loads(context)["messages"]
    assert (message["body"], message["kind"]) == ("Use white paint", "steer")
    assert "messages" not in json.loads(entry)
    [follow] = blocks("Follow a message")
    [listed] = test_readme.run_block(garden, follow)
    [item] = json.loads(listed)["items"]
    assert (item["state"], item["receipts"][0]["agent_id"]) == ("acknowledged", "codex")


def test_an_agent_is_stopped(garden: Service) -> None:
    with garden.http() as http:
        http.post("/api/tasks/1/lock", json={"agent_id": "codex"}).raise_for_status()
        [stop] = blocks("Stop an agent")
        [stopped] = test_readme.run_block(garden, stop)
        assert json.loads(stopped)["stopped"] == [1]
        assert http.get("/api/tasks/1").json()["status"] == "BLOCKED"
        assert http.post("/api/tasks/claim", json={"agent_id": "codex"}).json()["code"] == "stopped"
