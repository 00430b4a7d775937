"""``mnistseq phone``: pictures of unique phone numbers."""

from __future__ import annotations

from mnistseq_cli.cli.make_dataset import PATTERN, make_dataset
from mnistseq_cli.cli.output_options import OutputOptions
from mnistseq_cli.cli.picture_options import Picture, read_recipe
from mnistseq_cli.errors import UsageError

OPTIONS = f"""
Text:
{PATTERN}
"""
EXAMPLES = """\
mnistseq phone -n 1000 -o phones
mnistseq phone -n 1000 --pattern us --labels coco -o numbers
mnistseq phone -n 50 --pattern "0[789]0-####-####" --spacing 1 4 -o mobiles
"""


def phone(output: OutputOptions, picture: Picture, *, pattern: str | None = None) -> None:
    """Write pictures of phone numbers, no number twice.

    Without --pattern they are as in Japan: jp, a leading 0 and ten more digits.
    All pictures have one width, that of the widest number there can be, unless --width says more.
    """
    path = picture.recipe
    if pattern is None and path is not None and "pattern" not in read_recipe(path):
        raise UsageError(
            f"{path} has no pattern, so it cannot write phone numbers",
            f"Use it as it is: mnistseq batch --recipe {path}; or give a --pattern",
        )
    given = {"pattern": pattern, "count": output.count}
    make_dataset(picture, output, given, pattern="jp", command="phone", folder="phone-numbers")
