"""Reads a dataset with Hugging Face `datasets`, and learns its digits from their boxes.

    pip install 'mnistseq[parquet]' datasets
    mnistseq batch -n 5000 --length 3 7 --to parquet --splits train=80 validation=20 -o numbers
    python load_with_datasets.py numbers

A folder of images (`--to folder`) and WebDataset shards load the same way.
"""

from __future__ import annotations

import sys
from typing import Any

import datasets
import numpy as np

SIDE_PX = 16


def cut_digits(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Cut the digits of some images out along their boxes: one row a digit."""
    crops, classes = [], []
    for image, text, objects in zip(batch["image"], batch["text"], batch["objects"], strict=True):
        for character, (x, y, width, height) in zip(text, objects["bbox"], strict=True):
            crop = image.convert("L").crop((x, y, x + width, y + height))
            crops.append(255 - np.asarray(crop.resize((SIDE_PX, SIDE_PX))))
            classes.append(int(character))
    return {"crop": crops, "digit": classes}


def main() -> None:
    """Learn the mean picture of each digit, and tell unseen digits by the nearest of them."""
    dataset = datasets.load_dataset(sys.argv[1])
    print(dataset)
    digits = dataset.map(cut_digits, batched=True, remove_columns=dataset["train"].column_names)
    digits = digits.with_format("numpy")
    train, validation = digits["train"][:], digits["validation"][:]

    means = np.stack([train["crop"][train["digit"] == digit].mean(axis=0) for digit in range(10)])
    distances = ((validation["crop"][:, None] - means) ** 2).sum(axis=(2, 3))
    right = np.mean(distances.argmin(axis=1) == validation["digit"])
    print(f"nearest mean of {len(train['digit'])} digits: {right:.1%} right")


if __name__ == "__main__":
    main()
