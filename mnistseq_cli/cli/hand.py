"""``mnistseq hand``: a sheet to print and fill in, and the glyphs in a photo of it."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from mnistseq_cli.cli.console import print_result, say
from mnistseq_cli.errors import GlyphError, UsageError
from mnistseq_cli.files import check_place, naming_disk_errors, write_whole
from mnistseq_cli.validation import check_choice, check_local, check_number, count

ACTIONS = ("sheet", "read")
GLYPH_PX = 84  # about as large as they are on the page: three times those of MNIST
CONTACT_SHEET = "contact-sheet.png"
_WRITER = re.compile(r"[^\W_](?:[^\W_]|[.-])*")


def hand(
    action: str,
    photos: list[Path] | None = None,
    *,
    out: Path | None = None,
    characters: str | None = None,
    fields: int | None = None,
    writer: str | None = None,
) -> None:
    """Run the command; `help.txt` says what each parameter is."""
    check_choice("action", action, ACTIONS)
    check_local("--out", out or "")
    if action == "sheet":
        if photos or writer:
            raise UsageError("hand sheet takes no photo and no --writer: they go with hand read")
        n_fields = 18 if fields is None else fields
        _write_sheet(out or Path("sheet.pdf"), characters or "0123456789", n_fields)
    else:
        if not photos or characters or fields is not None:
            raise UsageError(
                "hand read takes photos, and no --characters or --fields: the page says both",
                "For example: mnistseq hand read photo.jpg -o my-hand",
            )
        _read_photos(photos, out or Path("my-hand"), writer)


def _write_sheet(path: Path, characters: str, n_fields: int) -> None:
    from mnistseq_cli.glyphs.hand_sheet import N_FIELDS, draw_pdf

    check_place(path)
    write_whole(path, [draw_pdf(characters, check_number("--fields", n_fields, 1, N_FIELDS))])
    print_result(str(path))


def _read_photos(photos: list[Path], folder: Path, writer: str | None) -> None:
    from mnistseq_cli.formats.images import write_image
    from mnistseq_cli.glyphs.hand_sheet import draw_glyphs, name_class, read_photo
    from mnistseq_cli.sheet import make_sheet

    name = folder.resolve().name.replace("_", "-") if writer is None else writer
    if not _WRITER.fullmatch(name):
        raise UsageError(f"--writer is {name!r}; expected letters, digits, - and .")
    if any(folder.glob(f"*/{name}_*")):
        raise UsageError(
            f"{folder} has glyphs of {name} already",
            "Name another --writer or another --out, or remove the folder",
        )
    found = [field for photo in photos for field in read_photo(photo)]
    glyphs = draw_glyphs(found, GLYPH_PX)
    if not glyphs:
        raise GlyphError(f"no field of {', '.join(map(str, photos))} is filled in")
    numbers: Counter[str] = Counter()
    with naming_disk_errors(folder):
        for character, image in glyphs:
            numbers[character] += 1
            place = folder / name_class(character)
            place.mkdir(parents=True, exist_ok=True)
            write_image(place / f"{name}_{numbers[character]:03}.png", image)
    write_image(folder / CONTACT_SHEET, make_sheet([image for _, image in glyphs], scale=1))
    print_result(str(folder))
    states = Counter(field.state for field in found)
    left_out = f"left out: {states['empty']} empty, {states['crossed out']} crossed out"
    say(f"{count(len(glyphs), 'glyph')}; {left_out}", "dim")
