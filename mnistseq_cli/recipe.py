"""The recipe: everything that decides pixels and labels.

A recipe is a frozen, checked value. Sample i of a recipe is the same on every machine, so a saved
recipe is a dataset that takes no space.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, Self, TypedDict, cast, get_args, get_origin

from mnistseq_cli import files
from mnistseq_cli.errors import LayoutError, OutputError, TextError, UsageError
from mnistseq_cli.validation import (
    check_choice,
    check_flag,
    check_number,
    check_pair,
    check_share,
    check_text,
    check_texts,
    quote,
    suggest,
    to_int,
)

SpacingMode = Literal["variable", "fixed"]
Measure = Literal["ink", "cell"]
Align = Literal["left", "center", "right", "random"]
Fit = Literal["pad", "shrink", "stretch"]
Ink = Literal["black", "white"]
Split = Literal["train", "test", "all"]
Dashes = Literal["gap", "ink"]
Hand = Literal["any", "alike", "writer"]
Group = Literal["glyph", "writer"]
Polarity = Literal["auto", "dark-ink", "light-ink"]
FlexibleWidth = Literal["natural", "widest"]

RECIPE_VERSION = 2  # those of version 1 are read as well: what they lack has its default
RECIPE_FILE = "recipe.toml"
TEXTS_FILE = "texts.txt"
NAMED_RECIPES = ("cheque", "form", "ledger", "photo")
_NAMED = Path(__file__).parent / "recipes"
TEXT_SOURCES = ("digits", "length", "pattern", "texts")
SEED_BITS = 32  # of a seed that is drawn: short enough to type again
SEED_LIMIT = 2**63  # TOML has signed 64-bit numbers
COUNT_LIMIT = 10**10
LENGTH_LIMIT = 1000
WIDTH_LIMIT_PX = 65_535
PAGE_PX = 28  # the height by default, for which lengths without a unit of their own are meant
HEIGHT_LIMITS_PX = (16, 256)
GAP_LIMIT_PX = 10_000
_SPACING_PX = (2, 10)  # of a page of 28 px
RECIPE_LIMIT_BYTES = 2**24
_LINE_LIMIT = 2**20  # characters that are read of a line which may never end
_DOTS_LIMIT = 100
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


@dataclass(frozen=True, kw_only=True, repr=False)
class Recipe:
    """What to write, how to lay it out, with which glyphs.

    Exactly one of `digits`, `length`, `pattern` and `texts` says what to write.

    Parameters
    ----------
    digits : str, optional
        The text of every sample, such as ``"350"``.
    length : tuple of int, or int, optional
        Random digits; the number of them is uniform from MIN to MAX. A single number is both.
    pattern : str, optional
        Unique numbers: the name of a preset or a pattern such as ``"0[789]0-####-####"``.
    texts : tuple of str, optional
        Sample i writes ``texts[i % len(texts)]``.
    count : int
        Number of samples, 1 to 10**10.
    seed : int
        0 to 2**63 - 1.
    height_px : int
        Height of the images, 16 to 256; glyphs have the same height.
    width_px : int, "natural" or "widest"
        Width of the images; "widest" is the widest row that the recipe can produce, "natural"
        lets each image end where its row ends.
    margin_px : tuple of int, optional
        How much paper lies above and below the ink of each row, drawn from MIN to MAX: the row is
        scaled to the height that is left, but to at most twice its size. By default rows keep
        their size.
    spacing_px : tuple of int
        Smallest and largest gap, both included; by default 2 to 10 in a height of 28, and in
        proportion.
    spacing_mode : "variable" or "fixed"
        Each gap drawn on its own, or all gaps of a sample equal.
    touching : float
        How likely neighbours touch, 0 to 1: their ink meets and overlaps by 2 of 28 pixels at
        most. Gaps of the others are as ever.
    edges : bool
        Whether the left and right margins are gaps too.
    measure : "ink" or "cell"
        Whether gaps are measured between ink or between cells, which are squares of the height.
    align : "left", "center", "right" or "random"
        Where the row stands when pixels are left over.
    fit : "pad", "shrink" or "stretch"
        Keep digits as they are, scale a row that is too wide, or resample every row.
    ink : "black" or "white"
        Black on white, or white on black.
    dataset : str
        Name of a data set, or a path.
    glyphs : "train", "test" or "all"
        The split that glyphs come from.
    polarity : "auto", "dark-ink" or "light-ink"
        Of glyphs from a path; "auto" looks at the paper around the ink.
    hand : "any", "alike" or "writer"
        Whether the digits of a sample look as if one person had written them, or were written by
        one. The command line takes "writer" for ``--one-hand`` where writers are known.
    augment : tuple of str
        Distortions: presets, ``"NAME"``, ``"NAME=VALUE"`` or ``"NAME=LOW..HIGH"``.
    augment_prob : float
        How likely each distortion is for each digit or image, 0 to 1; of no effect without any.
    paper : tuple of str
        What the page is: kinds of paper, or folders with pictures of paper, each with how likely
        it is, such as ``"security=0.7"``; 0.5 without a number.
    splits : tuple of str
        Names and weights such as ``"train=80"``: how a bulk run deals samples, glyphs and texts
        out. A `SequenceGenerator` by itself takes no notice of them.
    splits_by : "glyph" or "writer"
        What splits do not share: glyphs, or all glyphs of a writer.
    unlabelled : str
        Characters that are written but not read, such as ``".,"``: marks, which are no part of
        `Sample.text`.
    dashes : "gap" or "ink"
        Whether a ``-`` is a wide gap, or a character that is written. Where the data set itself
        has it, it is always written; a space is always a gap.
    glyphs_sha256 : str
        Content hash of the glyphs; when given, other glyphs are refused.
    paper_sha256 : str
        Content hash of the pictures of paper; when given, others are refused.
    writers_sha256 : str
        Hash of the names of who wrote the glyphs, where `hand` or `splits_by` needs them.

    Raises
    ------
    UsageError
        A value is not allowed. The message names the value and what was expected.
    """

    digits: str | None = None
    length: tuple[int, int] | int | None = None
    pattern: str | None = None
    texts: tuple[str, ...] | None = None
    count: int = 1
    seed: int = 0
    height_px: int = PAGE_PX
    width_px: int | FlexibleWidth = "widest"
    margin_px: tuple[int, int] | None = None
    spacing_px: tuple[int, int] = cast("tuple[int, int]", None)  # follows the height
    spacing_mode: SpacingMode = "variable"
    touching: float = 0.0
    edges: bool = False
    measure: Measure = "ink"
    align: Align = "center"
    fit: Fit = "pad"
    ink: Ink = "black"
    dataset: str = "auto"
    glyphs: Split = "train"
    polarity: Polarity = "auto"
    hand: Hand = "any"
    augment: tuple[str, ...] = ()
    augment_prob: float = 1.0
    paper: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    splits_by: Group = "glyph"
    unlabelled: str = ""
    dashes: Dashes = "gap"
    glyphs_sha256: str = ""
    paper_sha256: str = ""
    writers_sha256: str = ""

    def __post_init__(self) -> None:
        for name, value in _check_each(self).items():
            object.__setattr__(self, name, value)
        _check_together(self)

    def __repr__(self) -> str:
        defaults = {field.name: field.default for field in fields(self)}
        defaults["spacing_px"] = _find_spacing(self.height_px)
        said = [name for name, default in defaults.items() if getattr(self, name) != default]
        return f"Recipe({', '.join(f'{name}={quote(getattr(self, name))}' for name in said)})"

    def at_height(self, height_px: int) -> Self:
        """Return the recipe of the same pictures in another height: lengths in pixels follow it.

        Strengths of distortions stay as they are: they are always meant for a height of 28.
        """
        height_px = check_number("height_px", height_px, *HEIGHT_LIMITS_PX)

        def scale(length_px: int) -> int:
            return scale_px(length_px, height_px, self.height_px)

        lengths_px: dict[str, Any] = {"spacing_px": tuple(map(scale, self.spacing_px))}
        if isinstance(self.width_px, int):
            lengths_px["width_px"] = max(1, scale(self.width_px))
        if self.margin_px is not None:
            lengths_px["margin_px"] = tuple(map(scale, self.margin_px))
        return replace(self, height_px=height_px, **lengths_px)

    @property
    def needs_writers(self) -> bool:
        """Whether it must be known who wrote the glyphs."""
        return self.hand == "writer" or bool(self.splits and self.splits_by == "writer")

    @property
    def lengths(self) -> tuple[int, int] | None:
        """MIN and MAX of `length`."""
        return (self.length, self.length) if isinstance(self.length, int) else self.length

    def to_dict(self) -> dict[str, Any]:
        """Return what was set, as plain values: for TOML and JSON."""
        values = {name: value for name, value in asdict(self).items() if value is not None}
        return {"version": RECIPE_VERSION} | values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Make a recipe from what `to_dict` returned.

        Raises
        ------
        UsageError
            A key is unknown, a value is not allowed, or the recipe is of a later version.
        """
        version = values.get("version", RECIPE_VERSION)
        if version not in range(1, RECIPE_VERSION + 1):
            raise UsageError(
                f"the recipe has version {quote(version)}; expected 1 to {RECIPE_VERSION}",
                "Update it: pipx upgrade mnistseq",
            )
        values = {key: value for key, value in values.items() if key != "version"}
        if version == 1 and "one_hand" in values:
            check_flag("one_hand", values["one_hand"])
            values["hand"] = "alike" if values.pop("one_hand") else "any"
        for key in values:
            check_choice("key of the recipe", key, [field.name for field in fields(cls)])
        return cls(**values)

    @classmethod
    def named(cls, name: str, **changes: object) -> Self:
        """Make a built-in recipe, such as ``Recipe.named("cheque", count=1000, seed=1)``.

        Raises
        ------
        UsageError
            There is no such recipe, or a value is not allowed.
        """
        return cls.from_dict(read_named(name) | changes)

    def save(self, folder: str | Path, options: str = "-o ../again") -> Path:
        """Write ``recipe.toml`` (and ``texts.txt``) into a folder; return the path of the recipe.

        Its first line is the command that uses it there; `options` of that say where to write.
        """
        folder, values = Path(folder), self.to_dict()
        if self.texts is not None:
            (folder / TEXTS_FILE).write_text("\n".join(self.texts) + "\n", encoding="utf-8")
            values["texts"] = TEXTS_FILE
        path = folder / RECIPE_FILE
        head = f"# Makes the same images again: mnistseq batch --recipe {RECIPE_FILE} {options}\n"
        path.write_text(head + _to_toml(values), encoding="utf-8")
        return path

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a recipe that `save` wrote.

        Raises
        ------
        UsageError
            The file is no TOML, or no recipe.
        """
        path = path if files.is_store(path) else Path(path)
        values = _read_toml(path)
        if isinstance(name := values.get("texts"), str):
            texts = files.find_inside(path.parent, name)
            if texts is None:
                raise UsageError(
                    f"{path}: texts is {quote(name)}, which is outside of the recipe's folder",
                    "Copy the file beside the recipe, or name it with --texts",
                )
            values["texts"] = read_texts(texts)
        try:
            return cls.from_dict(values)
        except UsageError as error:
            raise UsageError(f"{path}: {error.message}", error.hint) from error


class Manner(TypedDict, total=False):
    """Those fields of a `Recipe` that say how to write."""

    height_px: int
    margin_px: tuple[int, int] | None
    spacing_mode: SpacingMode
    touching: float
    edges: bool
    measure: Measure
    align: Align
    fit: Fit
    ink: Ink
    dataset: str
    glyphs: Split
    polarity: Polarity
    hand: Hand
    augment: Sequence[str]
    augment_prob: float
    paper: Sequence[str]
    unlabelled: str
    dashes: Dashes
    glyphs_sha256: str
    paper_sha256: str
    writers_sha256: str


# Their types stand as names beside the fields; `get_type_hints` would take 4 ms of every start.
CHOICES: dict[str, tuple[str, ...]] = {
    name: get_args(globals()[hint])
    for name, hint in Recipe.__annotations__.items()
    if get_origin(globals().get(hint)) is Literal
}


def _check_each(recipe: Recipe) -> dict[str, object]:
    """Return values of fields as plain ones, each checked by itself."""
    given = vars(recipe)
    height_px = check_number("height_px", recipe.height_px, *HEIGHT_LIMITS_PX)
    checked: dict[str, object] = {
        "count": check_number("count", recipe.count, 1, COUNT_LIMIT),
        "seed": check_number("seed", recipe.seed, 0, SEED_LIMIT - 1),
        "height_px": height_px,
    }
    for name in ("texts", "augment", "paper", "splits"):
        checked[name] = check_texts(name, given[name])
    if recipe.length is not None:
        both = recipe.length if to_int(recipe.length) is None else (recipe.length,) * 2
        checked["length"] = check_pair("length", both, 1, LENGTH_LIMIT)
    words = get_args(FlexibleWidth)
    if not (isinstance(recipe.width_px, str) and recipe.width_px in words):
        checked["width_px"] = check_number("width_px", recipe.width_px, 1, WIDTH_LIMIT_PX, words)
    if recipe.margin_px is not None:  # a quarter of the height, at least, is for the ink
        checked["margin_px"] = check_pair("margin_px", recipe.margin_px, 0, 3 * height_px // 8)
    said = given["spacing_px"]
    spacing_px = _find_spacing(height_px) if said is None else said
    checked["spacing_px"] = check_pair("spacing_px", spacing_px, -height_px, GAP_LIMIT_PX)
    for name, allowed in CHOICES.items():
        check_choice(name, given[name], allowed)
    check_flag("edges", recipe.edges)
    for name in ("augment_prob", "touching"):
        check_share(name, given[name])
    for name in ("dataset", "glyphs_sha256", "paper_sha256", "unlabelled", "writers_sha256"):
        if not isinstance(given[name], str):
            raise UsageError(f"is {quote(given[name])}; expected a text", field=name)
    return checked


def _check_together(recipe: Recipe) -> None:
    given = [name for name in TEXT_SOURCES if getattr(recipe, name) is not None]
    if len(given) != 1:
        found = " and ".join(given) or "none"
        raise TextError(
            f"a recipe needs one of {', '.join(TEXT_SOURCES)}; it has {found}",
            "For example: mnistseq sequence 3 5 0, or mnistseq batch --length 3 7",
        )
    if recipe.texts == ():
        raise TextError("is empty; expected at least one", field="texts")
    for text in recipe.texts or ():
        check_text("a text", text, LENGTH_LIMIT)
    for name in {"digits", "pattern"}.intersection(given):
        check_text(name, getattr(recipe, name), LENGTH_LIMIT)
    if recipe.edges and recipe.spacing_px[0] < 0:
        raise LayoutError(
            f"margins are gaps too with edges, and a gap of {recipe.spacing_px[0]} px would cut "
            "a digit off",
            "Use a MIN of 0 or more, or no edges",
        )
    if recipe.touching and recipe.spacing_mode == "fixed":
        raise UsageError(
            f"is {recipe.touching:g}, but all gaps are to be equal",
            "Leave out touching, or use spacing_mode variable",
            field="touching",
        )
    if " " in recipe.unlabelled or (recipe.unlabelled and recipe.length is not None):
        raise UsageError(
            f"is {quote(recipe.unlabelled)}; expected characters of the texts that are written, "
            "no space; random digits have none",
            field="unlabelled",
        )


def read_named(name: str) -> dict[str, Any]:
    """Return what a built-in recipe says, which is no count and no seed."""
    check_choice("recipe", name, NAMED_RECIPES)
    return _read_toml(_NAMED / f"{name}.toml")


def describe_named() -> dict[str, str]:
    """Return what each built-in recipe is for: the first line of its file."""
    texts = {name: (_NAMED / f"{name}.toml").read_text("utf-8") for name in NAMED_RECIPES}
    return {name: text.splitlines()[0].strip("# ") for name, text in texts.items()}


def scale_px(length_px: int, height_px: int, of_height_px: int = PAGE_PX) -> int:
    """Return a length on a page of one height as one on a page of another, rounded."""
    return (length_px * height_px + of_height_px // 2) // of_height_px


def _find_spacing(height_px: int) -> tuple[int, int]:
    least_px, most_px = _SPACING_PX
    return scale_px(least_px, height_px), scale_px(most_px, height_px)


def read_texts(path: Path) -> tuple[str, ...]:
    """Read texts to write, one a line; see `read_lines`."""
    return tuple(read_lines(path).values())


def read_lines(path: Path, limit: int | None = None) -> dict[int, str]:
    """Read texts by the numbers of their lines, from 1; blank lines and a BOM are passed over.

    With a limit, what follows so many texts is not read. A file without any is refused.
    """
    texts: dict[int, str] = {}
    with files.naming_damage(path, TextError), files.open_text(path) as file:
        for number, line in enumerate(iter(lambda: file.readline(_LINE_LIMIT), ""), 1):
            if text := line.strip():
                texts[number] = text
                _check_line(path, number, text)
            if len(texts) == limit:
                break
    if not texts:
        raise TextError(f"{path} holds no text; expected a number on each line")
    return texts


def _check_line(path: Path, number: int, text: str) -> None:
    if len(text) > LENGTH_LIMIT:
        many = "more" if len(text) >= _LINE_LIMIT else f"{len(text)}"
        raise TextError(
            f"{path}, line {number}: the text {quote(text)} has {many} characters; expected at "
            f"most {LENGTH_LIMIT}"
        )


def _to_toml(values: dict[str, Any]) -> str:
    import json  # noqa: PLC0415 - only when a recipe is saved

    # JSON's strings, whole numbers, booleans and lists are TOML's too, but for the delete sign.
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items()]
    return "".join(lines).replace("\x7f", "\\u007f")


def _read_toml(path: Path) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415 - only when a recipe is read

    try:
        text = files.read_file(path, limit_bytes=RECIPE_LIMIT_BYTES).decode()
        _check_keys(text)
        return tomllib.loads(text)
    except OutputError as error:
        hint = error.hint or suggest(str(path), NAMED_RECIPES)
        raise OutputError(f"cannot read the recipe: {error.message}", hint) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise UsageError(f"{path} is not a recipe: {files.describe_damage(error)}") from error


def _check_keys(text: str) -> None:
    """Raise if a key has many dots: each is a table in the one before, which takes much memory."""
    for line in text.split("\n"):
        if line.count(".") > _DOTS_LIMIT and _STRING.sub("", line).count(".") > _DOTS_LIMIT:
            raise ValueError("a key has too many dots")
