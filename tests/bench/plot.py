"""Plots as SVG without a library: lines and horizontal bars, with the range of their values, for light and dark pages.

Axes of values begin at zero, except logarithmic ones. Every point shows the median, and a thin line the range of the
rounds. Names are written next to their line, because a legend needs colors to be told apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

from tests.bench.sampling import Spread, number

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 760, 70, 190, 50, 56
PLOT_HEIGHT = 300
BAR, GAP = 20, 12
LINE_HEIGHT = 15

_COLORS = ("#2563b0", "#b4530a", "#15803d", "#9333a8", "#8a6d00", "#b3134a", "#0e7490", "#57606a")
_DARK_COLORS = ("#79b0f2", "#f0a35e", "#6fcf8a", "#d59cec", "#dcc25a", "#f58aa8", "#67d1e4", "#a5adb6")


@dataclass(frozen=True)
class Plot:
    """A picture: the name of its file without `.svg`, its title and its SVG."""

    name: str
    title: str
    svg: str


@dataclass(frozen=True)
class Series:
    """One line of a plot."""

    name: str
    points: Sequence[tuple[float, Spread]]


@dataclass(frozen=True)
class _Axis:
    """Positions of values on one axis, from `start` to `end` in pixels."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool

    def at(self, value: float) -> float:
        share = (self._scaled(value) - self._scaled(self.low)) / (self._scaled(self.high) - self._scaled(self.low))
        return round(self.start + (self.end - self.start) * share, 1)

    def ticks(self) -> list[float]:
        if self.logarithmic:
            return [10.0**power for power in range(round(log10(self.low)), round(log10(self.high)) + 1)]
        step = _step(self.high)
        return [step * turn for turn in range(floor(self.high / step + 1e-9) + 1)]

    def _scaled(self, value: float) -> float:
        return log10(max(value, self.low)) if self.logarithmic else value


def line_plot(
    name: str, title: str, axes: tuple[str, str], series: Sequence[Series], *, log_x: bool = False, log_y: bool = False
) -> Plot:
    """Draw lines over numbers. `axes` are the titles of the two axes."""
    xs = [x for line in series for x, _ in line.points]
    ys = [value for line in series for _, spread in line.points for value in (spread.low, spread.high)]
    height = TOP + PLOT_HEIGHT + BOTTOM
    horizontal = _axis(xs, LEFT, WIDTH - RIGHT, logarithmic=log_x)
    vertical = _axis(ys, TOP + PLOT_HEIGHT, TOP, logarithmic=log_y)
    parts = [_frame_of_lines(axes, horizontal, vertical, height, sorted(set(xs)))]
    parts += [_line(number, line, horizontal, vertical) for number, line in enumerate(series)]
    ends = [vertical.at(line.points[-1][1].median) for line in series]
    for number_of_line, y in enumerate(_apart(ends)):
        parts.append(_text(WIDTH - RIGHT + 12, y + 4, series[number_of_line].name, f"c{number_of_line % len(_COLORS)}"))
    return Plot(name, title, _document(title, height, parts))


def bar_plot(name: str, title: str, axis: str, bars: Sequence[tuple[str, Spread]], *, log: bool = False) -> Plot:
    """Draw one horizontal bar for each name, in this order. `axis` is the title of the axis of values."""
    left, right = 280, 110
    height = TOP + len(bars) * (BAR + GAP) + BOTTOM
    highest = [spread.high for _, spread in bars]
    lowest = [spread.low for _, spread in bars]
    scale = _axis([*lowest, *highest], left, WIDTH - right, logarithmic=log)
    floor_y = height - BOTTOM
    parts = [_tick(scale.at(tick), floor_y, number_of(tick), TOP) for tick in scale.ticks()]
    for turn, (label, spread) in enumerate(bars):
        y = TOP + turn * (BAR + GAP) + GAP / 2
        width = max(1.0, scale.at(spread.median) - left)
        parts.append(_text(left - 8, y + BAR * 0.72, label, "text", "end"))
        parts.append(f'<rect class="f0" x="{left}" y="{y}" width="{width:.1f}" height="{BAR}"/>')
        parts.append(_range_line(scale.at(spread.low), y + BAR / 2, scale.at(spread.high), y + BAR / 2))
        parts.append(_text(scale.at(spread.high) + 8, y + BAR * 0.72, number(spread.median), "text"))
    parts.append(_text((left + WIDTH - right) / 2, height - 14, axis, "text", "middle"))
    return Plot(name, title, _document(title, height, parts))


