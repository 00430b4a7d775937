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
from collections.abc import Callable
from dataclasses import fields
from importlib import metadata
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from mnistseq_cli.bulk import events
from mnistseq_cli.distortions import AUGMENTATIONS
from mnistseq_cli.inspection import predictions
from mnistseq_cli.randomness import Use
from mnistseq_cli.recipe import CHOICES, Recipe
from tests.helpers.pages import (
    PAGES,
    PROGRAM,
    PROJECT,
    Block,
    Page,
    Workshop,
    find_missing,
    find_out,
    run,
    run_code,
    run_words,
    why_not,
)

README = PAGES["README.md"]
FORMATS = PAGES["docs/formats.md"]
RANDOMNESS = PAGES["docs/randomness.md"]
# Lines of shell blocks that are not ours to run.
NOT_OURS = ("pipx run ", "bash .ci/test", "python docs/")


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    root = tmp_path_factory.mktemp("workshop")
    data_dir = root / "data"
    data_dir.mkdir()
    made = Workshop(root, data_dir)
    made.furnish(root / "first")
    first = [["sequence", "0", "--dataset", "strokes", "--glyphs", "all"]]
    if (root / "first" / "Downloads").exists():
        first.append(["download", "--from", "~/Downloads"])
    for words in first:
        assert run_words(words, root / "first").returncode == 0
    return made


@pytest.fixture
def home(workshop: Workshop, tmp_path: Path) -> Path:
    workshop.furnish(tmp_path / "home")
    return tmp_path / "home"


def find_blocks(language: str) -> list[Any]:
    return [
        pytest.param(page, block, id=f"{name}:{block.line}")
        for name, page in PAGES.items()
        for block in page.blocks
        if block.language == language
    ]


@pytest.mark.parametrize(("page", "block"), find_blocks("sh"))
def test_commands_run(page: Page, block: Block, home: Path, workshop: Workshop) -> None:
    own = [find_out(words) for words in block.commands]
    if why := workshop.supply(page, block.text, own, home):
        pytest.skip(why)
    reasons = [why_not(words, home) for words in block.commands]
    for words, reason in zip(block.commands, reasons, strict=True):
        if not reason:
            result = run_words(words, home)
            assert result.returncode == 0, (words, result.stderr)
    if block.commands and all(reasons):
        pytest.skip(reasons[0])
    if block.output:
        assert result.stdout.strip() == block.output.strip()


@pytest.mark.parametrize(("page", "block"), find_blocks("sh"))
def test_lines_of_shell_are_commands(page: Page, block: Block) -> None:
    for line in block.lines:
        assert line.startswith(("mnistseq ", "#", *NOT_OURS)), (page.path, line)


@pytest.mark.parametrize(("page", "block"), find_blocks("python"))
def test_python_runs(page: Page, block: Block, home: Path, workshop: Workshop) -> None:
    if missing := find_missing(block.text):
        pytest.skip(f"{', '.join(missing)} not installed")
    if why := workshop.supply(page, block.text, [], home):
        pytest.skip(why)
    result = run_code(block.text, home)
    assert result.returncode == 0, result.stderr
    if block.output:
        assert result.stdout.strip() == block.output.strip()


@pytest.mark.parametrize("name", FORMATS.examples)
def test_examples_of_files_are_true(name: str, workshop: Workshop) -> None:
    folder, _, inside = name.partition("/")
    path, _ = workshop.make(FORMATS, folder)
    pattern = ".*".join(map(re.escape, FORMATS.examples[name].strip().split("…")))
    written = (path / inside).read_text(encoding="utf-8")
    assert re.fullmatch(pattern, written.strip(), re.DOTALL), written


def read_json(path: Path) -> Any:
    return json.loads(path.read_bytes())


def read_header(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()[0].split(",")


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
        "recipe.toml",
        "dataset.json",
    }


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
    (
        "jsonl",
        "key",
        "example-labels/metadata.jsonl",
        lambda path: json.loads(path.read_text(encoding="utf-8").splitlines()[0]),
    ),
    ("coco", "key", "example-labels/instances.json", read_json),
    (
        "coco",
        "annotation",
        "example-labels/instances.json",
        lambda path: read_json(path)["annotations"][0],
    ),
    (
        "yolo",
        "key",
        "example-labels/data.yaml",
        lambda path: re.findall(r"(?m)^\w+", path.read_text()),
    ),
    ("easyocr", "column", "example-labels/easyocr/labels.csv", read_header),
    ("mmocr", "key", "example-labels/textrecog.json", read_json),
]


