"""The options that sequence, phone and batch share: what decides the pixels."""

from __future__ import annotations

import gc
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnistseq_cli.cli.console import say, warn
from mnistseq_cli.errors import CacheError, GlyphError, LayoutError, TextError, UsageError

if TYPE_CHECKING:
    from mnistseq_cli.compose.generator import SequenceGenerator
    from mnistseq_cli.recipe import Recipe


@dataclass(kw_only=True, eq=False, repr=False)  # completion makes the class anew at each TAB
class Picture:
    """What decides the pixels; a field is None where the user said nothing."""

    width_px: Any = None
    height_px: int | None = None
    margin_px: Any = None
    unlabelled: str | None = None
    dashes: str | None = None
    align: str | None = None
    fit: str | None = None
    ink: str | None = None
    spacing_px: tuple[int, int] | None = None
    touching: float | None = None
    spacing_mode: str | None = None
    edges: bool | None = None
    measure: str | None = None
    dataset: str | None = None
    glyphs: str | None = None
    polarity: str | None = None
    one_hand: bool | None = None
    augment: list[str] | None = None
    augment_prob: float | None = None
    paper: list[str] | None = None
    data_dir: Path | None = None
    seed: int | None = None
    recipe: str | None = None

    def open_generator(self, defaults: dict[str, Any], given: dict[str, Any]) -> SequenceGenerator:
        """Open what the user asked for; glyphs are downloaded where they must be.

        `given` has the values of the command's own options, None where the user said nothing;
        `defaults` are those of the command, used without a saved recipe.
        """
        from mnistseq_cli.cli.progress import Display
        from mnistseq_cli.compose.generator import SequenceGenerator
        from mnistseq_cli.glyphs.cache import find_data_dir
        from mnistseq_cli.glyphs.load import load_glyphs, resolve_dataset
        from mnistseq_cli.recipe import NAMED_RECIPES, WIDTH_LIMIT_PX

        gc.freeze()  # NumPy stays loaded as well; see `mnistseq_cli.__main__`
        recipe = self.make_recipe(defaults, given)
        _check_before_download(recipe)
        missed: list[GlyphError] = []
        unkept: list[GlyphError] = []
        with Display("bytes") as display:
            dataset = resolve_dataset(recipe.dataset, self.data_dir, display.show, missed.append)
            how = (self.data_dir, display.show, unkept.append)
            glyphs = load_glyphs(dataset, recipe.glyphs, *how, polarity=recipe.polarity)
        if display.n_complete and not unkept:
            say(f"Glyphs are kept in {find_data_dir(self.data_dir)}; change it with --data-dir.")
        _warn_of_pen(missed, unkept)
        if glyphs.writers is None:  # what options ask for is done as well as it can be
            wants_one_hand = self.one_hand or self.recipe in NAMED_RECIPES
            if wants_one_hand and recipe.hand == "writer":
                recipe = replace(recipe, hand="alike")
            if given.get("splits"):
                recipe = replace(recipe, splits_by="glyph")
        generator = SequenceGenerator(replace(recipe, dataset=dataset), glyphs)
        if (generator.width_px or 0) > WIDTH_LIMIT_PX:
            raise LayoutError(
                f"the widest row needs {generator.width_px:,} px; images are at most "
                f"{WIDTH_LIMIT_PX:,} px wide",
                f"Use smaller gaps (--spacing), shorter texts, or --width {WIDTH_LIMIT_PX} with "
                "--fit shrink",
            )
        return generator

    def make_recipe(self, defaults: dict[str, Any], given: dict[str, Any]) -> Recipe:
        """Return the recipe: what was given, over a saved recipe, over defaults."""
        from mnistseq_cli.recipe import SEED_BITS, TEXT_SOURCES, Recipe

        own = vars(self) | {"data_dir": None, "recipe": None} | given
        said = {key: value for key, value in own.items() if value is not None}
        if (one_hand := said.pop("one_hand", None)) is not None:
            said.setdefault("hand", "writer" if one_hand else "any")
        if said.get("splits"):
            said.setdefault("splits_by", "writer")
        if isinstance(margin_px := said.get("margin_px"), int):
            said["margin_px"] = (margin_px, margin_px)
        base = defaults if self.recipe is None else read_recipe(self.recipe, self.height_px)
        replaced = {*TEXT_SOURCES} if said.keys() & {*TEXT_SOURCES} else set()
        if said.keys() & {"dataset", "glyphs", "polarity"}:
            replaced |= {"glyphs_sha256", "writers_sha256"}
        base = {key: value for key, value in base.items() if key not in replaced}
        if "augment_prob" in said and not (base | said).get("augment"):
            raise UsageError(
                f"--augment-prob is {self.augment_prob:g}, but nothing is distorted; it goes with "
                "--augment",
                "For example: --augment medium",
            )
        import secrets

        return Recipe.from_dict({"seed": secrets.randbits(SEED_BITS)} | base | said)


