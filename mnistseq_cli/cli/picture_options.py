"""The options that sequence, phone and batch share."""

from __future__ import annotations

import inspect
import os
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from mnistseq_cli.cli.completion import (
    AUGMENTATIONS,
    PRESETS,
    complete_augmentations,
    complete_choices,
    complete_datasets,
)
from mnistseq_cli.errors import TextError, UsageError
from mnistseq_cli.recipe import CHOICES, FlexibleWidth, Recipe
from mnistseq_cli.validation import suggest

if TYPE_CHECKING:
    from collections.abc import Callable

    from mnistseq_cli.compose.generator import SequenceGenerator
    from mnistseq_cli.errors import GlyphError


def expand(command: Callable[..., None]) -> Callable[..., None]:
    """Replace each parameter that is a dataclass of options by its fields.

    Typer sees one flat list of options; the command gets them back as values of the dataclasses.
    """
    signature = inspect.signature(command, eval_str=True)
    groups: dict[str, Any] = {
        name: parameter.annotation
        for name, parameter in signature.parameters.items()
        if is_dataclass(parameter.annotation)
    }

    @wraps(command)
    def flat(**values: Any) -> None:  # noqa: ANN401 - whatever the options hold
        for name, group in groups.items():
            values[name] = group(**{field.name: values.pop(field.name) for field in fields(group)})
        command(**values)

    own = [parameter for name, parameter in signature.parameters.items() if name not in groups]
    of_groups = [option for group in groups.values() for option in _parameters_of(group)]
    flat.__signature__ = signature.replace(parameters=[*own, *of_groups])  # type: ignore[attr-defined]
    return flat


def _parameters_of(group: type) -> list[inspect.Parameter]:
    parameters = inspect.signature(group, eval_str=True).parameters.values()
    return [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]


def check_characters(recipe: Recipe) -> None:
    """Refuse a text that the data set cannot write, if it is one of the catalogue.

    Raises
    ------
    TextError
        A character is not in its alphabet.
    """
    from mnistseq_cli.glyphs.catalog import DATASETS, MNIST
    from mnistseq_cli.glyphs.load import AUTO

    name = MNIST.name if recipe.dataset == AUTO else recipe.dataset
    if name not in DATASETS:
        return
    alphabet = DATASETS[name].alphabet
    text = "".join(recipe.texts or (recipe.digits or "",))
    if strangers := set(text) - set(alphabet):
        first = min(strangers, key=text.index)
        raise TextError(f"{first!r} is not in the alphabet of {name}; allowed: {alphabet}")


def check_glyphs(recipe: Recipe, said: str) -> None:
    """Refuse a choice of glyphs that splits would take no notice of.

    Raises
    ------
    UsageError
        There are splits, and not all glyphs are chosen.
    """
    if recipe.splits and said != "all":
        raise UsageError(
            f"--glyphs is {said!r}, which does not go with --splits: the split test is written "
            "with the test glyphs, the others with training glyphs",
            "Leave --glyphs out",
        )


def check_ending(path: Path, option: str) -> None:
    """Refuse the name of an image whose ending names no format that can be written.

    Raises
    ------
    UsageError
        There is no ending, or it is that of another format.
    """
    from mnistseq_cli.formats import IMAGE_FORMATS
    from mnistseq_cli.formats.images import open_encoder

    try:
        open_encoder(path.suffix.removeprefix(".").lower())
    except UsageError as error:
        endings = ", ".join(f".{name}" for name in IMAGE_FORMATS)
        raise UsageError(
            f"{option} is {str(path)!r}; the ending names the format, and allowed are {endings}",
            f"For example: {option} {suggest_name(path, option.strip('-') + '.png')}",
        ) from error


def suggest_name(path: Path, name: str) -> Path:
    """Give a path its right ending, or put a name behind it where it can only be a folder."""
    if path.name in {"", ".."}:
        return path / name
    return path.with_suffix(name[name.index(".") :])


