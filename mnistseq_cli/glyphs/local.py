"""Glyphs of the user's own: IDX pair, npz, table, Parquet, class folders, archives of these."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import isqrt
from pathlib import Path

import numpy as np

from mnistseq_cli.errors import GlyphError
from mnistseq_cli.extras import import_extra
from mnistseq_cli.files import naming_damage
from mnistseq_cli.glyphs import idx, pictures
from mnistseq_cli.glyphs.catalog import DIGITS, EMNIST_CLASSES, SplitNames
from mnistseq_cli.glyphs.glyph_set import AT_ONCE_PX, GlyphSet, hash_glyphs
from mnistseq_cli.glyphs.sources import Entry, open_source
from mnistseq_cli.glyphs.writers import WRITER_LIMIT_BYTES, Writers, name_writers
from mnistseq_cli.pixels import Array, Classes, Pixels, split_up

_Reader = Callable[[], "LocalGlyphs"]
_Found = list[tuple[str, _Reader]]  # the name of each set of glyphs, and its reader

EXPECTED = (
    "an IDX pair (images and labels), an .npz file, a table such as train.csv, a Parquet file, "
    "a folder with one sub-folder of pictures per class, or a zip or tar archive of these"
)
_LOSSY_SUFFIXES = (".jpg", ".jpeg", ".webp")
_SPLIT_WORD = re.compile(r"(?<![a-z])(train|test|t10k)(?:ing)?(?![a-z])")
# What libraries and tutorials call images and labels in an npz, with or without a split.
_NPZ_LABELS = {
    "x": "y", "images": "labels", "image": "label", "data": "target", "arr_0": "arr_1",
}  # fmt: skip
_NPZ_PARTNERS = _NPZ_LABELS | {labels: images for images, labels in _NPZ_LABELS.items()}
_NPZ_KEY = re.compile(rf"(?:train|test)?_?({'|'.join(_NPZ_PARTNERS)})_?(?:train|test)?")
_N_PIXELS = 28 * 28  # of a table
_KIND_WORDS = r"images?|labels?|idx\d|ubyte|int|byte|gz|xz"  # of the names of IDX files
_IMAGE_AXES = 3  # glyphs, y, x
_CHUNK = 4096  # rows of a table that are read at once


@dataclass(frozen=True)
class LocalGlyphs:
    """Glyphs as they are in the user's files."""

    images: Pixels  # (N, side, side), of whatever polarity; mapped where it can be
    labels: Classes
    alphabet: str = DIGITS  # the character of each class
    is_transposed: bool = False
    has_pictures: bool = False  # each glyph is a file of its own
    is_lossy: bool = False  # of a format that loses detail
    writers: Writers | None = None


def read_local(path: Path, splits: SplitNames, polarity: str = "auto") -> list[GlyphSet]:
    """Read the glyphs of splits from a path; see `EXPECTED` for what it can be.

    Images and labels of an IDX pair find each other by their headers and counts, so that names
    and folders do not matter. Glyphs for train and for test are told apart by these words in
    names, or of keys in an npz. Without them one set is returned, which stands for all splits.
    Glyphs come out as light ink on clean, dark paper, standing upright.
    """
    with open_source(path) as entries, naming_damage(path, GlyphError):
        readers = _choose_readers(_find_sets(path, entries), path, splits)
        return [_make_set(read(), path, split, polarity) for split, read in readers.items()]


def _make_set(found: LocalGlyphs, path: Path, split: str, polarity: str) -> GlyphSet:
    is_dark = pictures.has_dark_ink(found.images, polarity, str(path))
    images = 255 - found.images if is_dark else found.images
    hashed = images if found.has_pictures else found.images
    sha256 = hash_glyphs(hashed, found.labels, found.alphabet)
    images = pictures.clean_paper(images, is_lossy=found.is_lossy)
    return GlyphSet(
        images.transpose(0, 2, 1) if found.is_transposed else images,
        found.labels,
        name=str(path),
        split=split,
        licence="not stated",
        sha256=sha256,
        alphabet=found.alphabet,
        writers=found.writers,
    )


