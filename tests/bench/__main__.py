"""The benchmark: python -m tests.bench [--quick] [--only SECTION] [--against FOLDER] [--write docs/performance.md]."""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench import another_checkout, claiming, footprint, machine, predecessor, report, sizes, slow_disk, watching
from tests.bench.report import Section
from tests.bench.servers import NotServing


def main() -> int:
    asked = _arguments()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8192)), hard))
    sections: list[Section] = []
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=asked.folder) as folder:
        note = machine.description(Path(folder))
        for name, run in _sections(asked.quick, asked.predecessor, asked.against).items():
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
    text = report.whole(note, sections, minutes, quick=asked.quick)
    if asked.write:
        report.put_into(asked.write, text)
    print(text)
    return 0


def _sections(quick: bool, other: Path | None, checkout: Path | None) -> dict[str, Callable[[Path], list[Section]]]:
    """Return the measurements by name, each with its rounds and seconds per slice."""
    rounds = 3 if quick else 5
    slices = 0.3 if quick else 0.8
    sections: dict[str, Callable[[Path], list[Section]]] = {
        "claims": lambda folder: [claiming.measured(folder, rounds, slices)],
        "disk": lambda folder: [slow_disk.measured(folder, rounds, slices)],
        "sizes": lambda folder: [sizes.measured(folder, rounds, slices)],
        "events": lambda folder: watching.measured(folder, 1 if quick else 3, 20 if quick else 50),
        "process": lambda folder: [footprint.measured(folder, 2 if quick else 5)],
    }
    if other is not None:
        sections["predecessor"] = lambda folder: [predecessor.measured(folder, rounds, slices * 2, other)]
    if checkout is not None:
        sections["against"] = lambda folder: [another_checkout.measured(folder, rounds, slices, checkout)]
    return sections


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measures the service and prints a report.")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds: under two minutes")
    parser.add_argument("--only", action="append", help="only this section: claims, disk, sizes, events, process")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the report between the marks of this page")
    parser.add_argument("--folder", type=Path, help="where databases go: the disk that is measured")
    parser.add_argument("--predecessor", type=Path, metavar="PROGRAM", help="compare with this project-manager-mcp")
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="compare with this other checkout")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
