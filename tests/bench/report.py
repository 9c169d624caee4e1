"""The report: tables in Markdown, and goals with their results."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.bench.plot import Plot
from tests.bench.sampling import Spread, number

PLOTS = "images"
"""Folder of the plots, next to the page."""


@dataclass(frozen=True)
class Goal:
    """A goal for one figure."""

    what: str
    limit: float
    kind: Literal["at most", "at least"]
    reached: Spread
    unit: str = ""

    @property
    def met(self) -> bool:
        median = self.reached.median
        return median <= self.limit if self.kind == "at most" else median >= self.limit

    def row(self) -> list[str]:
        unit = f" {self.unit}" if self.unit else ""
        return [
            self.what,
            f"{self.kind} {number(self.limit)}{unit}",
            f"{self.reached}{unit}",
            "yes" if self.met else "**no**",
        ]


@dataclass
class Section:
    """One table with its explanation, its goals and its plots."""

    title: str
    words: str
    headers: Sequence[str]
    rows: list[list[str]] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)

    def markdown(self) -> str:
        pictures = "".join(f"![{plot.title}]({PLOTS}/{plot.name}.svg)\n\n" for plot in self.plots)
        return f"#### {self.title}\n\n{self.words}\n\n{pictures}{table(self.headers, self.rows)}"


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [_line(headers), _line(["---"] * len(headers)), *map(_line, rows)]
    return "\n".join(lines) + "\n"


def goals(sections: Sequence[Section]) -> str:
    rows = [goal.row() for section in sections for goal in section.goals]
    return table(["measure", "goal", "reached", "met"], rows)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def whole(machine: str, sections: Sequence[Section], minutes: float, command: str) -> str:
    """Return the report of one command: machine, goals, tables."""
    parts = [
        f"Written by `{command}` in {minutes:.0f} minutes. Figures are medians of the rounds with [min..max].",
        f"Machine: {machine}",
        *(["#### Goals\n\n" + goals(sections)] if any(section.goals for section in sections) else []),
        *(section.markdown() for section in sections),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def put_into(page: Path, part: str, text: str, sections: Sequence[Section]) -> None:
    """Replace the text between the marks of this part of a page, and write its plots.

    Raises ValueError when a mark is missing.
    """
    first, last = f"<!-- {part}: begin -->", f"<!-- {part}: end -->"
    before, begin, rest = page.read_text().partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"{page} has no place for this report between {first} and {last}")
    page.write_text(f"{before}{begin}\n\n{text}\n{end}{after}")
    folder = page.parent / PLOTS
    folder.mkdir(exist_ok=True)
    for section in sections:
        for plot in section.plots:
            (folder / f"{plot.name}.svg").write_text(plot.svg)
