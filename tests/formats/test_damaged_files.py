"""Containers of others, and datasets damaged in any place: read, or refused by name."""

from __future__ import annotations

import io
import os
import random
import shutil
import sys
import tarfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from imageio import v3 as imageio

from mnistseq_cli.compose.generator import SequenceGenerator
from mnistseq_cli.errors import OutputError
from mnistseq_cli.formats import FORMATS, LABEL_STYLES, Output, open_format
from mnistseq_cli.recipe import Recipe
from tests.helpers.bulk_cases import check_installed
from tests.helpers.shelf import Split, refuse, write_dataset
from tests.helpers.shelf import read_dataset as read

if TYPE_CHECKING:
    from pathlib import Path

    from mnistseq_cli.glyphs.glyph_set import GlyphSet

COUNT = 9
IMAGE = np.arange(600, dtype=np.uint8).reshape(20, 30)
PNG: bytes = imageio.imwrite("<bytes>", IMAGE, extension=".png")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes among files")
@pytest.mark.parametrize("name", ["a.png", "labels.npy", "train-labels-idx1-ubyte"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "loop", "device"])
def test_what_is_no_file_is_not_waited_for(name: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "a.png":
        (tmp_path / "labels.csv").write_text("file_name,text\na.png,7\n")
    elif name == "labels.npy":
        np.save(tmp_path / "images.npy", IMAGE[None])
    else:
        (tmp_path / "train-images-idx3-ubyte").write_bytes(
            b"\0\0\x08\3" + bytes([0, 0, 0, 1] * 3 + [9])
        )
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero" if kind == "device" else path)
    assert str(path) in refuse(tmp_path).message


def write_tar(folder: Path, *members: tuple[str, bytes], kind: int = tarfile.GNU_FORMAT) -> Path:
    with tarfile.open(folder / "a.tar", "w", format=kind) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return folder / "a.tar"


@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_shards_of_others_are_read(kind: int, tmp_path: Path) -> None:
    keys = ["d/one", "two", "long" * 40]
    labels = [("cls", b"42"), ("txt", b"\xef\xbb\xbf42\n"), ("txt", b"42")]
    members = []
    for key, (ending, label) in zip(keys, labels, strict=True):
        members += [(f"{key}.png", PNG), (f"{key}.{ending}", label)]
    write_tar(tmp_path, *members, kind=kind)
    assert [(seen.name, seen.text) for seen in read(tmp_path)] == [
        (f"{key}.png", "42") for key in keys
    ]


@pytest.mark.parametrize("record", [b"[]", b"{", b"\xff", b"[" * 200_000, b'{"text": 1.5}'])
def test_a_wrong_record_in_a_tar_is_refused(record: bytes, tmp_path: Path) -> None:
    path = write_tar(tmp_path, ("one.png", PNG), ("one.json", record))
    assert f"one in {path} is damaged: " in refuse(tmp_path).message
    write_tar(tmp_path, ("one.txt", b"7"), ("one.txt", b"8"))
    assert "one.txt is there twice" in refuse(tmp_path).message


@pytest.mark.parametrize("size", [b"77777777777\0", b"\x80" + b"\x7f" * 11, b"\xff" * 12])
def test_a_tar_that_claims_too_much_takes_no_memory(size: bytes, tmp_path: Path) -> None:
    path = write_tar(tmp_path, ("one.txt", b"7"))
    data = bytearray(path.read_bytes())
    data[124:136], data[148:156] = size, b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    path.write_bytes(data)
    assert str(path) in refuse(tmp_path).message


def write_parquet(folder: Path, image: Any, count: int = 1, **options: Any) -> None:
    arrow = pytest.importorskip("pyarrow")
    table = arrow.table({"image": [image] * count, "label": [*range(count)]})
    pytest.importorskip("pyarrow.parquet").write_table(table, folder / "a.parquet", **options)


@pytest.mark.parametrize("image", [None, b"", {"bytes": None, "path": "a.png"}, "a.png"])
def test_parquet_without_images_is_refused(image: Any, tmp_path: Path) -> None:
    write_parquet(tmp_path, image)
    message = refuse(tmp_path).message
    assert message.startswith(f"row 1 in {tmp_path / 'a.parquet'} is damaged: it has no image")


def test_parquet_that_unpacks_to_far_more_is_refused(tmp_path: Path) -> None:
    write_parquet(tmp_path, {"bytes": bytes(2**28 + 1), "path": "a.png"}, compression="zstd")
    assert "1 rows of it unpack to 268," in refuse(tmp_path).message


def test_parquet_without_paths_is_read(tmp_path: Path) -> None:
    count = 300  # more than are read at once
    write_parquet(tmp_path, {"bytes": PNG, "path": None}, count)
    found = read(tmp_path)
    assert [seen.text for seen in found] == [str(number) for number in range(count)]
    assert [seen.name for seen in found] == [f"a/{number + 1}" for number in range(count)]


LARGEST = {
    "folder": "images/00000/00000004.png",
    "webdataset": "data-000001.tar",
    "parquet": "part-00001.parquet",
    "lmdb": "lmdb/data.mdb",
    "hdf5": "data.h5",
    "npz": "data.npz",
    "npy": "boxes.npy",
    "idx": "train-labels-idx2-ubyte",
}


def damage(data: bytes, dice: random.Random) -> bytes:
    """Spoil some bytes, early ones more often: there are the headers."""
    spoilt = bytearray(data)
    for _ in range(dice.choice([1, 1, 2, 5])):
        at = int(len(spoilt) * dice.random() ** dice.choice([1, 6]))
        kind = dice.randrange(5)
        if kind == 0:
            del spoilt[at:]
        elif kind == 1:
            spoilt[at : at + 8] = dice.choice([b"\xff" * 8, bytes(8), b"\xff\xff\xff\x7f"])
        elif kind == 2:
            spoilt[at:at] = dice.choice([b"[" * 5000, b"\xff", b"\0", b'"', b"\n", b"-1", b"NaN"])
        elif kind == 3:
            del spoilt[at : at + dice.randrange(1, 60)]
        elif at < len(spoilt):
            spoilt[at] ^= 1 << dice.randrange(8)
    return bytes(spoilt)


@pytest.mark.parametrize("case", [*FORMATS, *(f"folder {style}" for style in LABEL_STYLES)])
def test_no_damage_is_a_crash(case: str, glyphs: GlyphSet, tmp_path: Path) -> None:
    form, _, style = case.partition(" ")
    check_installed(form)
    folder, dice = tmp_path / "whole", random.Random(case)  # noqa: S311 - the same each time
    output = Output(folder=folder, to=form, labels=(style or "jsonl",))
    generator = SequenceGenerator(Recipe(length=(1, 3), count=COUNT, seed=5), glyphs)
    write_dataset(output, generator, [Split("", 0, COUNT)])
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    n_refused = 0
    for number in range(60):
        spoilt = tmp_path / "spoilt"
        shutil.copytree(folder, spoilt)
        name = dice.choice([files[-1], dice.choice(files)])
        (spoilt / name).write_bytes(damage((folder / name).read_bytes(), dice))
        try:
            for seen in open_format(Output(folder=spoilt, to=form)).read(spoilt):
                assert seen.image.ndim == 2, number
                assert seen.text.encode() is not None
        except OutputError:
            n_refused += 1
        shutil.rmtree(spoilt)
    assert n_refused > 10
    path = folder / LARGEST[form]
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(OutputError) as caught:
        read(folder)
    assert str(path) in caught.value.message
