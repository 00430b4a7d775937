"""Pictures in the terminal, two pixels to a character."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from mnistseq_cli.cli.console import get_console

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

UPPER_HALF = "▀"


def show_image(image: NDArray[np.uint8]) -> None:
    """Draw a greyscale image, shape (H, W), in half blocks; scaled down where it is too wide.

    Nothing is drawn where the terminal has no colours: half blocks of one colour show nothing.
    """
    if get_console().color_system is None:
        return
    step = -(-image.shape[1] // get_console().width)
    upper, lower = image[::step][0::2, ::step], image[::step][1::2, ::step]
    for top, bottom in zip(upper, lower, strict=False):
        line = Text(no_wrap=True, end="\n")
        for above, below in zip(top.tolist(), bottom.tolist(), strict=True):
            line.append(
                UPPER_HALF, f"rgb({above},{above},{above}) on rgb({below},{below},{below})"
            )
        get_console().print(line)