def _find_sets(path: Path, entries: list[Entry]) -> _Found:
    """Find sets of glyphs of the first kind that there is: the name of each, and its reader."""
    is_file = path.is_file() and any(entry.path for entry in entries)
    own = [entry for entry in entries if entry.path == path] if is_file else entries
    for suffix, find in _FINDERS.items():
        chosen = [entry for entry in own if entry.name.lower().endswith(suffix)]
        if found := [one for entry in chosen for one in find(entry, path)]:
            return found
    if found := _find_pairs(entries, own) or ([] if is_file else _find_pictures(entries, path)):
        return found
    hint = "Unpack it, and save its arrays with numpy.savez." if ".pkl" in path.name else ""
    raise GlyphError(f"{path} holds no glyphs; expected {EXPECTED}", hint)


def _choose_readers(found: _Found, path: Path, splits: SplitNames) -> dict[str, _Reader]:
    """Return the reader of each split, or the only one that there is."""
    if len(found) == 1:
        return {splits[0] if len(splits) == 1 else "all": found[0][1]}
    said = [_find_split(name) for name, _ in found]
    if said.count("train") != 1 or said.count("test") != 1:
        names = ", ".join(name for name, _ in found[:6])
        raise GlyphError(
            f"{path} holds {len(found)} sets of glyphs, but not one for train and one for test: "
            f"{names}",
            "Name the one that is meant: --dataset FOLDER/FILE",
        )
    return {split: found[said.index(split)][1] for split in splits}


def _find_split(name: str) -> str:
    """Return the split that a path names, its last words first, or ""."""
    words = ["", *_SPLIT_WORD.findall(name.lower())]
    return "test" if words[-1] == "t10k" else words[-1]


def _find_pairs(entries: list[Entry], own: list[Entry]) -> _Found:
    """Find IDX files of images and the labels of each, by their headers and counts."""
    found: dict[str, tuple[Entry, tuple[int, ...]]] = {}
    # Unpacked files come last and stay.
    for entry in sorted(entries, key=lambda e: not e.name.endswith(idx.PACKED_SUFFIXES)):
        if shape := _read_shape(entry):
            found[entry.name.removesuffix(".gz").removesuffix(".xz")] = (entry, shape)
    labels = [one for one in found.values() if len(one[1]) != _IMAGE_AXES]
    return [
        (name, partial(_read_pair, entry, _find_labels(entry, shape[0], labels)))
        for name, (entry, shape) in sorted(found.items())
        if len(shape) == _IMAGE_AXES and entry in own
    ]


def _read_shape(entry: Entry) -> tuple[int, ...]:
    """Return the shape of the array in an IDX file; that of another file is empty."""
    name = entry.name.lower()
    if name.endswith(pictures.PICTURE_SUFFIXES):
        return ()
    try:
        with entry.open() as stream:
            return idx.read_header(idx.unpacking(stream, name), entry.title).shape
    except GlyphError:
        if "idx" in name or "ubyte" in name:
            raise
        return ()


def _find_labels(
    images: Entry, n_images: int, labels: list[tuple[Entry, tuple[int, ...]]]
) -> Entry:
    """Return the labels of images: those of the same name, or the only ones of as many."""
    same = [entry for entry, _ in labels if _stem(entry.name) == _stem(images.name)]
    as_many = [entry for entry, shape in labels if shape[0] == n_images]
    chosen = same if len(same) == 1 else as_many
    if len(chosen) != 1:
        names = ", ".join(sorted(entry.name for entry, _ in labels)) or "none"
        raise GlyphError(
            f"{images.title} holds {n_images:,} images; cannot tell which file has their "
            f"labels ({names})",
            f"Name it as the images, such as {Path(images.name).name.replace('images', 'labels')}",
        )
    return chosen[0]