def check_outside(path: Path, option: str, folder: Path) -> None:
    """Refuse a file inside the folder of a dataset, where `verify` would find it to be extra.

    Raises
    ------
    UsageError
        It is inside.
    """
    if path.resolve().is_relative_to(folder.resolve()):
        beside = os.path.normpath(folder / ".." / path.name)
        raise UsageError(
            f"{option} is {str(path)!r}, inside the dataset {folder}, which holds only its own "
            "files",
            f"Write it beside the dataset: {option} {beside}",
        )


SEED_BITS = 32  # short enough to type again
FLEXIBLE_WIDTHS: tuple[str, ...] = get_args(FlexibleWidth)
TEXT_SOURCES = ("digits", "length", "pattern", "texts")


def parse_width(value: str) -> int | str:
    """Parse the value of --width: pixels, ``natural`` or ``widest``."""
    if value in FLEXIBLE_WIDTHS:
        return value
    try:
        return int(value)
    except ValueError:
        message = f"{value!r} is not a width; allowed are pixels, {', '.join(FLEXIBLE_WIDTHS)}"
        hint = suggest(value, FLEXIBLE_WIDTHS)
        raise typer.BadParameter(f"{message}. {hint}".removesuffix(". ")) from None


def option(text: str, panel: str, *flags: str, default: str = "", **more: Any) -> Any:  # noqa: ANN401 - Typer's own
    """Declare an option that is None where the user said nothing."""
    shown = f" [default: {default}]" if default else ""
    return typer.Option(
        *flags, help=text + shown, rich_help_panel=panel, show_default=False, **more
    )


def choice(name: str, text: str, panel: str, *flags: str, default: str) -> Any:  # noqa: ANN401 - Typer's own
    """Declare an option with a fixed list of values, those of a field of the recipe."""
    return option(
        text,
        panel,
        *flags,
        default=default,
        metavar="|".join(CHOICES[name]),
        autocompletion=complete_choices(CHOICES[name]),
    )


