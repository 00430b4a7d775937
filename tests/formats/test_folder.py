from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistseq_cli.bulk.run import run
from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.compose.samples import Block
from mnistseq_cli.errors import UsageError
from mnistseq_cli.formats import LABEL_STYLES, Output
from mnistseq_cli.formats.names import NameTemplate
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from mnistseq_cli.recipe import Recipe
from tests.helpers.bulk_cases import Case, read_tree


@cache
def make_block(glyphs: GlyphSet, start: int) -> Block:
    recipe = Recipe(length=(1, 3), count=3000, seed=1)
    return SequenceGenerator(recipe, glyphs).block(start, start + 20)


def test_names_come_from_index_thousand_and_text(glyphs: GlyphSet) -> None:
    block = make_block(glyphs, 1999)
    first, second, *_ = NameTemplate(Output(folder=Path("out")).name, "png").fill(block)
    assert (first, second) == ("images/00001/00001999.png", "images/00002/00002000.png")
    names = NameTemplate("{text}/{{100%d}}_{index:4d}-{shard}", "jpg").fill(block)
    assert names[0] == f"{block.texts[0]}/{{100%d}}_1999-1.jpg"


SPECIAL = """
images/{shard} /images/{index} ../{index} a/../../{index} a//{index} ./{index} {index}/
a\\{index} C:/{index} {index}{text} {text}{index} {index}0{text} {index:.2f} {index:e}
{index!r} {index:{shard}} {text.__class__}-{index} {indx} {}-{index} {index {text:.1}-{index}
.mnistseq/{index} labels.csv/{index} LABELS.csv/{index} labels.csv/more/{index}
easyocr/labels.csv/{index} Dataset.json/{index} texts.txt/{index}
"""
WINDOWS = "CON/{index} com{index} nul.{index} COM¹/{index} conin$/{index} a./{index}"
REFUSED = {
    ".": [*SPECIAL.split(), "{index}\n", ""],  # these could lose or misplace images
    "ending": ["{index}.png", "images/{index}.JPEG"],
    "control": ["a\u2028{index}", "a\x85{index}"],
    "Windows": [*WINDOWS.split(), "con .{index}", "a /{index}"],
    "Hugging Face": ["test_{index:04d}", "train/{index}", "a-val-{index}"],
    "utf-8": ["\udcff{index}"],
}


@pytest.mark.parametrize("why", REFUSED)
def test_names_that_a_system_or_a_reader_takes_amiss_are_refused(why: str) -> None:
    for name in REFUSED[why]:
        with pytest.raises(UsageError, match=why):
            Output(folder=Path("out"), name=name)
    Output(folder=Path("out"), name="contest/value-{index}.{shard}")


def test_no_folder_of_images_is_a_file_of_the_dataset(glyph_folder: Path, tmp_path: Path) -> None:
    texts = {"length": None, "texts": ("12", "7")}
    for number, splits in enumerate([(), ("train=1", "val=1")]):
        recipe = {"count": 4, "splits": splits, **texts}
        out = tmp_path / str(number)
        run(Case(glyph_folder, recipe, {"labels": tuple(LABEL_STYLES)}).plan(out), workers=0)
        names = {name.removeprefix("train/").removeprefix("val/") for name in read_tree(out)}
        others = (".mnistseq", "images/", "labels/", "masks/", "Annotations/")
        own = [name for name in names if not name.startswith(others)]
        # COCO and VOC have a file a split; masks have none.
        assert len(own) == 5 + len(LABEL_STYLES) - 1 + 2 * len(splits[1:])
        for name in own:
            with pytest.raises(UsageError, match="is a file of the dataset"):
                NameTemplate(f"{name}/{{index}}", "png")
    NameTemplate("labels.csv.d/{index}", "png")


@given(st.lists(st.sampled_from(["{index}", "{index:03d}", "{text}", "{shard}", *"a-/7"])))
def test_a_template_names_every_sample_differently(glyphs: GlyphSet, pieces: list[str]) -> None:
    try:
        template = NameTemplate("".join(pieces), "png")
    except UsageError:
        return
    names = [name for start in (0, 95, 990) for name in template.fill(make_block(glyphs, start))]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"to": "foldr"}, "Did you mean 'folder'"),
        ({"labels": ("cvs",)}, "Did you mean 'csv'"),
        ({"labels": ("json",)}, "Did you mean 'jsonl'"),
        ({"name": "{indx}"}, "'index'"),
        # What misleads the readers of labels.
        ({"labels": ("easyocr",), "name": "x,{index}"}, "hold no ','"),
        ({"labels": ("masks",), "name": "masks/{index}"}, "no image lies in masks"),
        ({"labels": ("yolo",), "name": "{index}"}, "begin with images/"),
        ({"labels": ("yolo",), "name": "images/more/images/{index}"}, "begin with images/"),
    ],
)
def test_what_cannot_be_asked_for_is_explained(values: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        Output(folder=Path("out"), **values)
    assert words in str(caught.value)
    assert Output(folder=Path("out"), labels=("csv", "csv")).labels == ("csv",)
