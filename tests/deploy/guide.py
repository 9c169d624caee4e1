"""The command blocks of a page of the documentation, which tests run as they are written."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from tests.deploy.stack import run


@dataclass(frozen=True)
class Block:
    """One block: its page, the number of its first line, and its commands without indentation."""

    page: str
    line: int
    text: str

    @property
    def commands(self) -> list[str]:
        """Return the commands one by one, for those that read an answer of the operator."""
        return re.sub(r"(\\|&&)\n", r"\1 ", self.text).splitlines()

    def run(self, answers: str = "", timeout: float = 120) -> str:
        """Run the block in the checkout until its first command that fails. Return the output."""
        return run_commands(self.text, answers, timeout)

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text.splitlines()[0]}"


@dataclass
class Page:
    """A page and its blocks in these `languages`. `unused` are those that no test has requested."""

    path: Path
    languages: str = "bash|sh"
    unused: list[Block] = field(init=False)

    def __post_init__(self) -> None:
        self.unused = self.blocks()

    def blocks(self) -> list[Block]:
        text = self.path.read_text()
        pattern = re.compile(rf"^( *)```(?:{self.languages})\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
        return [self._block(text, match) for match in pattern.finditer(text)]

    def _block(self, text: str, match: re.Match[str]) -> Block:
        indent, commands = match.groups()
        line = text.count("\n", 0, match.start()) + 1
        return Block(self.path.name, line, re.sub(f"^{indent}", "", commands, flags=re.MULTILINE))

    def block(self, words: str) -> Block:
        """Return the only block with these words that was not requested before."""
        (found,) = (block for block in self.unused if words in block.text)
        self.unused.remove(found)
        return found


def run_commands(text: str, answers: str = "", timeout: float = 120) -> str:
    """Run commands in the checkout with these lines of input. Return the output."""
    done = run("bash", "-euo", "pipefail", "-c", text, stdin=answers, timeout=timeout)
    return done.stdout + done.stderr