def _axis(values: Sequence[float], start: float, end: float, *, logarithmic: bool) -> _Axis:
    if logarithmic:
        low, high = floor(log10(min(values)) + 1e-9), ceil(log10(max(values)) - 1e-9)
        return _Axis(10.0**low, 10.0 ** max(high, low + 1), start, end, logarithmic=True)
    step = _step(max(values))
    return _Axis(0, step * ceil(max(values) / step), start, end, logarithmic=False)


def _step(highest: float) -> float:
    """Return the distance of ticks: 1, 2 or 5 times a power of ten, for at most six ticks."""
    size = 10.0 ** floor(log10(highest / 5))
    return next(size * factor for factor in (1, 2, 5, 10) if size * factor * 6 >= highest)


def _frame_of_lines(
    axes: tuple[str, str], horizontal: _Axis, vertical: _Axis, height: int, places: Sequence[float]
) -> str:
    parts = []
    for tick in vertical.ticks():
        y = vertical.at(tick)
        parts.append(f'<line class="grid" x1="{LEFT}" y1="{y}" x2="{WIDTH - RIGHT}" y2="{y}"/>')
        parts.append(_text(LEFT - 8, y + 4, number_of(tick), "text", "end"))
    # Values of x are few and chosen, so each of them gets a tick.
    parts += [_tick(horizontal.at(place), height - BOTTOM, number_of(place), height - BOTTOM - 5) for place in places]
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, height - 14, axes[0], "text", "middle"))
    middle = TOP + PLOT_HEIGHT / 2
    parts.append(_text(16, middle, axes[1], "text", "middle", f' transform="rotate(-90 16 {middle})"'))
    return "\n".join(parts)


def _line(turn: int, line: Series, horizontal: _Axis, vertical: _Axis) -> str:
    color = turn % len(_COLORS)
    places = [(horizontal.at(x), spread) for x, spread in line.points]
    points = " ".join(f"{x},{vertical.at(spread.median)}" for x, spread in places)
    parts = [f'<polyline class="l{color}" points="{points}"/>']
    for x, spread in places:
        parts.append(_range_line(x, vertical.at(spread.low), x, vertical.at(spread.high)))
        parts.append(f'<circle class="f{color}" cx="{x}" cy="{vertical.at(spread.median)}" r="3.5"/>')
    return "\n".join(parts)


def _range_line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="range" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>'


def _tick(x: float, y: float, label: str, top: float) -> str:
    return f'<line class="grid" x1="{x}" y1="{top}" x2="{x}" y2="{y}"/>\n' + _text(x, y + 18, label, "text", "middle")


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start", more: str = "") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(text)}</text>'


def _apart(places: list[float]) -> list[float]:
    """Return these positions moved down so far that no two names of lines overlap."""
    moved = list(places)
    last = -LINE_HEIGHT * 1.0
    for index in sorted(range(len(places)), key=lambda index: places[index]):
        moved[index] = last = max(places[index], last + LINE_HEIGHT)
    return moved


def number_of(value: float) -> str:
    """Return the label of a tick."""
    return f"{value:,.0f}" if value >= 10 or value == round(value) else f"{value:g}"


def _document(title: str, height: int, parts: Sequence[str]) -> str:
    inner = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" role="img" font-family="sans-serif" font-size="12">\n'
        f"<title>{escape(title)}</title>\n<style>\n{_STYLE}\n</style>\n"
        f'<rect class="page" width="{WIDTH}" height="{height}"/>\n'
        f'<text class="text" x="16" y="26" font-size="15" font-weight="bold">{escape(title)}</text>\n{inner}\n</svg>\n'
    )


def _rules(text: str, grid: str, page: str, colors: Sequence[str]) -> str:
    each = (
        f".l{turn}{{stroke:{color}}}.f{turn}{{fill:{color}}}.c{turn}{{fill:{color}}}"
        for turn, color in enumerate(colors)
    )
    return f".text{{fill:{text}}}.grid{{stroke:{grid}}}.page{{fill:{page}}}.range{{stroke:{text}}}" + "".join(each)


_STYLE = (
    "polyline{fill:none;stroke-width:2}.range{stroke-width:1}\n"
    + _rules("#24292f", "#d8dee4", "#ffffff", _COLORS)
    + "\n@media (prefers-color-scheme: dark){"
    + _rules("#e6edf3", "#3a424b", "#0d1117", _DARK_COLORS)
    + "}"
)
