"""Plots of the benchmark: valid SVG with titles, axes, labels and colors for light and dark pages."""

import itertools
from xml.etree import ElementTree

from tests.bench.plot import Series, bar_plot, line_plot
from tests.bench.sampling import Spread

SVG = "{http://www.w3.org/2000/svg}"
SIZES = (1_000, 10_000, 100_000)


def spread(median: float) -> Spread:
    return Spread(median, median * 0.9, median * 1.1)


def texts(svg: str) -> list[str]:
    return [node.text or "" for node in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_a_line_plot_names_its_title_its_axes_and_its_lines() -> None:
    lines = [Series("claim <1>", [(size, spread(100)) for size in SIZES])]
    plot = line_plot("costs", "Costs", ("tasks", "CPU us"), lines, log_x=True, log_y=True)
    assert {"Costs", "tasks", "CPU us", "claim <1>", "1,000", "10,000", "100,000"} <= set(texts(plot.svg))


def test_a_logarithmic_axis_gives_equal_ratios_equal_distances() -> None:
    plot = line_plot("a", "A", ("x", "y"), [Series("b", [(size, spread(100)) for size in SIZES])], log_x=True)
    places = [float(node.attrib["cx"]) for node in ElementTree.fromstring(plot.svg).iter(f"{SVG}circle")]
    assert round(places[1] - places[0], 3) == round(places[2] - places[1], 3)


def test_a_linear_axis_of_values_begins_at_zero() -> None:
    plot = line_plot("a", "A", ("x", "y"), [Series("b", [(1, spread(1_000)), (2, spread(1_001))])])
    assert "0" in texts(plot.svg)


def test_bars_have_the_widths_of_their_values_and_show_them() -> None:
    plot = bar_plot("a", "A", "CPU us", [("one", spread(200)), ("two", spread(400))])
    bars = [node for node in ElementTree.fromstring(plot.svg).iter(f"{SVG}rect") if "f0" in node.attrib["class"]]
    assert float(bars[1].attrib["width"]) == 2 * float(bars[0].attrib["width"])
    assert {"one", "two", "200", "400", "CPU us"} <= set(texts(plot.svg))


def test_the_names_of_close_lines_do_not_overlap() -> None:
    lines = [Series(f"line {number}", [(1, spread(100)), (2, spread(100 + number))]) for number in range(4)]
    plot = line_plot("a", "A", ("x", "y"), lines)
    names = [node for node in ElementTree.fromstring(plot.svg).iter(f"{SVG}text") if "line" in (node.text or "")]
    places = sorted(float(node.attrib["y"]) for node in names)
    assert all(after - before >= 15 for before, after in itertools.pairwise(places))


def test_a_plot_has_other_colors_on_a_dark_page() -> None:
    plot = bar_plot("a", "A", "b", [("one", spread(1))])
    assert "@media (prefers-color-scheme: dark)" in plot.svg
