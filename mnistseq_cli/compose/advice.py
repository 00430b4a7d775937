"""What mends a row that cannot be in its width: only what does so for every sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnistseq_cli.compose.layout import SMALLEST_SCALE
from mnistseq_cli.glyphs.glyphset import SIDE_PX
from mnistseq_cli.recipe import WIDTH_LIMIT_PX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mnistseq_cli.compose.writer import Writer
    from mnistseq_cli.recipe import Recipe


def advise(recipe: Recipe, writer: Writer) -> str:
    """Give a hint for a recipe with a row that cannot be in its width as it is.

    Parameters
    ----------
    recipe : Recipe
        One that says a width in pixels.
    writer : Writer
        Tells how wide its rows can be.
    """
    *others, last = _find_ways(recipe, writer, int(str(recipe.width_px)))
    return f"Use {', '.join(others)} or {last}" if others else f"Use {last}"


def _find_ways(recipe: Recipe, writer: Writer, width_px: int) -> Iterator[str]:
    least_px, most_px = recipe.spacing_px
    shrunk_px = -(-writer.widest_row_px(max(0, most_px)) // SMALLEST_SCALE)
    if recipe.fit != "pad":
        yield f"--width {shrunk_px} or more"
        return
    enough_px = writer.widest_row_px(max(0, least_px))
    if recipe.spacing_mode == "variable":
        if enough_px <= WIDTH_LIMIT_PX:
            yield f"--width {enough_px} (always enough)"
        else:
            yield "fewer digits"
        if least_px > 0 and writer.widest_row_px(0) <= width_px:
            yield f"--spacing 0 {most_px}"
    elif recipe.measure == "cell" and _has_one_length(recipe):
        yield f"--width {_find_shared_px(recipe, writer, width_px)}"
    else:
        yield "--width widest"
        if enough_px <= width_px:
            yield "--spacing-mode variable"
    if shrunk_px <= width_px:
        yield "--fit shrink"


def _find_shared_px(recipe: Recipe, writer: Writer, width_px: int) -> int:
    """Give the width nearest by that equal gaps between cells fill, where all texts are as long.

    All rows are as wide as the widest then.
    """
    cells_px = writer.widest_row_px(0)
    n_gaps = writer.widest_row_px(1) - cells_px
    if n_gaps == 0:
        return cells_px
    least_px = max(recipe.spacing_px[0], 1 - SIDE_PX)
    most_px = max(recipe.spacing_px[1], least_px)
    gap_px = min(max(round((width_px - cells_px) / n_gaps), least_px), most_px)
    return cells_px + n_gaps * gap_px


def _has_one_length(recipe: Recipe) -> bool:
    if recipe.length is not None:
        return recipe.length[0] == recipe.length[1]
    return recipe.texts is None or len({*map(len, recipe.texts)}) == 1
