"""Messages on the dashboard: the form, the receipts, and those that need a person."""

from playwright.sync_api import Browser, expect

from tests.e2e.dashboard.browser import Dashboard, RestClient, dashboard
from tests.e2e.service import Service

ORDER = """async () => {
    const page = document.querySelector('script[type=module]').src;
    const { agentOrder } = await import(new URL('state/agents.js', page));
    const agents = Object.entries({ later: 70, late: 40, zoe: 0, 'ann-10': 3, hal: 99, 'ann-2': 29 })
        .map(([id, minutes]) => ({ id, last_seen: new Date(1e9 - minutes * 6e4).toISOString() }));
    return agents.sort(agentOrder(new Map([['hal', []]]), 1e9)).map(({ id }) => id);
}"""


def write(tab: Dashboard, body: str, kind: str) -> None:
    tab.page.get_by_test_id("write-message").first.click()
    expect(tab.page.get_by_test_id("message-body")).to_be_focused()
    tab.page.get_by_test_id("message-body").fill(body)
    tab.page.get_by_test_id("message-kind").select_option(kind)
    tab.page.get_by_test_id("save").click()


def test_a_steer_to_the_holder_shows_its_receipt(service: Service, browser: Browser, client: RestClient) -> None:
    task = client.create_task(client.create_project("Website"), "Paint")
    client.claim(task, "codex")
    with dashboard(service, browser) as tab:
        tab.open(f"/?task={task}")
        write(tab, "Use the new parser", "steer")
        expect(tab.toast(f"Sent to the holder of #{task}")).to_be_visible()
        tab.page.get_by_test_id("nav-needs").click()
        waiting = tab.page.get_by_test_id("need-messages")
        expect(waiting).to_contain_text("Use the new parser")
        [message] = client.send("GET", "/api/context?agent_id=codex")["messages"]
        expect(waiting.get_by_test_id("receipts")).to_contain_text("delivered to codex")
        client.send("POST", "/api/messages/acknowledge", {"ids": [message["id"]], "agent_id": "codex"})
        expect(waiting).to_have_count(0)
        tab.page.get_by_test_id("nav-agents").click()
        sent = tab.page.get_by_test_id("recent-messages")
        expect(sent).to_contain_text("read by codex")
        expect(sent.get_by_role("img", name="human")).to_be_visible()
        assert tab.violations() == []


def test_people_are_listed_apart_from_agents_without_a_pause_or_a_message_to_oneself(
    service: Service, browser: Browser, client: RestClient
) -> None:
    client.claim(client.create_task(client.create_project("Website"), "Paint"), "codex")
    with dashboard(service, browser) as tab:
        tab.open("/?view=agents")
        expect(tab.page.get_by_text("1 agent at work, 1 agent known")).to_be_visible()
        person = tab.page.get_by_test_id("agent").filter(has_text="person (you)")
        expect(person).to_contain_text("local")
        expect(person.get_by_role("button")).to_have_count(0)
        expect(person.get_by_test_id("agent-state")).to_have_count(0)
        expect(tab.page.get_by_role("button", name="Pause agent codex")).to_be_visible()
        assert tab.page.evaluate(ORDER) == ["ann-2", "ann-10", "hal", "zoe", "late", "later"]


def test_a_stop_ends_the_lease_and_the_banner_resumes_the_agent(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project("Website"), "Paint")
    client.claim(task, "codex")
    with dashboard(service, browser) as tab:
        tab.open("/?view=agents")
        write(tab, "Wrong branch", "stop")
        banner = tab.page.get_by_test_id("pause")
        expect(banner).to_contain_text("Agent codex is stopped by local")
        assert client.get_task(task)["status"] == "BLOCKED"
        tab.page.get_by_test_id("resume").click()
        expect(banner).to_have_count(0)


def test_a_message_to_the_person_is_listed_until_it_is_closed(
    service: Service, browser: Browser, client: RestClient
) -> None:
    client.create_project("Website")
    client.send("POST", "/api/messages", {"to_agent": "local", "body": "Which key?", "agent_id": "codex"})
    with dashboard(service, browser) as tab:
        tab.open("/?view=needs")
        waiting = tab.page.get_by_test_id("need-messages")
        expect(waiting).to_contain_text("Which key?")
        expect(tab.page.get_by_test_id("nav-needs").locator(".badge")).to_have_text("1")
        assert tab.violations() == []
        tab.page.get_by_test_id("close-message").click()
        expect(waiting.get_by_test_id("need-outcome")).to_have_text("Closed")
        tab.page.mouse.move(3, 3)
        expect(waiting).to_have_count(0)
