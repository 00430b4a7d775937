"""The pages of the documentation: their blocks, the commands in them, what those leave behind."""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

from mnistseq_cli.glyphs.catalog import DATASETS

PROJECT = Path(__file__).parents[2]
PROGRAM = str(Path(sys.executable).with_name("mnistseq"))
FEW = "40"
LIBRARIES = {"parquet": "pyarrow", "lmdb": "lmdb", "hdf5": "h5py"}
FILES = {
    "numbers.txt": "007\n350\n",
    "read.csv": "file_name,text\nimages/00000/00000000.png,350\n",
}

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```\n", re.DOTALL | re.MULTILINE)
_OUTPUT = re.compile(r"\n```text\n(.*?)^```\n", re.DOTALL | re.MULTILINE)
_EXAMPLE = re.compile(r"^`([^`\n]+)`[^\n]*:\n\n```\w+\n(.*?)^```", re.DOTALL | re.MULTILINE)
_SECTION = re.compile(r"^#+ (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; `output` is a block of text that follows it at once."""

    language: str
    text: str
    line: int
    output: str

    @property
    def lines(self) -> list[str]:
        return [line for line in self.text.replace("\\\n", " ").splitlines() if line.strip()]

    @property
    def commands(self) -> list[list[str]]:
        """The words of each line that begins with our program, without it."""
        words = [shlex.split(line, comments=True) for line in self.lines]
        return [each[1:] for each in words if each[:1] == ["mnistseq"]]


@dataclass(frozen=True)
class Page:
    path: Path

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def blocks(self) -> list[Block]:
        return [self._read_block(found) for found in _BLOCK.finditer(self.text)]

    @cached_property
    def examples(self) -> dict[str, str]:
        """What files hold, as the page shows it: ``…`` stands for anything."""
        return dict(_EXAMPLE.findall(self.text))

    @cached_property
    def anchors(self) -> set[str]:
        """The anchors of headings, as GitHub makes them."""
        headings = _SECTION.findall(_BLOCK.sub("", self.text))
        return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}

    @cached_property
    def links(self) -> list[str]:
        text = _BLOCK.sub("", self.text)
        return re.findall(r"\]\(([^)]+)\)", text) + re.findall(r'(?:src|srcset)="([^"]+)"', text)

    @cached_property
    def makers(self) -> dict[str, list[str]]:
        """The first command on the page that makes a folder."""
        makers: dict[str, list[str]] = {}
        for block in self.blocks:
            for words in block.commands if block.language == "sh" else ():
                if words[0] in ("batch", "phone") and (folder := find_out(words)):
                    makers.setdefault(folder, words)
        return makers

    def names(self, section: str, column: str) -> list[str]:
        """The names in code in the first column of a table with this header."""
        after = self.text.partition(f"# {section}\n")[2]
        table = re.search(rf"^\| {column} \|.*\n\|-.*\n((?:\|.*\n)+)", after, re.MULTILINE)
        assert table, (section, column)
        return re.findall(r"^\| `([^`]+)`", table[1], re.MULTILINE)

    def _read_block(self, found: re.Match[str]) -> Block:
        line = self.text.count("\n", 0, found.start()) + 1
        after = _OUTPUT.match(self.text, found.end())
        return Block(found[1], found[2], line, after[1] if after else "")


PAGES = {
    str(path.relative_to(PROJECT)): Page(path)
    for path in (PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md")))
}


def find_out(words: list[str]) -> str:
    """The folder that a command writes; "" if it names none."""
    for before, word in pairwise(words):
        if before in ("-o", "--out"):
            return word
    return ""


def find_mentioned(text: str, folders: Iterable[str]) -> list[str]:
    return [
        folder
        for folder in folders
        if re.search(rf"(?<![\w./-]){re.escape(folder)}(?![\w=.-])", text)
    ]


def why_not(words: list[str], home: Path) -> str:
    """Why a command cannot be run here; "" if it can."""
    if "--install-completion" in words:
        return "it changes the files of a shell"
    if words[0] == "download" and "--list" not in words:
        others = (set(words) & DATASETS.keys()) - {"mnist"}
        if "--mirror" in words or others or not (home / "Downloads").exists():
            return "it needs a network, or MNISTSEQ_TEST_MNIST"
    needed = [library for name, library in LIBRARIES.items() if name in words]
    needed += ["matplotlib"] * ("--report" in words) + ["distributed"] * ("--dask" in words)
    return next(
        (f"{library} is not installed" for library in needed if not find_spec(library)), ""
    )


def find_missing(code: str) -> list[str]:
    """The libraries that a program in Python imports and that are not here."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return sorted(
        name for name in {each.partition(".")[0] for each in names} if not find_spec(name)
    )


def run_words(words: list[str], home: Path) -> subprocess.CompletedProcess[str]:
    """Run a command with a few samples, with a home folder of its own."""
    few = [
        FEW if word.isdigit() and int(word) > int(FEW) and before in ("-n", "--count") else word
        for before, word in zip(["", *words], words, strict=False)
    ]
    return run([PROGRAM, *(word.replace("~", str(home)) for word in few)], home)


def run_code(code: str, home: Path) -> subprocess.CompletedProcess[str]:
    return run([sys.executable, "-c", code.replace("100_000", FEW)], home)


def run(command: list[str], home: Path) -> subprocess.CompletedProcess[str]:
    own = {
        "HOME": str(home),
        "MNISTSEQ_OFFLINE": "1",
        "MNISTSEQ_DATA_DIR": str(home / "data"),
        "PYTHONUTF8": "1",
    }
    return subprocess.run(
        command, cwd=home, env=os.environ | own, capture_output=True, encoding="utf-8", check=False
    )


class Workshop:
    """Folders to run commands in; what earlier commands of a page make is made when needed.

    Parameters
    ----------
    root : Path
    data_dir : Path
        The cache that all commands share.
    """

    def __init__(self, root: Path, data_dir: Path) -> None:
        self._root = root
        self._data_dir = data_dir
        self._made: dict[tuple[Path, str], str] = {}

    def furnish(self, home: Path) -> None:
        """Put into a home folder what commands of the pages expect."""
        home.mkdir(exist_ok=True)
        (home / "data").symlink_to(self._data_dir)
        for name, text in FILES.items():
            (home / name).write_text(text, encoding="utf-8")
        if mnist := os.environ.get("MNISTSEQ_TEST_MNIST"):
            (home / "Downloads").symlink_to(mnist)

    def supply(self, page: Page, text: str, own: list[str], home: Path) -> str:
        """Copy the folders that a text mentions and does not make; say why that cannot be done."""
        for folder in find_mentioned(text, [name for name in page.makers if name not in own]):
            source, why = self.make(page, folder)
            if why:
                return why
            if not (home / folder).exists():
                shutil.copytree(source, home / folder)
        return ""

    def make(self, page: Page, folder: str) -> tuple[Path, str]:
        """Run what makes a folder on a page, once; give its path, or why it cannot be made."""
        home = self._root / page.path.stem
        if not home.exists():
            self.furnish(home)
        key = (page.path, folder)
        if key not in self._made:
            words = page.makers[folder]
            needed = find_mentioned(" ".join(words), [f for f in page.makers if f != folder])
            reasons = [why_not(words, home), *(self.make(page, each)[1] for each in needed)]
            if not any(reasons):
                result = run_words(words, home)
                assert result.returncode == 0, (words, result.stderr)
            self._made[key] = next(filter(None, reasons), "")
        return home / folder, self._made[key]
