"""Names of images, from a template such as ``images/{shard:05d}/{index:08d}``.

A template may hold three fields: ``{index}`` of the sample, which it must hold; ``{shard}``, the
thousand that the index lies in; ``{text}``, what is written. A ``/`` makes a sub-folder.
"""

from __future__ import annotations

import re
from string import Formatter
from typing import TYPE_CHECKING

from mnistseq_cli.errors import UsageError
from mnistseq_cli.recipe import RECIPE_FILE, TEXTS_FILE
from mnistseq_cli.validation import check_choice

if TYPE_CHECKING:
    from mnistseq_cli.compose.samples import Block

SHARD_SIZE = 1000
FIELDS = ("index", "shard", "text")
_NUMBER_SPEC = re.compile(r"(0?[1-9][0-9]?)?d?")
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|]')
OWN_FOLDER = ".mnistseq"
OWN_FILES = (
    RECIPE_FILE,
    TEXTS_FILE,
    "dataset.json",
    *("labels.csv", "metadata.jsonl", "instances.json", "data.yaml", "rec_gt.txt"),
    *("easyocr/labels.csv", "textrecog.json", "labels.json"),
)
_Piece = tuple[str, str | None, str | None, str | None]


class NameTemplate:
    """A checked template.

    Parameters
    ----------
    template : str
        Without the ending.
    ending : str
        Such as "png".

    Raises
    ------
    UsageError
        The template could give two samples one name, or a name outside the dataset.
    """

    def __init__(self, template: str, ending: str) -> None:
        try:
            pieces = list(Formatter().parse(template))
        except ValueError as error:
            raise _refuse(template, str(error)) from error
        for _, field, spec, conversion in pieces:
            if field is not None:
                _check_field(template, field, spec or "", conversion)
        if "index" not in [field for _, field, _, _ in pieces]:
            raise _refuse(template, "without {index} two images could have the same name")
        _check_separated(template, pieces)
        _check_path(template, pieces)
        self._template = f"{template}.{ending}"

    def fill(self, block: Block) -> list[str]:
        """Give the names of the samples of a block."""
        fill = self._template.format
        return [
            fill(index=index, shard=index // SHARD_SIZE, text=text)
            for index, text in enumerate(block.texts.tolist(), block.start)
        ]


def _check_field(template: str, field: str, spec: str, conversion: str | None) -> None:
    check_choice("field of the name template", field, FIELDS)
    allowed = spec == "" if field == "text" else _NUMBER_SPEC.fullmatch(spec)
    if conversion or not allowed:
        raise _refuse(template, "fields are written as {index}, {index:08d} or {text}")


def _check_separated(template: str, pieces: list[_Piece]) -> None:
    """Refuse {index}{text}: 1 and 12 would be written as 11 and 2 are."""
    for literal, field, _, _ in pieces[1:]:
        if field is not None and all(character.isalnum() for character in literal):
            raise _refuse(template, "put -, _ or / between two fields, so that they stay apart")


def _check_path(template: str, pieces: list[_Piece]) -> None:
    if any(_FORBIDDEN.search(literal) for literal, *_ in pieces):
        raise _refuse(template, 'control characters and \\ : * ? " < > | are not allowed')
    steps = template.split("/")
    if {"", ".", ".."}.intersection(steps):
        raise _refuse(template, "it must stay inside the dataset: no leading /, no . or ..")
    if steps[0].lower() == OWN_FOLDER:
        raise _refuse(template, f"{OWN_FOLDER} holds the records of the dataset")
    for name in OWN_FILES:
        if template.lower().startswith(f"{name}/"):
            raise _refuse(template, f"{name} is a file of the dataset, so it can be no folder")


def _refuse(template: str, why: str) -> UsageError:
    return UsageError(
        f"the name template is {template!r}; {why}", "The default: images/{shard:05d}/{index:08d}"
    )
