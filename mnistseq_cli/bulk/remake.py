"""Samples made again from a recipe: to compare a dataset, or to fill in what it lacks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from string import Formatter
from typing import Any, TypeVar

import numpy as np

from mnistseq_cli.bulk.plan import describe_texts
from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.compose.samples import Block
from mnistseq_cli.compose.splits import Split, cut, open_splits, parse_weights
from mnistseq_cli.distortions.pipeline import AugmentPipeline, make_pipeline
from mnistseq_cli.distortions.registry import Stage
from mnistseq_cli.errors import GlyphError, OutputError, UsageError
from mnistseq_cli.files import find_inside, naming_damage
from mnistseq_cli.formats import Output
from mnistseq_cli.formats.base import LoadedSample
from mnistseq_cli.formats.columns import spell_classes
from mnistseq_cli.formats.images import decode_grey, open_encoder
from mnistseq_cli.glyphs.cache import is_cached
from mnistseq_cli.glyphs.catalog import DATASETS, SPLITS
from mnistseq_cli.glyphs.load import AUTO, find_members
from mnistseq_cli.pixels import Array
from mnistseq_cli.recipe import Recipe, read_texts

KeyT = TypeVar("KeyT")

ASPECTS = ("boxes", "gaps", "glyphs")  # of a sample, which not every container holds
_BLOCK_SIZE, _BLOCK_PIXELS = 512, 1 << 22  # of samples that are compared together
_ARRAYS = ("hdf5", "npz", "npy", "idx")
_LOSSLESS = ("png", "bmp", "pgm", "tga", "tiff")
_DIGIT_STAGES: tuple[Stage, ...] = ("geometry", "shape")  # those that change how wide a digit is
_BOX_STAGES: tuple[Stage, ...] = (*_DIGIT_STAGES, "line", "lens")  # all that move boxes


@dataclass(frozen=True)
class Difference:
    """Something of a sample that is not what the recipe makes."""

    sample: LoadedSample
    aspect: str  # "name", or an attribute of a sample

    def __str__(self) -> str:
        name = name_with_split(self.sample)
        if self.aspect == "name":
            return f"the recipe makes no sample called {name}"
        names = {"mark_boxes": "boxes of marks", "written": "writing"}
        words = names.get(self.aspect, self.aspect)
        verb = "are" if words.endswith("s") else "is"
        return f"the {words} of {name} {verb} not what the recipe makes"


class Remaker:
    """Makes the samples of a dataset again, by a plan as `load_plan` or a `Manifest` has it."""

    def __init__(
        self,
        plan: Mapping[str, Any],
        folder: Path,
        data_dir: Path | None = None,
        *,
        download: bool = True,
    ) -> None:
        try:
            with naming_damage(f"what {folder} says of itself"):
                self.recipe = _restore_recipe(plan["recipe"], folder)
                weights = parse_weights(self.recipe.splits)
                if [*weights] != [*plan["splits"].items()]:
                    raise ValueError("its splits are not those of its recipe")
                self.splits = cut(weights, self.recipe.count, plan.get("start", 0))
                self.output = Output(folder=folder, **plan["output"])
                self._distortions = make_pipeline(self.recipe.augment, self.recipe.augment_prob)
        except UsageError as error:
            message = f"the recipe of {folder} cannot be used: {error.message}"
            raise OutputError(message, error.hint) from error
        if not download:
            _check_cached(self.recipe, data_dir)
        self._folder = folder
        self._data_dir = data_dir
        self._ranges = {split.name: range(split.start, split.stop) for split in self.splits}
        self._is_array = self.output.to in _ARRAYS
        self._is_lossless = self._is_array or self.output.image_format in _LOSSLESS
        self._last: tuple[object, Block] | None = None  # which samples were made, and these
        self._generators: dict[tuple[Stage, ...], dict[str, SequenceGenerator]] = {}
        pattern = r"(?P<index>\d+)\.\w+"
        self._firsts: dict[str, int] | None = None  # samples called 0, where splits begin anew
        if self.output.to == "folder":
            pattern = _read_template(self.output.name, self.output.image_format)
        elif self._is_array or self.output.to == "lmdb":
            pattern = r"(?:(?P<split>.*)/)?(?:image-)?(?P<index>\d+)"
            n_less = self.output.to == "lmdb"  # which counts from 1
            self._firsts = {split.name: split.start - n_less for split in self.splits}
        self._pattern = re.compile(pattern, re.ASCII)

    def find_index(self, name: str) -> int | None:
        """Return the index of the sample with this name; None where the recipe makes none."""
        match = self._pattern.fullmatch(name)
        if match is None or len(match["index"]) > 18:  # noqa: PLR2004 - digits of any index
            return None
        first = 0 if self._firsts is None else self._firsts.get(match["split"] or "")
        return None if first is None else first + int(match["index"])

    def differences(
        self, streams: Mapping[KeyT, Iterator[LoadedSample]]
    ) -> Iterator[tuple[KeyT, Difference]]:
        """Compare streams of the same samples, read in step, with what the recipe makes."""
        stages = tuple({step.record.stage: 0 for step in self._distortions.steps})
        largest = (generator.largest_px for generator in self._open(stages).values())
        n_pixels = max(height_px * width_px for height_px, width_px in largest)
        n_most = max(1, min(_BLOCK_SIZE, _BLOCK_PIXELS // n_pixels))
        left = dict(streams)
        while left:
            for key, stream in [*left.items()]:
                chunk = list(islice(stream, n_most))
                if not chunk:
                    del left[key]
                for difference in self._find_differences(chunk, stages):
                    yield key, difference

    def _find_differences(
        self, chunk: list[LoadedSample], stages: tuple[Stage, ...]
    ) -> Iterator[Difference]:
        indices = {place: self._locate(sample) for place, sample in enumerate(chunk)}
        known = {place: index for place, index in indices.items() if index is not None}
        yield from (Difference(it, "name") for at, it in enumerate(chunk) if at not in known)
        for places, block in self._make_blocks(chunk, known, stages):
            aspects = ["text", "image", "written", "mark_boxes", *ASPECTS]
            aspects += [] if block.writers is None else ["writers"]
            yield from self._compare([chunk[place] for place in places], block, aspects)

    def fill(self, samples: list[LoadedSample], *, boxes: bool = False) -> list[LoadedSample]:
        """Return samples with what they lack; `boxes` of distorted digits too, which take long."""
        filled = list(samples)
        lacking: dict[int, int] = {}
        for place, sample in enumerate(samples):
            if any(getattr(sample, aspect) is None for aspect in ASPECTS):
                index = self._locate(sample)
                if index is None:
                    raise OutputError(str(Difference(sample, "name")))
                lacking[place] = index
        # Those without which what is filled in would differ.
        depends_on_widths = isinstance(self.recipe.width_px, int) or self.recipe.spacing_px[0] < 0
        stages = _BOX_STAGES if boxes else _DIGIT_STAGES if depends_on_widths else ()
        left_out = {step.record.stage for step in self._distortions.steps}.difference(stages)
        aspects = ASPECTS if left_out.isdisjoint(_BOX_STAGES) else ("gaps", "glyphs")
        evidence = ["text"]
        if self._is_lossless and not left_out:
            evidence.append("image")
        elif "boxes" in aspects:
            evidence.append("boxes")
        for places, block in self._make_blocks(samples, lacking, stages):
            for difference in self._compare([samples[place] for place in places], block, evidence):
                raise OutputError(str(difference))
            made: dict[str, list[Any]] = {aspect: _take(block, aspect) for aspect in aspects}
            if block.writers is not None:
                made["writers"] = [tuple(row.tolist()) for row in _take(block, "writers")]
            for at, place in enumerate(places):
                values = {
                    name: rows[at]
                    for name, rows in made.items()
                    if getattr(samples[place], name) is None
                }
                filled[place] = replace(samples[place], **values)
        return filled

    def blocks(self) -> Iterator[tuple[Split, Block]]:
        """Make all samples without distortions, block by block, with the split of each."""
        for split in self.splits:
            for block in self._open(())[split.name].blocks(split.start, split.stop):
                yield split, block

    def _locate(self, sample: LoadedSample) -> int | None:
        """Return the index of a sample; None where the recipe gives its split no such name."""
        index = self.find_index(sample.name)
        return index if index in self._ranges.get(sample.split, ()) else None

    def _open(self, stages: tuple[Stage, ...]) -> dict[str, SequenceGenerator]:
        """Open the generator of each split, with the distortions of some stages alone."""
        if stages not in self._generators:
            kept = AugmentPipeline(self._distortions.at(*stages))
            recipe = replace(self.recipe, augment=kept.spell_out())
            try:
                self._generators[stages] = open_splits(recipe, self.splits, self._data_dir)
            except GlyphError as error:
                raise GlyphError(error.message) from error  # its hint is for who makes a dataset
            except UsageError as error:
                message = f"the recipe of {self._folder} cannot be used: {error.message}"
                raise OutputError(message) from error
        return self._generators[stages]

    def _make_blocks(
        self, samples: list[LoadedSample], indices: dict[int, int], stages: tuple[Stage, ...]
    ) -> Iterator[tuple[list[int], Block]]:
        """Return consecutive samples together, by their places, and what the recipe makes."""
        if not indices:
            return
        places, found = np.array([*indices.items()]).T
        order = np.argsort(found, kind="stable")
        places, found = places[order], found[order]
        starts = [split.start for split in self.splits]
        begins = np.flatnonzero((np.diff(found) != 1) | np.isin(found[1:], starts)) + 1
        for run, of_run in zip(np.split(places, begins), np.split(found, begins), strict=True):
            key = (stages, samples[run[0]].split, int(of_run[0]), int(of_run[-1]) + 1)
            if self._last is None or self._last[0] != key:
                self._last = (key, self._open(stages)[key[1]].block(*key[2:]))
            yield run.tolist(), self._last[1]

    def _compare(
        self, samples: list[LoadedSample], block: Block, aspects: Iterable[str]
    ) -> Iterator[Difference]:
        for aspect in aspects:
            found = [getattr(sample, aspect) for sample in samples]
            if all(there is None for there in found):
                continue
            if aspect == "image" and _are_pages(found, block):
                continue
            made = self._expect(block, aspect, found)
            if _are_equal(found, made):
                continue
            for sample, there, expected in zip(samples, found, made, strict=True):
                is_held = there is not None and (isinstance(there, str | tuple) or there.size)
                if is_held and not np.array_equal(there, expected):
                    yield Difference(sample, aspect)

    def _expect(self, block: Block, aspect: str, found: list[Any]) -> list[Any]:
        """Return what the files of a dataset should hold of a block."""
        if aspect == "text" and self._is_array and found != block.texts.tolist():
            return spell_classes(block.classes, block.lengths)  # arrays hold no alphabet
        if aspect in {"text", "written"}:
            texts: list[str] = (block.texts if aspect == "text" else block.written).tolist()
            return texts
        if aspect == "image" and not self._is_lossless:
            encode = open_encoder(self.output.image_format)
            return [decode_grey(data) for data in encode(block.images, block.widths_px)]
        if aspect == "mark_boxes":
            each = block.marks.of_each() if block.marks else [((), [])] * len(block)
            return [boxes for _, boxes in each]
        made = _take(block, aspect)
        return [tuple(names.tolist()) for names in made] if aspect == "writers" else made


def name_with_split(sample: LoadedSample) -> str:
    """Return the name of a sample after its split and a ``/``, where there are splits."""
    prefix = f"{sample.split}/" if sample.split else ""
    return prefix + sample.name.removeprefix(prefix)


def _read_template(template: str, ending: str) -> str:
    """Return a pattern for the names of a template, as label files of any style write them."""
    # Texts hold no /, and two fields stand apart; see `mnistseq_cli.formats.names`.
    pieces = [r"(?:\.\./)*"] + (["(?:images/)?"] if template.startswith("images/") else [])
    template = template.removeprefix("images/")
    has_index = False
    for literal, field, _, _ in Formatter().parse(template):
        pieces.append(re.escape(literal))
        if field == "index" and not has_index:
            pieces.append(r" *(?P<index>\d+)")
            has_index = True
        elif field is not None:
            pieces.append("[^/]*" if field == "text" else r" *\d+")
    return "".join(pieces) + re.escape(f".{ending}")


def _restore_recipe(values: Mapping[str, Any], folder: Path) -> Recipe:
    values = dict(values)
    if isinstance(listed := values.get("texts"), dict):
        path = find_inside(folder, str(listed.get("file")))
        if path is None:
            raise OutputError(f"the texts of {folder} are not in the folder")
        values["texts"] = read_texts(path)
        if describe_texts(values["texts"])["sha256"] != listed.get("sha256"):
            raise OutputError(f"{path} does not hold the texts that the dataset was made from")
    return Recipe.from_dict(values)


def _check_cached(recipe: Recipe, data_dir: Path | None) -> None:
    if not recipe.glyphs_sha256 or recipe.dataset == AUTO:
        raise GlyphError("the recipe does not say which glyphs it was made with")
    names = tuple(name for name in SPLITS if recipe.glyphs in {name, "all"})
    for name in find_members(recipe.dataset) or (recipe.dataset,):
        known = DATASETS.get(name)
        if known and not is_cached(known, data_dir, names):
            raise GlyphError(
                f"the glyphs of {name} are not at hand", f"Get them: mnistseq download {name}"
            )


def _take(block: Block, aspect: str) -> list[Array]:
    """Return the images, boxes, gaps or glyphs of each sample of a block."""
    if aspect == "image":
        pairs = zip(block.images, block.widths_px.tolist(), strict=True)
        return [page[:, :width_px] for page, width_px in pairs]
    first, more = (0, 0) if aspect != "gaps" else (0, 1) if block.edges else (1, 0)
    lengths = block.n_written if aspect == "gaps" else block.lengths
    rows = zip(getattr(block, aspect), lengths.tolist(), strict=True)
    return [row[first : length + more] for row, length in rows]


# Both are many times faster than to compare the values of one sample after the other.


def _are_pages(images: list[Array], block: Block) -> bool:
    """Whether images are those of a block."""
    shape = block.images.shape
    if {image.shape for image in images} != {shape[1:]} or (block.widths_px != shape[2]).any():
        return False
    return bool((np.concatenate(images).reshape(shape) == block.images).all())


def _are_equal(found: list[Any], made: list[Any]) -> bool:
    """Whether values, none of which is an empty array, are equal."""
    if not all(isinstance(value, np.ndarray) and value.size for value in (*found, *made)):
        return isinstance(found[0], str | tuple) and found == made
    shapes = [[value.shape for value in values] for values in (found, made)]
    return shapes[0] == shapes[1] and np.array_equal(
        np.concatenate(found, axis=None), np.concatenate(made, axis=None)
    )
