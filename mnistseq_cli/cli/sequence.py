"""``mnistseq sequence``: a picture of one number."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnistseq_cli.cli.console import print_result, say
from mnistseq_cli.cli.output_options import check_ending, check_image_file
from mnistseq_cli.cli.picture_options import Picture, name_glyphs, say_writers_unknown
from mnistseq_cli.errors import TextError, UsageError

if TYPE_CHECKING:
    from mnistseq_cli.compose.generator import SequenceGenerator
    from mnistseq_cli.compose.samples import Sample

LONGEST_STEM = 40  # characters of the text in the name of a file


def sequence(
    picture: Picture,
    digits: list[str] | None = None,
    *,
    count: int | None = None,
    out: Path | None = None,
    json_: bool = False,
    sheet: Path | None = None,
    show: bool = False,
) -> None:
    """Run the command; `help.txt` says what each parameter is."""
    if out is not None:
        check_ending(out, "--out")
    if sheet is not None:
        for name in ["--out"] * (out is not None) + ["--json"] * json_:
            raise UsageError(
                f"{name} does not go with --sheet, which writes all pictures into one file",
                f"Leave out {name} or --sheet",
            )
        check_image_file(sheet, "--sheet")
    if not digits and picture.recipe is None:
        raise TextError("there are no digits to write", "For example: mnistseq sequence 3 5 0")
    given = {"digits": join_digits(digits), "count": count}
    generator = picture.open_generator({"width_px": "natural", "dashes": "ink"}, given)
    if generator.recipe.hand == "alike":
        say_writers_unknown(generator)
    samples = [generator[0]] if count is None else list(generator)
    paths = [*_write(samples, out, sheet)]
    if json_:
        for sample, path in zip(samples, paths, strict=True):
            print_result(_to_json(sample, path, generator.recipe.seed))
    else:
        for path in dict.fromkeys(paths):
            print_result(str(path))
    if show:
        from mnistseq_cli.cli.terminal_images import show_images

        show_images(("", sample.image) for sample in samples)
    _say_summary(generator, samples, is_shown=show)


def join_digits(words: list[str] | None) -> str | None:
    """Return what was typed as one text: 3 5 0, 350 and 3,5,0 are the same; 1,250 has a comma."""
    if not words:
        return None
    # What is quoted as one word, such as "12 34", keeps its spaces but between single characters.
    split = (word.split() for word in words)
    text = "".join(("" if {*map(len, some)} == {1} else " ").join(some) for some in split)
    pieces = text.rstrip(",").split(",")
    if len(pieces) > 2 and all(len(piece) == 1 for piece in pieces):  # noqa: PLR2004 - decided so
        text = "".join(pieces)
    if not text.strip(","):
        raise TextError(f"is {' '.join(words)!r}; expected digits such as 3 5 0", field="digits")
    return text


def _write(samples: list[Sample], out: Path | None, sheet: Path | None) -> Iterator[Path]:
    """Write pictures, or all of them as a sheet; yield the path of each."""
    from mnistseq_cli.files import naming_disk_errors
    from mnistseq_cli.formats.images import write_image
    from mnistseq_cli.formats.names import make_safe
    from mnistseq_cli.sheet import make_sheet

    if sheet is not None:
        write_image(sheet, make_sheet([sample.image for sample in samples]))
        yield from [sheet] * len(samples)
        return
    if out is not None:
        with naming_disk_errors(out.parent):
            out.parent.mkdir(parents=True, exist_ok=True)
    numbered = None if out is None else _number(out)
    for sample in samples:
        if numbered is None:
            stem = re.sub(r"^\.", "_", make_safe(sample.text[:LONGEST_STEM]))  # or it is hidden
            path = next(path for path in _number(Path(f"{stem}.png")) if not path.exists())
        else:
            path = next(numbered)
        write_image(path, sample.image)
        yield path


def _number(path: Path) -> Iterator[Path]:
    """Yield a path, then those of its likes: 350.png, 350-2.png, 350-3.png."""
    yield path
    yield from (path.with_stem(f"{path.stem}-{number}") for number in itertools.count(2))


def _to_json(sample: Sample, path: Path, seed: int) -> str:
    import json

    values: dict[str, Any] = {
        "text": sample.text,
        "boxes": sample.boxes.tolist(),
        "gaps": sample.gaps.tolist(),
        "glyphs": sample.glyphs.tolist(),
        **({"writers": sample.writers} if sample.writers else {}),
        **({"writer": sample.writer} if sample.writer else {}),
        "seed": seed,
    }
    if sample.marks:
        values["written"] = sample.written
        values["marks"] = [{"character": mark.character, "box": mark.box} for mark in sample.marks]
    return json.dumps(values | {"index": sample.index, "path": str(path)}, ensure_ascii=False)


def _say_summary(generator: SequenceGenerator, samples: list[Sample], *, is_shown: bool) -> None:
    height, width = samples[0].image.shape
    number = "" if len(samples) == 1 else f"{len(samples):,} pictures, the first "
    if len(samples) < len(generator):
        number = f"the first of {len(generator):,} samples of the recipe, "
    glyphs = name_glyphs(generator.glyphs.name, generator.glyphs.split)
    hint = "" if is_shown or not (sys.stdout and sys.stdout.isatty()) else "; --show shows it here"
    say(f"{number}{width} x {height} px, {glyphs}, seed {generator.recipe.seed}{hint}", "dim")
