"""The report: tables in Markdown, and goals with their results."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.bench.sampling import Spread, number


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
    """One table with its explanation, and its goals."""

    title: str
    words: str
    headers: Sequence[str]
    rows: list[list[str]] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)

    def markdown(self) -> str:
        return f"### {self.title}\n\n{self.words}\n\n{table(self.headers, self.rows)}"


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [_line(headers), _line(["---"] * len(headers)), *map(_line, rows)]
    return "\n".join(lines) + "\n"


def goals(sections: Sequence[Section]) -> str:
    rows = [goal.row() for section in sections for goal in section.goals]
    return table(["what", "goal", "reached", "met"], rows)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


MARK = ("<!-- bench: begin -->", "<!-- bench: end -->")


def whole(machine: str, sections: Sequence[Section], minutes: float, *, quick: bool) -> str:
    """Return the report: goals, machine, tables."""
    kind = "`scripts/bench --quick`" if quick else "`scripts/bench`"
    parts = [
        f"Written by {kind} in {minutes:.0f} minutes. Figures are medians of the rounds with [min..max].",
        f"Machine: {machine}",
        "### Goals\n\n" + goals(sections),
        *(section.markdown() for section in sections),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def put_into(page: Path, text: str) -> None:
    """Replace the text between the marks of a page. Raises ValueError when a mark is missing."""
    before, begin, rest = page.read_text().partition(MARK[0])
    _, end, after = rest.partition(MARK[1])
    if not begin or not end:
        raise ValueError(f"{page} has no place for the report between {MARK[0]} and {MARK[1]}")
    page.write_text(f"{before}{begin}\n\n{text}\n{end}{after}")
