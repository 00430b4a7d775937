"""What spreadsheets and slips do to label files: lost zeros, lost digits, empty cells."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from mnistseq_cli.inspection.figures import Damage

if TYPE_CHECKING:
    from mnistseq_cli.formats.base import LoadedSample

_SCIENTIFIC = re.compile(r"\d(\.\d+)?[eE]\+\d+")  # 9.33787E+11
_DECIMAL = re.compile(r"\d+\.0")  # 47922.0
_MOSTLY = 0.8  # of texts have the same length: of numbers up to 99999, 90 % have five digits


def is_same_number(text: str, read: str) -> bool:
    """Whether two different texts are one number, as programs write it: 06405 and 6405.0."""
    digits = read.removesuffix(".0")
    return text != read and text.isdecimal() and digits.isdecimal() and int(text) == int(digits)


class LabelTally:
    """Counts texts that seem damaged; in datasets of ours nothing is guessed from texts alone."""

    def __init__(self, *, is_ours: bool) -> None:
        self._is_ours = is_ours
        self._found: dict[str, Damage] = {}
        self._lengths: Counter[int] = Counter()
        self._may_lack_zeros = not is_ours

    def add(self, samples: list[LoadedSample]) -> None:
        """Look at the texts of some samples."""
        for sample in samples:
            text = sample.text
            if not text:
                self._note("empty", sample)
            elif sample.boxes is not None and len(sample.boxes) > len(text):
                self._note("short", sample)
            elif _SCIENTIFIC.fullmatch(text) or (not self._is_ours and _DECIMAL.fullmatch(text)):
                self._note("spoiled", sample)
        if self._may_lack_zeros:
            texts = [sample.text for sample in samples]
            self._lengths.update(map(len, texts))
            self._may_lack_zeros = all(text.isdecimal() and text[0] != "0" for text in texts)

    def find(self, n_contradicting: int) -> dict[str, Damage]:
        """Return what was found, by kind, with images that equal another but for the text."""
        found = dict(self._found)
        if n_contradicting:
            found["contradicting"] = Damage(n_contradicting)
        n_all, longest = self._lengths.total(), max(self._lengths, default=0)
        n_longest = self._lengths[longest]
        if self._may_lack_zeros and _MOSTLY * n_all <= n_longest < n_all:
            found["zeros"] = Damage(n_all - n_longest)
        return found

    def _note(self, kind: str, sample: LoadedSample) -> None:
        found = self._found.get(kind, Damage(0, sample.name, sample.text))
        self._found[kind] = Damage(found.n + 1, found.name, found.text)
