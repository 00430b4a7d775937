"""Trains a small reader of handwritten numbers on a CPU in a few minutes.

The whole way from a recipe to a reader that works: samples come from the stream and never repeat,
a convolutional-recurrent network reads them, CTC (Graves et al., "Connectionist temporal
classification", ICML 2006) says what is right. It is tested on numbers made of the MNIST
test glyphs, which it never saw.

    pip install 'mnistseq[torch]'
    python train_crnn.py

``--read FOLDER`` reads your own pictures as well, in any form that ``mnistseq inspect FOLDER``
reads: of ink on paper, one number each, and labelled, so that it can say how many are right.

    python train_crnn.py --digits 1 7 --augment heavy --read crops

Where other programs keep the cores busy, OMP_WAIT_POLICY=PASSIVE makes PyTorch three times as
fast: its threads then sleep while they wait for each other.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mnistseq_cli import MnistseqError, Recipe, SequenceGenerator
from mnistseq_cli.inspection.dataset import open_dataset
from mnistseq_cli.torch import CtcBatch, IterableSequenceDataset, ctc_collate

if TYPE_CHECKING:
    from numpy.typing import NDArray

HEIGHT_PX = 28
MOST_PAPER_PX = 8  # on the left of a row
STRIDE_PX = 2  # columns of the image for each step of the reader
BATCH_SIZE = 16  # of as many samples, small batches teach more
PEAK_RATE = 4e-3
WARM_UP = 0.2

console = Console(stderr=True)


class Reader(nn.Module):
    """Returns log-probabilities of blank and classes, shape (W // STRIDE_PX, B, classes + 1)."""

    def __init__(self, n_classes: int, n_hidden: int = 96) -> None:
        super().__init__()
        self.look = nn.Sequential(
            *convolve(1, 32, (5, 5), stride=(2, STRIDE_PX), padding=(2, 2)),  # 28 rows to 14
            *convolve(32, 64, (3, 3), stride=(2, 1), padding=(1, 1)),  # to 7
            *convolve(64, 96, (3, 3), stride=(2, 1), padding=(1, 1)),  # to 4
            nn.Dropout2d(0.1),
            *convolve(96, 128, (4, 3), stride=(1, 1), padding=(0, 1)),  # to 1
        )
        self.read = nn.GRU(128, n_hidden, bidirectional=True)
        self.score = nn.Linear(2 * n_hidden, n_classes + 1)

    def forward(self, images: Tensor) -> Tensor:
        """Read images, float32 (B, 1, 28, W), 0 ink to 1 paper."""
        seen = self.look(1 - stretch(images))[:, :, 0].permute(2, 0, 1)
        scores: Tensor = self.score(self.read(seen)[0]).log_softmax(2)
        return scores


class Score(NamedTuple):
    """Share of sequences read without any error, errors a character, and how many there were."""

    exact: float
    error_rate: float
    n_sequences: int


def convolve(
    n_in: int,
    n_out: int,
    size: tuple[int, int],
    *,
    stride: tuple[int, int],
    padding: tuple[int, int],
) -> list[nn.Module]:
    """Return the layers of one convolution."""
    convolution = nn.Conv2d(n_in, n_out, size, stride, padding, bias=False)
    return [convolution, nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)]


def stretch(images: Tensor) -> Tensor:
    """Make the darkest ink of each image black and its paper white, as scanners do."""
    levels = images.flatten(1).quantile(torch.tensor([0.01, 0.75]), dim=1)
    ink, paper = levels[:, :, None, None, None]
    stretched: Tensor = (images - ink) / (paper - ink).clamp(min=1 / 255)
    return stretched.clamp(0, 1)


