"""Datasets on disk, against the least that must be done: encode, write, read, hash."""

from __future__ import annotations

import hashlib
import tarfile
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from io import BytesIO
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING

import numpy as np
from zlib_ng import zlib_ng

from benchmarks.figures import Figure, take_turns
from mnistseq_cli import Recipe, SequenceGenerator, load_glyphs
from mnistseq_cli.bulk.plan import Plan
from mnistseq_cli.bulk.run import run
from mnistseq_cli.bulk.verify import verify
from mnistseq_cli.formats import Output
from mnistseq_cli.formats.png import encode_pngs
from mnistseq_cli.inspection.survey import pick_samples, survey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mnistseq_cli.glyphs.glyph_set import GlyphSet

COUNT = 50_000  # starting two workers takes as long as a thousand images
MILLION = 1_000_000
CONTAINER_COUNT, ARRAY_COUNT, HEIGHT_COUNT = 5000, 20_000, 10_000
HEIGHTS_PX = (28, 64, 128)
ROUNDS, CONTAINER_ROUNDS = 3, 5
DEFLATE = "deflating the same pixels and writing them"
HASHING = "reading and hashing with two processes"


class Place:
    """A folder in memory, so that no disk's noise is in the figures."""

    def __init__(self) -> None:
        memory = Path("/dev/shm")  # noqa: S108 - memory is the point
        self.root = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))

    def clear(self) -> None:
        """Remove what is there."""
        for path in self.root.iterdir():
            rmtree(path)

    def make(self, name: str) -> Path:
        """Make a folder."""
        (self.root / name).mkdir()
        return self.root / name


def write_dataset(
    place: Place,
    glyphs: GlyphSet,
    count: int,
    workers: int,
    *,
    to: str = "folder",
    image_format: str = "png",
    height_px: int = 28,
) -> Callable[[], object]:
    """Return the work of writing a dataset as the program does."""
    recipe = Recipe(length=(11, 11), count=count, seed=1, dataset=glyphs.name, height_px=height_px)

    def work() -> None:
        output = Output(folder=place.make("made"), to=to, image_format=image_format)
        run(Plan(recipe, output), workers=workers, glyphs=glyphs)

    return work


