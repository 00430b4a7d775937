"""A small convolutional network, trained in minutes on one core, for what needs a reader."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

torch: Any = import_module("torch")
nn: Any = torch.nn

BATCH = 100
LEARNING_RATE = 0.002


def train(
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    seed: int,
    *,
    channels: tuple[int, int],
    dropout: float,
    epochs: int,
) -> Any:  # noqa: ANN401 - a torch module
    """Train a new network of two convolutions and two dense layers.

    Images are ink on 0, shape (N, height, width); labels are digits, of shape (N,) or (N, n).
    """
    torch.manual_seed(seed)
    first, second = channels
    shape = labels.shape[1:]
    network = nn.Sequential(
        *(nn.Conv2d(1, first, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(first, second, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Dropout(dropout), nn.LazyLinear(128), nn.ReLU()),
        *(nn.Linear(128, 10 * int(np.prod(shape))), nn.Unflatten(1, (10, *shape))),
    )
    pixels, digits = _to_tensor(images), torch.from_numpy(labels.astype(np.int64))
    network(pixels[:1])
    optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    n_steps = epochs * (len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, n_steps)
    for _ in range(epochs):
        for batch in torch.randperm(len(images))[: n_steps // epochs * BATCH].split(BATCH):
            loss = nn.functional.cross_entropy(network(pixels[batch]), digits[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def read(network: Any, images: NDArray[np.uint8]) -> NDArray[np.int64]:  # noqa: ANN401 - as above
    """Read images with a network; the shape is that of the labels it was trained on."""
    with torch.no_grad():
        parts = [network(part).argmax(1).numpy() for part in _to_tensor(images).split(1000)]
    return np.concatenate(parts)


def _to_tensor(images: NDArray[np.uint8]) -> Any:  # noqa: ANN401 - as above
    return torch.from_numpy(images.astype(np.float32) / 255)[:, None]
