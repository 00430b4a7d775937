"""Make samples again to fill in what files do not hold."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass, replace
from itertools import islice
from string import Formatter
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from mnistseq_cli.compose.splits import Split, cut, open_splits, parse_weights
from mnistseq_cli.distortions import AugmentPipeline, make_pipeline
from mnistseq_cli.errors import GlyphError, MnistseqError, OutputError
from mnistseq_cli.files import naming_damage
from mnistseq_cli.formats.arrays import Column, read_columns
from mnistseq_cli.formats.base import LoadedSample
from mnistseq_cli.glyphs.cache import is_cached
from mnistseq_cli.glyphs.catalog import DATASETS, SPLITS
from mnistseq_cli.glyphs.load import AUTO
from mnistseq_cli.inspection.figures import ASPECTS
from mnistseq_cli.recipe import Recipe, read_texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from mnistseq_cli.compose.generator import SequenceGenerator
    from mnistseq_cli.compose.samples import Block
    from mnistseq_cli.distortions.registry import Stage
    from mnistseq_cli.inspection.dataset import Dataset

_FILE = re.compile(r"(?P<index>\d+)\.\w+")
_KEY = re.compile(r"(?:.*/)?image-(?P<index>\d+)")
_ROW = re.compile(r"(?:.*/)?(?P<index>\d+)")
_Pattern: TypeAlias = "tuple[re.Pattern[str], int]"
# What names look like where they begin anew in each split, and with which number.
_ANEW: dict[str, _Pattern] = dict.fromkeys(("hdf5", "npz", "npy", "idx"), (_ROW, 0))
_ANEW["lmdb"] = (_KEY, 1)


class Numbering:
    """Finds the index of a sample.

    Parameters
    ----------
    output : dict
        What decides the files, see `Output.to_dict`.
    splits : iterable of Split
    """

    def __init__(self, output: dict[str, Any], splits: Iterable[Split]) -> None:
        self._splits = {split.name: split for split in splits}
        self._is_anew = output["to"] in _ANEW
        self._pattern, self._first = _ANEW.get(output["to"], (_FILE, 0))
        if output["to"] == "folder":
            self._pattern = _read_template(output["name"], output["image_format"])

    def find(self, seen: LoadedSample) -> int | None:
        """Give the index; None where the name is none that the recipe gives to its split."""
        match, split = self._pattern.fullmatch(seen.name), self._splits.get(seen.split)
        if match is None or split is None:
            return None
        index = int(match["index"])
        if self._is_anew:
            index += split.start - self._first
        return index if split.start <= index < split.stop else None


def name_with_split(seen: LoadedSample) -> str:
    """Give the name of a sample after its split and a ``/``, where there are splits."""
    prefix = f"{seen.split}/" if seen.split else ""
    return prefix + seen.name.removeprefix(prefix)


def _read_template(template: str, ending: str) -> re.Pattern[str]:
    """Give what names of a template look like; see `mnistseq_cli.formats.names`.

    Texts hold no ``/``, and two fields stand apart. Label files may put a path before a name.
    """
    pieces = [r"(?:\.\./)*"]
    has_index = False
    for literal, field, _, _ in Formatter().parse(template):
        pieces.append(re.escape(literal))
        if field == "index" and not has_index:
            pieces.append(r"(?P<index>\d+)")
            has_index = True
        elif field is not None:
            pieces.append("[^/]*" if field == "text" else r"\d+")
    return re.compile("".join(pieces) + re.escape(f".{ending}"))


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
    def distortions(self) -> AugmentPipeline:
        """The distortions of the recipe."""
        return make_pipeline(self.recipe.augment, self.recipe.augment_prob)

    def open(self, *stages: Stage) -> dict[str, SequenceGenerator]:
        """Make the generator of each split, with no distortions but those of some stages.

        What another distortion draws does not change.

        Raises
        ------
        GlyphError
            The glyphs are not those the dataset was made with.
        """
        kept = AugmentPipeline(self.distortions.at(*stages))
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
    names = tuple(name for name in SPLITS if recipe.glyphs in {name, "all"})
    known = DATASETS.get(recipe.dataset)
    if known and not is_cached(known, data_dir, names):
        raise GlyphError(
            f"the glyphs of {recipe.dataset} are not at hand",
            f"Get them: mnistseq download {recipe.dataset}",
        )


_ARRAYS = ("hdf5", "npz", "npy", "idx")
_LOSSLESS = ("png", "bmp", "pgm", "tga", "tiff")
_DIGITS: tuple[Stage, ...] = ("geometry", "shape")
_INK: tuple[Stage, ...] = (*_DIGITS, "line", "lens")  # all that move boxes


class Recall:
    """Fills in what the samples of a dataset lack.

    Parameters
    ----------
    dataset : Dataset
        If it is not ours, nothing is filled in.
    data_dir : Path, optional
        Where glyphs are cached; none are fetched.

    Attributes
    ----------
    counts : Counter of str
        In how many samples each of `ASPECTS` was filled in.
    error : MnistseqError or None
        Why samples that lack something were left as they are, from one of them on.
    """

    def __init__(self, dataset: Dataset, data_dir: Path | None = None) -> None:
        self.counts: Counter[str] = Counter()
        self.error: MnistseqError | None = None
        self._dataset = dataset
        self._data_dir = data_dir
        self._maker: _Maker | None = None

    def fill(self, samples: Sequence[LoadedSample]) -> list[LoadedSample]:
        """Give samples with what they lack, or all as they are.

        Where digits are distorted, boxes can still be lacking: making them takes its time.
        """
        lacking = [place for place, seen in enumerate(samples) if _lacks_any(seen)]
        filled = list(samples)
        if self._dataset.recipe is None or self.error or not lacking:
            return filled
        try:
            self._maker = self._maker or self._open()
            made = self._maker.fill([samples[place] for place in lacking])
        except MnistseqError as error:
            self.error = error
            return filled
        for aspect in self._maker.aspects:
            self.counts[aspect] += sum(getattr(seen, aspect) is None for seen in samples)
        for place, seen in zip(lacking, made, strict=True):
            filled[place] = seen
        return filled

    def complete(self, samples: Sequence[LoadedSample]) -> list[LoadedSample]:
        """Give a few of the samples that `fill` gave, with their boxes too."""
        if self._maker and "boxes" not in self._maker.aspects:
            self._maker = _Maker(self._maker.origin, self._dataset.output or {}, _INK)
        return self.fill(samples)

    def explain(self) -> str:
        """Say why not all was filled in; "" where it was."""
        if self.error is None:
            return ""
        return ". ".join(filter(None, (self.error.message, self.error.hint)))

    def _open(self) -> _Maker:
        with naming_damage(f"what {self._dataset.folder} says of itself"):
            origin = find_origin(self._dataset, self._data_dir)
            stages = _DIGITS if _depends_on_widths(origin.recipe) else ()
            return _Maker(origin, self._dataset.output or {}, stages)


class _Maker:
    """Makes samples again, with the distortions of some stages alone.

    Attributes
    ----------
    aspects : tuple of str
        Those of `ASPECTS` that are as in the files.
    """

    def __init__(self, origin: Origin, output: dict[str, Any], stages: tuple[Stage, ...]) -> None:
        self.origin = origin
        self._numbering = Numbering(output, origin.splits)
        self._starts = [split.start for split in origin.splits]
        self._generators = origin.open(*stages)
        left_out = {step.record.stage for step in origin.distortions.steps}.difference(stages)
        self.aspects = ASPECTS if left_out.isdisjoint(_INK) else ("gaps", "glyphs")
        self._is_array = output["to"] in _ARRAYS
        is_exact = self._is_array or output["image_format"] in _LOSSLESS
        self._has_pixels = is_exact and not left_out

    def fill(self, samples: list[LoadedSample]) -> list[LoadedSample]:
        """Give samples with what they lack.

        Raises
        ------
        OutputError
            A sample is not what the recipe makes.
        """
        filled = list(samples)
        for places, block in self._make(samples):
            there = [samples[place] for place in places]
            self._compare(there, block)
            for place, seen in zip(places, self._fill_in(there, block), strict=True):
                filled[place] = seen
        return filled

    def _make(self, samples: list[LoadedSample]) -> Iterator[tuple[list[int], Block]]:
        """Give consecutive samples together, by their places, and what the recipe makes."""
        indices = np.array([self._find_index(seen) for seen in samples])
        order = np.argsort(indices, kind="stable")
        ordered = indices[order]
        begins = (np.diff(ordered) != 1) | np.isin(ordered[1:], self._starts)
        for run in np.split(order, np.flatnonzero(begins) + 1):
            start, stop = indices[run[[0, -1]]].tolist()
            block = self._generators[samples[run[0]].split].block(start, stop + 1)
            yield run.tolist(), block

    def _find_index(self, seen: LoadedSample) -> int:
        index = self._numbering.find(seen)
        if index is None:
            raise OutputError(f"the recipe makes no sample called {name_with_split(seen)}")
        return index

    def _compare(self, samples: list[LoadedSample], block: Block) -> None:
        """Refuse samples that are not what the recipe makes, as far as that can be told."""
        texts = block.texts.tolist()
        found = [seen.text for seen in samples]
        if found != texts and self._is_array:
            texts = _spell_classes(block)
        if found != texts:
            place = next(at for at, seen in enumerate(samples) if seen.text != texts[at])
            raise _refuse("text", samples[place])
        if self._has_pixels:
            unlike = _find_unlike([seen.image for seen in samples], block)
            if unlike is not None:
                raise _refuse("image", samples[unlike])
        elif "boxes" in self.aspects:
            for seen, n, boxes in zip(samples, block.lengths, block.boxes, strict=True):
                if seen.boxes is not None and not np.array_equal(seen.boxes, boxes[:n]):
                    raise _refuse("boxes", seen)

    def _fill_in(self, samples: list[LoadedSample], block: Block) -> Iterator[LoadedSample]:
        first_gap = 0 if block.edges else 1
        n_more = 1 if block.edges else 0
        has_boxes = "boxes" in self.aspects
        lengths = block.lengths.tolist()
        rows = zip(samples, lengths, block.boxes, block.gaps, block.glyphs, strict=True)
        for seen, n, boxes, gaps, glyphs in rows:
            yield LoadedSample(
                seen.name,
                seen.split,
                seen.image,
                seen.text,
                boxes[:n] if seen.boxes is None and has_boxes else seen.boxes,
                gaps[first_gap : n + n_more] if seen.gaps is None else seen.gaps,
                glyphs[:n] if seen.glyphs is None else seen.glyphs,
            )


def _refuse(what: str, seen: LoadedSample) -> OutputError:
    are = "are" if what == "boxes" else "is"
    name = name_with_split(seen)
    return OutputError(f"the {what} of {name} {are} not what the recipe makes")


def _spell_classes(block: Block) -> list[str]:
    """Give the texts of a block as they are read from arrays, which do not hold the alphabet."""
    columns = {
        "images": _open_column(block.images),
        "labels": _open_column(block.classes),
        "lengths": _open_column(block.lengths),
    }
    return [seen.text for seen in read_columns("", columns)]


def _open_column(array: NDArray[Any]) -> Column:
    rows = iter(array)
    return Column(array.shape, lambda n_rows: np.array(list(islice(rows, n_rows))))


def _find_unlike(images: list[NDArray[Any]], block: Block) -> int | None:
    """Find the first image that is not the same as that of the block."""
    shape = block.images.shape
    if {image.shape for image in images} == {shape[1:]} and (block.widths_px == shape[2]).all():
        together = np.concatenate(images).reshape(shape)  # many times faster than one by one
        if (together == block.images).all():
            return None
    pages = zip(block.images, block.widths_px, strict=True)
    pairs = enumerate(zip(images, (page[:, :width] for page, width in pages), strict=True))
    return next((at for at, pair in pairs if not np.array_equal(*pair)), None)


def _lacks_any(seen: LoadedSample) -> bool:
    return seen.gaps is None or seen.glyphs is None or seen.boxes is None


def _depends_on_widths(recipe: Recipe) -> bool:
    """Tell whether gaps depend on how wide digits are."""
    return isinstance(recipe.width_px, int) or recipe.spacing_px[0] < 0
