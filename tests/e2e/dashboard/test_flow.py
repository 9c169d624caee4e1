"""The flow: figures, charts with a crosshair, and the same numbers as tables."""

import re
from datetime import UTC, datetime
from typing import Any

from playwright.sync_api import Browser, expect

from tests.e2e.dashboard.browser import Dashboard, RestClient, dashboard
from tests.e2e.dashboard.flow_server import FlowServer
from tests.e2e.dashboard.layout import wider
from tests.e2e.service import Service

# The results of `state/flow.js` and `views/flow/scales.js` of the page.
RULES = """async () => {
    const page = document.querySelector('script[type="module"]').src;
    const { compared, idleShare, lastOf } = await import(new URL('state/flow.js', page));
    const { axisTime, runsOf, ticksFor } = await import(new URL('views/flow/scales.js', page));
    const now = Date.parse('2026-06-15T16:20:00Z');
    return {
        ends: [1, 6, 24].map((step) => new Date(lastOf(step, now) + 1).toISOString()),
        ticks: [[8, 'count'], [0, 'count'], [1700, 'time'], [200000, 'time']].map((given) => ticksFor(...given)),
        axis: [0, 30, 300, 7200, 172800].map(axisTime),
        runs: runsOf([null, 1, 2, null, 3]),
        changes: [[5, 4, true], [5, 4, false], [4, 4, true], [1, 0, false], [null, 4, true], [50, 1, true]]
            .map((given) => compared(...given)).map((change) => change && `${change.words} ${change.tone}`),
        idle: [idleShare({ idle_seconds: 1, leased_seconds: 3 }), idleShare({ idle_seconds: 0, leased_seconds: 0 })],
    };
}"""


def frame_of(tab: Dashboard, chart: str) -> Any:
    return tab.page.get_by_test_id(f"chart-{chart}").get_by_role("slider")


def open_flow(tab: Dashboard, server: FlowServer, address: str = "/?view=flow") -> None:
    server.attach(tab.page)
    tab.open(address)
    expect(tab.page.get_by_test_id("chart-throughput")).to_be_visible()


def test_scales_are_round_and_days_are_local_and_unknown_values_have_no_comparison(
    shared: Service, browser: Browser
) -> None:
    with dashboard(shared, browser, timezone_id="America/New_York") as tab:
        tab.open()
        tab.page.keyboard.press("g")
        tab.page.keyboard.press("f")
        expect(tab.page.get_by_text("No flow yet")).to_be_visible()
        found = tab.page.evaluate(RULES)
    assert found["ends"] == ["2026-06-15T16:20:00.001Z", "2026-06-15T22:00:00.000Z", "2026-06-16T04:00:00.000Z"]
    assert found["ticks"] == [[0, 2, 4, 6, 8], [0, 1], [0, 600, 1200, 1800], [0, 86400, 172800, 259200]]
    assert found["axis"] == ["0", "30 s", "5 min", "2 h", "2 d"]
    assert found["runs"] == [[[1, 1], [2, 2]], [[4, 3]]]
    assert found["changes"] == ["25 % good", "25 % bad", "as before same", "from 0 bad", None, "50 times as much good"]
    assert found["idle"] == [0.25, None]


