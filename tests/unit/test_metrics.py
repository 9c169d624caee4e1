import re
import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families

from project_manager import __version__
from project_manager.observability.metrics import GAUGES, Metrics


def everything_counted() -> Metrics:
    metrics = Metrics()
    metrics.operation("create_task", "rest", "ok", 0.002)
    metrics.http_request("POST", "/api/tasks", 201, 0.003)
    metrics.batch(3, 0.004)
    metrics.query("tasks.page", 0.0002)
    metrics.lease("acquired")
    metrics.tasks_by_status({"TODO": 3, "DONE": 4})
    metrics.websocket_opened()
    metrics.websocket_closed("slow")
    metrics.websocket_refused()
    metrics.events_sent(12)
    metrics.subscriber_dropped()
    metrics.mcp_call("claim_next_task", "2025", "ok", 0.001)
    metrics.mcp_session_opened()
    metrics.mcp_session_closed()
    metrics.backup_verified(1_700_000_000.0, 0.5)
    metrics.register_gauge("writer_queue_depth", lambda: 5.0)
    metrics.set_expected_instances(3)
    return metrics


@pytest.mark.parametrize(
    ("sample", "labels", "value"),
    [
        ("pm_operations_total", {"operation": "create_task", "interface": "rest", "outcome": "ok"}, 1),
        ("pm_operation_duration_seconds_sum", {"operation": "create_task", "interface": "rest"}, 0.002),
        ("pm_http_requests_total", {"method": "POST", "route": "/api/tasks", "status": "201"}, 1),
        ("pm_http_request_duration_seconds_count", {"method": "POST", "route": "/api/tasks"}, 1),
        ("pm_writer_batch_jobs_sum", {}, 3),
        ("pm_writer_batch_duration_seconds_sum", {}, 0.004),
        ("pm_query_duration_seconds_count", {"query": "tasks.page"}, 1),
        ("pm_leases_total", {"outcome": "acquired"}, 1),
        ("pm_tasks", {"status": "DONE"}, 4),
        ("pm_websocket_connections", {}, 0),
        ("pm_websocket_opened_total", {}, 1),
        ("pm_websocket_closed_total", {"reason": "slow"}, 1),
        ("pm_websocket_refused_total", {}, 1),
        ("pm_events_sent_total", {}, 12),
        ("pm_subscribers_dropped_total", {}, 1),
        ("pm_mcp_calls_total", {"tool": "claim_next_task", "protocol_version": "2025", "outcome": "ok"}, 1),
        ("pm_mcp_call_duration_seconds_count", {"tool": "claim_next_task"}, 1),
        ("pm_mcp_sessions_opened_total", {}, 1),
        ("pm_mcp_sessions_closed_total", {}, 1),
        ("pm_backup_verified_timestamp_seconds", {}, 1_700_000_000),
        ("pm_backup_verify_duration_seconds", {}, 0.5),
        ("pm_writer_queue_depth", {}, 5),
        ("pm_build_info", {"version": __version__}, 1),
        ("project_manager_expected_instances", {}, 3),
    ],
)
def test_recorded_values_are_exported(sample: str, labels: dict[str, str], value: float) -> None:
    assert everything_counted().value(sample, **labels) == value


def test_names_start_alike_counters_end_in_total_and_everything_is_explained() -> None:
    families = list(text_string_to_metric_families(everything_counted().render().decode()))
    ours = [family for family in families if not family.name.startswith("process_")]
    assert len(ours) > 20
    for family in ours:
        assert re.fullmatch(r"(pm|project_manager)_[a-z_]+", family.name)
        assert family.documentation.endswith(".")
        if family.type == "counter":
            assert {sample.name for sample in family.samples} <= {f"{family.name}_total"}


def test_every_exported_metric_is_described_with_its_type_labels_and_help() -> None:
    metrics = everything_counted()
    for gauge in GAUGES:
        metrics.register_gauge(gauge, lambda: 0.0)
    described = {metric.name: metric for metric in metrics.described}
    exported = list(text_string_to_metric_families(metrics.render().decode()))
    names = set()
    for family in exported:
        if not family.name.startswith("process_"):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            labels = {label for sample in family.samples for label in sample.labels} - {"le"}
            names.add(name)
            assert (described[name].kind, described[name].doc) == (family.type, family.documentation)
            assert not labels or set(described[name].labels) == labels
    assert names == set(described)


def test_two_services_in_one_process_count_apart() -> None:
    one, other = Metrics(), Metrics()
    one.lease("expired")
    assert (one.value("pm_leases_total", outcome="expired"), other.value("pm_leases_total", outcome="expired")) == (
        1,
        0,
    )


def test_a_method_that_a_client_made_up_adds_no_series() -> None:
    metrics = Metrics()
    for number in range(50):
        metrics.http_request(f"BREW{number}", "/api/tasks", 405, 0.001)
    assert metrics.value("pm_http_requests_total", method="OTHER", route="/api/tasks", status="405") == 50


def test_the_average_query_is_in_milliseconds_over_all_queries() -> None:
    metrics = Metrics()
    assert metrics.average_query_ms() == 0.0
    metrics.query("a", 0.001)
    metrics.query("b", 0.003)
    assert metrics.average_query_ms() == pytest.approx(2.0)


def test_a_gauge_is_read_at_each_scrape() -> None:
    metrics = Metrics()
    depths = iter([1.0, 7.0])
    metrics.register_gauge("writer_queue_depth", lambda: next(depths))
    assert b"pm_writer_queue_depth 1.0" in metrics.render()
    assert b"pm_writer_queue_depth 7.0" in metrics.render()


def test_a_gauge_with_a_removed_file_leaves_the_others() -> None:
    metrics = Metrics()

    def gone() -> float:
        raise FileNotFoundError("tasks.db-wal")

    metrics.register_gauge("wal_bytes", gone)
    metrics.register_gauge("database_bytes", lambda: 4096.0)
    page = metrics.render()
    assert b"pm_wal_bytes" not in page
    assert b"pm_database_bytes 4096.0" in page


def test_a_value_that_is_unknown_is_not_exported() -> None:
    metrics = Metrics()
    metrics.register_gauge("database_bytes", lambda: None)
    metrics.omit_backups()
    page = metrics.render()
    assert b"pm_database_bytes" not in page
    assert b"pm_backup" not in page


def test_counts_from_many_threads_are_all_there() -> None:
    metrics = Metrics()

    def count() -> None:
        for _ in range(1000):
            metrics.operation("create_task", "rest", "ok", 0.001)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=5)
    assert metrics.value("pm_operations_total", operation="create_task", interface="rest", outcome="ok") == 4000
    assert metrics.value("pm_operation_duration_seconds_count", operation="create_task", interface="rest") == 4000
