"""Names of images, from a template such as ``images/{shard:05d}/{index:08d}``.

A template may hold three fields: ``{index}`` of the sample, which it must hold; ``{shard}``, the
thousand that the index lies in; ``{text}``, what is written. A ``/`` makes a sub-folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

from mnistseq_cli.compose.samples import Block
from mnistseq_cli.errors import UsageError
from mnistseq_cli.formats.images import IMAGE_ENDINGS
from mnistseq_cli.validation import check_choice

SHARD_SIZE = 1000
FIELDS = ("index", "shard", "text")
_NUMBER_SPEC = re.compile(r"(0?[1-9][0-9]?)?d?")
# Readers of label files take U+0085 and U+2028 for the end of a line.
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f-\x9f\u2028\u2029\\:*?"<>|]')
_UNSAFE = re.compile(r'[\x00-\x1f\\/:*?"<>|,]')
_FIELD = re.compile(r"\{[^}]*\}")
# Windows takes superscripts for digits here, and leaves out spaces before the ending.
_RESERVED = re.compile(r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9¹²³]) *", re.IGNORECASE)
# Words in a path by which `load_dataset` of Hugging Face finds splits (datasets/data_files.py).
# Others it puts into train without a word.
SPLIT_WORDS = frozenset(
    ("train", "training", "validation", "valid", "dev", "val", "test", "testing", "eval")
) | {"evaluation"}
OWN_FOLDER = ".mnistseq"
# Files that a dataset may have, which can be no folders of images.
_OWN = re.compile(
    r"(recipe\.toml|texts\.txt|dataset\.json|data\.yaml|labels\.csv|metadata\.jsonl|rec_gt\.txt"
    r"|easyocr/labels\.csv|textrecog\.json|labels\.json|annotations/instances_[^/]*\.json"
    r"|imagesets/main/[^/]*\.txt|readme\.md|croissant\.json)/"
)


class NameTemplate:
    """A checked template of names, and the ending that it lacks."""

    def __init__(self, template: str, ending: str) -> None:
        for fault in _find_faults(template):
            raise UsageError(
                f"the name template is {template!r}; {fault}",
                "The default: images/{shard:05d}/{index:08d}",
            )
        self._fields, self._pattern = [], ""  # a pattern of % is filled in half of the time
        for literal, field, spec, _ in Formatter().parse(f"{template}.{ending}"):
            self._pattern += literal.replace("%", "%%")
            if field:
                self._fields.append(field)
                self._pattern += "%s" if field == "text" else f"%{(spec or '').rstrip('d')}d"

    def fill(self, block: Block) -> list[str]:
        """Return the names of the samples of a block."""
        index, texts = range(block.start, block.start + len(block)), block.texts.tolist()
        if _UNSAFE.search(block.alphabet):
            texts = [make_safe(text) for text in texts]
        shard = [one // SHARD_SIZE for one in index]
        values = {"index": index, "shard": shard, "text": texts}
        return list(map(self._pattern.__mod__, zip(*map(values.get, self._fields), strict=True)))


def make_safe(text: str) -> str:
    """Return a text as it can stand in the name of a file, and before the comma of a label."""
    return _UNSAFE.sub("_", text)


def _find_faults(template: str) -> Iterator[str]:
    """Yield what is wrong with a template."""
    try:
        template.encode()  # what a shell gives may be no Unicode
        pieces = list(Formatter().parse(template))
    except ValueError as error:
        yield str(error)
        return
    for _, field, spec, conversion in pieces:
        if field is not None:
            check_choice("field of the name template", field, FIELDS)
            allowed = spec == "" if field == "text" else _NUMBER_SPEC.fullmatch(spec or "")
            if conversion or not allowed:
                yield "fields are written as {index}, {index:08d} or {text}"
    if "index" not in [field for _, field, _, _ in pieces]:
        yield "without {index} two images could have the same name"
    # As {index}{text}, 1 and 12 would be written as 11 and 2 are.
    if any(field and all(map(str.isalnum, literal)) for literal, field, _, _ in pieces[1:]):
        yield "put -, _ or / between two fields, so that they stay apart"
    yield from _find_path_faults(template)


def _find_path_faults(template: str) -> Iterator[str]:
    """Yield why names could not be paths, on some system or for some reader."""
    if _FORBIDDEN.search(_FIELD.sub("", template)):
        yield 'control characters and \\ : * ? " < > | are not allowed'
    steps = template.split("/")
    if {"", ".", ".."}.intersection(steps):
        yield "it must stay inside the dataset: no leading /, no . or .."
    if steps[0].lower() == OWN_FOLDER:
        yield f"{OWN_FOLDER} holds the records of the dataset"
    if _OWN.match(template.lower()):
        yield "its folder is a file of the dataset"
    if Path(template).suffix.lower() in IMAGE_ENDINGS:
        yield "it must have no ending: --image-format gives it"
    words = re.split(r"[^a-z]+", _FIELD.sub("0", template))
    if words := [*SPLIT_WORDS.intersection(words)]:
        yield (
            f"Hugging Face datasets takes the word {min(words)} for a split, and loses the "
            "labels; use another word, or --splits"
        )
    for step in _FIELD.sub("1", template).split("/"):  # {index} may be 1
        if _RESERVED.fullmatch(step.partition(".")[0]) or step[-1] in ". ":
            yield f"Windows allows no file or folder {step!r}"
