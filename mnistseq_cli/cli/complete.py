"""Values that complete under the Tab key."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Known here so that a completion waits for no arrays.
PRESETS = ("light", "medium", "heavy", "all")
AUGMENTATIONS = (
    *("scale", "shear", "rotate", "perspective", "shift", "elastic", "thickness", "erode"),
    *("dilate", "baseline", "lines", "blur", "background", "contrast", "brightness", "grain"),
    *("noise", "jpeg"),
)


def complete_choices(values: Iterable[str]) -> Callable[[str], list[str]]:
    """Make a completer of a fixed list of values."""
    known = list(values)

    def complete(incomplete: str) -> list[str]:
        return [value for value in known if value.startswith(incomplete)]

    return complete


complete_augmentations = complete_choices([*PRESETS, *AUGMENTATIONS])


def complete_datasets(incomplete: str) -> list[str]:
    """Complete the names of data sets."""
    from mnistseq_cli.glyphs.catalog import DATASETS, DRAWN

    return complete_choices(["auto", *DATASETS, *DRAWN])(incomplete)


def complete_patterns(incomplete: str) -> list[tuple[str, str]]:
    """Complete the names of numbering plans, each with its pattern."""
    from mnistseq_cli.compose.phone import PRESETS

    return [(name, plan) for name, plan in PRESETS.items() if name.startswith(incomplete)]


def complete_formats(incomplete: str) -> list[str]:
    """Complete the names of containers."""
    from mnistseq_cli.formats import FORMATS

    return complete_choices(FORMATS)(incomplete)


def complete_labels(incomplete: str) -> list[str]:
    """Complete the names of label styles."""
    from mnistseq_cli.formats import LABEL_STYLES

    return complete_choices(LABEL_STYLES)(incomplete)


def complete_image_formats(incomplete: str) -> list[str]:
    """Complete the formats of images."""
    from mnistseq_cli.formats import IMAGE_FORMATS

    return complete_choices(IMAGE_FORMATS)(incomplete)
