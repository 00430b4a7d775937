"""One image in one file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from mnistseq_cli.errors import OutputError
from mnistseq_cli.formats.folder import open_encoder

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def write_image(path: Path, image: NDArray[np.uint8]) -> None:
    """Write a greyscale image, shape (H, W); the ending of the name says in which format.

    The file appears complete under its name, or not at all.

    Raises
    ------
    UsageError
        The format is unknown or cannot hold grey images.
    OutputError
        The file cannot be written.
    """
    encode = open_encoder(path.suffix.removeprefix(".").lower())
    data = encode(image[None], np.array([image.shape[1]]))[0]
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)
