"""Time to write each container, and to feed PyTorch, against what they cannot do without.

Run ``python benchmarks/containers.py [FOLDER]`` with the project and its extras installed; FOLDER
is where to write, best a tmpfs. Samples are made beforehand. Containers of encoded images are
compared with encoding the images as PNG and writing the bytes of the finished files once; those
of arrays with writing the images once. Each is timed in turn with its floor, and the best of
the times counts: other work on the machine only adds to them. The hashes and records of the
bulk engine are not in it.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from mnistseq_cli import Recipe, SequenceGenerator, load_glyphs
from mnistseq_cli.errors import UsageError
from mnistseq_cli.formats import FORMATS, Output, open_format
from mnistseq_cli.formats.base import Fragments
from mnistseq_cli.formats.png import encode_pngs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mnistseq_cli.compose.samples import Block
    from mnistseq_cli.formats.base import Buffer

N_PARTS, BLOCKS_PER_PART, BLOCK_SIZE = 8, 8, 128
N_SAMPLES = N_PARTS * BLOCKS_PER_PART * BLOCK_SIZE
ROUNDS = 9
ARRAYS = ("npy", "npz", "hdf5", "idx")
_CHUNK_BYTES = 1 << 20


class Files:
    """Files and fragments in plain folders; a `PartWriter`."""

    def __init__(self, root: Path, fragments: Path) -> None:
        self.root = root
        self.fragments = fragments
        fragments.mkdir(parents=True)

    def write(self, name: str, data: bytes) -> None:
        """Write a whole file."""
        try:
            (self.root / name).write_bytes(data)
        except FileNotFoundError:
            self.path(name).write_bytes(data)

    def path(self, name: str) -> Path:
        """Return a path to write a file at."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def append(self, fragment: str, data: Buffer) -> None:
        """Append to a fragment."""
        with (self.fragments / fragment).open("ab", buffering=0) as file:
            file.write(data)


def write_container(name: str, parts: list[list[Block]], folder: Path) -> None:
    """Write all parts, then what joins them."""
    form = open_format(Output(folder=folder, to=name))
    kept = folder / ".kept"
    for number, blocks in enumerate(parts):
        form.write(number, iter(blocks), Files(folder, kept / str(number)))
    fragments = Fragments("", kept, [*map(str, range(len(parts)))])
    form.join([fragments], Files(folder, kept / "joined"))
    shutil.rmtree(kept)


def write_floor(name: str, parts: list[list[Block]], size_bytes: int, folder: Path) -> None:
    """Do what the container cannot do without."""
    with (folder / "floor").open("wb") as file:
        if name in ARRAYS:
            for blocks in parts:
                for block in blocks:
                    file.write(block.images.data)
            return
        for blocks in parts:
            for block in blocks:
                encode_pngs(block.images, block.widths_px)
        chunk = b"\x55" * _CHUNK_BYTES
        for start in range(0, size_bytes, _CHUNK_BYTES):
            file.write(chunk[: size_bytes - start])


def measure(work: Callable[[Path], None], root: Path) -> tuple[float, int]:
    """Return the microseconds a sample that some work takes, and the bytes it leaves."""
    folder = Path(tempfile.mkdtemp(dir=root))
    start = time.perf_counter()
    work(folder)
    taken = time.perf_counter() - start
    size_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    shutil.rmtree(folder)
    return taken / N_SAMPLES * 1e6, size_bytes


def compare_container(name: str, parts: list[list[Block]], root: Path) -> None:
    """Print the best time of a container, that of its floor, and their ratio."""
    _, size_bytes = measure(lambda folder: write_container(name, parts, folder), root)
    pairs = [
        (
            measure(lambda folder: write_container(name, parts, folder), root)[0],
            measure(lambda folder: write_floor(name, parts, size_bytes, folder), root)[0],
        )
        for _ in range(ROUNDS)
    ]
    ours, floor = (min(times) for times in zip(*pairs, strict=True))
    print(
        f"{name:12}{ours:10.1f}{floor:10.1f}   x {ours / floor:5.2f}{size_bytes / N_SAMPLES:12.0f}"
    )


def compare_streams(recipe: Recipe) -> None:
    """Print samples a second of the PyTorch stream against those of blocks."""
    from torch.utils.data import DataLoader  # noqa: PLC0415 - it may not be installed

    from mnistseq_cli.torch import IterableSequenceDataset, ctc_collate  # noqa: PLC0415 - as above

    dataset = IterableSequenceDataset(recipe, batch_size=BLOCK_SIZE)
    dataset.generator.glyphs.measure(dataset.generator.glyphs.ids)

    def make_blocks() -> None:
        for start in range(0, recipe.count, BLOCK_SIZE):
            dataset.generator.block(start, start + BLOCK_SIZE)

    print(f"\n{'PyTorch stream':34}{'samples/s':>12}{'blocks/s':>12}   share")
    for n_workers in (0, 2):
        loader = DataLoader(
            dataset, batch_size=None, num_workers=n_workers, persistent_workers=n_workers > 0
        )
        ways: dict[str, Callable[[Block], object]] = {"blocks": id, "ctc_collate": ctc_collate}
        for name, use in ways.items():
            time_pass(loader, use)
            pairs = [(time_pass(loader, use), time_work(make_blocks)) for _ in range(ROUNDS)]
            ours, floor = (min(times) for times in zip(*pairs, strict=True))
            title = f"{n_workers} workers, {name}"
            rates = f"{recipe.count / ours:12,.0f}{recipe.count / floor:12,.0f}"
            print(f"{title:34}{rates}   {floor / ours:.0%}")


def time_pass(loader: Iterable[Block], use: Callable[[Block], object]) -> float:
    """Return the seconds that one pass over a loader takes."""
    return time_work(lambda: [use(block) for block in loader])


def time_work(work: Callable[[], object]) -> float:
    """Return the seconds that some work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Print both tables."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.gettempdir())
    recipe = Recipe(length=(11, 11), count=N_SAMPLES, seed=1, dataset="mnist")
    generator = SequenceGenerator(recipe, load_glyphs("mnist"))
    made = [
        generator.block(start, start + BLOCK_SIZE) for start in range(0, N_SAMPLES, BLOCK_SIZE)
    ]
    parts = [made[at : at + BLOCKS_PER_PART] for at in range(0, len(made), BLOCKS_PER_PART)]
    print(f"{'container':12}{'us/image':>10}{'floor':>10}   ratio{'bytes/image':>12}")
    for name in FORMATS:
        try:
            compare_container(name, parts, root)
        except UsageError as error:
            print(f"{name:12} not measured: {error.message}")
    compare_streams(recipe)


if __name__ == "__main__":
    main()
