"""Images of handwritten digit sequences, with exact labels and boxes.

The public names are loaded when they are first used: importing the package opens no file.
"""

from __future__ import annotations

import importlib as _importlib
import typing as _typing

if _typing.TYPE_CHECKING:
    from mnistseq_cli.api import generate_numbers_sequence, generate_phone_numbers
    from mnistseq_cli.compose.generator import SequenceGenerator
    from mnistseq_cli.compose.samples import Block, Sample
    from mnistseq_cli.distortions.array_api import augment
    from mnistseq_cli.errors import MnistseqError
    from mnistseq_cli.glyphs.glyph_set import GlyphSet
    from mnistseq_cli.glyphs.load import load_glyphs
    from mnistseq_cli.recipe import Recipe

    __version__: str

__all__ = [
    "Block",
    "GlyphSet",
    "MnistseqError",
    "Recipe",
    "Sample",
    "SequenceGenerator",
    "augment",
    "generate_numbers_sequence",
    "generate_phone_numbers",
    "load_glyphs",
]

_HOMES = {
    "Block": "compose.samples",
    "GlyphSet": "glyphs.glyph_set",
    "MnistseqError": "errors",
    "Recipe": "recipe",
    "Sample": "compose.samples",
    "SequenceGenerator": "compose.generator",
    "augment": "distortions.array_api",
    "generate_numbers_sequence": "api",
    "generate_phone_numbers": "api",
    "load_glyphs": "glyphs.load",
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - slow to load

        return version("mnistseq")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return ["__version__", *__all__]