def _stem(name: str) -> str:
    """Return what the names of images and of their labels have in common."""
    words = re.findall(r"[a-z0-9]+", name.lower())
    return "-".join(word for word in words if not re.fullmatch(_KIND_WORDS, word))


def _read_pair(images: Entry, labels: Entry) -> LocalGlyphs:
    arrays = []
    for entry in (images, labels):
        with entry.open() as stream:
            path, title = entry.path, entry.title
            arrays.append(idx.read_idx(path) if path else idx.read_idx_stream(stream, title))
    pixels, classes = arrays
    # QMNIST has eight numbers for each glyph: the class, and where it comes from.
    classes = classes[:, 0] if classes.ndim > 1 else classes
    return _convert(pixels, classes, images.title, labels.title)


def _convert(pixels: Array, labels: Array, images_name: str, labels_name: str) -> LocalGlyphs:
    """Return glyphs of digits, or of the classes that the name of a file of EMNIST says."""
    if len(pixels) != len(labels):
        raise GlyphError(
            f"{images_name} holds {len(pixels):,} images, but {labels_name} {len(labels):,} labels"
        )
    name = Path(images_name).name.lower()
    kind = next((kind for kind in EMNIST_CLASSES if f"{kind}-" in name), "")
    alphabet, first_label = EMNIST_CLASSES.get(kind, (DIGITS, 0))
    return LocalGlyphs(
        _to_glyphs(pixels, images_name),
        _to_classes(labels, alphabet, labels_name, first_label),
        alphabet,
        is_transposed=bool(kind),
    )


def _find_npz(entry: Entry, _: Path) -> _Found:
    """Find pairs of arrays by the names that libraries give them."""
    with entry.open() as stream, zipfile.ZipFile(stream) as archive:
        names = {name.lower().removesuffix(".npy"): name for name in archive.namelist()}
    found: _Found = []
    for key, name in names.items():
        if match := _NPZ_KEY.fullmatch(key):
            partner = key.replace(match[1], _NPZ_PARTNERS[match[1]])
            if partner not in names:
                raise GlyphError(f"{entry.title} has {key}, but no {partner}")
            if match[1] in _NPZ_LABELS:
                reader = partial(_read_npz, entry, name, names[partner])
                found.append((f"{entry.name} {key}", reader))
    if not found:
        raise GlyphError(
            f"{entry.title} holds {', '.join(names) or 'nothing'}; expected arrays x_train, "
            "y_train, x_test and y_test, or images and labels"
        )
    return found


def _read_npz(entry: Entry, *keys: str) -> LocalGlyphs:
    titles = [f"{key} in {entry.title}" for key in keys]
    with entry.open() as stream, zipfile.ZipFile(stream) as archive:
        images, labels = map(_read_npy, (archive, archive), keys, titles)
    return _convert(images, labels, *titles)


def _read_npy(archive: zipfile.ZipFile, key: str, title: str) -> Array:
    """Read an array; what it says of itself takes no memory before the bytes are there."""
    info = archive.getinfo(key)
    idx.check_size(info.file_size, title)
    with naming_damage(title, GlyphError), archive.open(info) as stream:
        version = "1_0" if np.lib.format.read_magic(stream)[0] == 1 else "2_0"
        shape, is_fortran, dtype = getattr(np.lib.format, f"read_array_header_{version}")(stream)
        if dtype.hasobject:
            raise GlyphError(
                f"{title} holds Python objects (pickles), which are not loaded",
                "Save it again as an array of numbers.",
            )
        return np.frombuffer(stream.read(), dtype).reshape(shape, order="F" if is_fortran else "C")