def test_the_flow_shows_figures_and_charts_that_the_keyboard_reads_and_that_lead_to_tasks(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    done = client.create_task(project, "Finished now")
    client.create_task(project, "Not finished")
    client.claim(done, "ann")
    client.set_status(done, "DONE", agent_id="ann")
    service.stop()
    service.start()  # the roll-ups follow the events at the start
    server = FlowServer()
    with dashboard(service, browser) as tab:
        tab.open("/?view=flow")
        expect(tab.page.get_by_test_id("figure-done")).to_have_text(re.compile("^Done1"))
        expect(tab.page.get_by_test_id("figure-done")).to_contain_text("nothing to compare")
        open_flow(tab, server)
        expect(tab.page.get_by_test_id("figure-done")).to_have_text(re.compile(r"^Done96 ?4\.0 per hour.*100 %"))
        expect(tab.page.get_by_test_id("figure-cycle")).to_contain_text("9 min")
        expect(tab.page.get_by_test_id("figure-cycle").locator(".good")).to_contain_text("less by 10 %")
        expect(tab.page.get_by_test_id("figure-review").locator(".bad")).to_contain_text("more by 50 %")
        assert [(query["hours"], query["step_hours"]) for query in server.asked] == [("24", "1"), ("24", "24")]

        throughput, cycle = tab.page.get_by_test_id("chart-throughput"), tab.page.get_by_test_id("chart-cycle")
        expect(throughput.locator("rect.completed")).to_have_count(22 + 1)
        expect(throughput.get_by_test_id("flow-unknown")).to_have_count(1)
        # Steps 3, 10 and 17 have no completed task, so that the line has gaps there. The legend has one of each mark.
        expect(cycle.locator(".p50 .stroke")).to_have_count(4 + 1)
        expect(cycle.locator(".p50 circle")).to_have_count(22 - 3 + 1)
        expect(tab.page.get_by_test_id("chart-cumulative").locator(".flow-frame .flow-area")).to_have_count(6)

        frame = frame_of(tab, "cycle")
        frame.focus()
        for _ in range(4):
            tab.page.keyboard.press("ArrowLeft")
        expect(frame).to_have_attribute("aria-valuenow", "20")
        expect(frame).to_have_attribute(
            "aria-valuetext", re.compile(r"to \d\d:\d\d: Half of the tasks within 11 min 40 s")
        )
        expect(tab.page.get_by_test_id("flow-cross")).to_have_count(4)
        expect(throughput.get_by_test_id("flow-key")).to_contain_text("Done 8")
        tab.page.keyboard.press("Home")
        expect(frame).to_have_attribute("aria-valuetext", re.compile("unknown$"))
        tab.page.keyboard.press("Escape")
        expect(tab.page.get_by_test_id("flow-cross")).to_have_count(0)

        throughput.get_by_text("As a table").click()
        rows = throughput.locator("tbody tr")
        expect(rows).to_have_count(24)
        expect(rows.last.locator("td")).to_have_text(["unknown"] * 8)
        expect(rows.first).to_contain_text("(in part)")
        assert tab.violations() == []

        frame.focus()
        tab.page.keyboard.press("End")
        tab.page.keyboard.press("Enter")
        expect(tab.page.get_by_test_id("table")).to_be_visible()
        expect(tab.page.get_by_test_id("table-row").locator(".cell-name")).to_have_text("Finished now")
        assert "completed_since=" in tab.page.url
        tab.chip("Done").get_by_role("button").click()
        expect(tab.page.get_by_test_id("table-row")).to_have_count(2)


def test_the_flow_fits_a_phone_and_follows_its_range_and_agent_and_rests_while_nothing_changes(
    service: Service, browser: Browser, client: RestClient
) -> None:
    project = client.create_project()
    task = client.create_task(project, "Held")
    client.claim(task, "ann", 3000)
    server = FlowServer()
    # A time zone in which it is noon, so that no day ends during the test. The signs of these names are inverted.
    ahead = 12 - datetime.now(UTC).hour
    zone = f"Etc/GMT{-ahead:+d}"
    options = {"viewport": {"width": 320, "height": 800}, "color_scheme": "dark", "timezone_id": zone}
    with dashboard(service, browser, **options) as tab:
        tab.page.clock.install()
        open_flow(tab, server, "/?view=flow&range=30d")
        assert server.asked[0]["step_hours"] == "24"
        assert server.asked[0]["until"].endswith(f"T{(23 - ahead) % 24:02d}:59:59.999Z")
        assert wider(tab) == []
        assert tab.violations() == []
        asked = len(server.asked)
        tab.page.clock.run_for(31_000)
        tab.page.clock.run_for(31_000)
        assert len(server.asked) == asked
        client.set_status(task, "REVIEW", agent_id="ann")
        expect(tab.page).to_have_title(re.compile(r"^\(1\)"))
        server.failing = True
        tab.page.clock.run_for(31_000)
        expect(tab.page.get_by_test_id("flow-error")).to_contain_text("The server has failed.")
        expect(tab.page.get_by_test_id("chart-cycle")).to_be_visible()
        server.failing = False
        tab.page.clock.run_for(31_000)
        expect(tab.page.get_by_test_id("flow-error")).to_have_count(0)

        with tab.page.expect_response(re.compile("/api/flow.*agent_id=ann")):
            tab.page.get_by_test_id("flow-agent").select_option("ann")
        expect(tab.page.get_by_test_id("chart-throughput")).to_be_visible()
        expect(tab.page.get_by_test_id("chart-cumulative")).to_have_count(0)
        tab.page.get_by_test_id("range-7d").click()
        expect(tab.page.get_by_test_id("range-7d")).to_have_attribute("aria-current", "true")
        expect(tab.page.get_by_test_id("chart-throughput").locator("rect.completed")).to_have_count(26 + 1)
        assert "agent=ann" in tab.page.url
        tab.page.get_by_test_id("filter-project").select_option(str(project))
        expect(tab.page.get_by_test_id("chart-cumulative")).to_be_visible()
        assert "agent_id" not in server.asked[-1]
