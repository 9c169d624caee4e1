"""A real browser with the dashboard, and the actions of a user in it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Locator, expect, sync_playwright

from tests.e2e.service import Service

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
PATIENCE_MS = 15_000
FURTHER_RULES = ("target-size", "page-has-heading-one", "heading-order")
STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
# An endless animation (a pulse) never finishes; a paused one does not either.
SETTLED = """async () => {
    const ends = (animation) => animation.playState === "running" &&
        animation.effect.getComputedTiming().endTime !== Infinity;
    await Promise.allSettled(document.getAnimations().filter(ends).map((animation) => animation.finished));
}"""

expect.set_options(timeout=PATIENCE_MS)


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS])
        yield browser
        browser.close()


class Dashboard:
    """One browser tab. `errors` collects uncaught errors and violations of the content security policy."""

    def __init__(self, service: Service, context: BrowserContext) -> None:
        self.service = service
        self.context = context
        self.faults: list[str] = []
        self.page = context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", lambda line: self._listen(line.type, line.text))

    def _listen(self, kind: str, text: str) -> None:
        if kind == "error" and "Failed to load resource" not in text and "WebSocket connection" not in text:
            self.faults.append(text)

    def open(self, address: str = "/") -> "Dashboard":
        """Open the address and return when the page is live."""
        self.page.goto(self.service.url + address)
        self.expect_status("live")
        return self

    def sign_in(self, secret: str) -> None:
        """Send the sign-in form that the page shows."""
        self.page.get_by_test_id("token").fill(secret)
        self.page.get_by_role("button", name="Sign in").click()

    def expect_status(self, status: str) -> None:
        expect(self.connection).to_have_attribute("data-status", status)

    @property
    def connection(self) -> Locator:
        return self.page.get_by_test_id("connection")

    def column(self, status: str) -> Locator:
        return self.page.get_by_test_id(f"column-{status}")

    def card(self, task_id: int) -> Locator:
        return self.page.locator(f'[data-testid="card"][data-task="{task_id}"]')

    def card_in(self, status: str, task_id: int) -> Locator:
        return self.column(status).locator(f'[data-task="{task_id}"]')

    @property
    def drawer(self) -> Locator:
        return self.page.get_by_test_id("drawer")

    @property
    def dialog(self) -> Locator:
        return self.page.get_by_test_id("dialog")

    def filter_by(self, name: str, value: str) -> None:
        """Choose the value of a filter in its panel, by its text or its key."""
        self.page.get_by_test_id("filters").click()
        self.page.get_by_test_id(f"filter-{name}").select_option(value)
        self.page.keyboard.press("Escape")
        expect(self.page.get_by_test_id(f"filter-{name}")).to_have_count(0)

    def chip(self, text: str) -> Locator:
        """Return a filter in use by its text."""
        return self.page.get_by_test_id("filter-chip").filter(has_text=text)

    def toast(self, text: str) -> Locator:
        return self.page.get_by_test_id("toast").filter(has_text=text)

    def confirm(self) -> None:
        self.page.get_by_test_id("confirm").click()

    def settle(self) -> None:
        """Wait until all transitions on the page are finished. Text in a transition has too little contrast."""
        self.page.evaluate(SETTLED)

    def violations(self) -> Sequence[str]:
        """Return the violations that axe finds of WCAG 2.2 A and AA and of heading order, each as "rule: element"."""
        self.settle()
        rules = {name: {"enabled": True} for name in FURTHER_RULES}
        options = {"runOnly": {"type": "tag", "values": STANDARDS}, "rules": rules, "resultTypes": ["violations"]}
        found: Mapping[str, Any] = Axe().run(self.page, options=options).response
        return [f"{rule['id']}: {node['html'][:200]}" for rule in found["violations"] for node in rule["nodes"]]


@contextmanager
def dashboard(service: Service, browser: Browser, **options: Any) -> Iterator[Dashboard]:
    """Open a separate tab. Fail at the end if it collected an error."""
    context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
    opened = Dashboard(service, context)
    try:
        yield opened
        assert opened.faults == []
    finally:
        context.close()


class RestClient:
    """Changes that agents and scripts make over REST while the dashboard is open."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def send(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        with self._service.http() as client:
            answer = client.request(method, path, json=body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def last_seq(self) -> int:
        """Return the number of the last event. It changes with every change of the data."""
        return int(self.send("GET", "/api/events?limit=1")["head"])

    def create_project(self, name: str = "Checkout", **fields: object) -> int:
        return int(self.send("POST", "/api/projects", {"name": name, **fields})["id"])

    def create_epic(self, project: int, name: str) -> int:
        return int(self.send("POST", "/api/epics", {"project_id": project, "name": name})["id"])

    def create_task(self, project: int, name: str, **fields: object) -> int:
        return int(self.send("POST", "/api/tasks", {"project_id": project, "name": name, **fields})["id"])

    def get_task(self, task: int) -> dict[str, Any]:
        return dict(self.send("GET", f"/api/tasks/{task}"))

    def claim(self, task: int, agent: str, seconds: int = 600) -> dict[str, Any]:
        body = {"agent_id": agent, "ttl_seconds": seconds}
        return dict(self.send("POST", f"/api/tasks/{task}/lock", body)["lock"])

    def release(self, task: int, agent: str, **fields: object) -> None:
        self.send("DELETE", f"/api/tasks/{task}/lock", {"agent_id": agent, **fields})

    def set_status(self, task: int, status: str, **fields: object) -> None:
        self.send("POST", f"/api/tasks/{task}/status", {"status": status, **fields})

    def add_log(self, task: int, body: str, **fields: object) -> None:
        self.send("POST", f"/api/tasks/{task}/log", {"body": body, **fields})
