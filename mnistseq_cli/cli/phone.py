"""``mnistseq phone``: pictures of unique phone numbers."""

from __future__ import annotations

from mnistseq_cli.cli.make_dataset import make_dataset
from mnistseq_cli.cli.output_options import OutputOptions
from mnistseq_cli.cli.picture_options import Picture, read_recipe
from mnistseq_cli.errors import UsageError


def phone(output: OutputOptions, picture: Picture, *, pattern: str | None = None) -> None:
    """Run the command; `help.txt` says what each parameter is."""
    path = picture.recipe
    if pattern is None and path is not None and "pattern" not in read_recipe(path):
        raise UsageError(
            f"{path} has no pattern, so it cannot write phone numbers",
            f"Use it as it is: mnistseq batch --recipe {path}; or give a --pattern",
        )
    given = {"pattern": pattern, "count": output.count}
    make_dataset(picture, output, given, pattern="jp", command="phone", folder="phone-numbers")