def train(reader: Reader, dataset: IterableSequenceDataset, limit_s: float) -> None:
    """Train on the samples of an epoch, or on as many as there is time for."""
    loader = DataLoader(dataset, batch_size=None)
    optimizer = torch.optim.AdamW(reader.parameters(), weight_decay=0.01)
    columns = ["{task.description}", "loss {task.fields[loss]:.3f}"]
    started_s = time.monotonic()
    with Progress(
        *map(TextColumn, columns),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    ) as progress:
        task = progress.add_task("training", total=1, loss=float("nan"))
        for number, block in enumerate(loader):
            batch = ctc_collate(block)
            done = max(number / len(loader), (time.monotonic() - started_s) / limit_s)
            if done >= 1:
                console.print(f"out of time after {number * dataset.batch_size} samples")
                break
            for group in optimizer.param_groups:
                group["lr"] = choose_rate(done)
            # Rows begin at the edge or after some paper, as crops do: a reader that never saw
            # paper before the first digit reads one into it.
            left_px = int(torch.randint(MOST_PAPER_PX + 1, ()))
            images = nn.functional.pad(batch.images, (left_px, 0), value=1.0)
            loss = measure_loss(reader(images), batch)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(reader.parameters(), 5.0)
            optimizer.step()
            progress.update(task, completed=done, loss=loss.item())
        progress.update(task, completed=1)


def choose_rate(done: float) -> float:
    """Return the learning rate after a share of the training: up in a line, down in a cosine."""
    if done < WARM_UP:
        return PEAK_RATE * (0.05 + 0.95 * done / WARM_UP)
    return PEAK_RATE * (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP))) / 2


def measure_loss(log_probs: Tensor, batch: CtcBatch) -> Tensor:
    """Return the CTC loss of a batch, of all steps: there is nothing to read on paper either."""
    n_steps = torch.full_like(batch.target_lengths, len(log_probs))
    return nn.functional.ctc_loss(log_probs, batch.targets, n_steps, batch.target_lengths)


def test(reader: Reader, alphabet: str, dataset: IterableSequenceDataset) -> Score:
    """Read all samples of an epoch."""
    reader.eval()
    read: list[str] = []
    right: list[str] = []
    with torch.inference_mode():
        for block in dataset:
            read += decode(reader(ctc_collate(block).images), alphabet)
            right += block.texts.tolist()
    return score(read, right)


def score(read: list[str], right: list[str]) -> Score:
    """Compare what was read with what is right."""
    n_errors = sum(map(count_edits, read, right))
    n_exact = sum(text == other for text, other in zip(read, right, strict=True))
    return Score(n_exact / len(right), n_errors / sum(map(len, right)), len(right))


def load_rows(folder: Path, width_px: int) -> tuple[list[NDArray[np.uint8]], list[str]]:
    """Load labelled pictures of rows: dark ink, `HEIGHT_PX` high, at most so wide; and texts."""
    rows, texts = [], []
    for sample in open_dataset(folder).read():
        image = sample.image if np.median(sample.image) > 127 else 255 - sample.image  # noqa: PLR2004 - half way
        height, width = image.shape
        size = (min(width_px, max(STRIDE_PX, round(width * HEIGHT_PX / height))), HEIGHT_PX)
        rows.append(np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)))
        texts.append(sample.text)
    return rows, texts


def read_rows(reader: Reader, rows: list[NDArray[np.uint8]], alphabet: str) -> list[str]:
    """Read rows of any widths."""
    reader.eval()
    width_px = max(row.shape[1] for row in rows)
    texts = []
    with torch.inference_mode():
        for start in range(0, len(rows), BATCH_SIZE):
            pages = [pad_row(row, width_px) for row in rows[start : start + BATCH_SIZE]]
            images = torch.from_numpy(np.stack(pages)[:, None].astype(np.float32) / 255)
            texts += decode(reader(images), alphabet)
    return texts


def pad_row(row: NDArray[np.uint8], width_px: int) -> NDArray[np.uint8]:
    """Put paper on the right of a row, where batches of rows of their own width have it."""
    paper = np.median(row[:, [0, -1]]).astype(np.uint8)
    return np.pad(row, ((0, 0), (0, width_px - row.shape[1])), constant_values=paper)


def decode(log_probs: Tensor, alphabet: str) -> list[str]:
    """Take the likeliest class of each step, leave out repeats, then blanks."""
    texts = []
    for steps in log_probs.argmax(2).T.tolist():
        kept = [one for one, before in zip(steps, [0, *steps], strict=False) if one != before]
        texts.append("".join(alphabet[one - 1] for one in kept if one))
    return texts


