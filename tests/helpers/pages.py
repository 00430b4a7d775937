"""The pages of the documentation: their blocks, tables and links, and how a block is run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

PROJECT = Path(__file__).parents[2]

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE)
_EXAMPLE = re.compile(r"^`([^`\n]+)`[^\n]*:\n\n```\w+\n(.*?)^```", re.DOTALL | re.MULTILINE)
_MANY = re.compile(r"(?<=-n )\d{3,}\b|\b100_000\b")
# Commands that install something, or need a network.
_NOT_RUN = re.compile(
    r"(pip|pipx|bash \.ci/test|mnistseq --install-completion|mnistseq download(?! --list))\b"
)


@dataclass(frozen=True)
class Block:
    """A block of shell or Python; `output` is a block of text that follows it at once."""

    language: str
    text: str
    output: str
    line: int

    def find_missing(self) -> list[str]:
        """The libraries that a block of Python imports and that are not here."""
        names = re.findall(r"^(?:import|from) (\w+)", self.text, re.MULTILINE)
        return [name for name in names if self.language == "python" and not find_spec(name)]

    def run(self, home: Path) -> subprocess.CompletedProcess[str]:
        """Run what stands in the block as it stands, with fewer samples."""
        text = _MANY.sub("40", self.text)
        if self.language == "python":
            return run([sys.executable, "-c", text], home)
        lines = [line for line in text.splitlines() if not _NOT_RUN.match(line)]
        return run(["bash", "-euc", "\n".join(lines)], home)


class Page:
    """The parts of a page; in `examples`, what files hold, ``…`` stands for anything."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = path.read_text(encoding="utf-8")
        self.examples = dict(_EXAMPLE.findall(self.text))
        self.blocks = [
            Block(found[1], found[2], found[3] or "", self.text.count("\n", 0, found.start()) + 1)
            for found in _BLOCK.finditer(self.text)
            if found[1] in {"sh", "python"}
        ]
        prose = _BLOCK.sub("", self.text)
        self.links = re.findall(r"\]\(([^)]+)\)", prose)
        headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
        # As GitHub makes them.
        self.anchors = {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}

    def names(self, section: str, column: str) -> list[str]:
        """The names in code in the first column of a table with this header."""
        after = self.text.partition(f"# {section}\n")[2]
        table = re.search(rf"^\| {column} \|.*\n\|-.*\n((?:\|.*\n)+)", after, re.MULTILINE)
        assert table, (section, column)
        return re.findall(r"^\| `([^`]+)`", table[1], re.MULTILINE)

    def run(self, home: Path) -> None:
        """Run the blocks of the page one after another, and compare what they print."""
        for block in self.blocks:
            if not block.find_missing():
                result = block.run(home)
                place = f"{self.path}:{block.line}\n{result.stdout}\n{result.stderr}"
                assert result.returncode == 0, place
                if block.output:
                    assert result.stdout.strip() == block.output.strip(), place


PAGES = {
    str(path.relative_to(PROJECT)): Page(path)
    for path in (*PROJECT.glob("*.md"), *sorted((PROJECT / "docs").glob("*.md")))
}


def run(command: list[str], home: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a home folder of its own, without a network."""
    own = {
        "HOME": str(home),
        "MNISTSEQ_OFFLINE": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONUTF8": "1",
    }
    return subprocess.run(
        command, cwd=home, env=os.environ | own, capture_output=True, encoding="utf-8", check=False
    )
