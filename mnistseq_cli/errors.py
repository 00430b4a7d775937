"""All errors that mnistseq raises on purpose.

The tree::

    MnistseqError               exit status 1
    ├── UsageError              exit status 2: a value that is not allowed; also a ValueError
    │   ├── TextError           a text or pattern that cannot be written
    │   └── LayoutError         digits, gaps and width that do not go together
    ├── GlyphError              glyphs that cannot be found or read
    │   ├── DownloadError       no mirror gave the right bytes
    │   └── CacheError          the cache cannot be read or written
    └── OutputError             images or labels that cannot be written
"""

from __future__ import annotations

from typing import ClassVar


class MnistseqError(Exception):
    """The root of the tree.

    Parameters
    ----------
    message : str
        What is wrong, the value received, and what is allowed.
    hint : str
        What mends it, if there is one thing that does: a command, an option.
    """

    exit_status: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class UsageError(MnistseqError, ValueError):
    """A value that is not allowed."""

    exit_status: ClassVar[int] = 2


class TextError(UsageError):
    """A text or pattern that cannot be written."""


class LayoutError(UsageError):
    """Digits, gaps and width that do not go together."""


class GlyphError(MnistseqError):
    """Glyphs that cannot be found or read."""


class DownloadError(GlyphError):
    """No mirror gave the right bytes."""


class CacheError(GlyphError):
    """The cache cannot be read or written."""


class OutputError(MnistseqError):
    """Images or labels that cannot be written."""
