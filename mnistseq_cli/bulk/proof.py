"""Which glyphs and texts a part has used: the proof that splits share none."""

from __future__ import annotations

import base64
import hashlib
from collections import defaultdict
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from mnistseq_cli.compose.samples import Block

_NUMBERS = {"glyphs": "<u4", "texts": "<u8"}
_HASH_BYTES = 8  # of a text: among a million there is one false alarm in ten million checks


class Proof:
    """Collects what the samples of a part use."""

    def __init__(self) -> None:
        self._glyphs: set[int] = set()
        self._texts: set[str] = set()

    def add(self, block: Block) -> None:
        """Take note of a block."""
        inside = np.arange(block.glyphs.shape[1]) < block.lengths[:, None]
        self._glyphs.update(np.unique(block.glyphs[inside]).tolist())
        self._texts.update(block.texts.tolist())

    def to_dict(self) -> dict[str, str]:
        """Give glyph ids, and hashes of texts, sorted: little-endian numbers in base 64."""
        hashes = [
            hashlib.blake2b(text.encode(), digest_size=_HASH_BYTES).digest()
            for text in self._texts
        ]
        texts = np.sort(np.frombuffer(b"".join(hashes), "<u8"))
        return {"glyphs": _encode(np.array(sorted(self._glyphs), "<u4")), "texts": _encode(texts)}


def find_leaks(proofs: Iterable[tuple[str, dict[str, str]]], *, with_texts: bool) -> list[str]:
    """Find what is in two splits.

    Parameters
    ----------
    proofs : iterable of (str, dict)
        The split of each part, and its proof.
    with_texts : bool
        Whether texts must not be shared either.

    Returns
    -------
    list of str
        A line for each two splits that share glyphs or texts.
    """
    used: dict[tuple[str, str], list[NDArray[np.generic]]] = defaultdict(list)
    for split, proof in proofs:
        for kind in _NUMBERS:
            used[kind, split].append(_decode(kind, proof))
    whole = {key: np.unique(np.concatenate(parts)) for key, parts in used.items()}
    leaks = []
    for (kind, one), (other_kind, other) in combinations(whole, 2):
        if kind == other_kind and (with_texts or kind == "glyphs"):
            shared = np.intersect1d(whole[kind, one], whole[kind, other], assume_unique=True)
            if shared.size:
                leaks.append(f"{one} and {other} share {shared.size} {kind}")
    return leaks


def check_proof(proof: dict[str, str]) -> None:
    """Refuse what is neither a proof nor empty.

    Raises
    ------
    ValueError
        It is neither.
    """
    if not isinstance(proof, dict):
        raise ValueError(f"proof is {proof!r:.60}; allowed is an object")  # noqa: TRY004 - as all damage
    for kind in _NUMBERS if proof else ():
        try:
            _decode(kind, proof)
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{kind} of the proof are no numbers in base 64") from error


def _decode(kind: str, proof: dict[str, str]) -> NDArray[np.generic]:
    return np.frombuffer(base64.b64decode(proof[kind]), _NUMBERS[kind])


def _encode(numbers: NDArray[np.generic]) -> str:
    return base64.b64encode(numbers.tobytes()).decode("ascii")
