"""Hashes of what was made.

What is made is named, as in ``{"pixels": "1f0c…"}``. Where it also depends on the version of a
library, that is part of its name: ``"images/*.png, zlib-ng 2.2.4"``.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

Digests = dict[str, str]
LIBRARIES = ("zlib-ng", "libjpeg-turbo")


class Missing(Exception):  # noqa: N818 - no error: it cannot be made here
    """What cannot be made on this machine, and why."""


def hash_bytes(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def hash_json(value: Any) -> str:
    """Hash plain values."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hash_bytes(text.encode())


def hash_arrays(*arrays: NDArray[Any]) -> str:
    """Hash types, shapes and values of arrays."""
    digest = hashlib.sha256()
    for array in arrays:
        plain = array.astype(array.dtype.newbyteorder("<"))
        digest.update(f"{plain.dtype.kind}{plain.dtype.itemsize} {plain.shape}\n".encode())
        digest.update(np.ascontiguousarray(plain).tobytes())
    return digest.hexdigest()


def of_deflate(what: str) -> str:
    """Name what follows the installed zlib-ng."""
    from zlib_ng import zlib_ng  # noqa: PLC0415 - its version is all that is needed

    return f"{what}, zlib-ng {zlib_ng.ZLIBNG_RUNTIME_VERSION}"


def of_jpeg(what: str) -> str:
    """Name what follows the installed JPEG codec."""
    from PIL import features  # noqa: PLC0415 - as above

    return f"{what}, libjpeg-turbo {features.version('libjpeg_turbo')}"


def is_of_version(what: str) -> bool:
    """Tell whether a name holds the version of a library."""
    return any(f", {library} " in what for library in LIBRARIES)


def without_version(what: str) -> str:
    """Give a name without the version of a library."""
    return what.rpartition(", ")[0] if is_of_version(what) else what
