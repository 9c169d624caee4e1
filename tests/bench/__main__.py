"""The benchmark: python -m tests.bench [--quick] [PART] [--only SECTION] [--write PAGE].

PART is --sizes, --peers, --postgresql or --dashboard.
"""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench import (
    another_checkout,
    blocked_paths,
    claiming,
    dashboard,
    fleet,
    footprint,
    imports,
    machine,
    on_postgresql,
    peers,
    predecessor,
    report,
    sizes,
    slow_disk,
    watching,
)
from tests.bench.report import Section
from tests.bench.servers import NotServing
from tests.postgres_server import NotInstalled

Sections = dict[str, Callable[[Path], list[Section]]]
"""The measurements by name. Each gets an empty folder."""


def main() -> int:
    asked = _arguments()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8192)), hard))
    sections: list[Section] = []
    began = time.perf_counter()
    part, available = _selected(asked)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=asked.folder) as folder:
        note = machine.description(Path(folder))
        for name, run in available.items():
            if asked.only and name not in asked.only:
                continue
            place = Path(folder) / name
            place.mkdir()
            print(f"{name} ..", file=sys.stderr, flush=True)
            try:
                sections += run(place)
            except NotServing as fault:
                sections.append(Section(name, f"Not measured: {str(fault).splitlines()[0]}.", ["-"]))
            print(report.goals(sections), file=sys.stderr, flush=True)
    minutes = (time.perf_counter() - began) / 60
    text = report.whole(note, sections, minutes, _command(asked))
    if asked.write:
        report.put_into(asked.write, part, text, sections)
    print(text)
    return 0


def _selected(asked: argparse.Namespace) -> tuple[str, Sections]:
    """Return the part of the page that the report replaces, and its measurements."""
    rounds = 3 if asked.quick else 5
    seconds = 0.3 if asked.quick else 0.8
    if asked.sizes:
        return "bench sizes", _growth(asked, rounds, seconds)
    if asked.peers:
        return "bench peers", _comparison(asked, rounds, seconds)
    if asked.dashboard:
        return "bench dashboard", {"dashboard": lambda folder: dashboard.measured(folder, rounds)}
    if asked.postgresql:
        events = 50 if asked.quick else 200
        return "bench postgresql", {
            "postgresql": lambda folder: on_postgresql.measured(folder, rounds, seconds, events)
        }
    return "bench", _usual(asked, rounds, seconds)


def _usual(asked: argparse.Namespace, rounds: int, seconds: float) -> Sections:
    sections: Sections = {
        "claims": lambda folder: [claiming.measured(folder, rounds, seconds)],
        "paths": lambda folder: [blocked_paths.measured(folder, rounds, seconds)],
        "disk": lambda folder: [slow_disk.measured(folder, rounds, seconds)],
        "sizes": lambda folder: [sizes.measured(folder, folder, rounds, seconds, sizes.DEFAULT_SIZES)],
        "events": lambda folder: watching.measured(folder, 1 if asked.quick else 3, 20 if asked.quick else 50),
        "process": lambda folder: [footprint.measured(folder, 2 if asked.quick else 5)],
    }
    if asked.predecessor is not None:
        sections["predecessor"] = lambda folder: [predecessor.measured(folder, rounds, seconds * 2, asked.predecessor)]
    if asked.against is not None:
        sections["against"] = lambda folder: [another_checkout.measured(folder, rounds, seconds, asked.against)]
    return sections


def _growth(asked: argparse.Namespace, rounds: int, seconds: float) -> Sections:
    """Return the measurements of large databases. With --folder the databases stay for the next run."""

    def databases(folder: Path) -> Path:
        return folder if asked.folder is None else Path(asked.folder) / "sizes"

    largest = [size for size in sizes.ALL_SIZES if size <= asked.largest]
    plans = [min(asked.largest, imports.LARGEST) // 10, min(asked.largest, imports.LARGEST)]
    return {
        "imports": lambda folder: [imports.measured(folder, plans)],  # before this process needs much memory
        "sizes": lambda folder: [
            sizes.measured(folder, databases(folder).resolve(), rounds, seconds, largest, drawn=True)
        ],
    }


def _comparison(asked: argparse.Namespace, rounds: int, seconds: float) -> Sections:
    return {
        "peers": lambda folder: [peers.measured(folder, rounds, seconds, asked.peers_python, asked.predecessor)],
        "fleet": lambda folder: [fleet.measured(folder, rounds, 40 if asked.quick else 200)],
    }


def _command(asked: argparse.Namespace) -> str:
    flags = {
        "--quick": asked.quick,
        "--sizes": asked.sizes,
        "--peers": asked.peers,
        "--postgresql": asked.postgresql,
        "--dashboard": asked.dashboard,
    }
    return " ".join(["scripts/bench", *(flag for flag, given in flags.items() if given)])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measure the service and print a report.")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds: under two minutes")
    parser.add_argument("--only", action="append", help="only this section: claims, paths, disk, sizes, ..")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="replace this report and its plots in the page")
    parser.add_argument("--folder", type=Path, help="folder of the databases: the disk that is measured")
    parser.add_argument("--predecessor", type=Path, metavar="PROGRAM", help="compare with this project-manager-mcp")
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="compare with this other checkout")
    parser.add_argument("--sizes", action="store_true", help="instead, measure large databases (sizes, imports)")
    parser.add_argument("--largest", type=int, default=sizes.ALL_SIZES[-1], metavar="TASKS", help="limit of --sizes")
    parser.add_argument("--peers", action="store_true", help="instead, measure other queues and a fleet (peers, fleet)")
    parser.add_argument("--postgresql", action="store_true", help="instead, measure the service on PostgreSQL")
    parser.add_argument("--dashboard", action="store_true", help="instead, measure the dashboard in a browser")
    parser.add_argument("--peers-python", type=Path, metavar="PYTHON", help="interpreter with the other queues")
    asked = parser.parse_args()
    if asked.largest < sizes.DEFAULT_SIZES[-1]:
        parser.error(f"--largest is at least {sizes.DEFAULT_SIZES[-1]}")
    return asked


if __name__ == "__main__":
    try:
        sys.exit(main())
    except NotInstalled as fault:
        sys.exit(str(fault))