def _find_tables(entry: Entry, path: Path) -> _Found:
    """Find tables as Kaggle has them: a label, then the pixels of a glyph, in each line."""
    with entry.open() as stream:
        first = stream.readline(1 << 16)
    if (columns := first.count(b",") + 1) == _N_PIXELS + 1:
        has_header = not first.lstrip(b'\xef\xbb\xbf" ')[:1].isdigit()
        return [(entry.name, partial(_read_table, entry, int(has_header)))]
    if entry.path == path:
        raise GlyphError(
            f"{path} has {columns} columns; expected a label and {_N_PIXELS} pixels",
            "Kaggle's test.csv has no labels: take train.csv." if columns == _N_PIXELS else "",
        )
    return []


def _read_table(entry: Entry, n_heads: int) -> LocalGlyphs:
    idx.check_size(entry.size_bytes, entry.title)
    with entry.open() as stream:
        text = io.TextIOWrapper(stream, "utf-8-sig")
        rows = np.loadtxt(text, np.uint8, delimiter=",", skiprows=n_heads, ndmin=2)
    # OpenML has the label last; the first pixel of a digit is always 0.
    if not rows[:, 0].any() and rows[:, -1].any() and rows[:, -1].max() < len(DIGITS):
        rows = np.roll(rows, 1, axis=1)
    return _convert(rows[:, 1:], rows[:, 0], entry.title, entry.title)


def _read_parquet(entry: Entry) -> LocalGlyphs:
    """Read a Parquet file as Hugging Face has MNIST: packed pictures and labels."""
    parquet = import_extra("pyarrow.parquet", "parquet", f"reading {entry.title}")
    name = f"a picture in {entry.title}"
    with entry.open() as stream:
        table = parquet.ParquetFile(stream)
        if {"image", "label"} - {*table.schema_arrow.names}:
            raise GlyphError(
                f"{entry.title} has the columns {', '.join(table.schema_arrow.names)}; "
                "expected image and label"
            )
        labels = table.read(["label"])["label"].to_numpy()
        packed = (
            image["bytes"] if isinstance(image, dict) else image
            for batch in table.iter_batches(_CHUNK, columns=["image"])
            for image in batch["image"].to_pylist()
        )
        squares = (Entry(name, len(one), partial(io.BytesIO, one)) for one in packed)
        images = pictures.read_squares(squares, len(labels))
    return _convert(images, labels, entry.title, entry.title)


def _find_pictures(entries: list[Entry], path: Path) -> _Found:
    """Find class folders: folders named by one character, or its number, which hold pictures."""
    by_split: dict[str, list[Entry]] = {}
    for entry in entries:
        place = Path(entry.name).parent
        if entry.name.lower().endswith(pictures.PICTURE_SUFFIXES) and place.name:
            if not _read_class(place.name):
                raise GlyphError(
                    f"{path / place} is not a class: a folder is named by one character, like 7, "
                    "or by its number in Unicode, like U+002F"
                )
            by_split.setdefault(_find_split(place.as_posix()), []).append(entry)
    return [
        (split, partial(_read_pictures, chosen, path.name.partition(".")[0]))
        for split, chosen in by_split.items()
    ]


def _read_class(name: str) -> str:
    """Return the character that a folder is named by; "" if it is none."""
    number = re.fullmatch(r"U\+([0-9A-F]{4,5})", name)
    return chr(int(number[1], 16)) if number else name if len(name) == 1 else ""


def _read_pictures(entries: list[Entry], of: str) -> LocalGlyphs:
    """Read the pictures of class folders, then sort them by class and name."""
    images = pictures.read_squares(entries, len(entries))
    folders, names = zip(*(Path(entry.name).parts[-2:] for entry in entries), strict=True)
    characters = [_read_class(folder) for folder in folders]
    alphabet = "".join(sorted({*characters}))
    order = sorted(range(len(entries)), key=lambda at: (characters[at], names[at]))
    return LocalGlyphs(
        images[order],
        np.array([alphabet.index(characters[at]) for at in order], np.uint8),
        alphabet,
        has_pictures=True,
        is_lossy=any(name.lower().endswith(_LOSSY_SUFFIXES) for name in names),
        writers=_read_writers([names[at] for at in order], of),
    )