DataDir = Annotated[
    Path | None,
    option(
        "Where data sets are cached.",
        "Glyphs",
        "--data-dir",
        default="the user data folder",
        metavar="DIR",
        envvar="MNISTSEQ_DATA_DIR",
        file_okay=False,
    ),
]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """What decides the pixels; a field is None where the user said nothing."""

    width_px: Annotated[
        Any,
        option(
            "Width of the image in pixels; natural: each as wide as its row; widest: all as wide "
            "as the widest row there can be.",
            "Picture",
            "-w",
            "--width",
            default="natural for sequence, widest for phone and batch",
            metavar="PX|natural|widest",
            parser=parse_width,
            autocompletion=complete_choices(FLEXIBLE_WIDTHS),
        ),
    ] = None
    align: Annotated[
        str | None,
        choice(
            "align",
            "Where the row stands in a wider image.",
            "Picture",
            "--align",
            default="center",
        ),
    ] = None
    fit: Annotated[
        str | None,
        choice(
            "fit",
            "Keep digits as they are, scale a row that is too wide, or resample "
            "every row to the width.",
            "Picture",
            "--fit",
            default="pad",
        ),
    ] = None
    ink: Annotated[
        str | None,
        choice("ink", "Black on white, or white on black.", "Picture", "--ink", default="black"),
    ] = None
    spacing_px: Annotated[
        tuple[int, int] | None,
        option(
            "Smallest and largest gap in pixels, both included; below 0 digits may touch.",
            "Spacing",
            "--spacing",
            default="2 10",
            metavar="MIN MAX",
        ),
    ] = None
    spacing_mode: Annotated[
        str | None,
        choice(
            "spacing_mode",
            "Each gap drawn on its own, or all gaps equal.",
            "Spacing",
            "--spacing-mode",
            default="variable",
        ),
    ] = None
    edges: Annotated[
        bool | None,
        option(
            "Left and right margins are gaps too.",
            "Spacing",
            "--edges/--no-edges",
            default="no-edges",
        ),
    ] = None
    measure: Annotated[
        str | None,
        choice(
            "measure",
            "Gaps between ink, or between 28-pixel cells.",
            "Spacing",
            "--measure",
            default="ink",
        ),
    ] = None
    dataset: Annotated[
        str | None,
        option(
            "Data set by name, or a path: IDX files, a Keras npz, a folder of folders.",
            "Glyphs",
            "--dataset",
            default="auto",
            metavar="NAME|PATH",
            autocompletion=complete_datasets,
        ),
    ] = None
    glyphs: Annotated[
        str | None,
        choice(
            "glyphs",
            "Which split of the data set to write with.",
            "Glyphs",
            "--glyphs",
            default="train",
        ),
    ] = None
    one_hand: Annotated[
        bool | None,
        option(
            "Write each number as if one person had: the same slant and pen.",
            "Glyphs",
            "--one-hand/--any-hands",
            default="any-hands",
        ),
    ] = None
    augment: Annotated[
        list[str] | None,
        option(
            f"Distort: NAME, NAME=VALUE, NAME=LOW..HIGH, or a preset ({', '.join(PRESETS)}); can "
            f"be given several times. Names: {', '.join(AUGMENTATIONS)}.",
            "Distortions",
            "--augment",
            metavar="NAME[=VALUE]",
            autocompletion=complete_augmentations,
        ),
    ] = None
    augment_prob: Annotated[
        float | None,
        option(
            "How likely each distortion is, for each digit or image, from 0 to 1.",
            "Distortions",
            "--augment-prob",
            default="1",
            metavar="P",
        ),
    ] = None
    data_dir: DataDir = None
    seed: Annotated[
        int | None,
        option(
            "Makes a run repeatable: the same number from 0 on, the same pictures.",
            "Running",
            "--seed",
            default="drawn, shown and saved",
            metavar="N",
        ),
    ] = None
    recipe: Annotated[
        Path | None,
        option(
            "A saved recipe to start from; other options change it.",
            "Running",
            "--recipe",
            metavar="FILE",
        ),
    ] = None

    def open_generator(self, defaults: dict[str, Any], given: dict[str, Any]) -> SequenceGenerator:
        """Open what the user asked for: glyphs are downloaded, with bars, where they must be.

        Parameters
        ----------
        defaults : dict
            Values of the command, used without a saved recipe.
        given : dict
            Values of the command's own options; None where the user said nothing.
        """
        from mnistseq_cli.cli.progress import DownloadBars, warn_of_pen
        from mnistseq_cli.compose.generator import SequenceGenerator
        from mnistseq_cli.glyphs.load import load_glyphs, resolve_dataset

        recipe = self.make_recipe(defaults, given)
        check_characters(recipe)
        if recipe.augment:  # what is wrong is said before a download
            from mnistseq_cli.distortions import make_pipeline

            make_pipeline(recipe.augment, recipe.augment_prob)
        missed: list[GlyphError] = []
        unkept: list[GlyphError] = []
        with DownloadBars(self.data_dir) as bars:
            dataset = resolve_dataset(recipe.dataset, self.data_dir, bars, missed.append)
            glyphs = load_glyphs(dataset, recipe.glyphs, self.data_dir, bars, unkept.append)
        warn_of_pen(missed, unkept)
        return SequenceGenerator(replace(recipe, dataset=dataset), glyphs)

    def make_recipe(self, defaults: dict[str, Any], given: dict[str, Any]) -> Recipe:
        """Make the recipe: what was given, over a saved recipe, over defaults."""
        own = {field.name: getattr(self, field.name) for field in fields(self)} | given
        said = {key: value for key, value in own.items() if value is not None}
        for name in ("data_dir", "recipe"):
            said.pop(name, None)
        base = defaults if self.recipe is None else Recipe.load(self.recipe).to_dict()
        if said.keys() & set(TEXT_SOURCES):
            base = {key: value for key, value in base.items() if key not in TEXT_SOURCES}
        if "augment_prob" in said and not (base | said).get("augment"):
            raise UsageError(
                f"--augment-prob is {self.augment_prob:g}, but nothing is distorted; it goes with "
                "--augment",
                "For example: --augment medium",
            )
        if said.keys() & {"dataset", "glyphs"}:
            base = {key: value for key, value in base.items() if key != "glyphs_sha256"}
        import secrets

        return Recipe.from_dict({"seed": secrets.randbits(SEED_BITS)} | base | said)