def count_edits(text: str, right: str) -> int:
    """Count insertions, deletions and substitutions (Levenshtein distance)."""
    row = list(range(len(right) + 1))
    for at, character in enumerate(text, start=1):
        before, row[0] = row[0], at
        for place, other in enumerate(right, start=1):
            before, row[place] = (
                row[place],
                min(row[place] + 1, row[place - 1] + 1, before + (character != other)),
            )
    return row[-1]


def count_impossible(generator: SequenceGenerator) -> int:
    """Count labels that CTC cannot align: a step for each digit, and one between equal ones."""
    n_impossible = 0
    for start in range(0, len(generator), 1000):
        block = generator.block(start, min(start + 1000, len(generator)))
        inside = np.arange(1, block.classes.shape[1]) < block.lengths[:, None]
        n_equal = ((block.classes[:, 1:] == block.classes[:, :-1]) & inside).sum(axis=1)
        n_impossible += int((block.lengths + n_equal > block.widths_px // STRIDE_PX).sum())
    return n_impossible


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--samples", type=int, default=128_000, help="to train on (default: %(default)s)")
    add("--digits", type=int, nargs="+", default=[5], help="in a number: one, or MIN and MAX")
    add("--width", type=int, default=152, help="of the images in pixels (default: %(default)s)")
    add("--fit", default="pad", choices=("pad", "shrink"), help="default: %(default)s")
    add("--minutes", type=float, default=9, help="training at most (default: %(default)s)")
    add("--test-samples", type=int, default=4000, help="default: %(default)s")
    add("--seed", type=int, default=1, help="default: %(default)s")
    add("--dataset", default="mnist", help="default: %(default)s")
    add("--augment", action="append", default=[], help="distort, such as medium, heavy")
    add("--read", type=Path, help="a folder of labelled pictures to read as well")
    add("--dry-run", action="store_true", help="only check that CTC can learn the labels")
    return parser.parse_args()


def main() -> int:
    """Train and test."""
    asked = parse_arguments()
    recipe = Recipe(
        length=(asked.digits[0], asked.digits[-1]),
        count=asked.samples,
        seed=asked.seed,
        width_px=asked.width,
        fit=asked.fit,
        align="random",
        dataset=asked.dataset,
        augment=tuple(asked.augment),
    )
    try:
        if asked.dry_run:
            return dry_run(recipe)
        rows, texts = load_rows(asked.read, asked.width) if asked.read else ([], [])
        reader, alphabet = train_reader(recipe, 60 * asked.minutes)
        tests = replace(recipe, glyphs="test", count=asked.test_samples)
        print_score("sequences", test(reader, alphabet, IterableSequenceDataset(tests)))
        if rows:
            print_score(str(asked.read), score(read_rows(reader, rows, alphabet), texts))
    except MnistseqError as error:
        console.print(f"error: {error}", markup=False)
        return error.exit_status
    return 0


def train_reader(recipe: Recipe, limit_s: float) -> tuple[Reader, str]:
    """Train a reader on a recipe; return it with the characters that it knows."""
    torch.manual_seed(recipe.seed)
    dataset = IterableSequenceDataset(recipe, batch_size=BATCH_SIZE)
    reader = Reader(len(dataset.alphabet))
    train(reader, dataset, limit_s)
    return reader, dataset.alphabet


def print_score(name: str, score: Score) -> None:
    """Print how well sequences were read."""
    print(f"{f'exact {name}':21} {score.exact:.2%} of {score.n_sequences}")
    print(f"{'character error rate':21} {score.error_rate:.2%}")


def dry_run(recipe: Recipe) -> int:
    """Print whether the steps of the reader can hold the labels."""
    n_impossible = count_impossible(SequenceGenerator(recipe))
    if n_impossible:
        console.print(
            f"warning: {n_impossible} of {recipe.count} labels need more steps than the width of "
            f"{recipe.width_px} px has at {STRIDE_PX} px a step; make --width larger"
        )
    else:
        console.print("every label fits into the steps of the reader")
    return int(n_impossible > 0)


if __name__ == "__main__":
    sys.exit(main())