def deflate_and_write(generator: SequenceGenerator, folder: Path) -> float:
    """Return the seconds of processor to deflate the rows of images and to write as many files."""
    seconds = 0.0
    for shard in range(-(-len(generator) // 1000)):
        (folder / str(shard)).mkdir()
    for block in generator.blocks(0, len(generator)):
        rows = np.zeros((len(block), 28, block.images.shape[2] + 1), np.uint8)
        rows[:, :, 1:] = block.images
        start = time.process_time()
        for number, image in enumerate(rows, block.start):
            with open(f"{folder}/{number // 1000}/{number}", "wb") as file:  # noqa: PTH123 - fastest
                file.write(zlib_ng.compress(image, 1))
        seconds += time.process_time() - start
    return seconds


def hash_files(paths: list[Path]) -> None:
    """Read and hash files."""
    for path in paths:
        hashlib.sha256(path.read_bytes()).digest()


def hash_all(folder: Path, n_processes: int = 2) -> None:
    """Read and hash all files of a folder."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    with ProcessPoolExecutor(n_processes) as pool:
        list(pool.map(hash_files, [paths[start::n_processes] for start in range(n_processes)]))


def measure_folder(dataset: str, count: int = COUNT) -> Iterator[Figure]:
    """Yield the times of a folder of images: written, verified, inspected."""
    place, glyphs = Place(), load_glyphs(dataset)
    glyphs.measure(glyphs.ids)
    generator = SequenceGenerator(Recipe(length=(11, 11), count=count, seed=1), glyphs)
    rounds = ROUNDS if count == COUNT else 1
    alone, one, two = "a folder of PNG, processor time", "one worker", "two workers, by the clock"
    works = {
        one: write_dataset(place, glyphs, count, 1),
        two: write_dataset(place, glyphs, count, 2),
    }
    floor = seconds = float("inf")
    here = {alone: write_dataset(place, glyphs, count, 0)}
    for _ in range(rounds):
        floor = min(floor, deflate_and_write(generator, place.make("floor")))
        seconds = min(seconds, take_turns(here, 1, prepare=place.clear)[alone])
        place.clear()
    yield Figure(alone, seconds / count * 1e6, "µs an image", seconds / floor, DEFLATE, "≤ 1.4")
    times = take_turns(works, rounds, time.perf_counter, place.clear)
    yield Figure(
        two,
        times[two] / count * 1e6,
        "µs an image",
        times[one] / times[two],
        "the speed of one",
        "≥ 1.8",
    )
    made = place.root / "made"
    looks: dict[str, Callable[[], object]] = {
        HASHING: partial(hash_all, made),
        "verify": partial(verify, made, workers=2),
        "inspect": partial(survey, made),
        "inspect --samples 1000": partial(survey, made, n_samples=1000),
        "inspect --sheet": partial(pick_samples, made, 24),
    }
    times = take_turns(looks, rounds, time.perf_counter)
    for name, seconds in times.items():
        goal = "≤ 1.3" if name == "verify" else ""
        ratio = seconds / times[HASHING]
        yield Figure(f"{name}, {count:,} images", seconds, "s", ratio, HASHING, goal)
    rmtree(place.root)


def measure_tall_folders(dataset: str) -> Iterator[Figure]:
    """Yield the processor time of folders by height, with all that is done to glyphs first."""
    place = Place()
    for name in (dataset, "strokes"):
        glyphs = load_glyphs(name)
        glyphs.measure(glyphs.ids)
        us_a_pixel = 0.0
        for px in HEIGHTS_PX:
            work = write_dataset(place, glyphs, HEIGHT_COUNT, 0, height_px=px)
            seconds = take_turns({"": work}, 1, prepare=place.clear)[""]
            us = seconds / HEIGHT_COUNT * 1e6
            us_a_pixel = us_a_pixel or us / px**2
            goal = "≤ 1" if px > HEIGHTS_PX[0] else ""
            what = f"{name}, {px} px"
            yield Figure(what, us, "µs an image", us / px**2 / us_a_pixel, "28 px, a pixel", goal)
    rmtree(place.root)


def measure_million(dataset: str) -> Iterator[Figure]:
    """Yield the same of a million images; not among those that are measured by default."""
    yield from measure_folder(dataset, MILLION)


def measure_containers(dataset: str) -> Iterator[Figure]:
    """Yield the time of each container against making samples and what its library does."""
    place, glyphs = Place(), load_glyphs(dataset)
    glyphs.measure(glyphs.ids)
    floors: dict[str, tuple[str, Callable[[SequenceGenerator, Path], None]]] = {
        "jpg": ("Pillow and a file each", write_jpegs),
        "webdataset": ("PNG and tarfile", write_tar),
        "parquet": ("PNG and pyarrow", write_parquet),
        "lmdb": ("PNG and LMDB", write_lmdb),
        "npy": ("writing an array", write_array),
    }
    for name, (what, write) in floors.items():
        floor = f"making samples, {what}"
        to, image_format = ("folder", "jpg") if name == "jpg" else (name, "png")
        count = ARRAY_COUNT if name == "npy" else CONTAINER_COUNT
        generator = SequenceGenerator(Recipe(length=(11, 11), count=count, seed=1), glyphs)
        works: dict[str, Callable[[], object]] = {
            name: write_dataset(place, glyphs, count, 0, to=to, image_format=image_format),
            floor: partial(lambda *it: it[0](it[1], place.make("floor")), write, generator),
        }
        times = take_turns(works, CONTAINER_ROUNDS, prepare=place.clear)
        us = times[name] / count * 1e6
        yield Figure(name, us, "µs an image", times[name] / times[floor], floor, "≤ 1.3")
    times = take_turns(works, CONTAINER_ROUNDS, time.perf_counter, place.clear)
    us = times[name] / count * 1e6
    what = f"{name}, by the clock on two cores"
    yield Figure(what, us, "µs an image", times[name] / times[floor], floor, "≤ 1.3")
    rmtree(place.root)


def write_jpegs(generator: SequenceGenerator, folder: Path) -> None:
    """Write files with Pillow."""
    from PIL import Image  # noqa: PLC0415 - only here

    for block in generator.blocks(0, len(generator)):
        for number, image in enumerate(block.images, block.start):
            Image.fromarray(image).save(folder / f"{number}.jpg")


def write_tar(generator: SequenceGenerator, folder: Path) -> None:
    """Write PNG into an archive with tarfile."""
    with tarfile.open(folder / "shard.tar", "w") as tar:
        for block in generator.blocks(0, len(generator)):
            pngs = encode_pngs(block.images, block.widths_px)
            for number, (data, text) in enumerate(zip(pngs, block.texts, strict=True)):
                for ending, content in (("png", data), ("txt", text.encode())):
                    member = tarfile.TarInfo(f"{block.start + number:08d}.{ending}")
                    member.size = len(content)
                    tar.addfile(member, BytesIO(content))


def write_parquet(generator: SequenceGenerator, folder: Path) -> None:
    """Write PNG and labels with pyarrow."""
    import pyarrow as pa  # noqa: PLC0415 - of an extra
    from pyarrow import parquet  # noqa: PLC0415 - of an extra

    columns: dict[str, list[object]] = {"image": [], "text": [], "boxes": [], "glyphs": []}
    for block in generator.blocks(0, len(generator)):
        columns["image"] += encode_pngs(block.images, block.widths_px)
        columns["text"] += block.texts.tolist()
        columns["boxes"] += block.boxes.tolist()
        columns["glyphs"] += block.glyphs.tolist()
    parquet.write_table(pa.table(columns), folder / "data.parquet")


def write_lmdb(generator: SequenceGenerator, folder: Path) -> None:
    """Write PNG and texts with LMDB."""
    import lmdb  # noqa: PLC0415 - of an extra

    with lmdb.open(str(folder), map_size=2**30) as environment:
        for block in generator.blocks(0, len(generator)):
            pngs = encode_pngs(block.images, block.widths_px)
            with environment.begin(write=True) as transaction:
                for number, (data, text) in enumerate(zip(pngs, block.texts, strict=True)):
                    transaction.put(b"image-%09d" % (block.start + number + 1), data)
                    transaction.put(b"label-%09d" % (block.start + number + 1), text.encode())


def write_array(generator: SequenceGenerator, folder: Path) -> None:
    """Write one array."""
    height_px, width_px = generator.largest_px
    shape = len(generator), height_px, width_px
    images = np.lib.format.open_memmap(folder / "images.npy", "w+", np.uint8, shape)
    for block in generator.blocks(0, len(generator)):
        images[block.start : block.start + len(block)] = block.images
    images.flush()
