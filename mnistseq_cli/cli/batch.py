"""``mnistseq batch``: many pictures of given or random numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mnistseq_cli.cli.console import print_table
from mnistseq_cli.cli.make_dataset import make_dataset
from mnistseq_cli.cli.output_options import OutputOptions
from mnistseq_cli.cli.picture_options import Picture
from mnistseq_cli.errors import TextError

# Presets in which a - is where people leave a gap, as `phone` does.
PHONE_PLANS = ("jp", "jp-mobile", "us", "uk-mobile", "fr", "in-mobile", "cn-mobile")


def batch(
    output: OutputOptions,
    picture: Picture,
    *,
    digits: str | None = None,
    length: tuple[int, int] | None = None,
    texts: Path | None = None,
    pattern: str | None = None,
    list_patterns: bool = False,
    list_recipes: bool = False,
) -> None:
    """Run the command; `help.txt` says what each parameter is."""
    from mnistseq_cli.recipe import describe_named, read_lines

    if list_patterns:
        print_table([("name", "example", "numbers", "what"), *find_patterns()], figures=(2,))
        return
    if list_recipes:
        print_table([("name", "what for"), *describe_named().items()], figures=())
        return
    sources = {"digits": digits, "length": length, "texts": texts, "pattern": pattern}
    said = [f"--{name}" for name, value in sources.items() if value is not None]
    if len(said) > 1 or not (said or picture.recipe):
        raise TextError(
            f"batch needs one of --{', --'.join(sources)} or --recipe; it has "
            f"{' and '.join(said) or 'none'}",
            "For example: mnistseq batch --length 3 7",
        )
    lines = {} if texts is None else read_lines(texts, output.count)
    written = tuple(lines.values()) or None
    count = output.count if output.count or written is None else len(written)
    given = sources | {"texts": written, "count": count}
    try:
        dashes = "gap" if pattern in PHONE_PLANS else "ink"
        make_dataset(picture, output, given, command="batch", folder="sequences", dashes=dashes)
    except TextError as error:
        for number, text in lines.items():  # the first with what the message begins with
            if any(error.message.startswith(f"{one!r} ") for one in text):
                raise TextError(f"{texts}, line {number}: {error.message}", error.hint) from error
        raise


def find_patterns() -> Iterator[tuple[str, ...]]:
    """Yield the name of each preset, an example, how many numbers it has, and what they are."""
    from mnistseq_cli.compose.patterns import parse_pattern
    from mnistseq_cli.compose.presets import describe_presets

    for name, about in describe_presets().items():
        pattern = parse_pattern(name)
        example = "".join(map(chr, filter(None, pattern.write(0, (range(1),))[0])))
        yield name, example, "repeat" if pattern.repeats else f"{pattern.size:,}", about
