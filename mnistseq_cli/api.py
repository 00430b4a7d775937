"""One call, one picture: the short way into the library."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.errors import LayoutError, TextError, UsageError
from mnistseq_cli.glyphs.glyph_set import GlyphSet
from mnistseq_cli.glyphs.load import load_glyphs, resolve_dataset
from mnistseq_cli.recipe import SEED_BITS, Manner, Recipe
from mnistseq_cli.validation import quote, suggest

# Fields of a recipe that these functions set from parameters of other names.
_PARAMETERS = {"width_px": "image_width", "spacing_px": "spacing_range", "count": "num_images"}
_EXPECTED = 'expected a text such as "350", or single digits such as [3, 5, 0]'


def generate_numbers_sequence(
    digits: str | Iterable[int],
    spacing_range: tuple[int, int] | None = None,
    image_width: int | None = None,
    *,
    seed: int | None = None,
    **more: Unpack[Manner],
) -> NDArray[np.float32]:
    """Write digits as one picture.

    Parameters
    ----------
    digits : str or iterable of int
        What to write, such as ``"350"`` or ``[3, 5, 0]``.
    spacing_range : tuple of int, optional
        Smallest and largest gap between digits in pixels, both included; by default 2 and 10 in
        a height of 28.
    image_width : int, optional
        Width of the picture in pixels; by default that of what is written.
    seed : int, optional
        Makes the call repeatable; without it every call chooses other glyphs and gaps.
    **more
        How to write, as a `Recipe` says it, such as ``dataset="mnist"`` or ``align="left"``.

    Returns
    -------
    ndarray of float32, shape (height, width)
        0 is black (ink), 1 is white (paper).

    Raises
    ------
    UsageError
        A value is not allowed, or the digits do not fit into the width.
    GlyphError
        The glyphs cannot be had.

    Examples
    --------
    >>> generate_numbers_sequence([3, 5, 0], (2, 10), 100).shape
    (28, 100)
    """
    width: int | str = "natural" if image_width is None else image_width
    given = {"digits": _join(digits), "spacing_px": spacing_range, "width_px": width}
    with _naming_parameters():
        return _to_float(_open(_make_recipe(seed, given, {**more}))[0].image)


def generate_phone_numbers(
    num_images: int,
    image_width: int | None = None,
    spacing_range: tuple[int, int] | None = None,
    *,
    pattern: str = "jp",
    seed: int | None = None,
    **more: Unpack[Manner],
) -> tuple[NDArray[np.float32], list[str]]:
    """Write phone numbers, no number twice.

    All pictures are held in memory; for many of them iterate over a `SequenceGenerator`.

    Parameters
    ----------
    num_images : int
        How many.
    image_width : int, optional
        Width of the pictures in pixels; by default that of the widest number there can be.
    spacing_range : tuple of int, optional
        Smallest and largest gap between digits in pixels, both included; by default 2 and 10 in
        a height of 28.
    pattern : str
        Name of a numbering plan, or a pattern such as ``"0[789]0-####-####"``.
    seed : int, optional
        Makes the call repeatable.
    **more
        How to write, as a `Recipe` says it.

    Returns
    -------
    images : ndarray of float32, shape (num_images, height, width)
        0 is black (ink), 1 is white (paper).
    numbers : list of str

    Raises
    ------
    UsageError
        A value is not allowed, or a number does not fit into the width.
    GlyphError
        The glyphs cannot be had.
    """
    width: int | str = "widest" if image_width is None else image_width
    given = {"pattern": pattern, "count": num_images}
    given |= {"spacing_px": spacing_range, "width_px": width}
    with _naming_parameters():
        recipe = _make_recipe(seed, given, {**more})
        block = _open(recipe).block(0, recipe.count)
    return _to_float(block.images), block.texts.tolist()


def _join(digits: object) -> str:
    if isinstance(digits, str):
        return digits
    if not isinstance(digits, Iterable) or isinstance(digits, bytes):
        raise TextError(f"digits are {quote(digits)}; {_EXPECTED}")
    written = [*map(str, digits)]
    if wrong := [digit for digit in written if len(digit) != 1]:
        raise TextError(f"digits hold {quote(wrong[0])}; {_EXPECTED}")
    return "".join(written)


def _make_recipe(seed: int | None, given: dict[str, Any], more: dict[str, Any]) -> Recipe:
    for name in more.keys() - Manner.__annotations__.keys():
        if name in Recipe.__dataclass_fields__:
            raise UsageError(
                f"{name}={quote(more[name])} is not for this function, which has its own "
                "parameters for what is written, how often, how wide and how far apart",
                f"For all that a recipe can say: SequenceGenerator(Recipe({name}=…))",
            )
        raise TypeError(f"no parameter {name!r}. {suggest(name, Manner.__annotations__)}".strip())
    return Recipe(seed=secrets.randbits(SEED_BITS) if seed is None else seed, **given, **more)


@contextmanager
def _naming_parameters() -> Iterator[None]:
    """Name in messages the parameters of these functions, not the fields of a recipe."""
    try:
        yield
    except LayoutError as error:
        ways = [f"{_PARAMETERS.get(name, name)}={value!r}" for name, value in error.remedies]
        raise LayoutError(error.message, f"Use {' or '.join(ways)}" if ways else "") from None
    except UsageError as error:
        raise error.renamed(_PARAMETERS) from None


@lru_cache(maxsize=4)
def _load(dataset: str, split: str, polarity: str) -> GlyphSet:
    return load_glyphs(resolve_dataset(dataset), split, polarity=polarity)


def _open(recipe: Recipe) -> SequenceGenerator:
    return SequenceGenerator(recipe, _load(recipe.dataset, recipe.glyphs, recipe.polarity))


def _to_float(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return images.astype(np.float32) / np.float32(255)
