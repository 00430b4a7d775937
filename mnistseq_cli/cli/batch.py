"""``mnistseq batch``: many pictures of given or random numbers."""

from __future__ import annotations

from pathlib import Path

from mnistseq_cli.cli.make_dataset import make_dataset
from mnistseq_cli.cli.options import expand, option
from mnistseq_cli.cli.output_options import OutputOptions
from mnistseq_cli.cli.picture_options import Picture
from mnistseq_cli.errors import TextError
from mnistseq_cli.recipe import read_lines

EXAMPLES = """\
mnistseq batch -n 100000 --length 3 7 --width 200 -o train
mnistseq batch -n 500 --digits 350 --augment medium
mnistseq batch --texts numbers.txt --to webdataset -o shards
mnistseq batch --recipe train/recipe.toml -o again
"""


@expand
def batch(
    output: OutputOptions,
    picture: Picture,
    *,
    digits: str | None = option("Text", "--digits TEXT", "Write this number in every picture."),
    length: tuple[int, int] | None = option(
        "Text",
        "--length MIN [MAX]",
        "Write random digits: from MIN to MAX of them, both included; one number is both.",
    ),
    texts: Path | None = option(
        "Text", "--texts FILE", "Write the numbers of a file, one a line, in their order."
    ),
) -> None:
    """Write many pictures of given or random numbers, with labels and boxes.

    One of --length, --digits, --texts and --recipe says which numbers.
    All pictures have one width, that of the widest number there can be, unless --width says more.
    """
    sources = {"--digits": digits, "--length": length, "--texts": texts}
    said = [name for name, value in sources.items() if value is not None]
    if len(said) > 1 or not (said or picture.recipe):
        raise TextError(
            f"batch needs one of {', '.join(sources)}; it has {' and '.join(said) or 'none'}",
            "For example: mnistseq batch --length 3 7",
        )
    lines = {} if texts is None else read_lines(texts, output.count)
    written = tuple(lines.values()) or None
    count = output.count if output.count or written is None else len(written)
    given = {"digits": digits, "length": length, "texts": written, "count": count}
    try:
        make_dataset(picture, output, given, command="batch", folder="sequences")
    except TextError as error:
        if number := _find_line(lines, error):
            raise TextError(f"{texts}, line {number}: {error.message}", error.hint) from error
        raise


def _find_line(lines: dict[int, str], error: TextError) -> int | None:
    """Return the number of the first line with the character that an error begins with."""
    found = (
        number
        for number, text in lines.items()
        if any(error.message.startswith(f"{character!r} ") for character in set(text))
    )
    return next(found, None)
