"""What a dataset of ours was made from, where that is at hand: nothing is fetched or drawn."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mnistseq_cli.bulk.deal import open_splits
from mnistseq_cli.bulk.splits import Split, cut, parse_weights
from mnistseq_cli.compose.augment import Plan, make_plan
from mnistseq_cli.errors import GlyphError, OutputError
from mnistseq_cli.glyphs.cache import find_raw_dir, look
from mnistseq_cli.glyphs.catalog import DATASETS, DRAWN, SPLITS
from mnistseq_cli.glyphs.drawn import is_drawn
from mnistseq_cli.glyphs.load import AUTO
from mnistseq_cli.recipe import Recipe, read_texts

if TYPE_CHECKING:
    from pathlib import Path

    from mnistseq_cli.compose.augment.table import Stage
    from mnistseq_cli.compose.render import SequenceGenerator
    from mnistseq_cli.inspection.dataset import Dataset


@dataclass(frozen=True)
class Origin:
    """What a dataset was made from.

    Parameters
    ----------
    recipe : Recipe
    splits : tuple of Split
        One without a name if there are none.
    data_dir : Path, optional
        Where glyphs are cached.
    """

    recipe: Recipe
    splits: tuple[Split, ...]
    data_dir: Path | None = None

    @property
    def distortions(self) -> Plan:
        """The distortions of the recipe."""
        return make_plan(self.recipe.augment, self.recipe.augment_prob)

    def open(self, *stages: Stage) -> dict[str, SequenceGenerator]:
        """Make the generator of each split, with no distortions but those of some stages.

        What another distortion draws does not change.

        Raises
        ------
        GlyphError
            The glyphs are not those the dataset was made with.
        """
        kept = Plan(self.distortions.at(*stages), self.recipe.augment_prob)
        recipe = replace(self.recipe, augment=kept.spell_out())
        try:
            return open_splits(recipe, self.splits, self.data_dir)
        except GlyphError as error:
            raise GlyphError(error.message) from error  # its hint is for who makes a dataset


def find_origin(dataset: Dataset, data_dir: Path | None = None) -> Origin:
    """Find what a dataset was made from.

    Parameters
    ----------
    dataset : Dataset
        With a recipe.
    data_dir : Path, optional
        Where glyphs are cached.

    Raises
    ------
    MnistseqError
        The recipe cannot be used, or its glyphs or texts are not at hand.
    """
    values = dict(dataset.recipe or {})
    if isinstance(values.get("texts"), dict):
        values["texts"] = _load_texts(dataset.folder, values["texts"])
    recipe = Recipe.from_dict(values)
    _check_glyphs(recipe, data_dir)
    splits = cut(parse_weights(recipe.splits), recipe.count)
    return Origin(recipe, splits, data_dir)


def _load_texts(folder: Path, listed: dict[str, Any]) -> tuple[str, ...]:
    path = folder / str(listed.get("file"))
    texts = read_texts(path)
    data = "\n".join(texts) + "\n"
    if hashlib.sha256(data.encode()).hexdigest() != listed.get("sha256"):
        raise OutputError(f"{path} does not hold the texts that the dataset was made from")
    return texts


def _check_glyphs(recipe: Recipe, data_dir: Path | None) -> None:
    if not recipe.glyphs_sha256 or recipe.dataset == AUTO:
        raise GlyphError("the recipe does not say which glyphs it was made with")
    names = [name for name in SPLITS if recipe.glyphs in {name, "all"}]
    known = DATASETS.get(recipe.dataset)
    if known:
        raw_dir = find_raw_dir(known, data_dir)
        is_there = all(look(file, raw_dir).unpacked for file in known.files(tuple(names)))
    else:
        drawn = recipe.dataset in DRAWN
        is_there = all(is_drawn(recipe.dataset, name, data_dir) for name in names if drawn)
    if not is_there:
        raise GlyphError(
            f"the glyphs of {recipe.dataset} are not at hand",
            f"Get them: mnistseq download {recipe.dataset}",
        )
