"""All errors that mnistseq raises on purpose; the command line ends with their exit status."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import ClassVar, Self


class MnistseqError(Exception):
    """The root of the tree.

    Parameters
    ----------
    message : str
        What is wrong, the value received, and what was expected.
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
    """A value that is not allowed.

    Parameters
    ----------
    message : str
        Where a field is given, what its name is followed by, such as ``"is 0; expected …"``.
    hint : str
    field : str, optional
        The field of a recipe, or the parameter of a function, that the error is about. Who prints
        the error may name it otherwise: the command line writes ``--width`` for ``width_px``.
    """

    exit_status: ClassVar[int] = 2

    def __init__(self, message: str, hint: str = "", *, field: str | None = None) -> None:
        super().__init__(f"{field} {message}" if field else message, hint)
        self.field = field
        self._problem = message

    def renamed(self, names: Mapping[str, str]) -> Self:
        """Return the same error with its field under the name that is used elsewhere."""
        if self.field is None or self.field not in names:
            return self
        error = copy(self)
        error.message = f"{names[self.field]} {self._problem}"
        error.hint = self.hint.replace(f": {self.field} ", f": {names[self.field]} ")
        error.args = (error.message, error.hint)
        return error


class TextError(UsageError):
    """A text or pattern that cannot be written."""


class LayoutError(UsageError):
    """Digits, gaps and width that do not go together."""

    # Fields of the recipe and values that would mend it, each by itself; the hint names options.
    remedies: tuple[tuple[str, object], ...] = ()


class GlyphError(MnistseqError):
    """Glyphs that cannot be found or read."""


class DownloadError(GlyphError):
    """No mirror gave the right bytes."""


class CacheError(GlyphError):
    """The cache cannot be read or written."""


class OutputError(MnistseqError):
    """Images or labels that cannot be written."""
