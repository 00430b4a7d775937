"""Trains a small reader of handwritten numbers on a CPU in a few minutes.

The whole way from a recipe to a reader that works: samples come from the stream and never repeat,
a convolutional-recurrent network reads them, CTC (Graves et al., "Connectionist temporal
classification", ICML 2006) says what is right. It is tested on numbers made of the MNIST
test glyphs, which it never saw.

    pip install 'mnistseq[torch]'
    python train_crnn.py

Where other programs keep the cores busy, OMP_WAIT_POLICY=PASSIVE makes PyTorch three times as
fast: its threads then sleep while they wait for each other.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mnistseq_cli import MnistseqError, Recipe, SequenceGenerator
from mnistseq_cli.torch import CtcBatch, IterableSequenceDataset, ctc_collate

STRIDE_PX = 2  # columns of the image for each step of the reader
BATCH_SIZE = 64
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
        seen = self.look(1 - images)[:, :, 0].permute(2, 0, 1)
        scores: Tensor = self.score(self.read(seen)[0]).log_softmax(2)
        return scores


class Score(NamedTuple):
    """Share of sequences read without any error, and errors a character."""

    exact: float
    error_rate: float


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
            loss = measure_loss(reader(batch.images), batch)
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
    """Return the CTC loss of a batch."""
    n_steps = batch.widths_px // STRIDE_PX
    return nn.functional.ctc_loss(log_probs, batch.targets, n_steps, batch.target_lengths)


def test(reader: Reader, dataset: IterableSequenceDataset) -> Score:
    """Read all samples of an epoch."""
    reader.eval()
    n_exact = n_errors = n_characters = n_samples = 0
    with torch.inference_mode():
        for block in dataset:
            read = decode(reader(ctc_collate(block).images), dataset.alphabet)
            for text, right in zip(read, block.texts.tolist(), strict=True):
                n_exact += text == right
                n_errors += count_edits(text, right)
                n_characters += len(right)
            n_samples += len(block)
    return Score(n_exact / n_samples, n_errors / n_characters)


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
    add("--digits", type=int, default=5, help="in a number (default: %(default)s)")
    add("--width", type=int, default=152, help="of the images in pixels (default: %(default)s)")
    add("--fit", default="pad", choices=("pad", "shrink"), help="default: %(default)s")
    add("--minutes", type=float, default=9, help="training at most (default: %(default)s)")
    add("--test-samples", type=int, default=4000, help="default: %(default)s")
    add("--seed", type=int, default=1, help="default: %(default)s")
    add("--dataset", default="mnist", help="default: %(default)s")
    add("--dry-run", action="store_true", help="only check that CTC can learn the labels")
    return parser.parse_args()


def main() -> int:
    """Train and test."""
    asked = parse_arguments()
    recipe = Recipe(
        length=asked.digits,
        count=asked.samples,
        seed=asked.seed,
        width_px=asked.width,
        fit=asked.fit,
        align="random",
        dataset=asked.dataset,
    )
    try:
        if asked.dry_run:
            return dry_run(recipe)
        score = train_and_test(recipe, asked.test_samples, 60 * asked.minutes)
    except MnistseqError as error:
        console.print(f"error: {error}", markup=False)
        return error.exit_status
    print(f"exact sequences       {score.exact:.2%} of {asked.test_samples}")
    print(f"character error rate  {score.error_rate:.2%}")
    return 0


def train_and_test(recipe: Recipe, test_count: int, limit_s: float) -> Score:
    """Train on a recipe, test on the same with the glyphs for tests."""
    torch.manual_seed(recipe.seed)
    train_set = IterableSequenceDataset(recipe, batch_size=BATCH_SIZE)
    test_set = IterableSequenceDataset(replace(recipe, glyphs="test", count=test_count))
    reader = Reader(len(train_set.alphabet))
    train(reader, train_set, limit_s)
    return test(reader, test_set)


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
