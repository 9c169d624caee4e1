"""The benchmark of large databases runs on small ones. No test compares a time."""

from contextlib import ExitStack
from pathlib import Path
from xml.etree import ElementTree

import pytest

from project_manager.plans import reader
from project_manager.store.sqlite import backup, driver
from tests import postgres_server
from tests.bench import fleet, imports, large_database, on_postgresql, peers, sizes
from tests.bench.report import PLOTS, put_into, whole

pytestmark = pytest.mark.slow


def test_a_generated_database_has_ten_events_for_each_task_and_passes_verification(tmp_path: Path) -> None:
    path = tmp_path / "generated.db"
    steps: list[tuple[str, int, int]] = []
    large_database.ensure(path, 1_000, lambda *step: steps.append(step))
    found = backup.check_file(path, sealed=False)
    assert (found.problems, found.differences) == ((), ())
    connection = driver.connect(str(path))
    count = "SELECT (SELECT count(*) FROM tasks), (SELECT count(*) FROM events WHERE task_id IS NOT NULL)"
    assert connection.execute(count).fetchone() == (1_000, 10_000)
    connection.close()
    assert steps[-1] == ("events", 10_000, 10_000)


def test_a_finished_database_is_used_again_and_an_unfinished_one_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "generated.db"
    path.with_suffix(".unfinished").write_bytes(b"half")
    large_database.ensure(path, 100, lambda *step: None)
    assert [each.name for each in tmp_path.iterdir()] == ["generated.db"]
    large_database.ensure(path, 100, lambda *step: pytest.fail("the database was generated again"))


def test_every_operation_is_measured_at_each_size_and_drawn(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- bench sizes: begin -->\nold\n<!-- bench sizes: end -->\nafter\n")
    section = sizes.measured(tmp_path, tmp_path / "databases", 1, 0.01, (100, 1_000), drawn=True)
    assert [row[0] for row in section.rows] == [*sizes.NAMES]
    assert not [row for row in section.rows if "-" in row]
    put_into(page, "bench sizes", whole("a machine", [section], 1, "scripts/bench --sizes"), [section])
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    (plot,) = section.plots
    assert f"({PLOTS}/{plot.name}.svg)" in text
    ElementTree.parse(tmp_path / PLOTS / f"{plot.name}.svg")


def test_an_import_is_measured_when_the_plan_is_new_and_when_it_is_unchanged(tmp_path: Path) -> None:
    section = imports.measured(tmp_path, (20, 200), ("json",))
    assert [row[:2] for row in section.rows] == [
        ["json, new", "20"],
        ["json, unchanged", "20"],
        ["json, new", "200"],
        ["json, unchanged", "200"],
    ]
    assert len(section.goals) == len(imports.KINDS)


def test_both_formats_of_the_measured_plan_have_the_same_content() -> None:
    plans = [
        reader.read("".join(pieces), name)
        for pieces, name in ((imports.as_yaml(250), "a.yaml"), (imports.as_json(250), "a.json"))
    ]
    assert [plan.diagnostics for plan in plans] == [[], []]
    contents = [[(task.epic, task.values) for task in plan.tasks] for plan in plans]
    assert contents[0] == contents[1]
    assert len(contents[0]) == 250


def test_the_product_is_compared_through_its_use_cases_and_over_http(tmp_path: Path) -> None:
    section = peers.measured(tmp_path, 1, 0.05, None, None)
    names = [row[0] for row in section.rows]
    assert [name.rpartition(", ")[2] for name in names] == ["use cases", "use cases", "HTTP", "HTTP"]
    assert [row[1] for row in section.rows] == ["1", str(peers.MANY)] * 2
    assert len(section.plots) == 1


def test_a_fleet_is_measured_with_its_dashboards_connected(tmp_path: Path) -> None:
    section = fleet.measured(tmp_path, 1, 2)
    assert len(section.rows) == 6


def test_claims_are_measured_on_a_server_behind_a_slow_network(tmp_path: Path) -> None:
    with ExitStack() as running:
        server = running.enter_context(postgres_server.running(settings={}, locale=()))
        address = running.enter_context(on_postgresql.address_of(server, 0.3))
        servers, database = on_postgresql.start_on(running, tmp_path, server, address, 1)
        sample = on_postgresql.Instances(servers, database, 100).slice(on_postgresql.CYCLE, 0.01)
    assert sample.answers >= on_postgresql.AGENTS
    assert sample.database_cpu > 0