@pytest.mark.parametrize(("section", "column", "name", "read"), TABLES)
def test_tables_name_the_fields_that_are_written(
    section: str, column: str, name: str, read: Callable[[Path], Any], workshop: Workshop
) -> None:
    folder, _, inside = name.partition("/")
    path, why = workshop.make(FORMATS, folder)
    if why:
        pytest.skip(why)
    assert sorted(FORMATS.names(section, column)) == sorted(read(path / inside))


def test_the_table_of_the_recipe_names_its_keys(tmp_path: Path) -> None:
    names = FORMATS.names("recipe.toml", "key")
    assert names == ["version", *(field.name for field in fields(Recipe))]
    written: set[str] = set()
    for said in ({"digits": "3"}, {"length": (1, 2)}, {"pattern": "jp"}, {"texts": ("3",)}):
        written |= tomllib.loads(Recipe(**said).save(tmp_path).read_text(encoding="utf-8")).keys()
    assert set(names) == written


def test_the_table_of_events_names_their_fields() -> None:
    rows = re.findall(r"^\| `([A-Z]\w+)` \| (.*?) ?\| ", FORMATS.text, re.MULTILINE)
    assert {name: re.findall(r"`(\w+)`", columns) for name, columns in rows} == {
        event.__name__: [field.name for field in fields(event)] for event in get_args(events.Event)
    }


def test_the_table_of_predictions_names_the_columns() -> None:
    columns = FORMATS.names("Predictions", "column")
    assert columns == [predictions.NAME_COLUMN, "text"]
    assert set(predictions.TEXT_COLUMNS) == {"text", "prediction", "label"}


def test_the_table_of_json_names_its_keys() -> None:
    (block,) = [block for block in FORMATS.blocks if "--json\n" in block.text]
    assert FORMATS.names("JSON of sequence", "key") == list(json.loads(block.output))


def test_arrays_have_the_types_and_shapes_of_their_table(workshop: Workshop) -> None:
    path, _ = workshop.make(FORMATS, "example-npz")
    sizes = {"N": 3, "W": 140, "L": 4}
    table = re.findall(
        r"^\| `(\w+)` \| (\w+)[^|]* \| \(([^)]+)\) \| `", FORMATS.text, re.MULTILINE
    )
    said = {
        name: (kind, tuple(sizes.get(axis) or int(axis) for axis in re.findall(r"\w+", axes)))
        for name, kind, axes in table
    }
    arrays = np.load(path / "data.npz")
    assert said == {name: (str(array.dtype), array.shape) for name, array in arrays.items()}


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
        if anchor:
            assert anchor in Page(path).anchors, link


def test_every_picture_is_shown() -> None:
    shown = {(page.path.parent / link).resolve() for page in PAGES.values() for link in page.links}
    for path in (PROJECT / "docs" / "images").iterdir():
        assert path in shown, path.name


def test_pictures_load_nothing_from_elsewhere() -> None:
    for path in (PROJECT / "docs" / "images").glob("*.svg"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"""(href|src)=|url\(["']?\w+:|@font-face|@import""", text), path.name


@pytest.mark.parametrize("name", ["commands.md", "mnistseq.1"])
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


def test_the_man_page_is_installed() -> None:
    files = metadata.files("mnistseq") or []
    if any(file.name.endswith(".pth") for file in files):
        pytest.skip("the package is installed in place: pages of its own are not")
    (installed,) = [file for file in files if file.name == "mnistseq.1"]
    kept = (PROJECT / "docs" / "mnistseq.1").read_text(encoding="utf-8")
    assert Path(str(installed.locate())).read_text(encoding="utf-8") == kept


def test_the_program_is_in_the_man_page(tmp_path: Path) -> None:
    text = (PROJECT / "docs" / "mnistseq.1").read_text(encoding="utf-8").replace("\\-", "-")
    for option in re.findall(
        r"--[a-z][a-z-]+", run([PROGRAM, "batch", "--help"], tmp_path).stdout
    ):
        assert option in text


def test_the_test_command_is_the_one_that_is_run() -> None:
    assert "bash .ci/test" in README.text
    assert "bash .ci/test" in (PROJECT / ".ci" / "run").read_text(encoding="utf-8")


def test_every_option_of_a_picture_is_documented() -> None:
    for name, values in CHOICES.items():
        assert f"--{name.replace('_', '-')}" in README.text
        if name != "measure":
            assert all(value in README.text for value in values)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_distortion_is_documented(name: str) -> None:
    record = AUGMENTATIONS[name]
    assert re.search(
        rf"`{name}={re.escape(record.default)}` \| \w+ \| {record.unit} \| {record.summary}",
        README.text,
    )
