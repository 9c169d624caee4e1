import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from project_manager.observability.metrics import Metrics
from tests.deploy.stack import CHECKOUT, SERVICE, Stack, docker, http, run, wait_until
from tests.deploy.worker_agents import agents_working, make_tasks

PROMETHEUS = "http://127.0.0.1:9090"
STAND_IN = "project-manager-test-prometheus"
DASHBOARD = CHECKOUT / "deploy" / "grafana" / "project-manager.json"
ALERTS = CHECKOUT / "deploy" / "prometheus" / "alerts.yml"
RULE_TESTS = CHECKOUT / "deploy" / "prometheus" / "alerts.test.yml"
SERIES = re.compile(r"\b((?:pm|process|project_manager|haproxy)_\w+)\b")


@pytest.fixture(scope="module")
def prometheus(running: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Run Prometheus as in compose.prometheus.yaml, with the program of this machine in the image."""
    folder = tmp_path_factory.mktemp("prometheus")
    program = shutil.which("prometheus")
    assert program is not None
    shutil.copy(program, folder / "prometheus")
    (folder / "Dockerfile").write_text(
        "FROM python:3.13-slim\nCOPY prometheus /bin/\n"
        'RUN mkdir /prometheus && chown 65534 /prometheus\nUSER 65534\nENTRYPOINT ["/bin/prometheus"]\n'
    )
    run("docker", "build", "--quiet", "--tag", STAND_IN, str(folder))
    stack = Stack(["deploy/prometheus/compose.prometheus.yaml"], {"PROMETHEUS_IMAGE": STAND_IN})
    running.wait_until_complete()
    stack.compose("up", "-d", "--no-deps", "prometheus")
    yield
    stack.compose("rm", "--force", "--stop", "--volumes", "prometheus")


def ask(query: str) -> list[dict[str, Any]]:
    answer = http.get(f"{PROMETHEUS}/api/v1/query", params={"query": query}).json()
    result: list[dict[str, Any]] = answer["data"]["result"]
    return result


def up() -> int:
    try:
        return sum(series["value"][1] == "1" for series in ask('up{job="project-manager"}'))
    except httpx.HTTPError:
        return 0


def expressions_of_dashboard() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", [])]


def test_the_metrics_page_is_valid_for_prometheus(stack: Stack, api: httpx.Client, project: int) -> None:
    make_tasks(api, project, 20)
    with agents_working(project) as agents:
        agents.wait_until_finished(20)
    for instance in stack.instances:
        page = http.get(f"{instance.api}/metrics")
        assert page.headers["content-type"].startswith("text/plain; version=0.0.4")
        checked = run("promtool", "check", "metrics", stdin=page.text, check=False)
        assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_every_series_that_a_rule_or_a_panel_names_is_exported(stack: Stack) -> None:
    page = http.get(f"{stack.instances[0].api}/metrics").text
    page += http.get(f"http://{stack.load_balancer.address}:8405/metrics").text
    families = set(re.findall(r"^# TYPE (\S+)", page, re.MULTILINE))
    families |= {metric.name for metric in Metrics().described if "_postgresql_" in metric.name}
    named = set(SERIES.findall(ALERTS.read_text())) | {
        name for expression in expressions_of_dashboard() for name in SERIES.findall(expression)
    }
    bare = {re.sub(r"_(bucket|sum|count)$", "", name) for name in named}
    assert bare - families == set()


def test_every_expression_of_the_dashboard_is_one_that_prometheus_can_read(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:number:{number}", "expr": expression.replace("$__rate_interval", "5m")}
        for number, expression in enumerate(expressions_of_dashboard())
    ]
    assert len(rules) > 20
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    run("promtool", "check", "rules", str(file))


def test_every_alert_has_a_test_and_a_remedy() -> None:
    rules = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
    cases = [case for test in yaml.safe_load(RULE_TESTS.read_text())["tests"] for case in test["alert_rule_test"]]
    assert {rule["alert"] for rule in rules} == {case["alertname"] for case in cases if case["exp_alerts"]}
    for rule in rules:
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}
        assert rule["annotations"]["action"]


def test_a_real_prometheus_finds_and_scrapes_every_instance(stack: Stack, prometheus: None) -> None:
    wait_until("three instances are scraped", lambda: up() == 3, 40)
    assert len(ask("pm_build_info")) == 3
    held = wait_until("the gauges are there", lambda: ask('pm_tasks{status="TODO"}'), 20)
    assert len(held) == 3


def test_the_load_balancer_is_scraped_without_its_free_places(stack: Stack, prometheus: None) -> None:
    active = 'haproxy_backend_active_servers{job="load-balancer", proxy="requests"}'
    wait_until("three servers are active", lambda: [series["value"][1] for series in ask(active)] == ["3"], 40)
    assert len(ask('haproxy_server_check_status{proxy="requests", state="L7OK"}')) == 3


def test_a_container_that_is_gone_leaves_an_alert_when_its_series_has_ended(stack: Stack, prometheus: None) -> None:
    one_more = ("--detach", "--no-deps", "--use-aliases", "--env", "EXPECTED_INSTANCES=4", SERVICE)
    fourth = stack.compose("run", *one_more).splitlines()[-1]
    gone = 'ALERTS{alertname="ProjectManagerInstanceDown", instance=""}'
    try:
        wait_until("four instances are scraped", lambda: up() == 4, 60)
        assert ask(gone) == []
        docker("rm", "--force", stack.instances[0].id)
        wait_until("its series has ended", lambda: len(ask('up{job="project-manager"}')) == 3, 60)
        wait_until("the alert is there", lambda: ask(gone), 40)
    finally:
        docker("rm", "--force", fourth)


def test_an_instance_that_hangs_is_seen_by_the_next_scrape(stack: Stack, prometheus: None) -> None:
    wait_until("three instances are scraped", lambda: up() == 3, 40)
    stack.instances[0].signal("STOP")
    try:
        wait_until("it counts as down", lambda: up() == 2, 40)
    finally:
        stack.instances[0].signal("CONT")


def test_every_line_of_the_log_is_an_object_that_shippers_can_read(
    stack: Stack, api: httpx.Client, project: int
) -> None:
    body = {"name": "logged", "project_id": project}
    api.post("/api/tasks", json=body, headers={"X-Request-ID": "look-me-up"})
    found = wait_until("the request is in the log", lambda: lines_with(stack, "look-me-up"))
    assert {"timestamp", "level", "action", "request_id", "actor", "milliseconds"} <= set(found[0])
    assert found[0]["action"] == "create_task"


def lines_with(stack: Stack, word: str) -> list[dict[str, Any]]:
    return [read for line in stack.logs().splitlines() if (read := json.loads(line)).get("request_id") == word]


def test_a_slow_query_is_found_by_grep_as_documented(stack: Stack, api: httpx.Client, project: int) -> None:
    make_tasks(api, project, 4000)
    wait_until("an export took its time", lambda: slow_lines(stack, api), 20)
    assert {json.loads(line)["level"] for line in slow_lines(stack, api)} == {"WARNING"}


def slow_lines(stack: Stack, api: httpx.Client) -> list[str]:
    api.get("/api/export")
    found = run("grep", "-i", "slow", stdin=stack.logs(), check=False)
    return [line for line in found.stdout.splitlines() if '"slow_query"' in line]
