"""Connecting an agent on the dashboard."""

import json
import tomllib
from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.e2e.command_line import CommandLine
from tests.e2e.conftest import Start
from tests.e2e.dashboard.browser import RestClient, dashboard
from tests.e2e.service import CHECKOUT, Service

AGENTS = Path(CHECKOUT, "docs", "agents.md").read_text()


def test_the_dialog_shows_the_documented_configuration_and_the_first_call_of_a_new_agent(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project("Garden"), "Paint")
    client.send("POST", "/api/tasks/claim", {"agent_id": "old", "labels": ["none"]})
    with dashboard(service, browser) as tab:
        tab.open("/?view=agents")
        tab.page.get_by_test_id("more").click()
        tab.page.get_by_role("button", name="Connect an agent").click()
        expect(tab.page.get_by_test_id("joined")).to_contain_text("Waiting for the first claim")
        text = tab.page.get_by_test_id("client-text")
        for name in ("Claude Code", "Codex", "Gemini CLI", "Cursor", "curl", "VS Code"):
            tab.page.get_by_role("button", name=name, exact=True).click()
            own = text.inner_text()
            assert service.mcp_url in own or service.url in own, own
            documented = own.replace(service.mcp_url, "http://localhost:8081").replace(
                service.url, "http://localhost:8080"
            )
            assert documented in AGENTS
        assert tab.page.get_by_test_id("first-prompt").inner_text() in AGENTS
        assert tab.violations() == []
        client.send("POST", "/api/tasks/claim", {"agent_id": "codex-1"})
        joined = tab.page.get_by_test_id("joined")
        expect(joined).to_contain_text("codex-1 is connected")
        expect(joined).to_contain_text(f"claimed#{task}")
        expect(joined).not_to_contain_text("old is connected")
        assert tab.violations() == []


def test_an_operator_creates_the_token_of_an_agent_there(
    start_service: Start, browser: Browser, cli: CommandLine
) -> None:
    service = start_service()
    secret = cli.says("token", "create", "ada", "--role", "operator", "--db-path", str(service.database)).strip()
    with dashboard(service, browser) as tab:
        tab.page.goto(service.url)
        tab.sign_in(secret)
        tab.expect_status("live")
        tab.page.get_by_test_id("connect-agent").click()
        text = tab.page.get_by_test_id("client-text")
        expect(text).to_contain_text('--header "Authorization: Bearer TOKEN"')
        tab.page.get_by_test_id("token-name").fill("codex-1")
        tab.page.get_by_test_id("create-token").click()
        expect(tab.page.get_by_test_id("token-note")).to_contain_text("shown only now")
        tab.page.get_by_role("button", name="Cursor").click()
        headers = json.loads(text.inner_text())["mcpServers"]["project-manager"]["headers"]
        tab.page.get_by_role("button", name="Codex").click()
        assert tomllib.loads(text.inner_text())["mcp_servers"]["project-manager"]["bearer_token_env_var"] == "PM_TOKEN"
    with service.http(**headers) as http:
        assert http.post("/api/tasks/claim", json={"agent_id": "codex-1"}).is_success
        assert http.get("/api/session").json()["actor"] == {"id": "codex-1", "kind": "agent", "role": "agent"}
