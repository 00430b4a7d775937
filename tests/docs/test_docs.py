"""The README and the pages of docs: what stands there runs, and says what the program does."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

import mnistseq_cli
from mnistseq_cli.bulk import events
from mnistseq_cli.distortions.registry import AUGMENTATIONS
from mnistseq_cli.randomness import Use
from mnistseq_cli.recipe import Recipe

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


FORMATS = PAGES["docs/formats.md"]
RANDOMNESS = PAGES["docs/randomness.md"]
COMMANDS = PAGES["docs/commands.md"]
# The other pages: one sets a clone up, one is run for its examples, one holds single commands.
IN_ORDER = PAGES.keys() - {"CONTRIBUTING.md", "docs/formats.md", "docs/commands.md"}
# What the examples of commands.md take for granted.
PREPARE = """\
printf '350\\n' > numbers.txt
printf 'file_name,text\\nimages/00000/00000000.png,350\\n' > read.csv
mnistseq batch -n 40 --length 3 7 -o train
python -c "from mnistseq_cli.glyphs import hand_sheet; page = hand_sheet.draw_pages('01', 9)[0]
page.paste(0, (150, 390, 158, 420)); page.save('photo.jpg')"
"""


@pytest.fixture(scope="session", autouse=True)
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let all commands share one cache of the built-in pen."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MNISTSEQ_DATA_DIR", str(tmp_path_factory.mktemp("data")))
        yield


def mark_slow(name: str) -> Any:
    return name if name == "README.md" else pytest.param(name, marks=pytest.mark.slow)


@pytest.mark.parametrize("name", [mark_slow(name) for name in sorted(IN_ORDER)])
def test_blocks_run_in_order(name: str, tmp_path: Path) -> None:
    PAGES[name].run(tmp_path)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("prepared")
    assert Block("sh", PREPARE, "", 0).run(home).returncode == 0
    return home


@pytest.mark.slow
@pytest.mark.parametrize("block", COMMANDS.blocks, ids=lambda block: block.text)
def test_examples_of_commands_run(block: Block, prepared: Path, tmp_path: Path) -> None:
    skip = shutil.ignore_patterns("train") if "-o train" in block.text else None
    home = shutil.copytree(prepared, tmp_path / "home", ignore=skip)
    result = block.run(home)
    assert result.returncode == 0, result.stderr


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the commands of the page on formats leave behind."""
    home = tmp_path_factory.mktemp("formats")
    FORMATS.run(home)
    return home


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS.examples)
def test_examples_of_files_are_true(name: str, example: Path) -> None:
    pattern = ".*".join(map(re.escape, FORMATS.examples[name].strip().split("…")))
    written = (example / name).read_text(encoding="utf-8")
    assert re.fullmatch(pattern, written.strip(), re.DOTALL), written


def read_json(path: Path) -> Any:
    return json.loads(path.read_bytes())


def read_line(path: Path) -> str:
    return path.read_text(encoding="utf-8").splitlines()[0]


def read_header(path: Path) -> list[str]:
    return read_line(path).split(",")


def read_yaml(path: Path) -> list[str]:
    return re.findall(r"(?m)^(?:# )?(\w+):", path.read_text(encoding="utf-8"))


def read_members(path: Path) -> list[str]:
    with tarfile.open(path) as shard:
        return ["." + name.partition(".")[2] for name in shard.getnames()[:3]]


def read_parquet(path: Path) -> list[str]:
    names: list[str] = pytest.importorskip("pyarrow.parquet").read_schema(path).names
    return names


def read_hdf5(path: Path) -> set[str]:
    with pytest.importorskip("h5py").File(path) as file:
        return set(file)


def read_lmdb(path: Path) -> set[str]:
    with pytest.importorskip("lmdb").open(str(path), readonly=True, lock=False) as database:
        keys = [key.decode() for key, _ in database.begin().cursor()]
    return {key for key in keys if not key.endswith(("2", "3"))}


def list_files(path: Path) -> set[str]:
    return {file.name for file in path.iterdir() if file.name[0].isalpha()} - {
        *("recipe.toml", "dataset.json", "croissant.json", "README.md")
    }


LICENCE = {"license", "license_url", "attribution"}  # named in the text before the table
WHERE_KNOWN = {"writer", "writers", "written", "marks"}  # what rows do not always have
COCO = "example-labels/annotations/instances_default.json"
# Section and first column of a table; what was written, and how its names are read.
TABLES: list[tuple[str, str, str, Callable[[Path], Any]]] = [
    ("dataset.json", "key", "example/dataset.json", read_json),
    ("dataset.json", "part", "example/dataset.json", lambda path: read_json(path)["parts"][0]),
    ("Records of parts", "key", "example/.mnistseq/parts/00000000.json", read_json),
    ("webdataset", "member", "example-webdataset/data-000000.tar", read_members),
    ("parquet", "column", "example-parquet/part-00000.parquet", read_parquet),
    ("lmdb", "key", "example-lmdb/lmdb", read_lmdb),
    ("hdf5", "dataset", "example-hdf5/data.h5", read_hdf5),
    ("npz", "array", "example-npz/data.npz", np.load),
    ("npy", "file", "example-npy", list_files),
    ("idx", "file", "example-idx", list_files),
    ("csv", "column", "example-labels/labels.csv", read_header),
    ("jsonl", "key", "example-labels/metadata.jsonl", lambda path: json.loads(read_line(path))),
    ("coco", "key", COCO, read_json),
    ("coco", "annotation", COCO, lambda path: read_json(path)["annotations"][0]),
    ("yolo", "key", "example-labels/data.yaml", read_yaml),
    ("easyocr", "column", "example-labels/easyocr/labels.csv", read_header),
    ("mmocr", "key", "example-labels/textrecog.json", read_json),
]


