from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.formats import open_label_style
from mnistseq_cli.formats.base import Fragments
from mnistseq_cli.recipe import Recipe
from tests.helpers.shelf import Shelf

if TYPE_CHECKING:
    from mnistseq_cli.compose.samples import Block
    from mnistseq_cli.glyphs.glyph_set import GlyphSet


def write_labels(tmp_path: Path, style: str, names: list[str], block: Block) -> bytes:
    with TemporaryDirectory() as scratch:
        labels, writer = open_label_style(style), Shelf(tmp_path, "", Path(scratch) / "0")
        labels.write(names, block, writer)
        labels.join([Fragments("", Path(scratch), ["0"])], writer)
    return next(tmp_path.iterdir()).read_bytes()


def make_block(glyphs: GlyphSet, **recipe: Any) -> Block:
    chosen: dict[str, Any] = {"length": (1, 5), "count": 40, "seed": 3} | recipe
    return SequenceGenerator(Recipe(**chosen), glyphs).block(0, chosen["count"])


def test_csv_is_read_back_with_leading_zeros(tmp_path: Path, glyphs: GlyphSet) -> None:
    block = make_block(glyphs, length=None, texts=("007", "0", "10"), count=9)
    names = [f"images/{i}.png" for i in range(9)]
    written = write_labels(tmp_path, "csv", names, block)
    assert written.startswith(b"file_name,text\nimages/0.png,007\nimages/1.png,0\n")
    rows = list(csv.DictReader(io.StringIO(written.decode())))
    assert rows == [
        {"file_name": name, "text": text} for name, text in zip(names, block.texts, strict=True)
    ]


def test_csv_quotes_names_that_need_it(tmp_path: Path, glyphs: GlyphSet) -> None:
    names = ['a,"b"/0.png', "plain/1.png"]
    written = write_labels(tmp_path, "csv", names, make_block(glyphs, count=2))
    assert [row["file_name"] for row in csv.DictReader(io.StringIO(written.decode()))] == names
    assert b"\nplain/1.png," in written


@pytest.mark.parametrize("edges", [False, True])
@pytest.mark.parametrize("spacing", [(2, 10), (-5, 0)])
def test_a_json_line_says_all_that_is_known_of_a_sample(
    tmp_path: Path, glyphs: GlyphSet, *, edges: bool, spacing: tuple[int, int]
) -> None:
    if edges and spacing[0] < 0:
        pytest.skip("edges take no negative gaps")
    block = make_block(glyphs, edges=edges, spacing_px=spacing)
    names = [f'ä "{i}"/\\{i}.png' for i in range(len(block))]
    lines = write_labels(tmp_path, "jsonl", names, block).decode().split("\n")
    assert lines.pop() == ""
    for place, (line, name) in enumerate(zip(lines, names, strict=True)):
        sample = block[place]
        assert json.loads(line) == {
            "file_name": name,
            "text": sample.text,
            "objects": {
                "bbox": sample.boxes.tolist(),
                "category": [int(character) for character in sample.text],
            },
            "glyphs": sample.glyphs.tolist(),
            "gaps": sample.gaps.tolist(),
        }


@pytest.mark.parametrize("style", ["csv", "jsonl"])
def test_lines_end_alike_everywhere(tmp_path: Path, glyphs: GlyphSet, style: str) -> None:
    written = write_labels(tmp_path, style, ["a/0.png", "a/1.png"], make_block(glyphs, count=2))
    assert b"\r" not in written
    assert written.endswith(b"\n")
    assert b"a/1.png" in written