def read_recipe(value: str, height_px: int | None = None) -> dict[str, Any]:
    """Return what a built-in recipe or that of a file says, in a height if one is given."""
    from mnistseq_cli.recipe import NAMED_RECIPES, Recipe, read_named

    named = read_named(value) if value in NAMED_RECIPES else None
    recipe = Recipe.load(value) if named is None else Recipe.from_dict(named)
    values = (recipe.at_height(height_px) if height_px else recipe).to_dict()
    return values if named is None else {key: values[key] for key in named}


def _check_before_download(recipe: Recipe) -> None:
    """Raise if a distortion is none, or if a data set of the catalogue cannot write a text."""
    if recipe.augment or recipe.paper:
        from mnistseq_cli.distortions.pipeline import make_pipeline

        make_pipeline(recipe.augment, recipe.augment_prob, paper=recipe.paper)
    from mnistseq_cli.compose.texts import list_characters
    from mnistseq_cli.glyphs.catalog import DATASETS

    name = "mnist" if recipe.dataset == "auto" else recipe.dataset
    if name not in DATASETS or recipe.lengths is not None:
        return
    alphabet = DATASETS[name].alphabet
    if unknown := list_characters(recipe, alphabet) - {*alphabet}:
        from mnistseq_cli.glyphs.strokes.characters import PEN_ADDITIONS

        if unknown := unknown - {*PEN_ADDITIONS}:
            text = "".join(recipe.texts or (recipe.digits or min(unknown),))
            first = min(unknown, key=text.find)
            raise TextError(
                f"{first!r} cannot be written: {name} has only {alphabet}, and the pen "
                f"{PEN_ADDITIONS}",
                "Small letters are in --dataset emnist-balanced" if first.isalpha() else "",
            )


def say_writers_unknown(generator: SequenceGenerator) -> None:
    """Print what follows where writers are not known, and how to get them if that is possible."""
    from mnistseq_cli.glyphs.catalog import DATASETS

    glyphs, recipe = generator.glyphs, generator.recipe
    known = DATASETS.get(glyphs.name)
    effects = ["the digits of a row look alike"] * (recipe.hand == "alike")
    effects += ["splits share no glyph, but may share writers"] * bool(recipe.splits)
    can_be_had = bool(known and known.writers_from)
    if glyphs.writers is None and (effects or can_be_had):
        so = f", so {' and '.join(effects)}" if effects else ""
        more = f"; mnistseq download {glyphs.name} brings them" if can_be_had else ""
        say(f"The writers of {glyphs.name} are not known{so}{more}.")


def name_glyphs(dataset: str, split: str) -> str:
    """Return what digits are written with, such as "mnist, training glyphs"."""
    source = "built-in pen (not MNIST)" if dataset == "strokes" else dataset
    kinds = {"train": "training glyphs", "test": "test glyphs", "all": "all glyphs"}
    return f"{source}, {kinds.get(split, split)}"


def _warn_of_pen(missed: list[GlyphError], unkept: list[GlyphError]) -> None:
    """Warn why MNIST could not be had, or why what the pen drew in its place is not kept."""
    if unkept:
        why = "Glyphs cannot be kept, so that the built-in pen draws them anew each time"
        warn(f"{why}: {unkept[0].message}", unkept[0].hint)
    for error in missed:
        message, hint = error.message, error.hint
        if isinstance(error, CacheError) and unkept:
            continue
        if hint and not isinstance(error, CacheError):
            message, hint = "MNIST cannot be had; mnistseq download says why", ""
        warn(f"Using the built-in pen (--dataset strokes): {message}", hint)
