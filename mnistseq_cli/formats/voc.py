"""Annotations of Pascal VOC, an XML file an image.

"The PASCAL Visual Object Classes Challenge 2012 Development Kit": corners are pixels that belong
to the box, and count from 1.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from mnistseq_cli.formats.fields import MARK

if TYPE_CHECKING:
    from mnistseq_cli.compose.samples import Sample


def describe_sample(name: str, sample: Sample) -> str:
    """Write the annotation of a sample whose image has this name."""
    height, width = sample.image.shape
    folder, _, file_name = name.rpartition("/")
    named = zip(sample.text, sample.boxes.tolist(), strict=True)
    objects = [
        f"<object><name>{escape(character)}</name><truncated>0</truncated>"
        f"<difficult>0</difficult><bndbox><xmin>{x + 1}</xmin><ymin>{y + 1}</ymin>"
        f"<xmax>{x + w}</xmax><ymax>{y + h}</ymax></bndbox></object>\n"
        for character, (x, y, w, h) in [*named, *((MARK, mark.box) for mark in sample.marks)]
    ]
    return (
        f"<annotation>\n<folder>{escape(folder)}</folder>\n"
        f"<filename>{escape(file_name)}</filename>\n"
        f"<size><width>{width}</width><height>{height}</height><depth>1</depth></size>\n"
        f"<segmented>0</segmented>\n{''.join(objects)}</annotation>\n"
    )


class _Builder(ET.TreeBuilder):
    """Takes no document types, whose entities could unpack to any size."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise ValueError(f"it has a document type: {(name, pubid, system)!r:.80}")


def parse_annotation(data: bytes) -> tuple[str, str, str, list[list[int]]]:
    """Return folder and name of the image, and its text and boxes from left to right."""
    parser = ET.XMLParser(target=_Builder())  # noqa: S314 - no entities, see there
    parser.feed(data)
    tree = parser.close()
    found = []
    for one in tree.iter("object"):
        left, top, right, bottom = (
            round(float(_find(one, f"bndbox/{key}"))) for key in ("xmin", "ymin", "xmax", "ymax")
        )
        if (character := _find(one, "name")) != MARK:
            found.append((character, [left - 1, top - 1, right - left + 1, bottom - top + 1]))
    found.sort(key=lambda pair: pair[1][0])
    text = "".join(character for character, _ in found)
    return tree.findtext("folder", ""), _find(tree, "filename"), text, [box for _, box in found]


def _find(inside: ET.Element, key: str) -> str:
    text = inside.findtext(key)
    if text is None:
        raise ValueError(f"{inside.tag} has no {key}")
    return text