def _read_writers(names: list[str], of: str) -> Writers | None:
    """Return who wrote pictures called WRITER_anything.png, where all are and not by one alone."""
    stems = [name.rpartition(".")[0].rpartition("_")[0] for name in names]
    if not all(stems) or len({*stems}) == 1:
        return None
    spelt = [f"{of}/{stem}".encode()[:WRITER_LIMIT_BYTES] for stem in stems]
    return name_writers([name.decode(errors="ignore") for name in spelt])


def _to_glyphs(images: Array, name: str) -> Pixels:
    """Return images as uint8, shape (N, side, side): of levels 0 to 255, or of shares 0 to 1."""
    shape = images.shape
    if images.ndim == 4 and 1 in {shape[1], shape[3]}:  # noqa: PLR2004 - with a channel
        images = images.squeeze(3 if shape[3] == 1 else 1)
    elif images.ndim == 2 and (side := isqrt(shape[1])) ** 2 == shape[1]:  # noqa: PLR2004 - rows
        images = images.reshape(-1, side, side)
    is_stack = images.ndim == 3 and images.size > 0  # noqa: PLR2004 - (N, height, width)
    if not is_stack or max(images.shape[1:]) not in pictures.SIDES_PX:
        raise GlyphError(
            f"{name} has the shape {shape}; expected glyphs, (N, height, width), of at most "
            f"{pictures.SIDES_PX[-1]} by {pictures.SIDES_PX[-1]} pixels"
        )
    if images.dtype.kind not in "buif":
        raise GlyphError(f"{name} holds {images.dtype}; expected numbers")
    low, high = images.min(), images.max()
    if not (low >= 0 and high <= 255):  # noqa: PLR2004 - not a number is neither
        raise GlyphError(f"{name} has levels from {low} to {high}; expected 0 to 255, or 0 to 1")
    if high > 1 and images.dtype == np.uint8:
        return pictures.make_square(images)
    glyphs = np.empty(images.shape, np.uint8)
    scale = 255 if high <= 1 else 1
    for part in split_up(images, AT_ONCE_PX):
        glyphs[part] = np.rint(images[part].astype(np.float64) * scale)
    return pictures.make_square(glyphs)


def _to_classes(labels: Array, alphabet: str, name: str, first_label: int = 0) -> Pixels:
    """Return labels as indices into an alphabet, shape (N,); they may be one-hot rows."""
    shape = labels.shape
    if labels.dtype.kind not in "buif":
        raise GlyphError(f"{name} holds {labels.dtype}; expected labels, whole numbers")
    if labels.ndim == 2 and shape[1] == 1:  # noqa: PLR2004 - a column
        labels = labels[:, 0]
    elif labels.ndim == 2 and shape[1] == len(alphabet):  # noqa: PLR2004 - one-hot rows
        if not (np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all()):
            raise GlyphError(f"{name} has rows of {shape[1]} numbers that are not one-hot")
        labels = labels.argmax(axis=1) + first_label
    if labels.ndim != 1:
        raise GlyphError(f"{name} has the shape {shape}; expected labels, (N,)")
    low, high = labels.min(), labels.max()
    last_label = first_label + len(alphabet) - 1
    if not (first_label <= low and high <= last_label and (labels == labels.round()).all()):
        raise GlyphError(
            f"{name} has labels from {low} to {high}; expected whole numbers from {first_label} "
            f"to {last_label}"
        )
    return (labels.astype(np.int64) - first_label).astype(np.uint8)


_FINDERS: dict[str, Callable[[Entry, Path], _Found]] = {
    ".npz": _find_npz,
    ".csv": _find_tables,
    ".parquet": lambda entry, _: [(entry.name, partial(_read_parquet, entry))],
}