@pytest.mark.slow
@pytest.mark.parametrize(("section", "column", "name", "read"), TABLES)
def test_tables_name_the_fields_that_are_written(
    section: str, column: str, name: str, read: Callable[[Path], Any], example: Path
) -> None:
    names, written = {*FORMATS.names(section, column)}, {*read(example / name)} - LICENCE
    assert names - WHERE_KNOWN == written - WHERE_KNOWN
    assert written <= names


def test_the_table_of_the_recipe_names_its_keys(tmp_path: Path) -> None:
    names = FORMATS.names("recipe.toml", "key")
    assert names == ["version", *(field.name for field in fields(Recipe))]
    saved = Recipe(texts=("3",), polarity="dark-ink", margin_px=(1, 2)).save(tmp_path)
    written = tomllib.loads(saved.read_text(encoding="utf-8")).keys()
    assert set(names) == written | {"digits", "length", "pattern"}


def test_the_table_of_events_names_their_fields() -> None:
    rows = re.findall(r"^\| `([A-Z]\w+)` \| (.*?) ?\| ", FORMATS.text, re.MULTILINE)
    assert {name: re.findall(r"`(\w+)`", columns) for name, columns in rows} == {
        event.__name__: [field.name for field in fields(event)] for event in get_args(events.Event)
    }


def test_the_table_of_json_names_its_keys() -> None:
    (block,) = [block for block in FORMATS.blocks if "--json\n" in block.text]
    assert FORMATS.names("JSON of sequence", "key") == list(json.loads(block.output))


@pytest.mark.slow
def test_arrays_have_the_types_and_shapes_of_their_table(example: Path) -> None:
    sizes = {"N": 3, "H": 28, "W": 140, "L": 4, "C": 10}
    table = re.findall(
        r"^\| `(\w+)` \| (\w+)[^|]* \| \(([^)]+)\) \| `", FORMATS.text, re.MULTILINE
    )
    said = {
        name: (kind, tuple(sizes.get(axis) or int(axis) for axis in re.findall(r"\w+", axes)))
        for name, kind, axes in table
    }
    arrays = np.load(example / "example-npz" / "data.npz")
    assert said == {
        name: (str(array.dtype), array.shape)
        for name, array in arrays.items()
        if name not in LICENCE
    }


def test_the_tables_of_streams_are_those_of_the_program() -> None:
    uses = re.findall(r"^\| `([A-Z]+)` \| (\d+) \|", RANDOMNESS.text, re.MULTILINE)
    assert uses == [(use.name, str(use.value)) for use in Use]
    distortions = re.findall(
        r"^\| `(\w+)` \| (\d+) \| (\d) \| (\w+) \|$", RANDOMNESS.text, re.MULTILINE
    )
    assert distortions == [
        (
            name,
            str(record.use),
            str(record.n_strengths),
            "digit" if record.stage in ("geometry", "shape") else "image",
        )
        for name, record in AUGMENTATIONS.items()
    ]


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    page = PAGES[name]
    for link in page.links:
        if link.startswith("https://"):
            continue
        target, _, anchor = link.partition("#")
        path = (page.path.parent / target).resolve() if target else page.path
        assert path.is_file(), link
        if anchor and target != "api.md":  # its anchors are made of the docstrings
            assert anchor in Page(path).anchors, link


def test_pictures_load_nothing_from_elsewhere() -> None:
    for path in (PROJECT / "docs" / "images").glob("*.svg"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"""(href|src)=|url\(["']?\w+:|@font-face|@import""", text), path.name


@pytest.mark.parametrize("name", ["commands.md", "mnistseq.1", "patterns.md"])
def test_the_reference_is_that_of_the_program(name: str, tmp_path: Path) -> None:
    script = PROJECT / "docs" / "reference.py"
    narrow = {"COLUMNS": "33", "TERM": "xterm-256color", "FORCE_COLOR": "1"}
    subprocess.run([sys.executable, script, tmp_path], check=True, env=os.environ | narrow)
    kept = (PROJECT / "docs" / name).read_text(encoding="utf-8")
    assert (tmp_path / name).read_text(encoding="utf-8") == kept, "run python docs/reference.py"


def test_the_man_page_is_correct_roff(tmp_path: Path) -> None:
    groff = shutil.which("groff")
    if not groff:
        pytest.skip("groff is not installed")
    page = str(PROJECT / "docs" / "mnistseq.1")
    result = run([groff, "-man", "-Tutf8", "-ww", "-rLL=80n", page], tmp_path)
    assert not result.stderr
    assert "mnistseq sequence" in result.stdout


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_distortion_is_documented(name: str) -> None:
    record = AUGMENTATIONS[name]
    assert re.search(
        rf"`{name}={re.escape(record.default)}` \| \w+ \| {record.unit} \| {record.summary}",
        PAGES["docs/distortions.md"].text,
    )


def test_every_public_name_is_in_the_reference() -> None:
    listed = re.findall(r"^::: mnistseq_cli\.(\S+)$", PAGES["docs/api.md"].text, re.MULTILINE)
    # Read without PyTorch.
    streams = Path(mnistseq_cli.__file__).with_name("torch") / "__init__.py"
    names = re.findall(r'^    "(\w+)",$', streams.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted([*mnistseq_cli.__all__, *(f"torch.{name}" for name in names)])
