"""Named sets of distortions and their strengths."""

from __future__ import annotations

from mnistseq_cli.compose.augment.table import AUGMENTATIONS

PRESETS: dict[str, dict[str, str]] = {
    "light": {
        "scale": "0.06",
        "shear": "6",
        "rotate": "5",
        "shift": "1",
        "elastic": "1",
        "thickness": "0.2",
        "baseline": "1",
    },
    "medium": {
        "scale": "0.12",
        "shear": "10",
        "rotate": "10",
        "perspective": "0.08",
        "shift": "2",
        "elastic": "2",
        "thickness": "0.4",
        "baseline": "2",
        "blur": "0.6",
        "contrast": "0.15",
        "grain": "0.03",
    },
    "heavy": {
        "scale": "0.2",
        "shear": "18",
        "rotate": "16",
        "perspective": "0.15",
        "shift": "3",
        "elastic": "3",
        "thickness": "0.6",
        "baseline": "3",
        "lines": "2",
        "blur": "0.9",
        "background": "0.35",
        "contrast": "0.3",
        "brightness": "0.1",
        "grain": "0.08",
        "noise": "0.01",
    },
    "all": {name: record.default for name, record in AUGMENTATIONS.items()},
}
"""What light, medium and heavy mean is part of a saved recipe; "all" is each at its default."""
