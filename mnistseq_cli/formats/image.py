"""One image in one file."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from mnistseq_cli.errors import OutputError, UsageError
from mnistseq_cli.formats.encoders import open_encoder

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_GREY_AXES = 2


def write_image(path: Path, image: NDArray[np.uint8]) -> None:
    """Write an image; the ending of the name says in which format.

    The file appears complete under its name, or not at all.

    Parameters
    ----------
    path : Path
    image : ndarray of uint8, shape (H, W) or (H, W, 3)
        Grey, or red, green and blue.

    Raises
    ------
    UsageError
        The format is unknown or cannot hold such images.
    OutputError
        The file cannot be written.
    """
    ending = path.suffix.removeprefix(".").lower()
    encode = open_encoder(ending)
    if image.ndim == _GREY_AXES:
        data = encode(image[None], np.array([image.shape[1]]))[0]
    else:
        data = _encode_colours(image, ending)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        hint = "Choose a folder that can be written." if isinstance(error, PermissionError) else ""
        raise OutputError(f"cannot write {path}: {error.strerror or error}", hint) from error
    finally:
        with suppress(OSError):  # where it could not be made, it cannot be looked for either
            part.unlink(missing_ok=True)


def _encode_colours(image: NDArray[np.uint8], ending: str) -> bytes:
    from imageio import v3 as imageio  # noqa: PLC0415 - not needed to write grey PNG files

    try:
        return imageio.imwrite(
            "<bytes>", image, extension=f".{ending}", plugin="pillow", mode="RGB"
        )
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(f"image format is {ending!r}, which holds no colours: {error}") from error
