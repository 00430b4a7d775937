import base64
import hashlib
import itertools
import os
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from mnistseq_cli.bulk.run import run as make_numbers
from mnistseq_cli.inspection.figures import Survey
from mnistseq_cli.inspection.predictions import ReaderFigures
from mnistseq_cli.inspection.report import make_confusion, make_page, write_report
from mnistseq_cli.inspection.survey import survey
from tests.helpers.bulk_cases import Case
from tests.helpers.program import Run
from tests.helpers.report_cases import (
    COUNT,
    NASTY,
    make_dataset,
    read_all,
    survey_nasty,
    write_predictions,
)

pytest.importorskip("jinja2", reason="Jinja2 is not installed: reports need it")

VOID = {"img", "input", "link", "meta", "br", "hr"}


class Page(HTMLParser):
    """What is in a page: elements, their text, and whether they are nested properly."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "script" not in self._open and "style" not in self._open:
            self.texts.append(data)

    def find(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def found(glyph_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Survey:
    return survey(make_dataset(tmp_path_factory.mktemp("data") / "my numbers", glyph_folder))


@pytest.fixture(scope="module")
def reader(found: Survey, tmp_path_factory: pytest.TempPathFactory) -> ReaderFigures:
    path = tmp_path_factory.mktemp("reads") / "read.csv"
    return read_all(write_predictions(path, found), found)


@pytest.fixture(scope="module")
def html(found: Survey, reader: ReaderFigures) -> str:
    return make_page(found, reader)


def test_the_page_is_well_formed_and_needs_nothing_else(html: str) -> None:
    page = Page(html)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {one["href"][1:] for one in page.find("a")} <= set(ids)
    assert {"main", "header", "footer", "nav", "h1"} <= {tag for tag, _ in page.elements}
    assert page.find("html") == [{"lang": "en"}]
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == max(after - before for before, after in itertools.pairwise(levels)) == 1
    for tag, attributes in page.elements:
        for name in {"src", "href", "data", "action", "srcset", "poster"} & {*attributes}:
            assert attributes[name].startswith(("data:", "#")), (tag, attributes)
    assert "://" not in html
    assert "@import" not in html
    assert set(re.findall(r"url\((.)", html)) <= {"#"}
    (policy,) = [one["content"] for one in page.find("meta") if "http-equiv" in one]
    (script,) = re.findall(r"<script>(.*?)</script>", html, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


def test_the_pictures_are_those_of_the_dataset(html: str, found: Survey) -> None:
    page = Page(html)
    assert all(one["alt"] for one in page.find("img"))
    plots = [one for one in page.find("svg") if one.get("aria-hidden") != "true"]
    assert len(plots) >= 4
    assert all(one["role"] == "img" and one["aria-label"] for one in plots)
    gallery = html[html.index('id="samples"') :]
    data = re.findall(r'src="data:image/png;base64,([^"]+)"', gallery)
    assert len(data) == len(found.samples)
    for code, seen in zip(data, found.samples, strict=True):
        np.testing.assert_array_equal(iio.imread(base64.b64decode(code)), seen.image)
    seen = found.samples[0]
    assert seen.boxes is not None
    for x, y, width, height in seen.boxes.tolist():
        assert f'<rect x="{x}" y="{y}" width="{width}" height="{height}"/>' in gallery


def test_the_page_says_what_was_found(html: str, found: Survey, reader: ReaderFigures) -> None:
    words = " ".join("".join(Page(html).texts).split())
    right, n = reader.all.n_right, reader.all.n_samples
    assert found.gaps is not None
    for said in (
        "my numbers",
        f"{len(found.samples)} of {COUNT} images, evenly chosen.",
        f"p = {found.gaps.p_value:.3f}",
        f"mnistseq batch --recipe '{found.folder / 'recipe.toml'}' -o again",
        "spacing_px = [0, 6]",
        f"{100 * right / n:.2f} % ({right:,} of {n:,} images)",
        f"{reader.n_missing:,} images left out of all other figures",
        "Worst cases",
    ):
        assert said in words
    assert html.count('data-state="none"') == reader.n_missing
    assert html.count('data-state="right"') == right
    bare = make_page(found)
    assert "reader" not in "".join(Page(bare).texts)
    assert 'name="state"' not in bare


def test_the_table_of_confusion_counts_what_was_read_as_what() -> None:
    counts = {("", "7"): 2, ("1", "1"): 5, ("1", "7"): 3, ("7", ""): 4, ("7", "x"): 1}
    table = make_confusion(counts)
    assert table["columns"] == ["1", "7", "other", "missed"]
    rows = [[row["name"], *(cell[0] for cell in row["cells"])] for row in table["rows"]]
    assert rows == [["1", 5, 3, 0, 0], ["7", 0, 0, 1, 4]]
    assert [row["accuracy"] for row in table["rows"]] == [5 / 8, 0]
    assert table["inserted"] == [(0, 0), (2, 1), (0, 0)]


EDITS = {
    "350": ("356", "35<mark>6</mark>"),
    "351": ("31", "3<del>5</del>1"),
    "352": ("3752", "3<ins>7</ins>52"),
    "<": ("&", "<mark>&amp;</mark>"),
    "7": ("", "<del>7</del>"),
}


def test_edits_are_marked(found: Survey, tmp_path: Path) -> None:
    samples = tuple(
        replace(found.samples[0], name=f"{n}.png", split="", text=text)
        for n, text in enumerate(EDITS)
    )
    reads = "".join(f"{n}.png,{read}\n" for n, (read, _) in enumerate(EDITS.values()))
    (tmp_path / "read.csv").write_text("file_name,text\n" + reads)
    few = replace(found, samples=samples)
    page = make_page(few, read_all(tmp_path / "read.csv", few))
    for _, marked in EDITS.values():
        assert page.count(f'read <span class="text">{marked}</span>') == 2  # worst cases, gallery


def test_what_comes_from_a_dataset_stays_text(tmp_path: Path) -> None:
    found = survey_nasty(tmp_path / "<u>&")
    path = tmp_path / "<s>.csv"
    path.write_text(
        "file_name,text\n"
        + "".join(f'"{seen.split}/{seen.name}",<em>&\n' for seen in found.samples),
        encoding="utf-8",
    )
    (found.folder / "recipe.toml").write_text('pattern = "</pre><script>"')
    page = Page(make_page(found, read_all(path, found)))
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"b", "i", "u", "s", "em"}
    assert len(page.find("script")) == 1
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
    shown = [one["data-text"] for one in page.find("li") if "data-text" in one]
    assert shown[-len(NASTY) :] == list(NASTY)
    words = "".join(page.texts)
    for word in (*NASTY, "'x' & <y>.png", "<u>&", "<s>.csv", "</pre><script>"):
        assert word in words


def test_the_page_is_same(html: str, found: Survey, reader: ReaderFigures, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("old")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from mnistseq_cli.inspection.report import write_report\n"
        "from tests.helpers.report_cases import read_all, survey\n"
        "found = survey(Path(sys.argv[2]))\n"
        "write_report(Path(sys.argv[4]), found, read_all(Path(sys.argv[3]), found))\n"
    )
    words = [Path(__file__).parents[2], found.folder, reader.predictions.path, path]
    environment = os.environ | {"PYTHONHASHSEED": "7", "LC_ALL": "C", "TZ": "Asia/Tokyo"}
    subprocess.run([sys.executable, "-c", code, *map(str, words)], check=True, env=environment)
    assert path.read_text(encoding="utf-8") == html
    assert [one.name for one in tmp_path.iterdir()] == ["page.html"]
    strange = replace(found, samples=(replace(found.samples[0], text="3\ud8005"),))
    write_report(path, strange)  # no Unicode, but shown
    assert "3&#55296;5" in path.read_text(encoding="utf-8")


DATASETS = """phone -n 5 --to npz
batch -n 1 --digits 7
batch -n 9 --length 2 9 --spacing -5 300 --width natural
batch -n 9 --length 2 2 --ink white --edges"""


def test_every_kind_of_dataset_has_a_page(run: Run, tmp_path: Path) -> None:
    for number, words in enumerate(DATASETS.splitlines()):
        assert run(f"{words} --seed 1 --workers 1 -o {number}").status == 0
        Page(make_page(survey(tmp_path / f"{number}")))


def test_the_page_names_its_sources(found: Survey, glyph_folder: Path, tmp_path: Path) -> None:
    assert {source.n_recipe for source in found.sources.values()} == {0}
    folder = tmp_path / "out"
    make_numbers(Case(glyph_folder, output={"to": "idx"}).plan(folder), workers=0)
    for page, source in ((found, "labels"), (survey(folder), "recipe")):
        words = " ".join("".join(Page(make_page(page)).texts).split())
        assert f"Taken from the {source}. Compared with the uniform" in words
        assert re.search(rf"Glyphs.* on average; .*; from the {source}", words)
        assert f"They are from the {source}." in words
        assert "cannot be taken" not in words
    (folder / "dataset.json").write_text(
        (folder / "dataset.json").read_text().replace('"seed": 5', '"seed": 6')
    )
    words = " ".join("".join(Page(make_page(survey(folder))).texts).split())
    assert "Unknown are boxes, gaps and glyphs: this dataset does not hold them" in words
    assert "the text of 0 is not what the recipe makes" in words
    assert "Taken from" not in words
