"""Run one proof and record it: python -m tests.proofs NAME [--seed NUMBER] [--dry-run]."""

import argparse
import importlib
import random
import subprocess
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
NAMES = sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py"))


def main() -> int:
    """Run the proof and write its text between the marks of the page. Return the exit status.

    Each other module of this folder is a proof. Its `run(seed)` returns Markdown, and raises AssertionError on failure.
    """
    asked = _arguments()
    text: str = importlib.import_module(f"tests.proofs.{asked.name}").run(asked.seed)
    text = f"{text.strip()}\n\nCommit `{_commit()}`, seed {asked.seed}.\n"
    print(text)
    if not asked.dry_run:
        PAGE.write_text(recorded(PAGE.read_text(), asked.name, text))
    return 0


def recorded(page: str, name: str, text: str) -> str:
    """Return the page with this text between the marks of the proof. Raises ValueError when a mark is missing."""
    begin, end = f"<!-- proof {name}: begin -->\n", f"<!-- proof {name}: end -->\n"
    before, rest = page[: page.index(begin) + len(begin)], page[page.index(end) :]
    return f"{before}\n{text}\n{rest}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/prove", description="Run a proof at its full size and record it.")
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="repeat a run with the same choices")
    parser.add_argument("--dry-run", action="store_true", help="print the result and leave the page as it is")
    return parser.parse_args()


def _commit() -> str:
    run = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    return run.stdout.strip()


if __name__ == "__main__":
    raise SystemExit(main())
